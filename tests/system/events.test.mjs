// cim-ops events against a real server: what query, tail and stats show is what the streams hold.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';

import { cimOps, connectNats, startCimOps, startNats, tempDir, until } from './lib/index.mjs';

const ID = (n) => `019f510c-7cb9-7884-9d79-${String(n).padStart(12, '0')}`;

const policy = (n, type, extra = {}) => [
  `events.policy.${ID(n)}.${type.toLowerCase()}`,
  { event_type: type, event_id: ID(1000 + n), policy_id: ID(n), occurred_at: '2026-07-11T12:00:00Z',
    identity: { correlation_id: { kind: 'Single', value: ID(7) }, causation_id: null }, ...extra }];
const agent = (n, type) => [
  `agent.events.agent.${ID(n)}.${type.toLowerCase()}`,
  { aggregate_id: ID(n), sequence: 1, event: { type }, timestamp: '2026-07-11T12:00:01.5Z',
    correlation_id: ID(8), causation_id: ID(9) }];

async function setUp(t) {
  const nats = await startNats(t);
  const connection = await connectNats(t, nats.url);
  const manager = await jetstreamManager(connection), js = jetstream(connection);
  await manager.streams.add({ name: 'POLICY', subjects: ['events.policy.>'] });
  await manager.streams.add({ name: 'AGENT', subjects: ['agent.events.>'] });
  const publish = ([subject, body], options) =>
    js.publish(subject, typeof body === 'string' ? body : JSON.stringify(body), options);
  return { nats, connection, manager, js, publish };
}

const events = (nats, args) => cimOps(['events', ...args, '--nats', nats.url]);
const lines = ({ code, stdout, stderr }) => {
  assert.equal(code, 0, stderr);
  return stdout.trimEnd().split('\n').filter(Boolean).map((line) => JSON.parse(line));
};

test('query merges the streams by the time of storing and filters on any field', async (t) => {
  const { nats, publish } = await setUp(t);
  for (let n = 0; n < 20; n++) {
    await publish(policy(n, n % 5 ? 'PolicyCreated' : 'PolicyRevoked', { weight: n, note: 'two words' }));
    await publish(agent(n, 'AgentDeployed'));
  }
  const all = lines(await events(nats, ['query', '--output', 'json']));
  assert.equal(all.length, 40);
  assert.deepEqual(all.map((e) => e.stream), Array.from({ length: 40 }, (_, i) => i % 2 ? 'AGENT' : 'POLICY'));
  assert.deepEqual(all[1], {
    stored_at: all[1].stored_at, stream: 'AGENT', seq: 1, subject: `agent.events.agent.${ID(0)}.agentdeployed`,
    envelope: 'agent', domain: 'agent', event_type: 'AgentDeployed', aggregate_type: 'agent',
    aggregate_id: ID(0), correlation_id: ID(8), causation_id: ID(9),
    occurred_at: '2026-07-11T12:00:01.500000000Z' });

  const counts = {
    '--domain policy': 20, '--domain policy,agent': 40, '--domain none': 0, '--type PolicyRevoked': 4,
    [`--aggregate ${ID(3)}`]: 2, [`--correlation ${ID(7)}`]: 20, '--stream AGENT': 20,
    '--subject events.policy.*.policyrevoked': 4, '--subject other.>': 0, '--since 1h': 40, '--until 1h': 0,
    '--since 2020-01-01': 40, '--limit 7': 7,
  };
  for (const [options, want] of Object.entries(counts)) {
    const got = lines(await events(nats, ['query', '--output', 'json', ...options.split(' ')]));
    assert.equal(got.length, want, options);
  }
  const where = async (expression) =>
    lines(await events(nats, ['query', '--output', 'json', '--where', expression])).length;
  assert.equal(await where('$payload.weight >= 15'), 5);
  assert.equal(await where('$payload.weight >= 15 or $domain == agent'), 25);
  assert.equal(await where("$payload.note == 'two words' and not $event_type ~ 'Revoked$'"), 16);

  // The cut between two messages, to the nanosecond, from both sides.
  const cut = all[17].stored_at;
  assert.equal(lines(await events(nats, ['query', '--output', 'json', '--since', cut])).length, 23);
  assert.equal(lines(await events(nats, ['query', '--output', 'json', '--until', cut])).length, 18);
});

test('CSV, text, chosen fields; headers and payload come as they were sent', async (t) => {
  const { nats, publish, js } = await setUp(t);
  await publish(policy(1, 'PolicyCreated', { note: 'a "quote", a comma' }));
  const h = headers();
  h.append('X-Actor', 'ann');
  await js.publish('agent.events.agent.x\u001b[31m.odd', '{"a" : 1.50,\t"b":[]}', { headers: h });
  await js.publish('agent.events.broken', Buffer.from([0x7b, 0xff]));
  const csv = await events(nats, ['query', '--output', 'csv', '--fields', 'seq,domain,event_type', '--full']);
  const rows = csv.stdout.split('\r\n');
  assert.equal(rows[0], 'seq,domain,event_type,payload');
  assert.match(rows[1], /^1,policy,PolicyCreated,"\{""event_type"":/);
  const [, odd, broken] = lines(await events(nats, ['query', '--output', 'json', '--full']));
  assert.deepEqual(odd.headers, { 'X-Actor': 'ann' });
  assert.equal(broken.payload_base64, 'e/8=');
  assert.match(broken.malformed, /UTF-8|name|value/);
  const raw = await events(nats, ['query', '--output', 'json', '--full', '--limit', '2']);
  assert.ok(raw.stdout.includes('"payload":{"a" : 1.50,\t"b":[]}}'), raw.stdout);
  const text = await events(nats, ['query', '--full']);
  assert.ok(!text.stdout.includes('\u001b'), 'a subject must not send escapes to the terminal');
  assert.match(text.stdout, /malformed: /);
  assert.equal(text.stderr, '');
});

test('what query prints, derive folds to the same', async (t) => {
  const { nats, publish } = await setUp(t);
  for (let n = 0; n < 10; n++) await publish(policy(n, 'PolicyCreated'));
  const dir = await tempDir(t, 'events');
  const { stdout } = await events(nats, ['query', '--output', 'json', '--full']);
  await writeFile(join(dir, 'events.jsonl'), stdout);
  const derived = await cimOps(['derive', join(dir, 'events.jsonl')]);
  assert.equal(derived.code, 0, derived.stderr);
  assert.match(derived.stdout,
    /^cim_events_total\{domain="policy",event_type="PolicyCreated",aggregate_type="policy"\} 10$/m);
});

test('stats counts by any fields', async (t) => {
  const { nats, publish } = await setUp(t);
  for (let n = 0; n < 30; n++) await publish(policy(n, n % 3 ? 'PolicyCreated' : 'PolicyRevoked'));
  await publish(agent(1, 'AgentDeployed'));
  const groups = lines(await events(nats, ['stats', '--output', 'json']));
  assert.deepEqual(groups.map((g) => [g.domain, g.event_type, g.events]),
    [['policy', 'PolicyCreated', 20], ['policy', 'PolicyRevoked', 10], ['agent', 'AgentDeployed', 1]]);
  const { stdout } = await events(nats, ['stats', '--by', 'stream']);
  assert.match(stdout, /^POLICY +30 +96\.8%/m);
  assert.match(stdout, /^31 events, /m);
});

test('tail shows what is there, what comes, and streams that appear', async (t) => {
  const { nats, publish, manager, connection } = await setUp(t);
  for (let n = 0; n < 5; n++) await publish(policy(n, 'PolicyCreated'));
  const tail = startCimOps(t, ['events', 'tail', '--last', '2', '--output', 'json', '--core', 'cim.agent.>',
    '--nats', nats.url]);
  const seen = () => tail.stdout.trimEnd().split('\n').filter(Boolean).map((line) => JSON.parse(line));
  await until(() => seen().length === 2, { alive: tail });
  assert.deepEqual(seen().map((e) => e.seq), [4, 5]);
  await publish(agent(1, 'AgentDeployed'));
  await until(() => seen().some((e) => e.event_type === 'AgentDeployed'), { alive: tail });
  connection.publish('cim.agent.status', '{"event_type":"AgentSeen"}');
  await until(() => seen().some((e) => e.subject === 'cim.agent.status' && e.seq === undefined), { alive: tail });
  await manager.streams.add({ name: 'LATER', subjects: ['events.location.>'] });
  await publish([`events.location.${ID(1)}.defined`, { LocationDefined: { location_id: ID(1) } }]);
  await until(() => seen().some((e) => e.stream === 'LATER'), { alive: tail, deadline: 20_000 });
  await nats.restart();
  await until(async () => publish(agent(2, 'AgentSuspended')), { deadline: 20_000 });
  await until(() => seen().some((e) => e.event_type === 'AgentSuspended'), { alive: tail, deadline: 30_000 });
  const keys = seen().filter((e) => e.seq).map((e) => `${e.stream} ${e.seq}`);
  assert.equal(new Set(keys).size, keys.length, 'nothing twice');
  tail.signal('SIGINT');
  assert.deepEqual(await tail.ended(), { code: 0, signal: null });
});

test('a query goes on over a restart of the server, nothing twice and nothing left out', async (t) => {
  const { nats, connection, manager } = await setUp(t);
  const [subject, body] = policy(1, 'PolicyCreated', { pad: 'x'.repeat(2000) });
  const count = 60_000, bytes = JSON.stringify(body);
  for (let n = 0; n < count; n++) connection.publish(subject, bytes);
  await connection.flush();
  await until(async () => (await manager.streams.info('POLICY')).state.messages === count, { deadline: 60_000 });
  const query = startCimOps(t, ['events', 'query', '--output', 'csv', '--fields', 'seq', '--nats', nats.url]);
  await until(() => query.stdout.length > 1000, { alive: query });
  await nats.restart();
  const { code } = await query.ended();
  assert.equal(code, 0, query.describe());
  assert.deepEqual(query.stdout.trim().split('\r\n').slice(1).map(Number),
    Array.from({ length: count }, (_, i) => i + 1));
});

test('mistakes are named', async (t) => {
  const { nats } = await setUp(t);
  const cases = [
    [['query', '--stream', 'NONE'], 1, /no stream 'NONE'; there are (AGENT, POLICY|POLICY, AGENT)/],
    [['query', '--where', '$domain = x'], 2, /--where:1: unknown operator '='/],
    [['query', '--since', 'yesterday'], 2, /--since: 'yesterday' is no time/],
    [['query', '--since', '1h', '--until', '2h'], 2, /is after --until/],
    [['query', '--output', 'xml'], 2, /text, json or csv was expected/],
    [['query', '--fields', 'domain,colour'], 2, /'colour' is no field; there are stored_at/],
    [['stats', '--by', 'x'], 2, /--by: 'x' is no field/],
    [['look'], 2, /tail, query or stats was expected/],
    [['tail', '--core', ','], 2, /--core: 1 to 16 subjects/],
  ];
  for (const [args, code, text] of cases) {
    const result = await events(nats, args);
    assert.equal(result.code, code, `${args}: ${result.stderr}`);
    assert.match(result.stderr, text);
  }
  const away = await cimOps(['events', 'query', '--nats', 'nats://127.0.0.1:1']);
  assert.equal(away.code, 3, away.stderr);
});

test('what is wrong with the way to the server is said, and no password', async (t) => {
  const nats = await startNats(t, { config: 'authorization { user: ann, password: sesame }' });
  const at = `127.0.0.1:${nats.port}`;
  const cases = [
    [`nats://${at}`, 3, /refuses these credentials/],
    [`nats://ann:wrong-word@${at}`, 3, /refuses these credentials/],
    [`tls://ann:sesame@${at}`, 3, /TLS was asked for, and the server does not speak it/],
    ['nats://ann:sesame@127.0.0.1:1', 3, /no server answers there/],
    [`http://ann:sesame@${at}`, 2, /'http:\/\/' is no scheme for NATS/],
    ['nats://ann:sesame@host:99999', 2, /'host:99999': a host and a port/],
    ['nats://ann:sesame@', 2, /a host and a port/],
  ];
  for (const [url, code, text] of cases) {
    const result = await cimOps(['events', 'stats', '--nats', url]);
    assert.equal(result.code, code, `${url}: ${result.stderr}`);
    assert.match(result.stderr, text);
    assert.doesNotMatch(result.stderr, /sesame|wrong-word/);
  }
  const good = await cimOps(['events', 'stats', '--nats', `nats://127.0.0.1:1,nats://ann:sesame@${at}`]);
  assert.equal(good.code, 0, good.stderr);
});

test('a header that comes twice is one member with both values, and is read again as two', async (t) => {
  const { nats, publish } = await setUp(t);
  const twice = headers();
  twice.append('X-Tag', 'a');
  twice.append('X-Tag', 'b');
  twice.append('X-Once', 'c');
  await publish(policy(1, 'PolicyCreated'), { headers: twice });
  const { stdout } = await events(nats, ['query', '--output', 'json', '--full']);
  assert.deepEqual(JSON.parse(stdout).headers, { 'X-Tag': ['a', 'b'], 'X-Once': 'c' });
  const { code, stderr } = await cimOps(['inspect', '-'], { input: stdout });
  assert.equal(code, 0, stderr);
});

test('a payload that was sent as an array of bytes is looked into like any other', async (t) => {
  const { nats, manager, publish } = await setUp(t);
  await manager.streams.add({ name: 'INFRA', subjects: ['infrastructure.>'] });
  const inner = { event_id: ID(1), aggregate_id: ID(2), type: 'resource_registered', hostname: 'rack-7',
    timestamp: '2026-07-11T12:00:00Z' };
  await publish([`infrastructure.compute.${ID(2)}.registered`,
    JSON.stringify([...Buffer.from(JSON.stringify(inner))])]);
  const where = (host) => events(nats, ['query', '--where', `$payload.hostname == ${host}`, '--output', 'json']);
  assert.deepEqual(lines(await where('rack-7')).map((e) => e.event_type), ['ResourceRegistered']);
  assert.deepEqual(lines(await where('rack-8')), []);
  const { stdout } = await events(nats, ['query', '--full']);
  assert.match(stdout, /"hostname":"rack-7"/);
});
