// cim-ops simulate against real servers: what it says it sent is what the stream holds.
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { jetstreamManager } from '@nats-io/jetstream';

import {
  CIM_OPS, Metrics, cimOps, connectNats, freePort, run, startCimOps, startNats, tempDir, until,
} from './lib/index.mjs';
import { readStream, recount } from './recount.mjs';

const SUBJECTS = ['cim.>', 'events.>', 'infrastructure.>', 'agent.events.>',
  'agent.model_config.events.>', 'person.events.>', 'organization.events.>', 'git.event.>',
  'git.ack.>', 'network.*.*'];
const START = '2026-07-11T12:00:00Z';

async function withStream(t, { config } = {}) {
  const nats = await startNats(t, { config });
  const connection = await connectNats(t, nats.url);
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: 'CIM-EVENTS', subjects: SUBJECTS });
  return { nats, connection, manager };
}

async function stored(manager) {
  return (await manager.streams.info('CIM-EVENTS')).state.messages;
}

/** The same from the server itself: answers as soon as it is back. */
async function storedNow(nats) {
  const { account_details: [account] } = await nats.monitorz('jsz', 'streams=true');
  return account.stream_detail[0].state.messages;
}

async function expected(file) {
  return new Metrics(await readFile(file, 'utf8')).samples;
}

/** The lines of --print as [{subject, headers, payload (latin1 text)}]. */
async function printed(args) {
  const dir = await mkdtemp(join(tmpdir(), 'cim-ops-print-')), file = join(dir, 'lines');
  const { code, stderr } = await run('sh', ['-c', 'out=$1; shift; exec "$@" > "$out"', 'sh', file, CIM_OPS,
    'simulate', '--print', '--rate', 'max', ...args], { deadline: 60_000 });
  const stdout = await readFile(file, 'utf8');
  await rm(dir, { recursive: true });
  assert.equal(code, 0, stderr);
  return stdout.trimEnd().split('\n').map((line) => {
    const { subject, headers, payload_base64: base64 } = JSON.parse(line);
    const payload = base64 === undefined
      ? Buffer.from(line.slice(line.indexOf(',"payload":') + ',"payload":'.length, -1))
      : Buffer.from(base64, 'base64');
    return { subject, headers, payload: payload.toString('latin1') };
  });
}

/** The stream holds exactly the printed messages, in that order, byte for byte. */
function assertSame(messages, lines) {
  assert.equal(messages.length, lines.length, 'as many stored as sent');
  for (let i = 0; i < lines.length; i++) {
    const { subject, headers, data } = messages[i];
    assert.equal(subject, lines[i].subject, `subject of message ${i + 1}`);
    assert.equal(data.toString('latin1'), lines[i].payload, `payload of message ${i + 1}`);
    const want = Object.entries(lines[i].headers).map(([name, value]) => [name.toLowerCase(), value]);
    assert.deepEqual([...headers].sort(), want.sort(), `headers of message ${i + 1}`);
  }
}

test('--expect is what an independent reader counts, and the stream is what --print prints', async (t) => {
  const { nats, connection, manager } = await withStream(t);
  const file = join(await tempDir(t, 'expect'), 'expected.prom');
  const course = ['--seed', '11', '--start', START, '--count', '40000'];
  const { code, stderr } = await cimOps(['simulate', '--nats', nats.url, '--rate', 'max', ...course,
    '--expect', file], { deadline: 60_000 });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^40000 events in [\d.]+ s \(\d+\/s\): \d+ malformed, \d+ repeated, .* 0 retried; seed 11\n$/);
  assert.equal(await stored(manager), 40_000);
  const messages = await readStream(connection, 'CIM-EVENTS');
  assertSame(messages, await printed(course));
  assert.deepEqual(new Map([...await expected(file)].sort()),
    new Map([...recount(messages, { stream: 'CIM-EVENTS' })].sort()));
});

test('the faults and shares show up in the expectation', async (t) => {
  const file = join(await tempDir(t, 'expect'), 'expected.prom');
  const measure = async (...args) => {
    const lines = await printed(['--seed', '5', '--start', START, '--count', '30000', '--expect', file, ...args]);
    const metrics = new Metrics(await readFile(file, 'utf8'));
    const failing = ['agent', 'workflow', 'policy', 'git', 'network']
      .map((domain) => metrics.sum('cim_events_total', { domain })).reduce((a, b) => a + b);
    return { lines, metrics,
      failed: metrics.sum('cim_events_failed_total') / failing,
      malformed: (metrics.sum('cim_events_malformed_total') ?? 0) / 30_000,
      duplicates: metrics.sum('cim_duplicate_events_total') / 30_000 };
  };
  const near = (value, want, slack) => assert.ok(Math.abs(value - want) <= slack, `${value} is not near ${want}`);
  const usual = await measure();
  near(usual.failed, 0.03, 0.006);
  near(usual.malformed, 0.002, 0.001);
  near((await measure('--fault', 'errors')).failed, 0.3, 0.05);
  near((await measure('--fault', 'duplicates')).duplicates, 0.21, 0.03);
  near((await measure('--fault', 'malformed')).malformed, 0.1, 0.01);
  const none = await measure('--share-malformed', '0', '--share-duplicate', '0', '--share-second', '0');
  near(none.duplicates || 0, 0, 0);
  // 1 ms an event: after 10 s the first domain is silent
  const { lines } = await measure('--fault', 'stall', '--stall-after', '10s', '--domains', 'person,git');
  const speaks = (line) => line.subject.startsWith('person.');
  assert.ok(lines.slice(0, 10_000).some(speaks));
  assert.ok(!lines.slice(10_001).some(speaks), 'silent after ten seconds');
});

test('kill -9 of the server mid-way, twice: still every event once and in order', async (t) => {
  const { nats, connection, manager } = await withStream(t);
  const file = join(await tempDir(t, 'expect'), 'expected.prom');
  const count = 120_000, course = ['--seed', '23', '--start', START, '--count', String(count)];
  const child = startCimOps(t, ['simulate', '--nats', nats.url, '--rate', '12000', ...course,
    '--expect', file]);
  for (const mark of [count / 5, count / 2]) {
    await until(async () => await storedNow(nats) > mark, { every: 20, deadline: 30_000, alive: child });
    await nats.restart();
  }
  const { code } = await child.wait({ deadline: 60_000 });
  assert.equal(code, 0, child.stderr);
  assert.match(child.stderr, /the link broke \d+ times/);
  const messages = await readStream(connection, 'CIM-EVENTS');
  assertSame(messages, await printed(course));
  assert.deepEqual(new Map([...await expected(file)].sort()),
    new Map([...recount(messages, { stream: 'CIM-EVENTS' })].sort()));
});

test('a server that comes back without its last acknowledged messages is sent them again', async (t) => {
  const { nats, connection, manager } = await withStream(t);
  const course = ['--seed', '31', '--start', START, '--count', '12000'];
  const child = startCimOps(t, ['simulate', '--nats', nats.url, '--rate', '1500', ...course]);
  const store = join(nats.dir, 'store'), copy = join(await tempDir(t, 'copy'), 'store');
  await until(async () => await storedNow(nats) > 2000, { every: 20, alive: child });
  await nats.kill();
  await cp(store, copy, { recursive: true });
  await nats.start();
  const before = await until(async () => {
    const now = await storedNow(nats);
    return now > 4500 && now;
  }, { every: 20, alive: child, deadline: 30_000 });
  await nats.kill();
  await rm(store, { recursive: true });
  await cp(copy, store, { recursive: true });
  await nats.start();
  const { code } = await child.wait({ deadline: 60_000 });
  assert.equal(code, 0, child.stderr);
  assert.match(child.stderr, /stream CIM-EVENTS lost acknowledged messages/);
  assert.ok(before > 4500);
  assertSame(await readStream(connection, 'CIM-EVENTS'), await printed(course));
});

test('what the server lost and nobody has any more is an error', async (t) => {
  const { nats, manager } = await withStream(t);
  const child = startCimOps(t, ['simulate', '--nats', nats.url, '--rate', '1000', '--count', '8000',
    '--window', '16']);
  const store = join(nats.dir, 'store'), copy = join(await tempDir(t, 'copy'), 'store');
  await until(async () => await storedNow(nats) > 500, { every: 20, alive: child });
  await nats.kill();
  await cp(store, copy, { recursive: true });
  await nats.start();
  await until(async () => await storedNow(nats) > 3000, { every: 20, alive: child, deadline: 30_000 });
  await nats.kill();
  await rm(store, { recursive: true });
  await cp(copy, store, { recursive: true });
  await nats.start();
  const { code } = await child.wait({ deadline: 60_000 });
  assert.equal(code, 5, child.stderr);
  assert.match(child.stderr, /the server lost \d+ events that it had acknowledged/);
});

test('a frozen server is waited for', async (t) => {
  const { nats, connection, manager } = await withStream(t);
  const course = ['--seed', '41', '--start', START, '--count', '6000'];
  const child = startCimOps(t, ['simulate', '--nats', nats.url, '--rate', '2000', ...course]);
  await until(async () => await storedNow(nats) > 1000, { every: 20, alive: child });
  nats.pause();
  await new Promise((resolve) => setTimeout(resolve, 3000));
  nats.resume();
  const { code } = await child.wait({ deadline: 60_000 });
  assert.equal(code, 0, child.stderr);
  assertSame(await readStream(connection, 'CIM-EVENTS'), await printed(course));
});

test('a server that is restarted politely, and one that never comes back', async (t) => {
  const { nats, connection } = await withStream(t);
  const file = join(await tempDir(t, 'expect'), 'expected.prom');
  const course = ['--seed', '43', '--start', START, '--count', '20000'];
  const child = startCimOps(t, ['simulate', '--nats', nats.url, '--rate', '4000', ...course]);
  await until(async () => await storedNow(nats) > 2000, { every: 20, alive: child });
  await nats.stop();
  await nats.start();
  const { code } = await child.wait({ deadline: 60_000 });
  assert.equal(code, 0, child.stderr);
  assertSame(await readStream(connection, 'CIM-EVENTS'), await printed(course));

  const before = await storedNow(nats);
  const alone = startCimOps(t, ['simulate', '--nats', nats.url, '--rate', '1000', '--forever', '--patience',
    '1s', '--expect', file]);
  await until(async () => await storedNow(nats) > before + 500, { every: 20, alive: alone });
  await nats.kill();
  assert.equal((await alone.wait({ deadline: 20_000 })).code, 3, alone.stderr);
  assert.match(alone.stderr, /events are not known to be stored/);
  assert.ok((await expected(file)).size > 20, 'what was known to be stored is expected all the same');
});

test('SIGTERM is an end like another: what was sent is expected', async (t) => {
  const { nats, connection } = await withStream(t);
  const file = join(await tempDir(t, 'expect'), 'expected.prom');
  const child = startCimOps(t, ['simulate', '--nats', nats.url, '--rate', '2000', '--forever',
    '--expect', file]);
  const manager = await jetstreamManager(connection);
  await until(async () => await storedNow(nats) > 1500, { every: 20, alive: child });
  child.signal('SIGTERM');
  const { code } = await child.wait();
  assert.equal(code, 0, child.stderr);
  assert.deepEqual(new Map([...await expected(file)].sort()),
    new Map([...recount(await readStream(connection, 'CIM-EVENTS'), { stream: 'CIM-EVENTS' })].sort()));
});

test('malformed messages are counted under the stream that stored them', async (t) => {
  const { nats, connection, manager } = await withStream(t);
  await manager.streams.delete('CIM-EVENTS');
  await manager.streams.add({ name: 'POLICY_EVENTS', subjects: ['events.policy.>'] });
  await manager.streams.add({ name: 'LOCATION_EVENTS', subjects: ['events.location.>'] });
  const file = join(await tempDir(t, 'expect'), 'expected.prom');
  const { code, stderr } = await cimOps(['simulate', '--nats', nats.url, '--rate', 'max', '--count',
    '5000', '--domains', 'policy,location', '--fault', 'malformed', '--expect', file]);
  assert.equal(code, 0, stderr);
  const samples = await expected(file);
  for (const stream of ['POLICY_EVENTS', 'LOCATION_EVENTS']) {
    const key = `cim_events_malformed_total{stream="${stream}"}`;
    assert.equal(samples.get(key), recount(await readStream(connection, stream), { stream }).get(key));
    assert.ok(samples.get(key) > 100);
  }
});

test('a subject without a stream is named before anything is sent; --core does without', async (t) => {
  const { nats, manager } = await withStream(t);
  await manager.streams.update('CIM-EVENTS', { subjects: ['events.>'] });
  const refused = await cimOps(['simulate', '--nats', nats.url, '--count', '100']);
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /no stream takes 'infrastructure\.compute\.x\.resourceregistered'.*cim-ops up/);
  assert.equal(await stored(manager), 0);
  const core = await cimOps(['simulate', '--nats', nats.url, '--rate', 'max', '--count', '1000', '--core',
    '--domains', 'location']);
  assert.equal(core.code, 0, core.stderr);
  await until(async () => await stored(manager) === 1000);
});

test('no server, and options that make no sense', async (t) => {
  const away = await cimOps(['simulate', '--nats', `nats://127.0.0.1:${await freePort()}`]);
  assert.equal(away.code, 3);
  assert.match(away.stderr, /cannot connect to NATS/);
  const file = join(await tempDir(t, 'none'), 'missing', 'expected.prom');
  const cases = [
    [['--rate', 'fast'], /--rate: 'fast' is neither/], [['--seed', '-1'], /--seed/],
    [['--share-failed', '1.5'], /--share-failed: '1.5' is not a number from 0 to 1/],
    [['--domains', 'person,weather'], /'weather' is none of/], [['--fault', 'fire'], /'fire' is none of/],
    [['--start', 'noon'], /--start: 'noon'/], [['--forever', '--count', '3'], /--forever does not go with/],
    [['--fault', 'stall', '--domains', 'git'], /name at least two/], [['--print', '--dry'], /only one of/],
  ];
  for (const [args, text] of cases) {
    const { code, stderr } = await cimOps(['simulate', ...args]);
    assert.equal(code, 2, `${args}: ${stderr}`);
    assert.match(stderr, text);
  }
  const unwritable = await cimOps(['simulate', '--dry', '--rate', 'max', '--count', '10', '--expect', file]);
  assert.notEqual(unwritable.code, 0);
  assert.match(unwritable.stderr, /--expect: .*missing/);
  await assert.rejects(stat(file));
});
