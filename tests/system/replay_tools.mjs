// What the tests of replays share.
import assert from 'node:assert/strict';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Kvm } from '@nats-io/kv';

import { cimOps, startCimOps, tempDir } from './lib/index.mjs';
import { withServer } from './monitor_tools.mjs';
import { readStream } from './recount.mjs';

export const EVENTS = { 'CIM-EVENTS': ['events.>', 'cim.>'] };

export async function setUp(t, streams = EVENTS, options) {
  const server = await withServer(t, streams, options);
  const url = server.nats.url;
  const replay = (...args) => cimOps(['replay', '--nats', url, ...args], { deadline: 120_000 });
  const start = (...args) => startCimOps(t, ['replay', '--nats', url, ...args]);
  const records = async () =>
    (await replay('list', '--output', 'json')).stdout
      .split('\n')
      .filter(Boolean)
      .map((one) => JSON.parse(one));
  const last = async () => (await records()).at(-1);
  return { ...server, replay, start, records, last, dir: await tempDir(t, 'trouble') };
}

/** `count` events, of `aggregates` workflows in turn. */
export async function publishEvents(js, count, aggregates, { prefix = 'w', pad = '' } = {}) {
  for (let i = 0; i < count; i += 500) {
    await Promise.all(
      Array.from({ length: Math.min(500, count - i) }, (_, k) => {
        const id = `${prefix}${(i + k) % aggregates}`;
        return js.publish(
          `events.workflow.${id}.workflowstarted`,
          JSON.stringify({ WorkflowStarted: { workflow_id: id, i: i + k, pad } }),
        );
      }),
    );
  }
}

export const refusedWith = ({ code, stderr, stdout }, wanted, pattern) => {
  assert.equal(code, wanted, stderr + stdout);
  assert.match(stderr, pattern);
};
export const idOf = (stdout) => /^id (\S+)$/m.exec(stdout)?.[1] ?? assert.fail(`no id in: ${stdout}`);
export const sequences = async (connection, stream) =>
  (await readStream(connection, stream)).map(({ headers: h }) => Number(h.get('cim-replay-sequence')));

/** Each once, and of every aggregate (seq modulo its count) in order. */
export function assertExact(seqs, count, aggregates) {
  assert.equal(seqs.length, count, 'as many as there are');
  assert.equal(new Set(seqs).size, count, 'none twice');
  const last = new Map();
  for (const seq of seqs) {
    assert.ok(!(last.get(seq % aggregates) > seq), `${seq} behind ${last.get(seq % aggregates)}`);
    last.set(seq % aggregates, seq);
  }
}

/** Puts a record as some other process, or a careless person, would. */
export async function editRecord(connection, id, edit) {
  const kv = await new Kvm(connection).open('CIM_REPLAYS');
  const record = (await kv.get(id)).json();
  const edited = edit(record);
  await kv.put(id, typeof edited === 'string' ? edited : JSON.stringify(edited ?? record));
}

/** A folder of rules with these projections. */
export async function projectionRules(dir, text = 'projections:\n  - name: count\n    fold:\n      count: seen\n') {
  const rules = join(dir, 'rules');
  await mkdir(rules, { recursive: true });
  await copyFile(join(process.cwd(), 'rules/envelopes.yaml'), join(rules, 'envelopes.yaml'));
  await writeFile(join(rules, 'projections.yaml'), text);
  return rules;
}
