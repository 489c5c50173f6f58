// cim-ops backfill: the history of a rule that was added today, joined to its live series.
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { RULES, cimOps, startPrometheus, tempDir, until } from './lib/index.mjs';
import { withMonitor, withServer } from './monitor_tools.mjs';

const STREAM = { 'CIM-EVENTS': ['events.>'] };
const RULE = `metrics:
  - {name: site_things_total, type: counter, help: h, when: [$event_type == ThingMade],
     labels: {kind: $payload.kind}}
  - {name: site_size_bytes, type: histogram, help: h, buckets: [100, 1000], value: $payload.size,
     labels: {kind: $payload.kind}}
  - {name: site_alive, type: distinct, help: h, key: $aggregate_id, labels: {kind: $payload.kind}}
  - {name: site_last_size_bytes, type: gauge, help: h, value: $payload.size, labels: {kind: $payload.kind}}
`;
const HOUR = 3_600_000;

async function ownRules(t) {
  const dir = join(await tempDir(t, 'rules'), 'rules');
  await cp(RULES, dir, { recursive: true });
  return dir;
}

let made = 0;

/** Each acknowledged; `more` goes into the payload. */
async function publish(js, count, more) {
  await Promise.all(Array.from({ length: count }, () => js.publish('events.site.things.made', JSON.stringify({
    event_id: `e${++made}`, event_type: 'ThingMade', aggregate_id: `t${made}`, kind: 'server', ...more,
  }))));
}

/** Publishes `count` events that happened evenly over the last `span` ms; returns their times. */
async function publishPast(js, count, span, size = (i) => i % 2000) {
  const now = Date.now(), times = [];
  for (let i = 0; i < count; i++) {
    times.push(now - span + Math.floor((i * span) / count));
  }
  for (let i = 0; i < count; i += 500) {
    await Promise.all(times.slice(i, i + 500).map((at, k) => publish(js, 1,
      { timestamp: new Date(at).toISOString(), size: size(i + k) })));
  }
  return times;
}

async function value(prometheus, expression) {
  const [first] = await prometheus.query(expression);
  return first?.value;
}

const blocksOf = async (dir) => (await readdir(dir)).filter((name) => /^[0-9A-Z]{26}$/.test(name));

describe('backfill', { concurrency: 4 }, () => {
  test('a rule added today has its whole history, and goes on live without a step', async (t) => {
    const rules = await ownRules(t);
    const { js, monitor, nats } = await withMonitor(t, STREAM, { rules });
    const times = await publishPast(js, 3000, 6 * HOUR);
    const prometheus = await startPrometheus(t, { targets: { 'cim-monitor': [monitor.address] } });
    const data = join(prometheus.dir, 'data');
    await until(async () => await value(prometheus, 'sum(cim_events_total)') >= 3000,
      { what: 'the old rules are scraped' });
    // Live samples from before the seam: those that a careless block would hide after a restart.
    await until(async () => await value(prometheus, 'count_over_time(up[5m])') >= 15,
      { deadline: 40_000, every: 200, what: 'fifteen scrapes' });

    await writeFile(join(rules, 'site.yaml'), RULE);
    monitor.child.signal('SIGHUP');
    await until(async () => await value(prometheus, 'site_things_total') >= 3000,
      { what: 'the new rule is scraped' });
    const trickle = { on: true, count: 0 };
    const publishing = (async () => {
      while (trickle.on) {
        await publish(js, 1, { timestamp: new Date().toISOString(), size: 7 });
        trickle.count++;
        await new Promise((resolve) => { setTimeout(resolve, 200); });
      }
    })();

    const args = ['backfill', '--nats', nats.url, '--rules', rules, '--prometheus', prometheus.url,
      '--metric', 'site_things_total', 'site_size_bytes', 'site_alive', 'site_last_size_bytes'];
    const plan = await cimOps([...args, '--dry-run']);
    assert.match(plan.stdout, /site_things_total: from .* until .*where its live series begins/);
    assert.match(plan.stdout, /job="cim-monitor"/);
    assert.ok(plan.stdout.includes(`instance="${monitor.address}"`), plan.stdout);
    assert.deepEqual(await blocksOf(data), []);
    const first = await cimOps(args, { deadline: 60_000 });
    assert.equal(first.code, 0, first.stderr);
    assert.equal(first.stderr, '', 'quiet in a pipe');
    assert.match(first.stdout, /blocks in .*data; Prometheus reads them/);
    const blocks = await blocksOf(data);
    assert.ok(blocks.length >= 3, `6 hours are at least 3 blocks: ${blocks}`);

    // Prometheus looks for new blocks once a minute.
    const past = Date.now() - 3 * HOUR;
    const expected = times.filter((at) => at <= Math.floor(past / 15000) * 15000).length;
    const at = Math.floor(past / 15000) * 15;
    await until(async () => await value(prometheus, `site_things_total @ ${at}`) !== undefined,
      { deadline: 150_000, every: 500, what: 'Prometheus has read the blocks' });
    assert.equal(await value(prometheus, `site_things_total @ ${at}`), expected);
    assert.equal(await value(prometheus, `site_alive @ ${at}`), expected);
    assert.equal(await value(prometheus, `site_size_bytes_count @ ${at}`), expected);
    assert.equal(await value(prometheus, `site_last_size_bytes @ ${at}`), (expected - 1) % 2000);

    trickle.on = false;
    await publishing;
    const total = 3000 + trickle.count;
    await until(async () => await value(prometheus, 'site_things_total') === total,
      { what: 'the last events are scraped' });
    const seam = async () => {
      assert.equal((await prometheus.query('site_things_total')).length, 1, 'one series');
      assert.equal(await value(prometheus, 'resets(site_things_total[8h])'), 0);
      assert.equal(await value(prometheus, 'resets(site_size_bytes_sum[8h])'), 0);
      assert.equal(await value(prometheus, 'resets(site_size_bytes_bucket{le="100.0"}[8h])'), 0);
      assert.equal(await value(prometheus, 'min_over_time(site_things_total[8h])'), 0);
      assert.equal(await value(prometheus, 'max_over_time(site_things_total[8h])'), total);
      // Prometheus extrapolates from the last sample to the end of the window: some seconds of six hours.
      const increase = await value(prometheus, 'increase(site_things_total[8h])');
      assert.ok(Math.abs(increase - total) < total / 1000, `increase() says ${increase} of ${total}`);
      const steps = await value(prometheus,
        'max(max_over_time((site_things_total - site_things_total offset 1m)[8h:15s]))');
      assert.ok(steps < 700, `the largest rise within a minute is the live one's: ${steps}`);
    };
    await seam();

    // What live samples Prometheus had is still there after a restart: no block hides its log.
    const before = Math.floor(Date.now() / 1000);
    const scrapes = await value(prometheus, `count_over_time(up[30m] @ ${before})`);
    assert.ok(scrapes > 10);
    await prometheus.child.stop();
    const again = await startPrometheus(t, { dir: prometheus.dir, port: prometheus.port,
      targets: { 'cim-monitor': [monitor.address] } });
    prometheus.query = again.query;
    assert.equal(await value(again, `count_over_time(up[30m] @ ${before})`), scrapes,
      'no scrape was lost');
    await until(async () => await value(again, 'site_things_total') === total, { what: 'it scrapes again' });
    await seam();

    const second = await cimOps(args, { deadline: 60_000 });
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stdout, /site_things_total: its history up to .* is in Prometheus already/);
    const third = await cimOps([...args, '--again'], { deadline: 60_000 });
    assert.equal(third.code, 0, third.stderr);
    await again.child.stop();
    const last = await startPrometheus(t, { dir: prometheus.dir, port: prometheus.port,
      targets: { 'cim-monitor': [monitor.address] } });
    prometheus.query = last.query;
    await until(async () => await value(last, 'site_things_total') === total, { what: 'it scrapes again' });
    assert.equal(await value(last, `site_things_total @ ${at}`), expected, 'written twice, counted once');
    await seam();

    await writeFile(join(rules, 'site.yaml'), RULE.replace('ThingMade', 'ThingSold'));
    const changed = await cimOps(args);
    assert.equal(changed.code, 4, changed.stdout);
    assert.match(changed.stderr, /site_things_total was backfilled before, by another form of its rule/);
  });

  test('OpenMetrics on stdout: by the time of the event or of its storing', async (t) => {
    const rules = await ownRules(t);
    const { js, nats } = await withServer(t, STREAM);
    await writeFile(join(rules, 'site.yaml'), RULE);
    const times = await publishPast(js, 100, HOUR);
    const args = ['backfill', '--nats', nats.url, '--rules', rules, '--output', 'openmetrics',
      '--metric', 'site_things_total', '--until', new Date(Date.now()).toISOString(), '--step', '1s'];
    const { code, stdout, stderr } = await cimOps(args);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /# TYPE site_things counter\n/);
    assert.match(stdout, /\n# EOF\n$/);
    const samples = stdout.split('\n').filter((line) => line.startsWith('site_things_total'))
      .map((line) => line.match(/ (\d+) ([\d.]+)$/).slice(1).map(Number));
    assert.ok(samples.length > 100);
    assert.equal(samples[0][0], 0, 'a counter begins at 0');
    for (const [count, second] of samples) {
      assert.equal(count, times.filter((at) => at <= second * 1000).length, `at ${second}`);
    }
    for (let i = 1; i < samples.length; i++) {
      assert.ok(samples[i][1] - samples[i - 1][1] <= 60, 'never silent for long');
    }
    const stored = await cimOps([...args, '--time', 'stored']);
    const first = stored.stdout.split('\n')
      .find((line) => line.startsWith('site_things_total') && !/ 0 [\d.]+$/.test(line));
    assert.ok(Number(first.split(' ').at(-1)) * 1000 > times.at(-1), 'all were stored behind the last event');
    assert.equal((await cimOps(args)).stdout, stdout, 'the same events give the same bytes');
  });

  test('what cannot be done is said', async (t) => {
    const { js, nats } = await withServer(t, STREAM);
    const args = ['backfill', '--nats', nats.url];
    const empty = await cimOps([...args, '--output', 'openmetrics']);
    assert.equal(empty.code, 1);
    assert.match(empty.stderr, /no stream of this account holds an event/);
    await publish(js, 3);
    const cases = [
      [['--metric', 'cim_nothing_total', '--output', 'openmetrics'], 2, /no rule in .* makes 'cim_nothing_total'/],
      [['--from', '1h', '--until', '2h'], 2, /--from: it lies behind --until/],
      [['--until', '2200-01-01T00:00:00Z'], 2, /in the future/],
      [['--step', '7s'], 2, /divide two hours/],
      [['--idle', '5m'], 2, /at most 4m/],
      [['--label', 'job'], 2, /NAME=VALUE/],
      [['--prometheus', 'http://127.0.0.1:1'], 3, /Prometheus does not answer/],
      [['--prometheus', 'http://127.0.0.1:1', '--until', '1m', '--prometheus-data', '/tmp'], 2,
        /does not look like a data folder/],
    ];
    for (const [more, code, text] of cases) {
      const result = await cimOps([...args, ...more]);
      assert.equal(result.code, code, `${more}: ${result.stderr}`);
      assert.match(result.stderr, text);
    }
    const data = await tempDir(t, 'data');
    await mkdir(join(data, 'wal'));
    const bare = await tempDir(t, 'path'); // nothing but what starts the program under test
    await symlink('/usr/bin/setpriv', join(bare, 'setpriv'));
    const into = [...args, '--prometheus', 'http://127.0.0.1:1', '--until', '1m', '--prometheus-data', data];
    const without = await cimOps(into, { env: { ...process.env, PATH: bare, HOME: bare } });
    assert.equal(without.code, 3, without.stderr);
    assert.match(without.stderr, /promtool is not installed/);
    const nobody = await cimOps(['backfill', '--nats', 'nats://127.0.0.1:1', '--output', 'openmetrics']);
    assert.equal(nobody.code, 3, nobody.stderr);
    const dead = join(data, 'cim-ops-backfill.json');
    await writeFile(dead, '{"version": 7}');
    const damaged = await cimOps(into);
    assert.equal(damaged.code, 5, damaged.stderr);
    assert.match(damaged.stderr, /cim-ops-backfill\.json/);
  });

  test('events that retention has dropped are said to be missing', async (t) => {
    const { js, nats } = await withServer(t,
      { 'CIM-EVENTS': { subjects: ['events.>'], max_msgs: 10 } });
    await publish(js, 25);
    const { code, stdout, stderr } = await cimOps(['backfill', '--nats', nats.url, '--output', 'openmetrics',
      '--until', new Date(Date.now()).toISOString(), '--step', '1s', '--metric', 'cim_events_total']);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /the first 15 messages of CIM-EVENTS are gone/);
    assert.match(stdout, / 10 [\d.]+\n/);
  });
});
