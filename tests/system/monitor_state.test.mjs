// What lies in the state folder, and expositions too long to be sent in one piece.
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { Metrics, RULES, run, tempDir, until } from './lib/index.mjs';
import { counted, ownEvents, publish, withMonitor } from './monitor_tools.mjs';

const EVENTS = { 'CIM-EVENTS': ['infrastructure.>'] };

/** The folder's snapshots, once there are `count`. */
async function snapshots(dir, count) {
  let files;
  await until(async () => (files = (await readdir(dir)).filter((name) => name.endsWith('.state'))
    .filter((name) => name !== 'stream-CIM-OPS.state')).length === count);
  return files;
}

function raw(host, port, headers) {
  return new Promise((resolve, reject) => {
    get({ host, port, path: '/metrics', headers }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => resolve({ headers: answer.headers, body: Buffer.concat(chunks) }));
    }).on('error', reject);
  });
}

describe('state folder', { concurrency: 3 }, () => {
  test('a stream whose name is too long for a file keeps its counts', async (t) => {
    const { js, monitor } = await withMonitor(t, { [`L${'o'.repeat(229)}ng`]: ['infrastructure.>'] });
    await publish(js, 300);
    await monitor.until((m) => counted(m) === 300);
    const [file] = await snapshots(monitor.dir, 1);
    assert.match(file, /^long-[0-9a-f]{16}\.state$/);
    await until(async () => (await stat(join(monitor.dir, file))).size > 1000);
    await monitor.child.stop();
    await monitor.start();
    await publish(js, 20);
    await monitor.until((m) => counted(m) === 320);
    assert.equal((await monitor.metrics()).sum('cim_duplicate_events_total') ?? 0, 0);
  });

  test('the state of a stream gone for more than 30 days is deleted, a younger one is not', async (t) => {
    const { js, manager, monitor, connection } = await withMonitor(t, { OLD: ['infrastructure.old.>'],
      YOUNG: ['infrastructure.young.>'] });
    await publish(js, 50, 'old');
    await publish(js, 70, 'young');
    await monitor.until((m) => counted(m, 'old') === 50 && counted(m, 'young') === 70);
    await monitor.child.stop();
    await snapshots(monitor.dir, 2);
    await manager.streams.delete('OLD');
    await manager.streams.delete('YOUNG');
    const days = (count) => new Date(Date.now() - count * 86_400_000);
    await utimes(join(monitor.dir, 'stream-OLD.state'), days(31), days(31));
    await utimes(join(monitor.dir, 'stream-YOUNG.state'), days(29), days(29));
    await monitor.start();
    await monitor.until((m) => counted(m, 'young') === 70);
    assert.equal(counted(await monitor.metrics(), 'old'), 0);
    assert.deepEqual(await snapshots(monitor.dir, 1), ['stream-YOUNG.state']);
    let evicted;
    await until(async () => (evicted = await ownEvents(connection, 'SnapshotEvicted')).length === 1);
    assert.equal(evicted[0].id, 'OLD');
    assert.ok(evicted[0].data.age_seconds > 30 * 86_400);
  });

  test('a last state that cannot be saved is said, with exit code 5', async (t) => {
    const { js, monitor } = await withMonitor(t, EVENTS);
    // A folder where its temporary file goes, unless it is writing one just now.
    await until(() => mkdir(join(monitor.dir, 'stream-CIM-EVENTS.state.tmp')).then(() => true));
    await publish(js, 10);
    await monitor.until((m) => counted(m) === 10);
    const { code } = await monitor.child.stop();
    assert.equal(code, 5);
    assert.match(monitor.child.stderr, /the last state is not saved: .*stream-CIM-EVENTS\.state\.tmp/);
    await rm(join(monitor.dir, 'stream-CIM-EVENTS.state.tmp'), { recursive: true });
    await monitor.start();
    assert.equal(counted(await monitor.metrics()), 10);
    assert.equal((await monitor.child.stop()).code, 0);
  });
});

describe('a long exposition', () => {
  test('is sent in parts, plain to this machine and compressed to others', async (t) => {
    const rules = join(await tempDir(t, 'rules'), 'rules');
    await cp(RULES, rules, { recursive: true });
    await writeFile(join(rules, 'site.yaml'), 'metrics:\n  - {name: site_things_total, type: counter, ' +
      'help: By thing., labels: {thing: $aggregate_id, domain: $domain, type: $event_type}}\n');
    const { js, monitor } = await withMonitor(t, EVENTS, { rules, args: ['--bind', '0.0.0.0'] });
    await publish(js, 18_000, 'a-kind-of-a-long-name-so-that-it-takes-some-room');
    const things = (m) => m.sum('site_things_total', { domain: 'infrastructure' });
    await monitor.until((m) => things(m) === 18_000, { deadline: 30_000 });

    const near = await raw('127.0.0.1', monitor.port, { 'accept-encoding': 'gzip' });
    assert.equal(near.headers['transfer-encoding'], 'chunked');
    assert.equal(near.headers['content-encoding'], undefined);
    assert.ok(near.body.length > 1 << 20, `${near.body.length}`);
    const metrics = new Metrics(near.body.toString('utf8'));
    assert.equal(things(metrics), 18_000);
    assert.ok(metrics.series('site_things_total').length >= 18_000);
    const { code, stdout, stderr } = await run('promtool', ['check', 'metrics'], { input: near.body.toString() });
    assert.equal(code, 0, stdout + stderr);

    const open = await raw('127.0.0.1', monitor.port, { accept: 'application/openmetrics-text' });
    assert.ok(open.body.toString().endsWith('\n# EOF\n'));

    const outside = Object.values(networkInterfaces()).flat()
      .find(({ family, internal }) => family === 'IPv4' && !internal);
    if (!outside) return t.diagnostic('no address but loopback here: compression is left out');
    const far = await raw(outside.address, monitor.port, { 'accept-encoding': 'gzip' });
    assert.equal(far.headers['content-encoding'], 'gzip');
    assert.equal(things(new Metrics(gunzipSync(far.body).toString('utf8'))), 18_000);
    assert.ok(far.body.length < near.body.length / 4);
  });
});
