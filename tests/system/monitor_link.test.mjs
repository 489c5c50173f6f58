// The server goes away in every way it can, and comes back: exact, and said so.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { connectNats, freePort, startMonitor, startNats, until } from './lib/index.mjs';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { counted, event, ownEvents, publish, withMonitor } from './monitor_tools.mjs';

const STREAM = { 'CIM-EVENTS': ['infrastructure.>'] };
const FROZEN_S = Number(process.env.CIM_FROZEN_SECONDS ?? 60);
/** All that the monitor may ever say on stderr. */
const WORDS = /^(cim-ops monitor: (NATS cannot be reached; trying on|connected to NATS again)\n)*$/;

async function ready(monitor) {
  const { status, text } = await monitor.get('/readyz');
  return { status, ...JSON.parse(text) };
}

describe('link', { concurrency: 5 }, () => {
  for (const [how, signal] of [['an orderly restart', 'stop'], ['a kill -9', 'kill']]) {
    test(`${how} of the server`, async (t) => {
      const { nats, js, connection, monitor } = await withMonitor(t, STREAM);
      await publish(js, 1000);
      await monitor.until((m) => counted(m) === 1000);
      for (let round = 1; round <= 2; round++) {
        await nats[signal]();
        await monitor.until((m) => m.get('cim_monitor_nats_connected') === 0);
        assert.equal((await monitor.get('/healthz')).status, 200);
        const answer = await ready(monitor);
        assert.equal(answer.status, 503);
        assert.equal(answer.nats_connected, false);
        assert.equal(counted(await monitor.metrics()), 1000 * round, 'counters stand while NATS is away');
        await nats.start();
        await until(() => publish(js, 1).then(() => true), { every: 100 });
        await publish(js, 999);
        await monitor.until((m) => counted(m) >= 1000 * (round + 1));
        await monitor.caughtUp();
      }
      const metrics = await monitor.metrics();
      // A publish repeated because its acknowledgement was lost is in the stream twice: hold it against that.
      const manager = await jetstreamManager(connection);
      assert.equal(counted(metrics), (await manager.streams.info('CIM-EVENTS')).state.messages);
      assert.equal(metrics.get('cim_monitor_reconnects_total'), 2);
      await until(async () => (await ownEvents(connection, 'Reconnected')).length === 2);
      assert.match(monitor.child.stderr, WORDS);
    });
  }

  test('started before its server, without a word too many', async (t) => {
    const port = await freePort();
    const monitor = await startMonitor(t, { nats: `nats://127.0.0.1:${port}`, caughtUp: false,
      args: ['--first-zero', '0s'] });
    assert.equal((await ready(monitor)).status, 503);
    await monitor.child.printed(/NATS cannot be reached/);
    const nats = await startNats(t, { port });
    const connection = await connectNats(t, nats.url);
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'CIM-OPS', subjects: ['ops.>'] });
    await manager.streams.add({ name: 'CIM-EVENTS', subjects: ['infrastructure.>'] });
    await publish(jetstream(connection), 10);
    await monitor.until((m) => counted(m) === 10);
    await monitor.caughtUp();
    await monitor.child.printed(/connected to NATS again/);
    assert.match(monitor.child.stderr, WORDS);
    assert.equal((await monitor.metrics()).get('cim_monitor_reconnects_total'), 0);
    await until(async () => (await ownEvents(connection, 'MonitorStarted')).length === 1);
  });

  test('a server that starts empty again: the counters go on', async (t) => {
    const { nats, js, monitor } = await withMonitor(t, STREAM);
    await publish(js, 100);
    await monitor.until((m) => counted(m) === 100);
    await nats.kill();
    const other = await startNats(t, { port: nats.port });
    const connection = await connectNats(t, other.url);
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'CIM-EVENTS', subjects: ['infrastructure.>'] });
    await publish(jetstream(connection), 30);
    const metrics = await monitor.until((m) => counted(m) === 130, { deadline: 20_000 });
    assert.equal(metrics.get('cim_monitor_stream_recreated_total', { stream: 'CIM-EVENTS' }), 1);
  });

  test('a server without JetStream is waited for, and nothing is shown that is not known', async (t) => {
    const nats = await startNats(t, { jetstream: false });
    const monitor = await startMonitor(t, { nats: nats.url, caughtUp: false });
    await monitor.until((m) => m.get('cim_monitor_nats_connected') === 1);
    await pause(1500); // time in which it could go wrong
    const metrics = await monitor.metrics();
    assert.equal(metrics.get('cim_monitor_caught_up'), 0);
    const answer = await ready(monitor);
    assert.equal(answer.status, 503);
    assert.match(answer.reason, /JetStream/);
    await monitor.child.stop({ deadline: 5000 });
    assert.equal(monitor.child.exit.code, 0);
  });

  test('without JetStream core events are counted, and it is said; with it streams are read', async (t) => {
    const nats = await startNats(t, { jetstream: false });
    const connection = await connectNats(t, nats.url);
    const monitor = await startMonitor(t, { nats: nats.url, caughtUp: false,
      args: ['--first-zero', '0s', '--event-subjects', 'infrastructure.>'] });
    await monitor.child.printed(/no JetStream/);
    for (let n = 0; n < 20; n++) connection.publish(event().subject, event().payload);
    await monitor.until((m) => counted(m) === 20);
    await nats.kill();
    const better = await startNats(t, { port: nats.port });
    const again = await connectNats(t, better.url);
    const manager = await jetstreamManager(again);
    await manager.streams.add({ name: 'CIM-EVENTS', subjects: ['infrastructure.>'] });
    await publish(jetstream(again), 30);
    await monitor.child.printed(/JetStream is there/);
    await monitor.caughtUp();
    await monitor.until((m) => counted(m) === 50);
  });

  test('credentials that the server refuses end it with code 3 and a reason', async (t) => {
    const nats = await startNats(t, { config: 'authorization { user: monitor, password: right }' });
    const monitor = await startMonitor(t, { caughtUp: false,
      nats: `nats://monitor:wrong-secret@127.0.0.1:${nats.port}` }).catch((error) => ({ error }));
    if (monitor.error) assert.match(monitor.error.message, /exit code 3/);
    else assert.equal((await monitor.child.wait()).code, 3);
    const text = monitor.error?.message.split('\n').slice(1).join('\n') ?? monitor.child.output;
    assert.match(text, /refuses|Authorization/i);
    assert.ok(!text.replace(/--nats \S+/, '').includes('wrong-secret'), 'no secret in what it says');
  });

  test(`a server frozen for ${FROZEN_S} s`, { timeout: 180_000 }, async (t) => {
    const { nats, js, connection, monitor } = await withMonitor(t, STREAM);
    await publish(js, 2000);
    await monitor.until((m) => counted(m) === 2000);
    const began = performance.now();
    nats.pause();
    await monitor.until((m) => m.get('cim_monitor_nats_connected') === 0,
      { deadline: 30_000, what: 'the freeze is noticed' });
    t.diagnostic(`noticed after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    assert.equal((await ready(monitor)).status, 503);
    await until(async () => {
      assert.equal((await monitor.get('/healthz')).status, 200);
      assert.equal(counted(await monitor.metrics()), 2000);
      return performance.now() - began > FROZEN_S * 1000;
    }, { deadline: FROZEN_S * 1000 + 20_000, every: 1000 });
    nats.resume();
    await until(() => publish(js, 1).then(() => true), { every: 200, deadline: 30_000 });
    await publish(js, 1000);
    await monitor.caughtUp();
    const manager = await jetstreamManager(connection);
    const { messages } = (await manager.streams.info('CIM-EVENTS')).state;
    await monitor.until((m) => counted(m) === messages);
    assert.ok(messages >= 3001);
    await until(async () => (await ownEvents(connection, 'Reconnected')).length > 0);
    assert.match(monitor.child.stderr, WORDS);
    if (FROZEN_S >= 40) assert.match(monitor.child.stderr, /cannot be reached/);
  });
});
