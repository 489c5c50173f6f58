// What survives a restart: counters, whatever happened to the snapshot.
import assert from 'node:assert/strict';
import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { RULES, cimOps, tempDir, until } from './lib/index.mjs';
import { counted, ownEvents, publish, withMonitor } from './monitor_tools.mjs';

const STREAM = { 'CIM-EVENTS': ['infrastructure.>'] };

/** Until the snapshot on disk holds all that is folded. */
async function saved(monitor, { after = 0 } = {}) {
  const file = join(monitor.dir, 'stream-CIM-EVENTS.state');
  await until(async () => (await stat(file)).mtimeMs > after);
  return file;
}

describe('restart', { concurrency: 3 }, () => {
  test('counters are withheld until caught up, and never lower than before', async (t) => {
    const { js, monitor, connection } = await withMonitor(t, STREAM);
    await publish(js, 3000);
    await monitor.until((m) => counted(m) === 3000);
    const seen = [];
    // Told behind the count: who is killed before it has been stored does not tell it any more.
    const caughtUp = async (times) => until(async () =>
      (await ownEvents(connection, 'CaughtUp')).length === times);
    for (let round = 1; round <= 4; round++) {
      await caughtUp(round);
      await monitor.kill();
      await publish(js, 2000);
      monitor.launch();
      // Every scrape that answers from the first moment on.
      await until(async () => {
        const metrics = await monitor.metrics();
        const shown = metrics.has('cim_events_total');
        const value = counted(metrics);
        assert.equal(shown, metrics.get('cim_monitor_caught_up') === 1);
        if (shown) seen.push(value);
        return value === 3000 + 2000 * round;
      }, { every: 1, alive: monitor.child });
    }
    assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
    assert.ok(seen[0] >= 5000, `shown first: ${seen[0]}`);
    assert.equal((await monitor.metrics()).sum('cim_duplicate_events_total') ?? 0, 0);
    await caughtUp(5);
    assert.equal((await ownEvents(connection, 'MonitorStarted')).length, 5);
  });

  test('a lost snapshot costs reading, not counts', async (t) => {
    const { js, monitor } = await withMonitor(t, STREAM);
    await publish(js, 1000);
    await publish(js, 10, 'server', 'ServerFailed');
    const before = await monitor.until((m) => counted(m) === 1010);
    await monitor.kill();
    await rm(monitor.dir, { recursive: true });
    await monitor.start();
    const after = await monitor.until((m) => counted(m) === 1010);
    for (const name of ['cim_events_total', 'cim_events_failed_total', 'cim_aggregate_count']) {
      assert.ok(before.sum(name, { domain: 'infrastructure' }) > 0);
      assert.equal(after.sum(name, { domain: 'infrastructure' }), before.sum(name, { domain: 'infrastructure' }));
    }
  });

  for (const [what, damage] of [
    ['a flipped byte', async (file) => {
      const bytes = await readFile(file);
      bytes[bytes.length >> 1] ^= 1;
      await writeFile(file, bytes);
    }],
    ['a lost end', async (file) => truncate(file, (await stat(file)).size - 9)],
    ['nothing in it', async (file) => truncate(file, 0)],
  ]) {
    test(`a snapshot with ${what} is rejected and the stream folded again`, async (t) => {
      const { js, monitor, connection } = await withMonitor(t, STREAM);
      await publish(js, 500);
      await monitor.until((m) => counted(m) === 500);
      const file = await saved(monitor);
      await monitor.kill();
      await damage(file);
      await monitor.start();
      assert.equal(counted(await monitor.metrics()), 500);
      const [event] = await until(async () => {
        const found = await ownEvents(connection, 'SnapshotRejected');
        return found.length && found;
      });
      assert.equal(event.id, 'CIM-EVENTS');
      assert.equal(event.data.file, file);
      assert.match(event.data.reason, /checksum|not a snapshot/);
    });
  }

  test('SIGTERM loses nothing and says goodbye', async (t) => {
    const { js, monitor, connection } = await withMonitor(t, STREAM, { args: ['--snapshot-interval', '1h'] });
    await publish(js, 700);
    await monitor.until((m) => counted(m) === 700);
    const { code } = await monitor.child.stop();
    assert.equal(code, 0);
    assert.equal(monitor.child.stderr, '');
    assert.equal((await ownEvents(connection, 'MonitorStopped')).length, 1);
    await monitor.start();
    const found = await until(async () =>
      (await ownEvents(connection, 'StreamFound')).filter((x) => x.id === 'CIM-EVENTS')[1]);
    assert.equal(found.data.resume_at, 701);
    assert.equal(counted(await monitor.metrics()), 700);
  });

  test('a second monitor on one state folder is refused; so is a taken port', async (t) => {
    const { nats, monitor } = await withMonitor(t, STREAM);
    const same = await cimOps(['monitor', '--nats', nats.url, '--state', monitor.dir, '--metrics-port', '0',
      '--rules', RULES]);
    assert.equal(same.code, 4);
    assert.match(same.stderr, /another monitor keeps its state here; choose another --state/);
    const port = await cimOps(['monitor', '--nats', nats.url, '--state', await tempDir(t), '--metrics-port',
      String(monitor.port), '--rules', RULES]);
    assert.equal(port.code, 4);
    assert.match(port.stderr, new RegExp(`port ${monitor.port}: Address already in use`));
    assert.equal((await monitor.get('/healthz')).status, 200);
  });
});
