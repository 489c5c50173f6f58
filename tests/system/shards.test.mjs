// --shard I/N: several folds share the work; their sum is the whole.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { CIM_OPS, Metrics, cimOps, startMonitor, tempDir } from './lib/index.mjs';
import { ownEvents, withServer } from './monitor_tools.mjs';

/** What shards may share: not what the largest or newest of them tells, nor what each tells of itself. */
function additive(metrics) {
  return new Map([...metrics.samples].filter(([key]) =>
    !/_timestamp_seconds|^cim_monitor_(?!missed|suspect)/.test(key)));
}

function assertSum(whole, parts) {
  const keys = additive(whole);
  assert.ok(keys.size > 100, `${keys.size} series`);
  for (const [key, value] of keys) {
    const sum = parts.reduce((total, part) => total + (part.samples.get(key) ?? 0), 0);
    assert.ok(Math.abs(sum - value) <= 1e-9 * Math.abs(value), `${key}: ${value}, the shards have ${sum}`);
  }
  for (const part of parts) {
    for (const key of additive(part).keys()) assert.ok(keys.has(key), `${key} is in a shard only`);
  }
}

describe('shards', { concurrency: 2 }, () => {
  test('derive: three shards add up to one fold, and each has a share', async (t) => {
    const stdout = execFileSync(CIM_OPS, ['simulate', '--print', '--count', '20000', '--rate', 'max', '--seed', '5',
      '--start', '2026-07-11T12:00:00Z', '--share-malformed', '0.01'],
    { encoding: 'utf8', maxBuffer: 64 << 20, stdio: ['ignore', 'pipe', 'ignore'] });
    const lines = stdout.split('\n');
    // Sequences with gaps: what is missing is counted once.
    const file = join(await tempDir(t), 'e.jsonl');
    await writeFile(file, lines.map((line, i) => (line && line.replace(/\}$/, `,"seq":${2 * i + 1}}`))).join('\n'));
    const derive = async (...args) => {
      const result = await cimOps(['derive', ...args, file], { deadline: 60_000 });
      assert.equal(result.code, 0, result.stderr.slice(0, 500));
      return new Metrics(result.stdout);
    };
    const whole = await derive();
    const parts = [await derive('--shard', '1/3'), await derive('--shard', '2/3'), await derive('--shard', '3/3')];
    assert.ok(whole.sum('cim_monitor_missed_events_total') > 1000);
    assertSum(whole, parts);
    for (const part of parts) {
      const share = part.sum('cim_events_total') / whole.sum('cim_events_total');
      assert.ok(share > 0.25 && share < 0.42, `a share of ${share}`);
    }
    assert.deepEqual((await derive('--shard', '1/1')).samples, whole.samples);
  });

  test('monitors: the same, live; another layout folds anew', async (t) => {
    const { nats, connection } = await withServer(t, { 'CIM-EVENTS': ['cim.>', 'events.>', 'infrastructure.>',
      'agent.>', 'person.>', 'organization.>', 'git.>', 'network.>', 'location.>', 'policy.>', 'workflow.>'] });
    const options = { nats: nats.url };
    const loaded = await cimOps(['simulate', '--nats', nats.url, '--count', '3000', '--seed', '7', '--rate', 'max'],
      { deadline: 60_000 });
    assert.equal(loaded.code, 0, loaded.stderr);
    const start = (...args) => startMonitor(t, { ...options, args: ['--first-zero', '0s', ...args] });
    const one = await start();
    const monitors = [await start('--shard', '1/3'), await start('--shard', '2/3'), await start('--shard', '3/3')];
    // Our own events go on being written; they are compared by derive above.
    const withoutOwn = (metrics) => {
      const own = /domain="monitor"|CIM-OPS|^cim_event_(processing|queue)|^cim_active|^process_/;
      for (const key of metrics.samples.keys()) if (own.test(key)) metrics.samples.delete(key);
      return metrics;
    };
    const whole = withoutOwn(await one.metrics());
    assert.ok(whole.sum('cim_events_total') > 2500);
    assertSum(whole, await Promise.all(monitors.map(async (monitor) => withoutOwn(await monitor.metrics()))));
    const info = (await monitors[1].metrics()).series('cim_monitor_shard_info');
    assert.deepEqual(info.map(({ labels, value }) => [labels, value]), [[{ shard: '2', shards: '3' }, 1]]);
    assert.equal((await one.metrics()).has('cim_monitor_shard_info'), false);

    await monitors[1].child.stop();
    const other = await startMonitor(t, { ...options, dir: monitors[1].dir,
      args: ['--first-zero', '0s', '--shard', '1/2'] });
    const second = await start('--shard', '2/2');
    assertSum(whole, [withoutOwn(await other.metrics()), withoutOwn(await second.metrics())]);
    const rejected = (await ownEvents(connection)).filter(({ type }) => type === 'SnapshotRejected');
    assert.ok(rejected.some(({ data }) => /of shard 2\/3, this monitor is 1\/2/.test(data.reason)),
      JSON.stringify(rejected));
  });

  test('what is no shard is refused', async () => {
    for (const shard of ['0/3', '4/3', 'a/b', '3', '/3', '1/', '1/0', '-1/3', '1/5000', '']) {
      const { code, stderr } = await cimOps(['monitor', '--nats', 'nats://127.0.0.1:1', '--shard', shard]);
      assert.equal(code, 2, `${shard}: ${stderr}`);
      assert.match(stderr, /--shard.*(I\/N with I from 1 to N|value)/);
    }
  });
});
