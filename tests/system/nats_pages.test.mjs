// `cim-ops observe nats` against pages of our own: answers that no healthy server gives, and broken ones.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test from 'node:test';

import { scopeOf, startNats, startObserver } from './lib/index.mjs';

const slow = { timeout: 120_000 };

/** A server whose pages can be changed: pages.varz = {...}, or a function (request, response). */
async function startPages(t, name, cluster = 'C') {
  const began = '2026-01-01T00:00:00Z';
  const pages = {
    varz: {
      server_id: `N${name}`, server_name: name, version: '2.9.0', start: began, config_load_time: began, connections: 1,
      slow_consumers: 0, cluster: { name: cluster },
    },
    routez: { routes: [] },
    healthz: { status: 'ok' },
    jsz: { storage: 0, memory: 0, config: { max_storage: 1000, max_memory: 1000 }, streams: 0, account_details: [] },
  };
  const server = createServer((request, response) => {
    const page = pages[request.url.slice(1).split('?')[0]];
    if (typeof page === 'function') page(request, response);
    else response.end(JSON.stringify(page ?? {}));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  scopeOf(t).after(() => { server.closeAllConnections(); server.close(); });
  return Object.assign(pages, { name, url: `http://127.0.0.1:${server.address().port}` });
}

const stream = ({ leader = 'one', messages = 10, last = 10, consumers = [], lost, current = true, ...more } = {}) => ({
  name: 'ORDERS', created: '2026-01-01T00:00:00Z',
  cluster: { name: 'C', leader, replicas: leader === 'one' ? [{ name: 'two', current, active: 1 }] : [] },
  config: { num_replicas: 2, storage: 'file' },
  state: { messages, bytes: messages * 10, first_seq: 1, last_seq: last, lost }, consumer_detail: consumers, ...more,
});
const consumer = (more) => ({
  name: 'ship', created: '2026-01-01T00:00:00Z', config: { max_ack_pending: 100 }, cluster: { leader: 'one' },
  delivered: { consumer_seq: 3, stream_seq: 3 }, ack_floor: { consumer_seq: 3, stream_seq: 3 }, num_ack_pending: 0,
  num_redelivered: 0, num_waiting: 0, num_pending: 0, ...more,
});
const jsz = (detail, more) => ({
  storage: 0, memory: 0, config: { max_storage: 1000, max_memory: 1000 }, meta_cluster: { leader: 'one',
    cluster_size: 2 },
  account_details: [{ name: 'APP', stream_detail: detail ? [detail] : [] }], ...more,
});

test('replicas that differ while all say that they are current', slow, async (t) => {
  const one = await startPages(t, 'one'), two = await startPages(t, 'two');
  one.jsz = jsz(stream());
  two.jsz = jsz(stream());
  const observer = startObserver(t, ['nats'], { args: ['--nats-http', `${one.url},${two.url}`] });
  await observer.told('StreamSampled', (d) => d.replicas_differ === 0);
  await observer.look();
  assert.equal(observer.of('ReplicasDiffer').length, 0);
  two.jsz = jsz(stream({ messages: 9 }));
  const differ = await observer.told('ReplicasDiffer');
  assert.deepEqual(differ.data.replicas.map((r) => [r.server, r.leader, r.messages]),
    [['one', true, 10], ['two', false, 9]]);
  await observer.told('StreamSampled', (d) => d.replicas_differ === 1);
  two.jsz = jsz(stream());
  await observer.told('ReplicasAgree');

  // In motion they always differ a little: only what the leader had a look ago must be there.
  let from = observer.mark();
  let last = 10;
  one.jsz = (_, response) => response.end(JSON.stringify(jsz(stream({ messages: ++last, last }))));
  two.jsz = (_, response) => response.end(JSON.stringify(jsz(stream({ messages: last - 1, last: last - 1 }))));
  await observer.look();
  assert.equal(observer.of('ReplicasDiffer', undefined, from).length, 0);
  two.jsz = jsz(stream({ messages: 5, last: 5 }));
  await observer.told('ReplicasDiffer', undefined, { from });

  // One that is known to lag is not said to differ.
  from = observer.mark();
  one.jsz = jsz(stream({ current: false, messages: last, last }));
  await observer.told('ReplicaLagging', (d) => d.server === 'two' && d.current === false, { from });
});

test('what a stream and its consumers lose', slow, async (t) => {
  const one = await startPages(t, 'one');
  const show = (s, c) => { one.jsz = jsz(stream({ ...s, consumers: c ? [consumer(c)] : [] })); };
  show({}, {});
  const observer = startObserver(t, ['nats'], { args: ['--nats-http', one.url, '--stall-after', '700ms'] });
  await observer.told('StreamSampled');
  show({ messages: 4, last: 4 }, {});
  const back = await observer.told('StreamRolledBack');
  assert.deepEqual([back.data.last_sequence_before, back.data.last_sequence], [10, 4]);
  show({ messages: 4, last: 4, lost: { msgs: 6, bytes: 60 } }, {});
  await observer.told('StreamMessagesLost', (d) => d.messages === 6 && d.bytes === 60);
  show({ created: '2026-02-02T00:00:00Z' }, {});
  await observer.told('StreamRecreated');

  show({ created: '2026-02-02T00:00:00Z' }, { num_pending: 7, num_waiting: 1 });
  await observer.told('ConsumerStalled', (d) => d.class === 'server_stuck' && d.waiting === 1);
  show({ created: '2026-02-02T00:00:00Z' }, { delivered: { consumer_seq: 9, stream_seq: 99 } });
  await observer.told('ConsumerStalled', (d) => d.class === 'ahead_of_stream');
  await observer.told('ConsumerRecovered', (d) => d.class === 'server_stuck');
  // It says that nothing is pending, but the stream has more: progress is what counts.
  show({ created: '2026-02-02T00:00:00Z' }, { num_waiting: 0 });
  await observer.told('ConsumerStalled', (d) => d.class === 'nobody_pulls' && d.pending === 0);
  const from = observer.mark();
  show({ created: '2026-02-02T00:00:00Z' }, { paused: true });
  await observer.told('ConsumerRecovered', undefined, { from });
});

test('what happens to a server', slow, async (t) => {
  const one = await startPages(t, 'one');
  const observer = startObserver(t, ['nats'], { args: ['--nats-http', one.url] });
  await observer.told('ServerSampled', (d) => d.up === 1);
  one.varz = { ...one.varz, slow_consumers: 3 };
  await observer.told('SlowConsumersFound', (d) => d.count === 3 && d.total === 3);
  one.jsz = jsz(undefined, { storage: 850 });
  await observer.told('StorageHigh', (d) => d.level === 80 && d.rising);
  one.jsz = jsz(undefined, { storage: 960 });
  await observer.told('StorageHigh', (d) => d.level === 95 && d.rising);
  const from = observer.mark();
  one.jsz = jsz(undefined, { storage: 940 });
  await observer.look();
  assert.equal(observer.of('StorageHigh', undefined, from).length, 0, 'a little below the mark is no change');
  one.jsz = jsz(undefined, { storage: 100 });
  await observer.told('StorageNormal');
  one.jsz = { disabled: true };
  await observer.told('JetStreamDisabled');
  one.jsz = jsz();
  await observer.told('JetStreamEnabled');
  one.healthz = (_, r) => r.writeHead(503).end('{"status":"unavailable","error":"write error"}');
  await observer.told('ServerUnhealthy', (d) => d.reason === 'write error');
  one.healthz = { status: 'ok' };
  await observer.told('ServerHealthy');
});

test('answers that are none: named, and the other servers unharmed', slow, async (t) => {
  const good = await startNats(t);
  const bad = await startPages(t, 'bad');
  const varz = bad.varz;
  const observer = startObserver(t, ['nats'], { args: ['--nats-http', `${bad.url},${good.httpUrl}`] });
  await observer.told('ServerSampled', (d) => d.server === 'bad' && d.up === 1);
  const cases = [
    [(_, r) => r.end('{"server_id":"Nbad","server_name":'), 'ServerUnreadable', /varz is no JSON: .* at byte \d+/],
    [(_, r) => r.end('{"hello":"world"}'), 'ServerUnreadable', /not a NATS server/],
    [(_, r) => r.writeHead(503).end('busy'), 'ServerUnreadable', /HTTP status 503/],
    [(_, r) => r.writeHead(401).end(), 'ServerUnreadable', /HTTP status 401/],
    [(_, r) => r.end('x'.repeat(50 << 20)), 'ServerUnreadable', /more than 16 MiB/],
    [() => {}, 'ServerLost', /timed out/i],
    [(request) => request.socket.destroy(), 'ServerLost', /./],
  ];
  for (const [answer, type, words] of cases) {
    const from = observer.mark();
    bad.varz = answer;
    const told = await observer.told(type, (d) => d.server === 'bad', { from });
    assert.match(told.data.reason, words);
    await observer.told('ServerSampled', (d) => d.server !== 'bad' && d.up === 1, { from: observer.mark() });
    bad.varz = varz;
    await observer.told('ServerReturned', (d) => d.server === 'bad', { from });
  }
  // A page that is bad beside good ones is absent, with the reason.
  bad.jsz = (_, r) => r.end('{"account_details":[{');
  const partial = await observer.told('ServerSampled', (d) => d.server === 'bad' && d.absent);
  assert.match(partial.data.absent.jsz, /jsz: /);
  assert.equal(observer.of('SourceFailed').length, 0);
});
