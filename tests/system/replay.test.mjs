// cim-ops replay: what is chosen, where it goes, what is refused, and what happens when it breaks off.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { headers } from '@nats-io/transport-node';

import { cimOps, connectNats, startCimOps, startNats, tempDir, until } from './lib/index.mjs';
import { withServer } from './monitor_tools.mjs';
import { readStream } from './recount.mjs';

const EVENTS = { 'CIM-EVENTS': ['events.>', 'cim.>'] };

/** A workflow's event as its domain publishes it. */
function workflowEvent(id, type, more = {}) {
  return [`events.workflow.${id}.${type.toLowerCase()}`, JSON.stringify({ [type]: { workflow_id: id, ...more } })];
}

/** `workflows` of three events each, one after the other by event. */
async function publishWorkflows(js, workflows, prefix = 'w') {
  for (const type of ['WorkflowCreated', 'WorkflowStarted', 'WorkflowCompleted']) {
    for (let i = 0; i < workflows; i++) {
      await js.publish(...workflowEvent(`${prefix}${i}`, type, { name: `n${i}`, at: type }));
    }
  }
}

async function setUp(t, streams = EVENTS, options) {
  const server = await withServer(t, streams, options);
  const replay = (...args) => cimOps(['replay', '--nats', server.nats.url, ...args]);
  const planned = async (...args) => {
    const { code, stdout, stderr } = await replay('--dry-run', '--output', 'json', '--target', '-', ...args);
    assert.ok(code === 0 || code === 1, stderr);
    return JSON.parse(stdout);
  };
  return { ...server, replay, planned, dir: await tempDir(t, 'replay') };
}

const lines = async (file) =>
  (await readFile(file, 'utf8'))
    .split('\n')
    .filter(Boolean)
    .map((one) => JSON.parse(one));
const idOf = (stdout) => /^id (\S+)$/m.exec(stdout)?.[1] ?? assert.fail(`no id in: ${stdout}`);
const refusedWith = ({ code, stderr, stdout }, wanted, pattern) => {
  assert.equal(code, wanted, stderr + stdout);
  assert.match(stderr, pattern);
};

test('a plan says exactly what would be done, and does nothing', async (t) => {
  const { js, manager, replay, planned, dir } = await setUp(t);
  await publishWorkflows(js, 5);
  const file = join(dir, 'o.jsonl');
  const { code, stdout } = await replay('--dry-run', '--target', `file:${file}`);
  assert.equal(code, 0);
  assert.match(stdout, /events +15 of 15 messages, 5 aggregates/);
  assert.match(stdout, /first +CIM-EVENTS 1, stored 20/);
  assert.match(stdout, /last +CIM-EVENTS 15, stored 20/);
  assert.match(stdout, /nothing was written/);
  const plan = await planned('--type', 'WorkflowStarted', '--domain', 'workflow');
  assert.equal(plan.events, 5);
  assert.equal(plan.aggregates, 5);
  assert.equal(plan.first.sequence, 6);
  assert.equal(plan.last.sequence, 10);
  const stored = await manager.streams.getMessage('CIM-EVENTS', { seq: 6 });
  assert.equal(plan.first.stored_at.slice(0, 23), stored.timestamp.slice(0, 23));
  assert.ok(!existsSync(file));
  const names = (await manager.streams.list().next()).map(({ config }) => config.name).sort();
  assert.deepEqual(names, ['CIM-EVENTS', 'CIM-OPS']);
});

test('selections', async (t) => {
  const { js, planned, replay, dir } = await setUp(t);
  await publishWorkflows(js, 4);
  await js.publish('events.policy.p1.policycreated', JSON.stringify({ event_type: 'PolicyCreated', policy_id: 'p1' }));
  await js.publish('cim.odd', 'no JSON');
  const events = async (...args) => (await planned(...args)).events;
  assert.equal(await events(), 14);
  assert.equal(await events('--domain', 'workflow'), 12);
  assert.equal(await events('--domain', 'workflow,policy'), 13);
  assert.equal(await events('--aggregate', 'w2'), 3);
  assert.equal(await events('--type', 'WorkflowCompleted,PolicyCreated'), 5);
  assert.equal(await events('--subject', 'events.workflow.w1.*'), 3);
  assert.equal(await events('--where', '$domain == workflow and $payload.*.name == n3'), 3);
  assert.equal(await events('--stream', 'CIM-EVENTS', '--from', '3', '--until', '6'), 4);
  assert.equal(await events('--from', '1h', '--until', 'now'), 14);
  assert.equal((await planned('--domain', 'policy')).selection.streams[0].cut, 14);
  const filter = join(dir, 'filter.json');
  await writeFile(
    filter,
    JSON.stringify({
      event_types: ['WorkflowStarted'],
      domains: ['workflow'],
      time_range: { start: '2020-01-01T00:00:00Z', end: new Date().toISOString() },
    }),
  );
  assert.equal(await events('--filter', filter), 4);
  refusedWith(
    await replay('--target', '-', '--filter', filter, '--type', 'X'),
    2,
    /--type is given, and .* says it too/,
  );
  // Nothing fits: said, and exit 1.
  refusedWith(await replay('--target', '-', '--aggregate', 'nobody'), 1, /no event fits the selection/);
});

test('a place that the stream does not reach is an error that says what there is', async (t) => {
  const { js, manager, replay } = await setUp(t);
  await publishWorkflows(js, 5);
  const at = (...args) => replay('--stream', 'CIM-EVENTS', '--target', '-', ...args);
  refusedWith(
    await at('--until', '99'),
    5,
    /--until 99: the stream does not reach it; stream CIM-EVENTS has the sequences 1 to 15/,
  );
  refusedWith(await at('--from', '99'), 5, /does not reach it/);
  refusedWith(await at('--until', '2099-01-01T00:00:00Z'), 5, /lies in the future/);
  await manager.streams.purge('CIM-EVENTS', { seq: 6 });
  refusedWith(await at('--until', '10'), 5, /the 5 before the first are gone.*--from 6 takes what there is/);
  refusedWith(await at('--until', '3'), 5, /all that was stored by then is gone/);
  refusedWith(await at('--from', '2'), 5, /what was there is gone/);
  refusedWith(await at('--until', '2020-01-01'), 5, /is gone/);
  const { code, stdout } = await at('--from', '6', '--until', '10');
  assert.equal(code, 0);
  assert.equal(stdout.trim().split('\n').length, 5);
});

test('wrong input is named', async (t) => {
  const { replay, dir, js } = await setUp(t);
  await publishWorkflows(js, 1);
  const filter = join(dir, 'filter.json');
  const filtered = async (text) => {
    await writeFile(filter, text);
    return replay('--target', '-', '--filter', filter);
  };
  refusedWith(
    await filtered('{"evnt_types": ["A"]}'),
    2,
    /filter\.json: unknown key 'evnt_types'; event_types, domains and time_range are known/,
  );
  refusedWith(await filtered('{"time_range": {"begin": "x"}}'), 2, /unknown key 'begin'; start and end/);
  refusedWith(await filtered('{"event_types": "A"}'), 2, /a list of names was expected/);
  refusedWith(await filtered('{"event_types": ["A"'), 2, /filter\.json:1:/);
  refusedWith(await filtered('{"time_range": {"start": "yesterday"}}'), 2, /'yesterday' is no time/);
  refusedWith(await replay('--target', '-', '--filter', '/nowhere'), 2, /\/nowhere/);
  refusedWith(await replay('--target', 'tape:x'), 2, /file:PATH.*was expected/);
  refusedWith(await replay(), 2, /say where to/);
  refusedWith(await replay('--target', '-', '--until', 'yesterday'), 2, /--until: 'yesterday' is no time/);
  refusedWith(await replay('--target', '-', '--stream', 'NONE'), 1, /there is no stream 'NONE'; there are CIM-EVENTS/);
  refusedWith(
    await replay('--target', '-', '--from', '5', '--stream', 'CIM-EVENTS,CIM-OPS'),
    2,
    /belongs to one stream/,
  );
  refusedWith(await replay('--target', '-', '--on-error', 'skip'), 2, /stop, skip:N or park/);
  refusedWith(await replay('--target', '-', '--rate', 'fast'), 2, /--rate/);
  refusedWith(await replay('--target', 'subject:a..b'), 2, /no prefix of subjects/);
  refusedWith(await replay('--target', 'kv:a b'), 2, /no name of a bucket/);
  refusedWith(await replay('status', 'nobody'), 1, /there is no replay 'nobody'/);
  refusedWith(await replay('--resume', 'nobody'), 1, /there is no replay/);
  refusedWith(await cimOps(['replay', '--nats', 'nats://127.0.0.1:1', '--target', '-']), 3, /127\.0\.0\.1:1/);
});

test('what would feed back is refused', async (t) => {
  const { js, manager, replay } = await setUp(t);
  await publishWorkflows(js, 2);
  refusedWith(
    await replay('--target', 'subject:events.again'),
    4,
    /would feed back: stream CIM-EVENTS.*takes events\.>/,
  );
  refusedWith(await replay('--target', 'stream:CIM-EVENTS'), 4, /would feed back/);
  refusedWith(await replay('--target', 'service:cim.service.do'), 4, /would feed back/);
  await manager.streams.add({ name: 'TARGET', subjects: ['replay.>'] });
  await manager.streams.add({ name: 'ALL', sources: [{ name: 'TARGET' }] });
  refusedWith(await replay('--stream', 'ALL', '--target', 'stream:TARGET'), 4, /sourced from TARGET/);
  for (const target of ['subject:events.again', 'stream:CIM-EVENTS']) {
    refusedWith(await replay('--dry-run', '--stream', 'CIM-EVENTS', '--target', target), 4, /would feed back/);
  }
});

/** Payloads and headers that are hard to carry. */
async function publishOdd(js) {
  const h = headers();
  h.append('X-Many', 'one');
  h.append('X-Many', 'two');
  h.set('Nats-Msg-Id', 'known');
  h.set('X-Trace', 'a: b\u00e9');
  for (const [i, payload] of [
    '{"a":1}',
    ' {"a" : 1} ',
    '{\n"a":\n1}',
    'no JSON',
    '',
    '"text"',
    '[1,2,3]',
    '{"a":1}\r\n',
    Buffer.from([0, 1, 2, 255, 254]),
    `{"big":"${'x'.repeat(700_000)}"}`,
    '{"a":"\\u0000\\ud83d\\ude00"}',
    '\ufeff{}',
    '{"n":0.10,"e":1E400,"i":12345678901234567890}',
  ].entries()) {
    await js.publish(`cim.odd.${i}`, payload, i % 2 ? { headers: h } : undefined);
    h.set('Nats-Msg-Id', `known-${i}`);
  }
}

test('file: every byte comes over; it goes on where it was killed; it verifies', async (t) => {
  const { js, nats, replay, dir, connection } = await setUp(t);
  await publishOdd(js);
  await publishWorkflows(js, 300);
  const whole = join(dir, 'whole.jsonl'),
    killed = join(dir, 'killed.jsonl');
  const done = await replay('--target', `file:${whole}`, '--verify');
  assert.equal(done.code, 0, done.stderr + done.stdout);
  assert.match(done.stdout, /verified: 913 events/);
  const stored = await readStream(connection, 'CIM-EVENTS');
  const written = await lines(whole);
  assert.equal(written.length, stored.length);
  written.forEach((line, i) => {
    const bytes =
      line.payload_base64 !== undefined
        ? Buffer.from(line.payload_base64, 'base64')
        : Buffer.from(line.payload_text ?? JSON.stringify(line.payload));
    assert.equal(line.subject, stored[i].subject);
    assert.equal(line.seq, stored[i].seq);
    if (line.payload === undefined) assert.deepEqual(bytes, stored[i].data);
    else assert.deepEqual(line.payload, JSON.parse(stored[i].data.toString()));
  });
  refusedWith(await replay('--target', `file:${whole}`), 4, /is there already/);

  const child = startCimOps(t, ['replay', '--nats', nats.url, '--target', `file:${killed}`, '--rate', '200']);
  await until(() => existsSync(killed) && readFile(killed).then(({ length }) => length > 100_000), { alive: child });
  await child.kill();
  await writeFile(killed, 'half a li', { flag: 'a' });
  const id = JSON.parse((await replay('list', '--output', 'json')).stdout.trim().split('\n').at(-1)).id;
  refusedWith(await replay('status', 'x'), 1, /no replay/);
  assert.match((await replay('status', id)).stdout, /state +broken off[^]*go on with: cim-ops replay --resume/);
  // The rest without the pace of the first part would need another record: it keeps its own.
  const resumed = await replay('--resume', id, '--verify');
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.deepEqual(await readFile(killed), await readFile(whole));
  refusedWith(await replay('--resume', id), 4, /is done/);
});

test('stream: headers are kept, some by another name; a full target is gone on with', async (t) => {
  const { js, manager, replay, connection, nats } = await setUp(t, EVENTS, { config: 'max_payload: 8MB' });
  const rollup = headers();
  rollup.set('Nats-Rollup', 'all');
  rollup.set('Nats-Msg-Id', 'seen');
  await manager.streams.update('CIM-EVENTS', { allow_rollup_hdrs: false });
  await manager.streams.add({ name: 'TARGET', subjects: ['copy.>'], allow_rollup_hdrs: true });
  const seen = headers();
  seen.set('Nats-Msg-Id', 'seen');
  await js.publish('copy.before', 'was here', { headers: seen });
  const big = Buffer.alloc(7_000_000, 'y');
  await js.publish('cim.big', big);
  const known = headers();
  known.set('Nats-Msg-Id', 'seen');
  known.set('Nats-Expected-Stream', 'CIM-EVENTS');
  known.set('X-Own', 'kept');
  await js.publish('cim.known', 'known', { headers: known });
  await publishWorkflows(js, 20);
  const { code, stdout, stderr } = await replay('--target', 'stream:TARGET', '--verify');
  assert.equal(code, 0, stderr + stdout);
  const copied = await readStream(connection, 'TARGET');
  assert.equal(copied.length, 63);
  assert.equal(copied[0].data.toString(), 'was here');
  assert.equal(copied[1].subject, 'copy.cim.big');
  assert.deepEqual(copied[1].data, big);
  assert.equal(copied[2].headers.get('cim-replay-msg-id'), 'seen');
  assert.equal(copied[2].headers.get('cim-replay-expected-stream'), 'CIM-EVENTS');
  assert.equal(copied[2].headers.get('x-own'), 'kept');
  assert.equal(copied[2].headers.get('cim-replay-sequence'), '2');
  assert.match(copied[2].headers.get('cim-replay-time'), /^20\d\d-.*Z$/);

  // Full in the middle: what is there stays, and after more room it ends exactly.
  await manager.streams.add({ name: 'SMALL', subjects: ['small.>'], max_bytes: 7_600_000, discard: 'new' });
  const full = await replay('--target', 'stream:SMALL', '--domain', 'workflow');
  assert.equal(full.code, 0, full.stderr);
  await manager.streams.add({ name: 'TINY', subjects: ['tiny.>'], max_msgs: 25, discard: 'new' });
  const stopped = await replay('--target', 'stream:TINY', '--domain', 'workflow');
  refusedWith(stopped, 5, /was refused: .*maximum messages.*--resume (\S+)/);
  const id = /--resume (\S+)/.exec(stopped.stderr)[1];
  await manager.streams.update('TINY', { max_msgs: -1 });
  const rest = await replay('--resume', id, '--verify');
  assert.equal(rest.code, 0, rest.stderr);
  assert.equal((await readStream(connection, 'TINY')).length, 60);
  // Where it is known beforehand, nothing is begun.
  await manager.streams.add({ name: 'FEW', subjects: ['few.>'], max_msgs: 10, discard: 'old' });
  refusedWith(await replay('--target', 'stream:FEW'), 4, /holds 10 messages at most.*raise max_msgs/);
  assert.ok(nats);
});

test('another server: the same subjects in a stream made there', async (t) => {
  const { js, replay } = await setUp(t);
  const there = await startNats(t);
  await publishWorkflows(js, 10);
  const { code, stdout, stderr } = await replay('--to-nats', there.url, '--target', 'stream:CIM-EVENTS', '--verify');
  assert.equal(code, 0, stderr + stdout);
  const copied = await readStream(await connectNats(t, there.url), 'CIM-EVENTS');
  assert.equal(copied.length, 30);
  assert.equal(copied[0].subject, 'events.workflow.w0.workflowcreated');
  refusedWith(await replay('--to-nats', 'nats://127.0.0.1:1', '--target', 'stream:X'), 3, /--to-nats/);
});

test('subject: original bytes under the prefix, to whoever listens', async (t) => {
  const { js, connection, replay, manager } = await setUp(t);
  await publishWorkflows(js, 3);
  const got = [];
  const listening = connection.subscribe('test.replay.>', { callback: (_, message) => got.push(message) });
  await connection.flush();
  const { code, stdout, stderr } = await replay('--target', 'subject:test.replay');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /no stream takes them/);
  await until(() => got.length === 9);
  assert.equal(got[4].subject, 'test.replay.events.workflow.w1.workflowstarted');
  assert.equal(got[4].string(), workflowEvent('w1', 'WorkflowStarted', { name: 'n1', at: 'WorkflowStarted' })[1]);
  assert.equal(got[4].headers.get('Cim-Replay-Sequence'), '5');
  listening.unsubscribe();
  await manager.streams.add({ name: 'TEST', subjects: ['test.>'] });
  const again = await replay('--stream', 'CIM-EVENTS', '--target', 'subject:test.replay', '--verify');
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /verified: 9 events of 3 aggregates/);
  assert.equal((await readStream(connection, 'TEST')).length, 9);
});

/** Answers requests by `answer(message)`; keeps what came. */
function serve(connection, subject, answer) {
  const got = [];
  connection.subscribe(subject, {
    callback: async (_, message) => {
      got.push({
        aggregate: message.string().match(/"workflow_id":"(\w+)"/)?.[1],
        seq: Number(message.headers.get('Cim-Replay-Sequence')),
      });
      const reply = await answer(message, got.length);
      if (reply !== undefined) message.respond(reply);
    },
  });
  return got;
}

test('service: one request each, in order; what is refused is parked and sent again', async (t) => {
  const { js, connection, replay } = await setUp(t);
  await publishWorkflows(js, 12);
  let refusing = true;
  const got = serve(connection, 'workflow.rebuild', (message) => {
    const text = message.string();
    if (refusing && text.includes('"w3"') && text.includes('WorkflowStarted'))
      return '{"status":"error","message":"no such state"}';
    return '{"status":"ok"}';
  });
  await connection.flush();
  const stopped = await replay('--target', 'service:workflow.rebuild', '--parallel', '4');
  refusedWith(stopped, 5, /was refused: \{"status":"error","message":"no such state"\}/);
  got.length = 0;
  const parked = await replay('--target', 'service:workflow.rebuild', '--parallel', '4', '--on-error', 'park');
  refusedWith(parked, 1, /not all events were taken: 0 skipped, 2 parked/);
  const id = idOf(parked.stdout);
  assert.equal(got.length, 35); // the third of w3 was not even tried
  const seqs = new Map();
  for (const { aggregate, seq } of got) {
    assert.ok(!(seqs.get(aggregate) > seq), `${aggregate}: ${seq} behind ${seqs.get(aggregate)}`);
    seqs.set(aggregate, seq);
  }
  const list = await replay('parked', id);
  refusedWith(list, 1, /2 events are parked/);
  assert.match(list.stdout, /no such state/);
  assert.match(list.stdout, /waits behind the parked 16 of its aggregate/);
  refusedWith(await replay('parked', id, '--retry'), 1, /still parked/);
  refusing = false;
  got.length = 0;
  const retried = await replay('parked', id, '--retry');
  assert.equal(retried.code, 0, retried.stderr + retried.stdout);
  assert.match(retried.stdout, /2 of 2 parked events were taken/);
  assert.deepEqual(
    got.map(({ seq }) => seq),
    [16, 28],
  );
  assert.match((await replay('parked', id)).stdout, /nothing is parked/);
  const { figures } = JSON.parse((await replay('status', id, '--output', 'json')).stdout);
  assert.deepEqual([figures.parked, figures.replayed], [0, 36]);
  const told = (await readStream(connection, 'CIM-OPS')).find(({ subject }) => subject.endsWith('.ParkedTaken'));
  assert.deepEqual(JSON.parse(told.data.toString()).data, { taken: 2, left: 0, replay: id });
  refusedWith(
    await replay('--target', 'service:workflow.rebuild', '--on-error', 'skip:1', '--where', '$domain == workflow'),
    0,
    /^$/,
  );
});

test('cancel, Ctrl-C, and who goes on', async (t) => {
  const { js, nats, replay, connection, manager } = await setUp(t);
  await publishWorkflows(js, 400);
  const slowly = (target) => startCimOps(t, ['replay', '--nats', nats.url, '--target', target, '--rate', '40']);
  const last = async () => JSON.parse((await replay('list', '--output', 'json')).stdout.trim().split('\n').at(-1));
  const progressed = () => until(async () => (await last()).figures?.replayed > 20, { what: 'a checkpoint' });

  const interrupted = slowly('stream:ONE');
  await progressed();
  const { id } = await last();
  refusedWith(await replay('--resume', id), 4, /is running/);
  interrupted.signal('SIGINT');
  await until(() => interrupted.exit);
  assert.equal(interrupted.exit.code, 5);
  assert.match(interrupted.stderr, new RegExp(`go on with: cim-ops replay --resume ${id}`));
  assert.equal((await last()).state, 'interrupted');
  const resumed = startCimOps(t, ['replay', '--nats', nats.url, '--resume', id]);
  await until(async () => (await last()).state === 'running');
  const cancelled = await replay('cancel', id);
  assert.equal(cancelled.code, 0, cancelled.stderr);
  await until(() => resumed.exit);
  assert.equal(resumed.exit.code, 5);
  assert.match(resumed.stderr, /was cancelled/);
  assert.equal((await last()).state, 'cancelled');
  refusedWith(await replay('--resume', id), 4, /is cancelled/);
  refusedWith(await replay('cancel', id), 4, /is cancelled/);
  const had = (await readStream(connection, 'ONE')).map(({ headers: h }) => Number(h.get('cim-replay-sequence')));
  assert.deepEqual(
    had,
    had.map((_, i) => i + 1),
  );
  const told = (await readStream(connection, 'CIM-OPS'))
    .filter(({ subject }) => subject.startsWith(`ops.replay.replay.${id}.`))
    .map(({ subject }) => subject.split('.').at(-1))
    .filter((type) => type !== 'ReplayProgressed');
  assert.deepEqual(told, ['ReplayStarted', 'ReplayInterrupted', 'ReplayResumed', 'ReplayCancelled']);
  assert.ok(manager);
});

test('follow: what is published later comes, too, each once', async (t) => {
  const { js, nats, connection } = await setUp(t);
  await publishWorkflows(js, 5);
  const child = startCimOps(t, ['replay', '--nats', nats.url, '--target', 'stream:LIVE', '--follow']);
  const count = async () => (await readStream(connection, 'LIVE').catch(() => [])).length;
  await until(async () => (await count()) === 15, { alive: child });
  await publishWorkflows(js, 5, 'later');
  await until(async () => (await count()) === 30, { alive: child });
  await nats.restart();
  const again = await connectNats(t, nats.url);
  const { jetstream } = await import('@nats-io/jetstream');
  await publishWorkflows(jetstream(again), 5, 'restarted');
  await until(async () => (await readStream(again, 'LIVE')).length === 45, { alive: child, deadline: 30_000 });
  child.signal('SIGTERM');
  await until(() => child.exit);
  const seqs = (await readStream(again, 'LIVE')).map(({ headers: h }) => h.get('cim-replay-sequence'));
  assert.equal(new Set(seqs).size, 45);
});

test('one flow: what bears the correlation, its causes, and its effects', async (t) => {
  const { js, planned, replay } = await setUp(t);
  const publish = (id, correlation, causation, n) =>
    js.publish(
      `events.policy.p${n}.policycreated`,
      JSON.stringify({
        event_type: 'PolicyCreated',
        event_id: id,
        policy_id: `p${n}`,
        identity: { correlation_id: { kind: 'Single', value: correlation }, causation_id: causation, message_id: id },
      }),
    );
  await publish('root', 'other-1', null, 1); // the cause of the cause
  await publish('sibling', 'other-2', 'root', 2); // of the same cause, of another flow
  await publish('cause', 'other-3', 'root', 3);
  await publish('in-flow', 'FLOW', 'cause', 4);
  await publish('effect', 'random-1', 'in-flow', 5);
  await publish('effect-of-effect', 'random-2', 'effect', 6);
  await publish('unrelated', 'random-3', 'nothing', 7);
  const plan = await planned('--correlation', 'FLOW');
  assert.equal(plan.events, 5);
  const { stdout } = await replay('--correlation', 'FLOW', '--target', '-');
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).seq),
    [1, 3, 4, 5, 6],
  );
  refusedWith(await replay('--correlation', 'nobody', '--target', '-'), 1, /no event has the correlation id 'nobody'/);
});

test('several streams are merged by time; verify says where a target parts', async (t) => {
  const { js, manager, replay, connection, dir } = await setUp(t, { A: ['events.workflow.>'], B: ['events.policy.>'] });
  for (let i = 0; i < 10; i++) {
    await js.publish(...workflowEvent(`w${i % 2}`, 'WorkflowStarted', { i }));
    await js.publish(
      `events.policy.p${i % 2}.policycreated`,
      JSON.stringify({ event_type: 'PolicyCreated', policy_id: `p${i % 2}`, i }),
    );
  }
  const sums = join(dir, 'sums.jsonl');
  const checked = await replay('checksum', '--out', sums);
  assert.equal(checked.code, 0, checked.stderr);
  assert.match(checked.stdout, /20 events of 4 aggregates, digest [0-9a-f]{64}/);
  assert.equal((await replay('verify', sums)).code, 0);
  const { code, stdout, stderr } = await replay('--target', 'stream:COPY', '--verify');
  assert.equal(code, 0, stderr + stdout);
  const id = idOf(stdout);
  const copied = await readStream(connection, 'COPY');
  assert.deepEqual(
    copied.map(({ subject }) => subject.split('.')[2]),
    Array.from({ length: 20 }, (_, i) => (i % 2 ? 'policy' : 'workflow')),
  );
  const victim = copied.find(({ subject }) => subject.includes('workflow.w1'));
  await manager.streams.deleteMessage('COPY', victim.seq);
  const broken = await replay('verify', id);
  refusedWith(broken, 1, /the target is not what was chosen/);
  assert.match(broken.stdout, /workflow\.w1: 5 events, 4 in the target; the first difference is at sequence 2/);
  await manager.streams.deleteMessage('A', 5);
  const changed = await replay('verify', sums);
  refusedWith(changed, 1, /1 aggregates are not as they were/);
  assert.match(changed.stdout, /workflow\.w0: 5 events then, 4 now/);
});

const PROJECTIONS = `projections:
  - name: count
    fold:
      count: seen
      set: {last: $event_type}
`;

test('kv: projections are built beside, verified and switched; killed in between they end the same', async (t) => {
  const { js, nats, replay, connection, manager, dir } = await setUp(t);
  const { Kvm } = await import('@nats-io/kv');
  const rules = join(dir, 'rules');
  await (await import('node:fs/promises')).mkdir(rules);
  await (
    await import('node:fs/promises')
  ).copyFile(join(process.cwd(), 'rules/envelopes.yaml'), join(rules, 'envelopes.yaml'));
  await writeFile(join(rules, 'projections.yaml'), PROJECTIONS);
  await publishWorkflows(js, 200);
  const kv = await new Kvm(connection).create('CIM_PROJECTIONS', { history: 2 });
  await kv.put('workflow.w0', 'stale');
  await kv.put('workflow.gone', 'no event makes it');
  await kv.put('other.thing', 'of another domain');
  const child = startCimOps(t, [
    'replay',
    '--nats',
    nats.url,
    '--rules',
    rules,
    '--domain',
    'workflow',
    '--target',
    'kv:',
    '--keep-old',
    '--rate',
    '50',
  ]);
  const last = async () => JSON.parse((await replay('list', '--output', 'json')).stdout.trim().split('\n').at(-1));
  // Its first checkpoint, after 5 of 12 s; looked for without a process of our own, which takes its time.
  const recorded = async () =>
    (await readStream(connection, 'KV_CIM_REPLAYS').catch(() => [])).some(
      ({ data }) => JSON.parse(data.toString()).figures?.replayed > 150,
    );
  await until(recorded, { alive: child, deadline: 30_000 });
  await child.kill();
  assert.equal((await kv.get('workflow.w0')).string(), 'stale', 'untouched until all is there');
  const { id } = await last();
  const done = await replay('--resume', id, '--rules', rules);
  assert.equal(done.code, 0, done.stderr + done.stdout);
  assert.match(done.stdout, /verified 200 documents; 200 written to CIM_PROJECTIONS, 1 deleted, 0 as they were/);
  for (let i = 0; i < 200; i++) {
    const document = (await kv.get(`workflow.w${i}`)).json();
    assert.equal(document.events, 3);
    assert.deepEqual(document.value, { last: 'WorkflowCompleted', seen: 3 });
    assert.deepEqual(document.sequences, { 'CIM-EVENTS': 401 + i });
  }
  assert.equal((await kv.get('workflow.gone')).operation, 'DEL');
  assert.equal((await kv.get('other.thing')).string(), 'of another domain');
  const old = await new Kvm(connection).open(`CIM_PROJECTIONS_OLD_${id}`);
  assert.equal((await old.get('workflow.w0')).string(), 'stale');
  const names = (await manager.streams.list().next()).map(({ config }) => config.name);
  assert.ok(!names.some((name) => name.includes('_NEW_')), names.join());
  assert.equal((await replay('verify', id, '--rules', rules)).code, 0);
  await kv.put('workflow.w7', '{}');
  const broken = await replay('verify', id, '--rules', rules);
  refusedWith(broken, 1, /1 documents in CIM_PROJECTIONS are not what the events give/);
  assert.match(broken.stdout, /workflow\.w7: is not what its events give/);

  // Where nothing fits, or other streams made what is there, nothing is deleted.
  refusedWith(
    await replay('--rules', rules, '--until', '2020-01-01', '--target', 'kv:CIM_PROJECTIONS'),
    1,
    /no event fits/,
  );
  await manager.streams.add({ name: 'OTHER', subjects: ['person.events.>'] });
  await js.publish(
    'person.events.x1.person_created',
    JSON.stringify({
      aggregate_id: { id: 'x1' },
      sequence: 1,
      event: { PersonCreated: { person_id: { id: 'x1' } } },
      timestamp: '2026-07-11T12:00:00Z',
      correlation_id: 'c',
      causation_id: 'c',
    }),
  );
  const part = await replay('--rules', rules, '--stream', 'OTHER', '--target', 'kv:CIM_PROJECTIONS');
  assert.match(part.stdout, /written to CIM_PROJECTIONS, 0 deleted/, part.stderr);
  assert.equal((await kv.get('workflow.w9')).json().events, 3);

  await new Kvm(connection).create('SMALL', { history: 1, max_bytes: 4096 });
  refusedWith(
    await replay('--rules', rules, '--domain', 'workflow', '--target', 'kv:SMALL'),
    4,
    /holds 4096 bytes at most.*nothing in it was changed/,
  );
  refusedWith(
    await replay('--rules', rules, '--type', 'WorkflowStarted', '--target', 'kv:CIM_PROJECTIONS'),
    4,
    /would replace whole ones/,
  );
});
