// Data contracts: events held against rules/schemas.
import assert from 'node:assert/strict';
import { cp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import {
  CIM_OPS, REPOSITORY, RULES, Metrics, cimOps, run, startPrometheus, tempDir, until,
} from './lib/index.mjs';
import { quickRules } from './fake_pager.mjs';
import { ownEvents, withMonitor } from './monitor_tools.mjs';

const NAME = 'cim_event_schema_violations_total';
const CORPUS = join(REPOSITORY, 'tests/corpus/cim-events.jsonl');
const DEVICE = { domain: 'network', event_type: 'DeviceError' };

/** The violations by "domain/type" among the events of a file. */
async function violations(file) {
  const { code, stdout, stderr } = await cimOps(['derive', file]);
  assert.equal(code, 0, stderr);
  const metrics = new Metrics(stdout);
  assert.equal(metrics.sum('cim_monitor_suspect_events_total', { reason: 'schema_not_checked' }), undefined);
  return new Map(metrics.series(NAME).map(({ labels, value }) => [`${labels.domain}/${labels.event_type}`, value]));
}

/** Each id and each time of a payload made a number, one at a time. */
function* mutations(value, replace = (x) => x) {
  for (const [key, inner] of Object.entries(value)) {
    const at = (x) => replace(Array.isArray(value)
      ? value.map((item, i) => (i === Number(key) ? x : item)) : { ...value, [key]: x });
    if (inner !== null && typeof inner === 'object') yield* mutations(inner, at);
    else if (/^[0-9a-f]{8}-|^20\d\d-\d\d-/.test(inner)) yield at(7);
  }
}

describe('contracts', { concurrency: 3 }, () => {
  test('the corpus keeps to the shipped contracts; mutations do not', async (t) => {
    const clean = await violations(CORPUS);
    const lines = (await readFile(CORPUS, 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.ok(clean.size >= 25, `${clean.size} contracts are met by the corpus`);
    assert.deepEqual([...clean].filter(([, count]) => count !== 0), []);

    const mutated = lines.flatMap((line) => {
      const bytes = Array.isArray(line.payload) && line.payload.every((x) => Number.isInteger(x));
      const payload = bytes ? JSON.parse(Buffer.from(line.payload).toString('utf8')) : line.payload;
      return payload === null || typeof payload !== 'object' ? []
        : [...mutations(payload)].map((changed) => ({ ...line, payload: bytes
          ? [...Buffer.from(JSON.stringify(changed))] : changed }));
    });
    const file = join(await tempDir(t, 'mutated'), 'events.jsonl');
    await writeFile(file, mutated.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const found = await violations(file);
    assert.deepEqual([...clean.keys()].filter((key) => !(found.get(key) > 0)), []);
  });

  test('simulated traffic keeps to them too, and meets nearly all', async (t) => {
    const file = join(await tempDir(t, 'simulated'), 'events.jsonl');
    const { code, stderr } = await run('sh', ['-c', `"${CIM_OPS}" simulate --print --seed 11 --rate max --count 20000 \
      --share-malformed 0 --share-failed 0.2 > "${file}"`]);
    assert.equal(code, 0, stderr);
    const met = await violations(file);
    assert.deepEqual([...met].filter(([, count]) => count !== 0), []);
    const shipped = await contracts();
    const never = shipped.filter((key) => !met.has(key) && !/^(monitor|alert|replay)\//.test(key));
    assert.deepEqual(never, [], 'contracts for types that nobody sends (was a type renamed?)');
  });

  test('a violating event is counted, told with its place, and alerts', async (t) => {
    const { js, connection, monitor } = await withMonitor(t, { NETWORK: ['network.>'] });
    const prometheus = await startPrometheus(t, { targets: { 'cim-monitor': [monitor.address] },
      rules: [await quickRules(t)] });
    const send = (body) => js.publish('network.device.DeviceError', JSON.stringify({ DeviceError: body }));
    const device_id = '019f510d-177c-7ef8-b38c-f7968d12f1c2';
    await send({ device_id, error: 'no link' });
    await monitor.until((m) => m.get(NAME, DEVICE) === 0);
    await until(async () => (await prometheus.query(`${NAME}{event_type="DeviceError"}`)).length === 1);

    await send({ device_id, error: { code: 7 } });
    await monitor.until((m) => m.get(NAME, DEVICE) === 1);
    const [told] = await until(async () => {
      const events = await ownEvents(connection, 'SchemaViolated');
      return events.length > 0 && events;
    });
    assert.equal(told.subject, 'ops.monitor.stream.NETWORK.SchemaViolated');
    const { stream, sequence, domain, event_type, path, reason, schema, schema_path, suppressed } = told.data;
    assert.deepEqual({ stream, sequence, domain, event_type, path, reason, schema_path, suppressed }, {
      stream: 'NETWORK', sequence: 2, ...DEVICE, path: '/DeviceError/error', reason: 'a text was expected',
      schema_path: '/properties/DeviceError/properties/error/type', suppressed: 0,
    });
    assert.match(schema, /schemas\/network\/DeviceError\.json$/);
    await until(async () => (await prometheus.query(
      'ALERTS{alertname="SchemaViolations",domain="network",alertstate="firing"}')).length === 1,
    { deadline: 60_000, what: 'SchemaViolations fires' });

    // Many at once: all are counted, few are told, and what was held back is said.
    await Promise.all(Array.from({ length: 300 }, () => send({ device_id })));
    await monitor.until((m) => m.get(NAME, DEVICE) === 301);
    assert.ok((await ownEvents(connection, 'SchemaViolated')).length < 100);
    // Our own events keep to their contracts.
    const metrics = await monitor.until((m) => m.get(NAME, { domain: 'monitor', event_type: 'SchemaViolated' }) === 0);
    assert.deepEqual(metrics.series(NAME).filter(({ labels, value }) => labels.domain === 'monitor' && value > 0), []);
  });

  test('exact through kill -9; a changed contract is folded anew', async (t) => {
    const rules = join(await tempDir(t, 'rules'), 'rules');
    await cp(RULES, rules, { recursive: true });
    const { js, connection, monitor } = await withMonitor(t, { NETWORK: ['network.>'] }, { args: ['--rules', rules] });
    const send = (error) => js.publish('network.device.DeviceError', JSON.stringify({ DeviceError: {
      device_id: '019f510d-177c-7ef8-b38c-f7968d12f1c2', error } }));
    for (let i = 0; i < 40; i++) await send(i % 4 ? 'no link' : i);
    await monitor.until((m) => m.get(NAME, DEVICE) === 10);
    await monitor.restart();
    for (let i = 0; i < 20; i++) await send(i % 2 ? 'no link' : i);
    await monitor.until((m) => m.get(NAME, DEVICE) === 20);

    const file = join(rules, 'schemas/network/DeviceError.json');
    const schema = JSON.parse(await readFile(file, 'utf8'));
    schema.properties.DeviceError.properties.error = { typo: 'number' };
    await writeFile(file, JSON.stringify(schema));
    monitor.child.signal('SIGHUP');
    const [rejected] = await until(async () => {
      const events = await ownEvents(connection, 'RulesRejected');
      return events.length > 0 && events;
    });
    assert.match(rejected.data.reason, /DeviceError\.json:1:\d+: \/properties\/DeviceError\/properties\/error\/typo: /);
    assert.equal((await monitor.metrics()).get(NAME, DEVICE), 20);

    schema.properties.DeviceError.properties.error = { type: 'number' };
    await writeFile(file, JSON.stringify(schema));
    monitor.child.signal('SIGHUP');
    await monitor.until((m) => m.get(NAME, DEVICE) === 40);
    assert.equal((await monitor.metrics()).sum('cim_events_total', { domain: 'network' }), 60);

    await rm(file);
    monitor.child.signal('SIGHUP');
    await until(async () => (await ownEvents(connection, 'RulesReloaded')).length === 2);
    await monitor.until((m) => m.sum('cim_events_total', { domain: 'network' }) === 60);
    assert.equal((await monitor.metrics()).get(NAME, DEVICE), undefined);
  });

  test('rules check refuses a contract that is wrong', async (t) => {
    const rules = join(await tempDir(t, 'rules'), 'rules');
    await cp(RULES, rules, { recursive: true });
    await writeFile(join(rules, 'schemas/network/DeviceError.json'), '{\n  "type": "objekt"\n}\n');
    const { code, stderr } = await cimOps(['rules', 'check', rules]);
    assert.equal(code, 2);
    assert.match(stderr, /schemas\/network\/DeviceError\.json:2:11: \/type: /);
  });
});

/** "domain/type" of the shipped contracts. */
async function contracts() {
  const folder = join(RULES, 'schemas');
  const domains = (await readdir(folder)).filter((name) => !name.startsWith('_'));
  const types = await Promise.all(domains.map(async (domain) =>
    (await readdir(join(folder, domain))).map((file) => `${domain}/${file.replace(/\.json$/, '')}`)));
  return types.flat().sort();
}
