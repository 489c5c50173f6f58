// cim-ops derive: a file of events in, the exposition out.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { Metrics, REPOSITORY, cimOps, tempDir } from './lib/index.mjs';

const CORPUS = join(REPOSITORY, 'tests/corpus/cim-events.jsonl');

async function rulesWith(t, metrics) {
  const dir = await tempDir(t, 'rules');
  await writeFile(join(dir, 'envelopes.yaml'), await readFile(join(REPOSITORY, 'rules/envelopes.yaml')));
  await writeFile(join(dir, 'mine.yaml'), metrics);
  return dir;
}

test('every event of the corpus is counted, from a file and from stdin', async () => {
  const lines = (await readFile(CORPUS, 'utf8')).trimEnd().split('\n').length;
  const fromFile = await cimOps(['derive', CORPUS]);
  assert.equal(fromFile.code, 0, fromFile.stderr);
  assert.equal(fromFile.stderr, '');
  const metrics = new Metrics(fromFile.stdout);
  const malformed = metrics.sum('cim_events_malformed_total') ?? 0;
  const copies = metrics.sum('cim_event_copies_total');
  assert.equal(copies, 4); // infrastructure, agent, organization and location tell a fact twice
  assert.equal(metrics.sum('cim_events_total') + malformed + copies, lines);
  const fromStdin = await cimOps(['derive', '-'], { input: await readFile(CORPUS, 'utf8') });
  assert.equal(fromStdin.stdout, fromFile.stdout);
});

test('both forms are what promtool takes', async () => {
  const { stdout } = await cimOps(['derive', CORPUS]);
  execFileSync('promtool', ['check', 'metrics'], { input: stdout });
  const open = await cimOps(['derive', '--output', 'openmetrics', CORPUS]);
  assert.match(open.stdout, /# TYPE cim_events counter\n/);
  assert.match(open.stdout, /\n# EOF\n$/);
});

test('rules of my own; times, headers and sequences are those of the lines', async (t) => {
  const rules = await rulesWith(t, `
metrics:
  - {name: mine_total, type: counter, help: h, labels: {who: $header.Who}}
  - {name: mine_delay_seconds, type: gauge, help: h, value: $delay}
`);
  const at = (stored_at, extra = {}) => JSON.stringify({
    subject: 'events.x.y', headers: { Who: 'me' }, payload: { timestamp: '2026-07-11T12:00:00Z' }, stored_at, ...extra,
  });
  const file = join(await tempDir(t, 'events'), 'e.jsonl');
  await writeFile(file, [at('2026-07-11T12:00:02Z', { seq: 1 }), at('2026-07-11T12:00:03Z', { seq: 4 })].join('\n'));
  const metrics = new Metrics((await cimOps(['derive', '--rules', rules, file])).stdout);
  assert.equal(metrics.get('mine_total', { who: 'me' }), 2);
  assert.equal(metrics.get('mine_delay_seconds'), 3);
  assert.equal(metrics.get('cim_monitor_missed_events_total', { stream: 'FILE' }), 2);
  assert.equal(metrics.sum('cim_monitor_suspect_events_total'), undefined);

  await writeFile(file, at(undefined));
  const untimed = new Metrics((await cimOps(['derive', '--rules', rules, file])).stdout);
  assert.equal(untimed.get('mine_total', { who: 'me' }), 1);
  assert.equal(untimed.get('mine_delay_seconds'), undefined, 'no stored_at: no delay, rather than a wrong one');
  assert.equal(untimed.sum('cim_monitor_suspect_events_total'), undefined);
});

test('bad lines are named and passed over', async (t) => {
  const file = join(await tempDir(t, 'events'), 'e.jsonl');
  await writeFile(file, '{"subject":"events.a.b","payload":{}}\nnonsense\n' +
    '{"subject":"events.a.b","payload":{},"seq":9}\n' +
    '{"subject":"events.a.b","payload":{},"seq":9}\n{"subject":"events.a.b","payload_text":"{"}\n');
  const { code, stdout, stderr } = await cimOps(['derive', file]);
  assert.equal(code, 5);
  assert.match(stderr, /e\.jsonl:2:1: not JSON/);
  assert.match(stderr, /e\.jsonl:4: 'seq' 9 is not behind 9/);
  assert.equal(stderr.trimEnd().split('\n').length, 2);
  const metrics = new Metrics(stdout);
  assert.equal(metrics.sum('cim_events_total'), 2);
  assert.equal(metrics.get('cim_events_malformed_total', { stream: 'FILE' }), 1,
    'a payload that is no JSON is no bad line');
});

test('usage', async () => {
  assert.equal((await cimOps(['derive'])).code, 2);
  assert.equal((await cimOps(['derive', '/nowhere.jsonl'])).code, 2);
  assert.equal((await cimOps(['derive', '--output', 'xml', CORPUS])).code, 2);
  assert.equal((await cimOps(['derive', '--rules', '/nowhere', CORPUS])).code, 2);
});
