// `cim-ops observe nats` against real servers: what happens to them becomes events, and metrics.
import assert from 'node:assert/strict';
import test from 'node:test';

import { jetstream, jetstreamManager } from '@nats-io/jetstream';

import {
  addStream, cimOps, connectNats, freePort, hasNewestNats,
  startCimOps, startCluster, startMonitor, startNats, startObserver, tempDir, until,
} from './lib/index.mjs';

const slow = { timeout: 300_000 };

async function clients(t, url) {
  const nc = await connectNats(t, url);
  return { nc, js: jetstream(nc), jsm: await jetstreamManager(nc) };
}

test('servers that are killed, started again, cut off and paused', slow, async (t) => {
  const cluster = await startCluster(t);
  const { jsm } = await clients(t, cluster.urls);
  await addStream(jsm, { name: 'ORDERS', subjects: ['orders.>'], num_replicas: 3 });
  const observer = startObserver(t, ['nats'], { args: ['--nats-http', cluster.httpUrls] });
  await observer.told('ClusterSampled', (d) => d.servers === 3 && d.expected === 3 && d.has_meta_leader);
  await observer.told('StreamSampled', (d) => d.replicas_current === 3 && d.quorum === 1);
  const nameOf = (i) => `C1-${i + 1}`;

  const first = await cluster.metaLeader();
  let from = observer.mark();
  await cluster.servers[first].kill();
  await observer.told('ServerLost', (d) => d.server === nameOf(first) && /connect/i.test(d.reason), { from });
  await observer.told('ClusterSizeChanged', (d) => d.servers === 2, { from, deadline: 60_000 });
  const elected = await observer.told('MetaLeaderElected', (d) => d.previous === nameOf(first),
    { from, deadline: 60_000 });
  assert.notEqual(elected.data.leader, nameOf(first));
  await until(() => observer.of('ReplicaLagging', (d) => d.server === nameOf(first), from).length
    || observer.of('StreamLeaderElected', (d) => d.previous === nameOf(first), from).length, {
    deadline: 60_000, what: 'the lost server is missed by the stream' });
  await observer.told('ServerSampled', (d) => d.server === nameOf(first) && d.up === 0, { from });

  const second = (first + 1) % 3;
  from = observer.mark();
  await cluster.servers[second].kill();
  await observer.told('MetaQuorumLost', (d) => d.servers === 1 && d.expected === 3, { from, deadline: 60_000 });
  await observer.told('StreamQuorumLost', (d) => d.stream === 'ORDERS' && d.replicas_answering === 1,
    { from, deadline: 60_000 });
  await observer.told('StreamSampled', (d) => d.stream === 'ORDERS' && d.quorum === 0, { from });
  assert.equal(observer.of('StreamDeleted').length, 0, 'who does not answer has not lost its streams');

  from = observer.mark();
  await Promise.all([cluster.servers[first].start(), cluster.servers[second].start()]);
  for (const i of [first, second]) await observer.told('ServerRestarted', (d) => d.server === nameOf(i), { from });
  await observer.told('MetaLeaderElected', () => true, { from, deadline: 60_000 });
  await observer.told('StreamQuorumRegained', (d) => d.stream === 'ORDERS', { from, deadline: 60_000 });
  await observer.told('ClusterSampled', (d) => d.servers === 3, { from });

  from = observer.mark();
  cluster.partition(first);
  await observer.told('ClusterSizeChanged', (d) => d.servers === 2, { from });
  await observer.told('ServerSampled', (d) => d.server === nameOf(first) && d.cluster_size === 1, { from });
  cluster.heal();
  await observer.told('ClusterSizeChanged', (d) => d.servers === 3, { from, deadline: 60_000 });

  from = observer.mark();
  cluster.servers[second].pause();
  await observer.told('ServerLost', (d) => d.server === nameOf(second), { from });
  cluster.servers[second].resume();
  await observer.told('ServerReturned', (d) => d.server === nameOf(second), { from });
  assert.equal(observer.of('SourceFailed').length, 0);
  assert.equal((await observer.child.stop()).code, 0);
});

test('streams and consumers: made, stalled with their class, deleted', slow, async (t) => {
  const server = await startNats(t);
  const { js, jsm } = await clients(t, server.url);
  const observer = startObserver(t, ['nats'], { args: ['--nats-http', server.httpUrl, '--stall-after', '1s'] });
  await observer.told('ServerSampled', (d) => d.up === 1 && d.jetstream === true && d.version);
  await observer.look();

  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  await jsm.consumers.add('ORDERS', { durable_name: 'ship', ack_policy: 'explicit', max_ack_pending: 3 });
  for (let i = 0; i < 10; i++) await js.publish('orders.new', 'x');
  await observer.told('StreamCreated', (d) => d.stream === 'ORDERS' && d.account === '$G');
  await observer.told('ConsumerCreated', (d) => d.consumer === 'ship');
  const behind = await observer.told('ConsumerSampled', (d) => d.lag_messages === 10 && d.lag_seconds > 0.5);
  assert.equal(behind.data.kind, 'pull');
  const idle = await observer.told('ConsumerStalled', (d) => d.consumer === 'ship');
  assert.equal(idle.data.class, 'nobody_pulls');
  assert.equal(idle.data.pending, 10);

  const consumer = await js.consumers.get('ORDERS', 'ship');
  const kept = [];
  for await (const message of await consumer.fetch({ max_messages: 3, expires: 2000 })) kept.push(message);
  await observer.told('ConsumerRecovered', (d) => d.class === 'nobody_pulls');
  await observer.told('ConsumerStalled', (d) => d.class === 'ack_pending_full' && d.ack_pending === 3);
  for (const message of kept) message.ack();
  await observer.told('ConsumerRecovered', (d) => d.class === 'ack_pending_full');

  await jsm.consumers.delete('ORDERS', 'ship');
  await observer.told('ConsumerDeleted', (d) => d.consumer === 'ship');
  await jsm.streams.delete('ORDERS');
  await observer.told('StreamDeleted', (d) => d.stream === 'ORDERS');
});

test('a server that fills up, reloads its configuration, and says that it stops', slow, async (t) => {
  const dir = await tempDir(t, 'full');
  const server = await startNats(t, {
    jetstream: false,
    config: `jetstream { store_dir: "${dir}/store", max_file_store: 10MB }\n` +
      'accounts { SYS { users: [{user: sys, password: sys}] }\n' +
      '  APP { jetstream: enabled, users: [{user: app, password: app}] } }\nsystem_account: SYS\nno_auth_user: app\n',
  });
  const { js, jsm } = await clients(t, server.url);
  const system = server.url.replace('nats://', 'nats://sys:sys@');
  const observer = startObserver(t, ['nats'], { args: ['--system-nats', system] });
  await observer.told('ServerSampled', (d) => d.jetstream_storage_limit_bytes === 10 * 1024 * 1024
    || d.jetstream_storage_limit_bytes === 10_000_000);
  await jsm.streams.add({ name: 'FULL', subjects: ['full'] });
  const block = new Uint8Array(500_000);
  const fillTo = async (bytes) => {
    while ((await jsm.streams.info('FULL')).state.bytes < bytes) await js.publish('full', block);
  };
  await fillTo(8_600_000);
  await observer.told('StorageHigh', (d) => d.level === 80 && d.storage === 'file' && d.rising);
  await jsm.streams.purge('FULL');
  const normal = await observer.told('StorageNormal');
  assert.ok(normal.data.used_ratio < 0.5);

  server.child.signal('SIGHUP');
  await observer.told('ConfigReloaded');
  const from = observer.mark();
  server.child.signal('SIGTERM');
  await observer.told('ServerShutDown', (d) => d.server.length > 0, { from });
  await observer.told('SourceFailed', undefined, { from, deadline: 60_000 });
});

test('the system account sees the whole cluster from one address', slow, async (t) => {
  const cluster = await startCluster(t);
  const { jsm } = await clients(t, cluster.urls);
  await addStream(jsm, { name: 'ORDERS', subjects: ['orders.>'], num_replicas: 3 });
  const observer = startObserver(t, ['nats'], { args: ['--system-nats', cluster.systemUrl] });
  for (const server of ['C1-1', 'C1-2', 'C1-3']) await observer.told('ServerSampled', (d) => d.server === server
    && d.up === 1);
  await observer.told('RouteSampled', (d) => d.remote === 'C1-2' && d.rtt_nanoseconds > 0);
  await observer.told('StreamSampled', (d) => d.stream === 'ORDERS' && d.replicas === 3);
  const from = observer.mark();
  await cluster.servers[2].kill();
  await observer.told('ServerLost', (d) => d.server === 'C1-3', { from, deadline: 60_000 });
  await observer.told('ClusterSizeChanged', (d) => d.servers === 2, { from, deadline: 60_000 });

  const wrong = startObserver(t, ['nats'], {
    args: ['--system-nats', cluster.servers[0].url.replace('nats://', 'nats://sys:wrong-secret@')],
  });
  const failed = await wrong.told('SourceFailed');
  assert.ok(!JSON.stringify(failed).includes('wrong-secret'), 'no secret in an event');
  assert.match(failed.data.reason, /authoriz|credentials/i);
  // An account that is not the system account is told so.
  const other = startObserver(t, ['nats'], { args: ['--system-nats', cluster.servers[0].url] });
  assert.match((await other.told('SourceFailed')).data.reason, /system account/);
});

test('as metrics: they follow, end with what they speak of, and go stale with the agent', slow, async (t) => {
  const server = await startNats(t);
  const { js, jsm } = await clients(t, server.url);
  await jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  const agent = startCimOps(t, ['observe', 'nats', '--nats', server.url, '--nats-http', server.httpUrl,
    '--interval', '300ms', '--node', 'here']);
  const monitor = await startMonitor(t, { nats: server.url });
  await monitor.until((m) => m.get('nats_server_cluster_answering') === 1, { deadline: 30_000 });
  await jsm.consumers.add('ORDERS',
    { durable_name: 'ship', ack_policy: 'explicit', max_deliver: 1, ack_wait: 300_000_000 });
  for (let i = 0; i < 7; i++) await js.publish('orders.new', '{}');
  const ship = { account: '$G', stream: 'ORDERS', consumer: 'ship' };
  await monitor.until((m) => m.get('nats_jetstream_consumer_lag_messages', ship) === 7, { deadline: 30_000 });
  await monitor.until((m) => m.get('nats_jetstream_stream_messages', { account: '$G', stream: 'ORDERS' }) === 7);
  const expected = ['nats_server_connections', 'nats_server_subscriptions', 'nats_server_in_msgs',
    'nats_server_out_msgs',
    'nats_server_in_bytes', 'nats_server_out_bytes', 'nats_server_slow_consumers', 'nats_jetstream_storage_used_bytes',
    'nats_jetstream_storage_reserved_bytes', 'nats_jetstream_storage_limit_bytes', 'nats_jetstream_streams',
    'nats_jetstream_consumers', 'nats_jetstream_messages', 'nats_server_up', 'cim_nats_connections',
    'cim_nats_jetstream_storage_bytes', 'nats_jetstream_consumer_lag_seconds', 'cim_source_working',
    'cim_nats_messages_sent_total'];
  await monitor.until((m) => expected.every((name) => m.series(name).length > 0),
    { deadline: 30_000, what: `all of ${expected.join(' ')}` });

  // Advisories are stored with everything else, and counted at once: one message is given up.
  const consumer = await js.consumers.get('ORDERS', 'ship');
  for await (const message of await consumer.fetch({ max_messages: 1, expires: 1000 })) assert.ok(message.seq);
  await until(async () => {
    for await (const message of await consumer.fetch({ max_messages: 1, expires: 1000 })) assert.ok(message.seq);
    return (await monitor.metrics()).get('cim_nats_max_deliveries_total', { stream: 'ORDERS', consumer: 'ship' }) >= 1;
  }, { deadline: 30_000, what: 'a message that nobody acknowledged is counted as given up' });
  await monitor.until((m) => m.get('cim_nats_messages_received_total', { subject: '>' }) >= 2);

  await jsm.consumers.delete('ORDERS', 'ship');
  await monitor.until((m) => m.get('nats_jetstream_consumer_lag_messages', ship) === undefined);
  await jsm.streams.delete('ORDERS');
  await monitor.until((m) => m.get('nats_jetstream_stream_messages',
    { account: '$G', stream: 'ORDERS' }) === undefined);

  await agent.kill();
  await monitor.until((m) => m.series('nats_server_connections').length === 0
    && m.series('cim_source_working').length === 0, { deadline: 30_000, what: 'no flat line of a dead agent' });
});

test('--once says how it went', slow, async (t) => {
  const server = await startNats(t);
  const good = await cimOps(['observe', 'nats', '--once', '--print', '--nats-http', server.httpUrl]);
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /ServerSampled/);
  const port = await freePort();
  const bad = await cimOps(['observe', 'nats', '--once', '--print', '--nats-http', `http://127.0.0.1:${port}`]);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, new RegExp(`nats: no NATS server can be read: 127.0.0.1:${port}`));
  const away = await cimOps(['observe', 'nats', '--once',
    '--nats', `nats://127.0.0.1:${port}`, '--nats-http', server.httpUrl],
    { deadline: 60_000 });
  assert.equal(away.code, 3, away.stderr);
  for (const [args, words] of [
    [['observe', 'disk'], /'disk' cannot be observed/],
    [['observe', 'nats', 'nats'], /named twice/],
    [['observe', 'nats', '--interval', '1ms'], /--interval/],
    [['observe', 'nats', '--nats-http', 'nats://x'], /http:\/\/127.0.0.1:8222/],
    [['observe', 'nats', '--system-creds', '/dev/null'], /--system-nats/],
  ]) {
    const usage = await cimOps(args);
    assert.equal(usage.code, 2, `${args}: ${usage.stderr}`);
    assert.match(usage.stderr, words);
  }
});

test('leaf nodes and gateways, with their round trips', slow, async (t) => {
  const [leafs, a, b] = [await freePort(), await freePort(), await freePort()];
  const gateway = (name, own, other, port) => `server_name: "${name}"\ngateway { name: "${name}", ` +
    `listen: "127.0.0.1:${own}", gateways: [{name: "${other}", url: "nats://127.0.0.1:${port}"}] }\n`;
  const east = await startNats(t, { jetstream: false, config: gateway('east', a, 'west', b) });
  const hub = await startNats(t, {
    jetstream: false, config: `server_name: "hub"\nleafnodes { listen: "127.0.0.1:${leafs}" }`,
  });
  const west = await startNats(t, { jetstream: false, config: gateway('west', b, 'east', a) });
  await startNats(t, {
    jetstream: false, config: `server_name: "edge"\nleafnodes { remotes: [{url: "nats://127.0.0.1:${leafs}"}] }`,
  });
  const observer = startObserver(t, ['nats'],
    { args: ['--nats-http', [east, west, hub].map((server) => server.httpUrl).join(',')] });
  const leaf = await observer.told('LeafSampled', (d) => d.server === 'hub' && d.rtt_nanoseconds > 0);
  assert.equal(leaf.data.link, 'leaf');
  await observer.told('GatewaySampled', (d) => d.server === 'east' && d.remote === 'west' && d.rtt_nanoseconds > 0);
  await observer.told('GatewaySampled', (d) => d.server === 'west' && d.remote === 'east' && d.rtt_nanoseconds > 0);
});

// Servers say so since 2.10.
test('lame duck mode', { ...slow, skip: !hasNewestNats() && 'make newest-nats first' }, async (t) => {
  const server = await startNats(t, {
    version: 'newest', config: 'accounts { SYS { users: [{user: sys, password: sys}] }\n' +
      '  APP { users: [{user: app, password: app}] } }\nsystem_account: SYS\nno_auth_user: app\n', jetstream: false,
  });
  const observer = startObserver(t, ['nats'], { args: ['--system-nats', server.url.replace('//', '//sys:sys@')] });
  await observer.told('ServerSampled', (d) => d.up === 1);
  server.child.signal('SIGUSR2');
  await observer.told('LameDuckEntered', (d) => d.server.length > 0);
});
