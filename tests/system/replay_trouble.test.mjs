// cim-ops replay in trouble: killed in the switch, two at once, stopped for a while, targets and sources that
// go away under it, what is too long or too large, and options that do not go together.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { headers } from '@nats-io/transport-node';

import { addStream, cimOps, connectNats, startCimOps, startCluster, startNats, until } from './lib/index.mjs';
import { readEach, readStream } from './recount.mjs';
import {
  EVENTS,
  setUp,
  publishEvents,
  refusedWith,
  idOf,
  sequences,
  assertExact,
  editRecord,
} from './replay_tools.mjs';

test('two that go on at once: one does, and the file is exact', async (t) => {
  const { js, replay, start, last, connection, dir } = await setUp(t);
  await publishEvents(js, 4000, 10);
  const file = join(dir, 'o.jsonl');
  const child = start('--target', `file:${file}`, '--rate', '1000');
  await until(async () => (await last())?.figures?.replayed > 500, { alive: child, deadline: 20_000 });
  await child.kill();
  const { id } = await last();
  await editRecord(connection, id, (record) => {
    record.options.rate = 0;
  });
  const both = await Promise.all([replay('--resume', id), replay('--resume', id), replay('--resume', id)]);
  assert.equal(both.filter(({ code }) => code === 0).length, 1, both.map(({ stderr }) => stderr).join(''));
  for (const { code, stderr } of both) if (code) assert.ok(code === 4, stderr);
  const seqs = (await readFile(file, 'utf8'))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).seq);
  assert.deepEqual(
    seqs,
    Array.from({ length: 4000 }, (_, i) => i + 1),
  );
});

test('one that stood still finds that another has it, and writes nothing more', async (t) => {
  const { js, manager, replay, start, last, connection, dir } = await setUp(t);
  await publishEvents(js, 8000, 40);
  // Too short a memory for what comes twice.
  await manager.streams.add({ name: 'TARGET', subjects: ['copy.>'], duplicate_window: 100_000_000 });
  const child = start('--stream', 'CIM-EVENTS', '--target', 'stream:TARGET', '--rate', '400');
  await until(async () => (await last())?.figures?.replayed > 500, { alive: child, deadline: 20_000 });
  const { id } = await last();
  child.signal('SIGSTOP');
  await until(async () => (await last()).state === 'broken off', { deadline: 40_000, every: 500 });
  await editRecord(connection, id, (record) => {
    record.options.rate = 0;
  });
  const resumed = await replay('--resume', id, '--verify');
  assert.equal(resumed.code, 0, resumed.stderr);
  child.signal('SIGCONT');
  await until(() => child.exit, { deadline: 30_000 });
  assert.equal(child.exit.code, 4, child.stderr);
  assert.match(child.stderr, /another process/);
  assertExact(await sequences(connection, 'TARGET'), 8000, 40);
  assert.equal((await last()).state, 'done');

  // A file is locked while it is written to.
  const file = join(dir, 'o.jsonl');
  const writer = start('--stream', 'CIM-EVENTS', '--target', `file:${file}`, '--rate', '400');
  await until(async () => (await last()).figures?.replayed > 300 && (await last()).id !== id, {
    alive: writer,
    deadline: 20_000,
  });
  writer.signal('SIGSTOP');
  const other = (await last()).id;
  await editRecord(connection, other, (record) => {
    record.updated_at = '2020-01-01T00:00:00Z';
  });
  refusedWith(await replay('--resume', other), 4, /o\.jsonl is being written to by another process/);
});

test('killed again right after it went on: exact, though the target has forgotten the ids', async (t) => {
  const { js, manager, replay, start, last, connection } = await setUp(t);
  await publishEvents(js, 12_000, 60);
  await manager.streams.add({ name: 'TARGET', subjects: ['copy.>'], duplicate_window: 100_000_000 });
  const killAt = async (child, subject) => {
    const resumed = new Promise((seen) => {
      connection.subscribe(subject, { max: 1, callback: () => seen() });
    });
    await connection.flush();
    const process = child();
    await Promise.race([resumed, process.ended()]);
    await process.kill();
  };
  const first = start('--stream', 'CIM-EVENTS', '--target', 'stream:TARGET', '--parallel', '4', '--rate', '3000');
  await until(async () => (await last())?.figures?.replayed > 2000, { alive: first, deadline: 20_000 });
  await until(
    async () => (await manager.streams.info('TARGET')).state.messages > (await last()).figures.replayed + 300,
    { alive: first, deadline: 20_000 },
  );
  await first.kill();
  const { id } = await last();
  for (let i = 0; i < 3; i++) await killAt(() => start('--resume', id), `ops.replay.replay.${id}.ReplayResumed`);
  await editRecord(connection, id, (record) => {
    record.options.rate = 0;
  });
  const done = await replay('--resume', id, '--verify');
  assert.equal(done.code, 0, done.stderr + done.stdout);
  assertExact(await sequences(connection, 'TARGET'), 12_000, 60);
  assert.equal((await last()).figures.replayed, 12_000);
});

test('a server that stands still for longer than an answer is waited for', async (t) => {
  const { js, nats, start, last, connection } = await setUp(t);
  await publishEvents(js, 3000, 30);
  const child = start(
    '--stream',
    'CIM-EVENTS',
    '--target',
    'stream:COPY',
    '--parallel',
    '4',
    '--rate',
    '300',
    '--verify',
  );
  await until(async () => (await last())?.figures?.replayed > 300, { alive: child, deadline: 20_000 });
  nats.pause();
  const paused = Date.now();
  // Every write of its record is asked for, not answered, and stored in the end.
  await until(() => Date.now() - paused > 22_000 || child.exit, { deadline: 40_000, every: 200 });
  nats.resume();
  await until(() => child.exit, { deadline: 90_000 });
  assert.equal(child.exit.code, 0, child.describe());
  assertExact(await sequences(connection, 'COPY'), 3000, 30);
  assert.equal((await last()).figures.replayed, 3000);
});

test('Ctrl-C ends it soon: with a slow service, and with a target that is away', async (t) => {
  const { js, connection, replay, start, last, nats } = await setUp(t);
  await publishEvents(js, 400, 400);
  let asked = 0;
  connection.subscribe('slow.service', {
    callback: (_, message) => {
      asked++;
      setTimeout(() => message.respond('{}'), 400);
    },
  });
  await connection.flush();
  const child = start('--target', 'service:slow.service');
  // Checkpoints are written although it waits all the time.
  await until(async () => (await last())?.figures?.replayed >= 3, { alive: child, deadline: 30_000 });
  child.signal('SIGINT');
  await until(() => child.exit, { deadline: 10_000 });
  assert.equal(child.exit.code, 5, child.stderr);
  assert.match(child.stderr, /interrupted; go on with/);
  assert.ok(asked < 100, `${asked} were asked`);

  const there = await startNats(t);
  const away = start('--to-nats', there.url, '--target', 'stream:THERE', '--rate', '100');
  const others = await connectNats(t, there.url);
  await until(async () => (await readStream(others, 'THERE').catch(() => [])).length > 20, {
    alive: away,
    deadline: 20_000,
  });
  there.pause();
  const began = Date.now();
  away.signal('SIGINT');
  await until(() => away.exit, { deadline: 40_000 });
  there.resume();
  assert.equal(away.exit.code, 5, away.stderr);
  assert.ok(Date.now() - began < 35_000);
  const { id } = await last();
  const rest = await replay('--resume', id, '--to-nats', there.url, '--verify');
  assert.equal(rest.code, 0, rest.stderr + rest.stdout);
  refusedWith(await replay('--resume', id, '--to-nats', there.url), 4, /is done/);
  assert.ok(nats);
});

// --- what goes away ------------------------------------------------------------------------------

test('a cluster whose leaders are killed: order and exactness hold', { timeout: 300_000 }, async (t) => {
  const cluster = await startCluster(t);
  const connection = await connectNats(t, cluster.urls);
  const manager = await jetstreamManager(connection);
  const retried = (job) => until(() => job().catch(() => null), { deadline: 60_000, every: 100 });
  await addStream(manager, { name: 'CIM-EVENTS', subjects: ['events.>'], num_replicas: 3 });
  await addStream(manager, { name: 'TARGET', subjects: ['copy.>'], num_replicas: 3, duplicate_window: 5_000_000_000 });
  const js = jetstream(connection);
  for (let i = 0; i < 6000; i += 200) {
    await Promise.all(
      Array.from({ length: 200 }, (_, k) =>
        retried(() =>
          js.publish(
            `events.workflow.w${(i + k) % 30}.workflowstarted`,
            JSON.stringify({ WorkflowStarted: { workflow_id: `w${(i + k) % 30}` } }),
            { msgID: `${i + k}` },
          ),
        ),
      ),
    );
  }
  const source = (await retried(() => manager.streams.info('CIM-EVENTS'))).state.messages;
  const child = startCimOps(t, [
    'replay',
    '--nats',
    cluster.urls,
    '--stream',
    'CIM-EVENTS',
    '--target',
    'stream:TARGET',
    '--parallel',
    '4',
    '--rate',
    '500',
  ]);
  const stored = async () => (await retried(() => manager.streams.info('TARGET'))).state.messages;
  for (const wanted of [1000, 2500]) {
    await until(async () => (await stored()) > wanted, { alive: child, deadline: 90_000, every: 100 });
    const {
      cluster: { leader },
    } = await retried(() => manager.streams.info('TARGET'));
    const server = cluster.servers[Number(leader.split('-').at(-1)) - 1];
    await server.restart();
  }
  await until(() => child.exit, { deadline: 120_000 });
  let { code } = child.exit;
  for (let tries = 0; code === 3 && tries < 3; tries++) {
    // patience ran out on a busy machine
    const id = /--resume (\S+)/.exec(child.stderr)[1];
    ({ code } = await cimOps(['replay', '--nats', cluster.urls, '--resume', id], { deadline: 120_000 }));
  }
  assert.equal(code, 0, child.describe());
  const seqs = [],
    last = new Map();
  await readEach(connection, 'TARGET', (message) => {
    const seq = Number(message.headers.get('cim-replay-sequence')),
      id = message.subject.split('.')[3];
    assert.ok(!(last.get(id) >= seq), `${id}: ${seq} behind ${last.get(id)}`);
    last.set(id, seq);
    seqs.push(seq);
  });
  assert.equal(seqs.length, source);
  assert.equal(new Set(seqs).size, source);
});

test('the target is made anew or removed, the source is removed or made anew, the record is lost', async (t) => {
  const { js, manager, replay, start, last, connection } = await setUp(t, {
    A: ['events.workflow.>'],
    B: ['events.policy.>'],
  });
  await publishEvents(js, 3000, 30);
  await js.publish('events.policy.p1.policycreated', '{"event_type":"PolicyCreated","policy_id":"p1"}');
  await manager.streams.add({ name: 'LARGE', subjects: ['cim.large.>'] });
  for (let i = 0; i < 60; i++)
    await Promise.all(Array.from({ length: 50 }, () => js.publish('cim.large.one', 'x'.repeat(10_000))));
  const under = async (...args) => {
    const before = (await last())?.id;
    const child = start(...args, '--rate', '600');
    await until(async () => (await last())?.id !== before && (await last()).figures?.replayed > 100, {
      alive: child,
      deadline: 20_000,
    });
    return child;
  };
  const ended = async (child, code, pattern) => {
    await until(() => child.exit, { deadline: 100_000 });
    refusedWith({ code: child.exit.code, stderr: child.stderr, stdout: child.stdout }, code, pattern);
  };
  const anew = await under('--stream', 'A', '--target', 'stream:T1');
  await manager.streams.delete('T1');
  await manager.streams.add({ name: 'T1', subjects: ['T1.>'] });
  await ended(anew, 5, /stream T1.*(created anew|no longer there)/);

  const purged = await under('--stream', 'A', '--target', 'stream:T2');
  await manager.streams.purge('T2');
  await until(() => purged.exit, { deadline: 60_000 });
  assert.equal(purged.exit.code, 0, purged.stderr);
  refusedWith(await replay('verify', (await last()).id), 1, /the target is not what was chosen/);

  // The bucket of the records goes: it is made anew, and nothing is lost but the others.
  const recorded = await under('--stream', 'A', '--target', 'stream:T3', '--verify');
  await manager.streams.delete('KV_CIM_REPLAYS');
  await until(() => recorded.exit, { deadline: 60_000 });
  assert.equal(recorded.exit.code, 0, recorded.stderr);
  assert.equal((await last()).state, 'done');

  const merged = await under('--stream', 'A,B', '--target', 'stream:T4');
  const config = { name: 'B', subjects: ['events.policy.>'] };
  await manager.streams.delete('B');
  await manager.streams.add(config);
  await ended(merged, 5, /stream B was created anew/);
  refusedWith(await replay('--resume', (await last()).id), 5, /stream B was created anew/);

  // More of it than is read ahead.
  const removed = await under('--stream', 'LARGE', '--target', 'stream:T5');
  await manager.streams.delete('LARGE');
  await ended(removed, 5, /stream LARGE/);
  refusedWith(await replay('--resume', (await last()).id), 5, /stream LARGE is no longer there/);
  assert.ok(connection);
});

test('a target that is removed is not waited for in silence', async (t) => {
  const { js, manager, start, last } = await setUp(t);
  await publishEvents(js, 2000, 30);
  const child = start('--stream', 'CIM-EVENTS', '--target', 'stream:GONE', '--rate', '300');
  await until(async () => (await last())?.figures?.replayed > 100, { alive: child, deadline: 20_000 });
  await manager.streams.delete('GONE');
  await until(() => child.exit, { deadline: 100_000 });
  assert.ok(child.exit.code === 5 || child.exit.code === 3, child.describe());
  assert.match(child.stderr, /GONE.*--resume/);
});

test('a record that is none', async (t) => {
  const { js, replay, connection } = await setUp(t);
  await publishEvents(js, 10, 2);
  const done = await replay('--target', 'stream:COPY');
  const id = idOf(done.stdout);
  for (const edit of [
    () => 'no JSON',
    () => '[]',
    () => '{}',
    () => '',
    (r) => ({ ...r, target: '' }),
    (r) => ({ ...r, selection: { wanted: {}, streams: [] } }),
    (r) => ({ ...r, positions: { 'CIM-EVENTS': -5 } }),
    (r) => ({ ...r, selection: { ...r.selection, streams: [{ name: 7 }] } }),
  ]) {
    const kv = await new Kvm(connection).open('CIM_REPLAYS');
    const before = (await kv.get(id)).string();
    await editRecord(connection, id, edit);
    for (const args of [
      ['--resume', id],
      ['status', id],
      ['verify', id],
      ['parked', id],
      ['cancel', id],
    ]) {
      refusedWith(await replay(...args), 5, /no record of a replay/);
    }
    const { code, stderr } = await replay('list');
    assert.equal(code, 0, stderr);
    await kv.put(id, before);
  }
});

// --- what is hard to carry -----------------------------------------------------------------------

test('long subjects and many headers', async (t) => {
  const { js, replay, connection, manager, dir } = await setUp(t, { A: ['events.>', 'cim.>'], B: ['other.>'] });
  const long = `cim.${'s'.repeat(1500)}`;
  const many = (count) => {
    const h = headers();
    for (let i = 0; i < count; i++) h.set(`X-Header-${i}`, `value ${i}`);
    return h;
  };
  await js.publish(long, '{"a":1}');
  await js.publish('cim.many', '{"a":2}', { headers: many(64) });
  await js.publish('other.one', '{"a":3}');
  const copied = await replay('--stream', 'A,B', '--target', 'stream:COPY', '--verify');
  assert.equal(copied.code, 0, copied.stderr + copied.stdout);
  const stored = await readStream(connection, 'COPY');
  assert.equal(stored[0].subject, `COPY.${long}`);
  assert.equal(stored[1].headers.get('x-header-63'), 'value 63');
  // Once more, with the stamp of the first on it.
  const again = await replay('--stream', 'COPY', '--target', 'stream:AGAIN', '--verify');
  assert.equal(again.code, 0, again.stderr + again.stdout);

  await js.publish('cim.more', '{"a":4}', { headers: many(100) });
  for (const streams of ['A', 'A,B']) {
    const file = join(dir, `${streams}.jsonl`);
    assert.equal((await replay('--stream', streams, '--target', `file:${file}`)).code, 0);
    const lines = (await readFile(file, 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((one) => JSON.parse(one));
    assert.equal(Object.keys(lines.find(({ subject }) => subject === 'cim.more').headers).length, 100);
    refusedWith(
      await replay('--stream', streams, '--target', `stream:MORE-${streams.length}`),
      5,
      /cim\.more.*more than 64 headers/,
    );
    await manager.streams.delete(`MORE-${streams.length}`);
  }
  const skipped = await replay('--stream', 'A', '--target', 'stream:SKIPPED', '--on-error', 'skip:1');
  refusedWith(skipped, 1, /1 skipped/);
  // Longer than any target takes: named, not tried for ever.
  await js.publish(`cim.${'t'.repeat(3500)}`, '{}');
  refusedWith(
    await replay('--stream', 'A', '--subject', `cim.${'t'.repeat(3500)}`, '--target', 'stream:LONG'),
    5,
    /\) was refused: its subject would have 3509 bytes there, and 3071 are the most/,
  );
});

test('what waits behind a parked event waits also after kill -9', async (t) => {
  const { js, manager, replay, start, last, records, connection } = await setUp(t);
  await js.publish(
    'events.workflow.w0.workflowstarted',
    JSON.stringify({ WorkflowStarted: { workflow_id: 'w0', pad: 'x'.repeat(5000) } }),
  );
  await publishEvents(js, 1500, 5);
  await manager.streams.add({ name: 'TARGET', subjects: ['copy.>'], max_msg_size: 2000 });
  const child = start('--stream', 'CIM-EVENTS', '--target', 'stream:TARGET', '--on-error', 'park', '--rate', '500');
  await until(async () => (await last())?.figures?.replayed > 300, { alive: child, deadline: 20_000 });
  await child.kill();
  const { id } = await last();
  const resumed = await replay('--resume', id);
  refusedWith(resumed, 1, /0 skipped, 301 parked/);
  assert.ok((await readStream(connection, 'TARGET')).every(({ subject }) => !subject.includes('.w0.')));
  await manager.streams.update('TARGET', { max_msg_size: -1 });
  const { figures } = JSON.parse((await replay('status', id, '--output', 'json')).stdout);
  assert.deepEqual([figures.read, figures.replayed, figures.parked], [1501, 1200, 301]);
  const retried = await replay('parked', id, '--retry');
  assert.equal(retried.code, 0, retried.stderr);
  assertExact(
    (await sequences(connection, 'TARGET')).map((seq) => (seq === 1 ? 2 : seq)).filter((seq) => seq !== 2),
    1499,
    5,
  );
  const mine = (await readStream(connection, 'TARGET'))
    .filter(({ subject }) => subject.includes('.w0.'))
    .map(({ headers: h }) => Number(h.get('cim-replay-sequence')));
  assert.deepEqual(mine, mine.toSorted?.((a, b) => a - b) ?? [...mine].sort((a, b) => a - b));
  assert.equal(mine.length, 301);
  assert.equal((await replay('verify', id)).code, 0);
  assert.equal((await replay('parked', id)).code, 0);
  assert.deepEqual(
    (await records()).map(({ positions, figures: f }) => [positions['CIM-EVENTS'], f.read, f.replayed, f.parked]),
    [[1502, 1501, 1501, 0]],
  );
});

test('mirrors and sourced streams as what is replayed', async (t) => {
  const { js, manager, replay } = await setUp(t);
  await publishEvents(js, 50, 5);
  await manager.streams.add({ name: 'MIRROR', mirror: { name: 'CIM-EVENTS' } });
  await manager.streams.add({ name: 'BOTH', subjects: ['cum.>'], sources: [{ name: 'CIM-EVENTS' }] });
  await until(
    async () =>
      (await manager.streams.info('MIRROR')).state.messages === 50 &&
      (await manager.streams.info('BOTH')).state.messages === 50,
  );
  const there = await startNats(t);
  for (const stream of ['MIRROR', 'BOTH']) {
    const { code, stdout, stderr } = await replay(
      '--stream',
      stream,
      '--to-nats',
      there.url,
      '--target',
      `stream:FROM-${stream}`,
      '--verify',
    );
    assert.equal(code, 0, stderr + stdout);
    const target = await jetstreamManager(await connectNats(t, there.url));
    const { config, state } = await target.streams.info(`FROM-${stream}`);
    assert.equal(state.messages, 50);
    assert.ok(config.subjects.includes('events.>'), config.subjects.join());
    await target.streams.delete(`FROM-${stream}`);
    // What comes into the origin comes into the mirror.
    refusedWith(
      await replay('--dry-run', '--stream', stream, '--target', 'service:events.do.it'),
      4,
      /would feed back/,
    );
    refusedWith(await replay('--stream', stream, '--target', 'subject:events.again'), 4, /would feed back/);
  }
});

test('a queue as source says so; targets that drop what they took say so', async (t) => {
  const { js, manager, replay } = await setUp(t);
  await publishEvents(js, 20, 5);
  await manager.streams.add({ name: 'QUEUE', subjects: ['queue.>'], retention: 'workqueue' });
  await js.publish('queue.one', '{}');
  const { code, stderr } = await replay('--stream', 'QUEUE', '--target', '-');
  assert.ok(code === 1 || code === 4, stderr);
  assert.match(stderr, /QUEUE/);
  await manager.streams.add({ name: 'INTEREST', subjects: ['interest.>'], retention: 'interest' });
  const passed = await replay('--stream', 'CIM-EVENTS', '--target', 'stream:INTEREST');
  assert.equal(passed.code, 0, passed.stderr);
  assert.match(passed.stderr, /INTEREST removes? .*consume/);
  await manager.streams.add({ name: 'LAST', subjects: ['last.>'], max_msgs_per_subject: 1 });
  const last = await replay('--stream', 'CIM-EVENTS', '--target', 'stream:LAST');
  assert.match(last.stderr, /LAST keeps 1 messages of a subject at most/);
});

test('follow: aggregates that are new come, too, whatever was there at the start', async (t) => {
  const { js, replay, start, last, connection } = await setUp(t);
  await publishEvents(js, 3, 1);
  await js.publish('events.policy.p1.policycreated', '{"event_type":"PolicyCreated","policy_id":"p1"}');
  const child = start('--domain', 'workflow', '--target', 'stream:LIVE', '--follow');
  const count = async () => (await readStream(connection, 'LIVE').catch(() => [])).length;
  await until(async () => (await count()) === 3, { alive: child });
  await publishEvents(js, 4, 4, { prefix: 'new' });
  await js.publish('cim.odd', '{}');
  await until(async () => (await count()) === 7, { alive: child });
  child.signal('SIGINT');
  await until(() => child.exit);
  const { id } = await last();
  const verified = await replay('verify', id);
  assert.equal(verified.code, 0, verified.stderr + verified.stdout);
  assert.match(verified.stdout, /verified: 7 events/);
});

// --- words ---------------------------------------------------------------------------------------

test('options that do not go together are refused before anything is done', async (t) => {
  const { js, replay, manager, dir } = await setUp(t);
  await publishEvents(js, 10, 2);
  const id = idOf((await replay('--target', 'stream:COPY')).stdout);
  for (const [args, pattern] of [
    [['--resume', id, '--dry-run'], /--resume goes on with what its record says; leave --dry-run out/],
    [['--resume', id, '--domain', 'workflow'], /leave --domain out/],
    [['--resume', id, '--target', '-'], /leave --target out/],
    [['list', '--dry-run'], /'list' does not take --dry-run/],
    [['parked', id, '--retry', '--dry-run'], /'parked' does not take --dry-run/],
    [['verify', id, '--domain', 'x'], /does not take --domain/],
    [['checksum', '--target', '-'], /does not take --target/],
    [['status', id, '--resume', id], /one of them/],
    [['--target', '-', '--out', 'x'], /--out is for 'checksum'/],
    [['--target', '-', '--retry'], /--retry is for/],
    [['--target', '-', '--to-creds', 'x'], /--to-creds is for the server that --to-nats names/],
    [['--target', '-', '--follow', '--until', '5'], /--follow goes on behind the cut/],
    [['--target', 'kv:X', '--follow'], /--follow never ends/],
    [['--target', '-', '--verify'], /keeps nothing that could be verified/],
    [['--target', 'service:a.b', '--verify'], /keeps nothing that could be verified/],
    [['--target', 'subject:no.stream', '--verify'], /no stream takes what is published under no\.stream/],
    [['--target', '-', '--keep-old'], /--keep-old is for kv/],
    [['--target', 'kv:X', '--prefix', 'a'], /--prefix is for stream/],
    [['--target', `file:${join(dir, 'x')}`, '--to-nats', 'nats://127.0.0.1:4222'], /--to-nats/],
    [['--target', 'stream:'], /was expected/],
    [['--target', 'stream:a b'], /a b/],
    [['--target', 'stream:NEW', '--prefix', 'a..b'], /a\.\.b/],
    [['--target', 'stream:NEW', '--prefix', 'a.>'], /a\.>/],
    [['list', 'x'], /was expected/],
    [['nonsense'], /was expected/],
    [['--target', '-', '--parallel', '0'], /parallel/],
    [['--target', '-', '--batch', '0'], /batch/],
    [['--target', '-', '--rate', '-1'], /--rate/],
    [['--target', '-', '--speed', 'x'], /--speed/],
    [['--target', '-', '--subject', 'a..b'], /subject/],
    [['--target', '-', '--where', '$domain =='], /where/],
  ]) {
    const result = await replay(...args);
    assert.ok(result.code === 2 || result.code === 3, `${args.join(' ')}: ${result.code} ${result.stderr}`);
    assert.match(result.stderr, pattern);
  }
  const names = (await manager.streams.list().next()).map(({ config }) => config.name).sort();
  assert.deepEqual(names, ['CIM-EVENTS', 'CIM-OPS', 'COPY', 'KV_CIM_REPLAYS']);
});

test('standard output that ends or is full', async (t) => {
  const { js, nats } = await setUp(t);
  await publishEvents(js, 2000, 2, { pad: 'x'.repeat(1000) });
  const { run } = await import('./lib/process.mjs');
  const { CIM_OPS } = await import('./lib/paths.mjs');
  const shell = (text) => run('bash', ['-c', text], { env: { CIM_OPS, URL: nats.url } });
  const head = await shell(
    '"$CIM_OPS" replay --nats "$URL" --target - | head -1 | wc -l; echo "code ${PIPESTATUS[0]}"',
  );
  assert.match(head.stdout, /^1\ncode 1$/m);
  assert.match(head.stderr, /Broken pipe/);
  const full = await shell('"$CIM_OPS" replay --nats "$URL" --target - >/dev/full; echo "code $?"');
  assert.match(full.stdout, /code 5/);
  assert.match(full.stderr, /No space left/);
});

test('no password is anywhere', async (t) => {
  const { js, replay, connection, nats } = await setUp(t);
  await publishEvents(js, 20, 2);
  const there = await startNats(t, { config: 'authorization { user: "me", password: "hush-hush" }' });
  const url = there.url.replace('//', '//me:hush-hush@');
  const done = await replay('--to-nats', url, '--target', 'stream:COPY');
  assert.equal(done.code, 0, done.stderr);
  const wrong = await replay('--to-nats', url.replace('hush-hush', 'hush-wrong'), '--target', 'stream:COPY');
  assert.equal(wrong.code, 3, wrong.stderr);
  const nobody = await replay('--to-nats', 'nats://me:hush-hush@127.0.0.1:1', '--target', 'stream:COPY');
  assert.equal(nobody.code, 3);
  const kv = await new Kvm(connection).open('CIM_REPLAYS');
  let all = done.stdout + done.stderr + wrong.stdout + wrong.stderr + nobody.stderr;
  for await (const key of await kv.keys()) all += (await kv.get(key)).string();
  for (const { data } of await readStream(connection, 'CIM-OPS')) all += data.toString();
  assert.ok(all.includes('COPY'));
  assert.ok(!all.includes('hush'), all);
  assert.ok(nats && jetstream);
});
