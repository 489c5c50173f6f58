// cim-ops inspect: the event view of lines, without a server.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { CIM_OPS, run, tempDir } from './lib/index.mjs';

const inspect = (args, input) => run(CIM_OPS, ['inspect', ...args], { input });
const line = (subject, payload, headers = {}) => JSON.stringify({ subject, headers, payload });
const LOCATION = line('events.location.l-1.defined', { LocationDefined: { location_id: 'l-1' } },
  { 'event-type': 'LocationDefined' });

describe('inspect', () => {
  test('prints one view a line, absent fields left out, and passes over blank lines', async () => {
    const { code, stdout, stderr } = await inspect(['-'], `${LOCATION}\r\n\n${LOCATION}`);
    assert.equal(code, 0, stderr);
    const views = stdout.trimEnd().split('\n').map((text) => JSON.parse(text));
    assert.equal(views.length, 2);
    assert.deepEqual(views[0], { domain: 'location', event_type: 'LocationDefined',
      aggregate_type: 'location', aggregate_id: 'l-1', envelope: 'location' });
  });

  test('a line that cannot be read is named, the others are shown, and it ends with 5', async (t) => {
    const file = join(await tempDir(t, 'inspect'), 'events.jsonl');
    await writeFile(file, [LOCATION, '{"subject":"a","payload":{"x":}}', '{"payload":1}',
      '{"subject":"a","payload_text":"ping"}', LOCATION, ''].join('\n'));
    const { code, stdout, stderr } = await inspect([file]);
    assert.equal(code, 5);
    assert.equal(stdout.trimEnd().split('\n').length, 2);
    assert.match(stderr, new RegExp(`${file}:2:31: not JSON: a value was expected`));
    assert.match(stderr, new RegExp(`${file}:3:1: 'subject' is missing`));
    assert.match(stderr, new RegExp(`${file}:4:32: the payload is no event: `));
  });

  test('--explain names envelope, expression and line, and what did not fit', async () => {
    const { stdout } = await inspect(['--explain', '-'],
      line('infrastructure.compute.c-1.registered', { type: 'resource_registered', aggregate_id: 'c-1' }));
    const { explain } = JSON.parse(stdout);
    assert.match(explain.envelope, /rules\/envelopes\.yaml:\d+$/);
    assert.match(explain.event_type, /^\$payload\.type \|.* \(.*envelopes\.yaml:\d+\)$/);
    assert.equal(explain.event_id, undefined);
    assert.deepEqual(explain.tried,
      { 'infrastructure-stored': 'no $payload.data.event.event_id' });
    const text = await inspect(['--explain', '--output', 'text', '-'], LOCATION);
    assert.match(text.stdout, /^ {2}event_type +LocationDefined +<- \$key \(.*envelopes\.yaml:\d+\)$/m);
  });

  test('--explain says what the CID of each line says, line after line', async () => {
    const file = new URL('../corpus/chains.jsonl', import.meta.url).pathname;
    const { code, stdout, stderr } = await inspect(['--explain', file]);
    assert.equal(code, 0, stderr);
    const shown = stdout.trimEnd().split('\n').map((text) => JSON.parse(text).explain.chain);
    const wanted = (await readFile(file, 'utf8')).trimEnd().split('\n').map((text) => JSON.parse(text).expect);
    assert.equal(shown.length, wanted.length);
    wanted.forEach((want, i) => {
      if (want === 'none') assert.equal(shown[i], undefined);
      else if (want === 'verified') assert.match(shown[i], /^verified, .*: [a-z-]+ \(.*envelopes\.yaml:\d+:?\d*\)$/);
      else if (want.startsWith('unverifiable: ')) assert.match(shown[i], new RegExp(`^not verifiable, ${want.slice(14)}: `));
      else assert.match(shown[i], new RegExp(`^broken, ${want}: `));
    });
    const text = await inspect(['--explain', '--output', 'text', file]);
    assert.match(text.stdout, /^ {2}chain +broken, cid_mismatch: chained-content \(/m);
  });

  test('wrong options and files are told apart from wrong lines', async () => {
    assert.equal((await inspect(['--output', 'csv', '-'], '')).code, 2);
    const missing = await inspect(['/no/such/file']);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /\/no\/such\/file: cannot open: No such file/);
    assert.equal((await inspect(['-'], '')).code, 0);
  });
});
