// Streams come, go, shrink and change under the monitor: what is counted, and what is said about it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { jetstream, jetstreamManager } from '@nats-io/jetstream';

import { connectNats, startMonitor, startNats, until } from './lib/index.mjs';
import { counted, event, ownEvents, publish, withMonitor, withServer } from './monitor_tools.mjs';

const QUICK = ['--first-zero', '0s', '--snapshot-interval', '200ms'];

/** Until an own event of the type about that stream is stored; returns it. */
function told(connection, type, stream) {
  return until(async () => (await ownEvents(connection, type)).find((x) => x.id === stream),
    { every: 100, what: `${type} of ${stream}` });
}

const missed = (metrics, stream) => metrics.get('cim_monitor_missed_events_total', { stream });

describe('streams', { concurrency: 3 }, () => {
  test('a gap by retention while the monitor is down is counted to the message', async (t) => {
    const { js, monitor, connection } = await withMonitor(t,
      { SHORT: { subjects: ['infrastructure.>'], max_msgs: 100 } });
    await publish(js, 50);
    await monitor.until((m) => counted(m) === 50);
    await monitor.child.stop();
    await publish(js, 400); // 51 to 450; 351 to 450 are left
    await monitor.start();
    const metrics = await monitor.until((m) => counted(m) === 150);
    assert.equal(missed(metrics, 'SHORT'), 300);
    const gap = await told(connection, 'GapFound', 'SHORT');
    assert.equal(gap.data.missed, 300);
    assert.equal(gap.data.resumes_at, 351);
    // The same again after a kill -9: counted once.
    await monitor.restart();
    assert.equal(missed(await monitor.metrics(), 'SHORT'), 300);
  });

  test('a stream emptied while the monitor is down, and nothing comes after', async (t) => {
    const { js, manager, monitor, connection } = await withMonitor(t, { EVENTS: ['infrastructure.>'] });
    await publish(js, 20);
    await monitor.until((m) => counted(m) === 20);
    await monitor.child.stop();
    await publish(js, 30);
    await manager.streams.purge('EVENTS');
    await monitor.start();
    const metrics = await monitor.until((m) => missed(m, 'EVENTS') === 30);
    assert.equal(counted(metrics), 20);
    assert.equal((await told(connection, 'GapFound', 'EVENTS')).data.missed, 30);
  });

  test('a purge of what has been read is no gap; reading goes on', async (t) => {
    const { js, manager, monitor } = await withMonitor(t, { EVENTS: ['infrastructure.>'] });
    await publish(js, 300);
    await monitor.until((m) => counted(m) === 300);
    await manager.streams.purge('EVENTS');
    await publish(js, 200);
    const metrics = await monitor.until((m) => counted(m) === 500);
    assert.equal(missed(metrics, 'EVENTS') ?? 0, 0);
    assert.equal(metrics.get('cim_monitor_consumer_resets_total', { stream: 'EVENTS' }), 0);
    assert.equal((await monitor.get('/readyz')).status, 200);
  });

  test('messages deleted one by one while down are missed, the others counted', async (t) => {
    const { js, manager, monitor } = await withMonitor(t, { EVENTS: ['infrastructure.>'] });
    await publish(js, 10);
    await monitor.until((m) => counted(m) === 10);
    await monitor.kill();
    await publish(js, 10);
    for (const seq of [12, 13, 17]) await manager.streams.deleteMessage('EVENTS', seq);
    await monitor.start();
    const metrics = await monitor.until((m) => counted(m) === 17);
    assert.equal(missed(metrics, 'EVENTS'), 3);
  });

  for (const down of [false, true]) {
    test(`deleted and made again under its name while the monitor ${down ? 'is down' : 'runs'}`, async (t) => {
      const { js, manager, monitor, connection } = await withMonitor(t, { EVENTS: ['infrastructure.>'] });
      await publish(js, 120);
      await monitor.until((m) => counted(m) === 120);
      if (down) await monitor.child.stop();
      await manager.streams.delete('EVENTS');
      await manager.streams.add({ name: 'EVENTS', subjects: ['infrastructure.>'] });
      await publish(js, 200); // beyond the old one's last sequence
      if (down) await monitor.start();
      const metrics = await monitor.until((m) => counted(m) === 320);
      assert.equal(metrics.get('cim_monitor_stream_recreated_total', { stream: 'EVENTS' }), 1);
      assert.equal(missed(metrics, 'EVENTS') ?? 0, 0);
      assert.equal((await told(connection, 'StreamRecreated', 'EVENTS')).data.last_sequence_before, 120);
      // With fewer messages than before, and again.
      if (down) await monitor.child.stop();
      await manager.streams.delete('EVENTS');
      await manager.streams.add({ name: 'EVENTS', subjects: ['infrastructure.>'] });
      await publish(js, 5);
      if (down) await monitor.start();
      const again = await monitor.until((m) => counted(m) === 325);
      assert.equal(again.get('cim_monitor_stream_recreated_total', { stream: 'EVENTS' }), 2);
      await monitor.restart();
      assert.equal(counted(await monitor.metrics()), 325);
    });
  }

  test('made again twenty times in a row: every message that stayed is counted once', async (t) => {
    const { js, manager, monitor } = await withMonitor(t, { EVENTS: ['infrastructure.>'] });
    let total = 0;
    for (let round = 1; round <= 20; round++) {
      if (round > 1) {
        await manager.streams.delete('EVENTS');
        await manager.streams.add({ name: 'EVENTS', subjects: ['infrastructure.>'] });
      }
      const count = 1 + Math.floor(Math.random() * 40);
      await publish(js, count);
      total += count;
      await monitor.until((m) => counted(m) >= total, { every: 10, what: `round ${round}: ${total} events` });
    }
    const metrics = await monitor.metrics();
    assert.equal(counted(metrics), total);
    assert.equal(metrics.get('cim_monitor_stream_recreated_total', { stream: 'EVENTS' }), 19);
    assert.equal(missed(metrics, 'EVENTS') ?? 0, 0);
  });

  test('streams are found and gone; the counters of a stream that is gone stay, also over a restart',
    async (t) => {
      const { js, manager, monitor, connection } = await withMonitor(t, {});
      await manager.streams.add({ name: 'LATER', subjects: ['infrastructure.>'] });
      await publish(js, 40);
      await monitor.until((m) => counted(m) === 40);
      await told(connection, 'StreamFound', 'LATER');
      await manager.streams.delete('LATER');
      await told(connection, 'StreamGone', 'LATER');
      const gone = await monitor.metrics();
      assert.equal(counted(gone), 40);
      assert.equal(gone.get('cim_monitor_stream_sequence', { stream: 'LATER' }), undefined);
      assert.equal((await monitor.get('/readyz')).status, 200);
      await monitor.restart();
      assert.equal(counted(await monitor.metrics()), 40, 'a counter must not go back');
      await manager.streams.add({ name: 'LATER', subjects: ['infrastructure.>'] });
      await publish(js, 3);
      const metrics = await monitor.until((m) => counted(m) === 43);
      assert.equal(metrics.get('cim_monitor_stream_recreated_total', { stream: 'LATER' }), 1);
    });

  test('a stream that goes while the monitor is down is reported gone', async (t) => {
    const { js, manager, monitor, connection } = await withMonitor(t, { EVENTS: ['infrastructure.>'] });
    await publish(js, 7);
    await monitor.until((m) => counted(m) === 7);
    await monitor.child.stop();
    await manager.streams.delete('EVENTS');
    await monitor.start();
    const { data } = await told(connection, 'StreamGone', 'EVENTS');
    assert.equal(data.while_monitor_was_down, true);
    assert.equal(data.folded_to, 7);
    assert.equal(counted(await monitor.metrics()), 7);
  });

  test('KV, object store, work queue and mirror are not read; their kinds are counted', async (t) => {
    const { js, manager, monitor } = await withMonitor(t, {
      EVENTS: ['infrastructure.>'],
      KV_settings: { subjects: ['$KV.settings.>'], max_msgs_per_subject: 1 },
      OBJ_files: { subjects: ['$O.files.C.>', '$O.files.M.>'] },
      WORK: { subjects: ['events.work.>'], retention: 'workqueue' },
      COPY: { mirror: { name: 'EVENTS' } },
      INTEREST: { subjects: ['person.events.>'], retention: 'interest' },
    });
    await publish(js, 60);
    await js.publish('$KV.settings.a', 'plain text');
    await js.publish('$O.files.M.a', 'plain text');
    for (let i = 0; i < 5; i++) await js.publish('events.work.1.done', '{"event_type":"WorkDone"}');
    await until(async () => (await manager.streams.info('COPY')).state.messages === 60);
    const metrics = await monitor.until((m) => counted(m) === 60 &&
      m.get('cim_active_event_streams', { stream_type: 'mirror' }) === 1);
    const kinds = Object.fromEntries(metrics.series('cim_active_event_streams')
      .map(({ labels, value }) => [labels.stream_type, value]));
    assert.deepEqual(kinds, { events: 3, kv: 1, object: 1, work_queue: 1, mirror: 1 });
    assert.deepEqual(metrics.series('cim_monitor_stream_sequence').map((x) => x.labels.stream).sort(),
      ['CIM-OPS', 'EVENTS', 'INTEREST']);
    assert.equal(metrics.has('cim_events_malformed_total'), false);
    assert.equal(metrics.sum('cim_events_total', { domain: 'work' }), undefined);
    // The jobs are there for their worker, and it gets all of them.
    await manager.consumers.add('WORK', { durable_name: 'worker', ack_policy: 'explicit' });
    const worker = await js.consumers.get('WORK', 'worker');
    for (let i = 0; i < 5; i++) {
      const job = await worker.next({ expires: 5000 });
      assert.ok(job, `job ${i + 1}`);
      assert.equal(job.info.deliveryCount, 1);
      job.ack();
    }
    await until(async () => (await manager.streams.info('WORK')).state.messages === 0);
  });

  test('an interest stream is read, and its worker is not robbed', async (t) => {
    const { js, manager, monitor } = await withMonitor(t,
      { INTEREST: { subjects: ['infrastructure.>'], retention: 'interest' } });
    await monitor.until((m) => m.get('cim_monitor_stream_sequence', { stream: 'INTEREST' }) === 0);
    await manager.consumers.add('INTEREST', { durable_name: 'worker', ack_policy: 'explicit' });
    await publish(js, 30);
    const metrics = await monitor.until((m) => counted(m) === 30);
    assert.equal(missed(metrics, 'INTEREST') ?? 0, 0);
    const worker = await js.consumers.get('INTEREST', 'worker');
    for (let i = 0; i < 30; i++) (await worker.next({ expires: 5000 })).ack();
    await until(async () => (await manager.streams.info('INTEREST')).state.messages === 0);
  });

  test('copies in a stream with sources are not counted twice; its own messages are', async (t) => {
    const { js, monitor, manager } = await withMonitor(t, {
      ORIGIN: ['infrastructure.server.>'],
      ALL: { subjects: ['infrastructure.rack.>'], sources: [{ name: 'ORIGIN' }] },
    });
    await publish(js, 80, 'server');
    await publish(js, 25, 'rack');
    await until(async () => (await manager.streams.info('ALL')).state.messages === 105);
    const metrics = await monitor.until((m) => m.get('cim_monitor_stream_sequence', { stream: 'ALL' }) === 105 &&
      m.get('cim_monitor_stream_sequence', { stream: 'ORIGIN' }) === 80);
    assert.equal(counted(metrics, 'server'), 80);
    assert.equal(counted(metrics, 'rack'), 25);
    assert.equal(metrics.sum('cim_duplicate_events_total') ?? 0, 0);
    await monitor.restart();
    assert.equal(counted(await monitor.metrics(), 'server'), 80);
  });

  test('a stream that will have no further consumer does not withhold the others', async (t) => {
    const { js, manager, connection, nats } = await withServer(t, {
      FULL: { subjects: ['events.>'], max_consumers: 1 }, EVENTS: ['infrastructure.>'],
    });
    await manager.consumers.add('FULL', { durable_name: 'only', ack_policy: 'explicit' });
    await publish(js, 12);
    const monitor = await startMonitor(t, { nats: nats.url, args: QUICK, caughtUp: false });
    await monitor.until((m) => counted(m) === 12);
    assert.match((await told(connection, 'StreamUnreadable', 'FULL')).data.reason, /maximum consumers/);
    const ready = await monitor.get('/readyz');
    assert.equal(ready.status, 503);
    assert.equal(JSON.parse(ready.text).streams.find((x) => x.stream === 'FULL').behind, null);
    // Room is made: it is read after all.
    await manager.consumers.delete('FULL', 'only');
    await js.publish('events.person.1.created', event().payload);
    await monitor.caughtUp();
    assert.equal((await monitor.metrics()).get('cim_monitor_stream_sequence', { stream: 'FULL' }), 1);
  });

  test('a stream whose consumer may not be made, and one that cannot be read, hold back nobody', async (t) => {
    const nats = await startNats(t, { config: `authorization { users: [
      {user: all, password: all},
      {user: monitor, password: monitor, permissions: {
        publish: {allow: [">"], deny: ["$JS.API.CONSUMER.CREATE.DENIED", "$JS.API.CONSUMER.CREATE.DENIED.>"]}}},
    ]}` });
    const connection = await connectNats(t, nats.url, { user: 'all', pass: 'all' });
    const manager = await jetstreamManager(connection), js = jetstream(connection);
    for (const [name, subject] of [['CIM-OPS', 'ops.>'], ['DENIED', 'events.>'], ['ODD%SHARE', 'person.>'],
      ['EVENTS', 'infrastructure.>']]) await manager.streams.add({ name, subjects: [subject] });
    await js.publish('events.person.1.created', event().payload);
    await js.publish('person.events.person.1.created', event().payload);
    await publish(js, 12);
    const monitor = await startMonitor(t, { nats: `nats://monitor:monitor@127.0.0.1:${nats.port}`, args: QUICK,
      caughtUp: false });
    await monitor.until((m) => counted(m) === 12, { deadline: 60_000 });
    const answer = JSON.parse((await monitor.get('/readyz')).text);
    assert.equal(answer.ready, false);
    assert.equal(answer.streams.find((s) => s.stream === 'DENIED').unreadable, true);
    assert.equal(answer.streams.find((s) => s.stream === 'EVENTS').behind, 0);
    // A reader that dies at once is not made again at once, for ever.
    const resets = (await monitor.metrics()).get('cim_monitor_consumer_resets_total', { stream: 'ODD%SHARE' });
    assert.ok((resets ?? 0) < 20, `${resets} consumers were made of a stream that cannot be read`);
  });
});
