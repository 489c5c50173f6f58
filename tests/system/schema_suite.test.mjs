// The required tests of the official JSON-Schema-Test-Suite, draft 2020-12 (tests/schema/suite), all of
// them, through `cim-ops rules schema`.
import assert from 'node:assert/strict';
import { cp, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { REPOSITORY, Scope, cimOps, tempDir } from './lib/index.mjs';

const SUITE = join(REPOSITORY, 'tests/schema/suite');
const BASE = 'http://localhost:1234/'; // what the suite calls its folder remotes/

/** JSON in which numbers are kept as they are written (1.0 is not 1): as texts behind a mark. */
function parse(text) {
  return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?[0-9][-+0-9.eE]*/g,
    (token) => (token[0] === '"' ? token : JSON.stringify(`\0${token}`))));
}

function write(value) {
  return JSON.stringify(value).replace(/"\\u0000([^"]*)"/g, '$1');
}

const names = (await readdir(join(SUITE, 'tests'))).filter((name) => name.endsWith('.json')).sort();
const suite = await Promise.all(names.map(async (name) => ({
  name: name.slice(0, -5), groups: parse(await readFile(join(SUITE, 'tests', name), 'utf8')),
})));

describe('JSON-Schema-Test-Suite', () => {
  const scope = new Scope();
  let work, remotes;

  before(async () => {
    work = await tempDir(scope, 'suite');
    remotes = join(work, 'remotes');
    await cp(join(SUITE, 'remotes'), remotes, { recursive: true });
    await cp(join(SUITE, 'metaschema'), join(remotes, 'metaschema'), { recursive: true });
  });

  /** [true, false, ...]: what we say of each instance; or the complaint about the schema. */
  async function judge(name, schema, instances, options = ['--allow-unknown']) {
    const file = join(work, `${name}.json`);
    await writeFile(file, write(schema));
    const { code, stdout, stderr } = await cimOps(['rules', 'schema', '--output', 'json', '--schemas',
      remotes, '--base', BASE, ...options, file, '-'],
    { input: instances.map((value) => `${write(value)}\n`).join('') });
    if (code === 2) return stderr;
    const said = stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.equal(code, said.every(({ verdict }) => verdict === 'valid') ? 0 : 1, stderr);
    assert.ok(said.every(({ verdict }) => verdict === 'valid' || verdict === 'violates'), stdout);
    return said.map(({ verdict }) => verdict === 'valid');
  }

  for (const { name, groups } of suite) {
    test(name, async () => {
      for (const [index, { description, schema, tests }] of groups.entries()) {
        const said = await judge(`${name}-${index}`, schema, tests.map(({ data }) => data));
        assert.deepEqual(said, tests.map(({ valid }) => valid), `${name}: ${description}`);
      }
    });
  }

  test('the suite is whole', async () => {
    assert.equal(suite.length, 46);
    const count = suite.flatMap(({ groups }) => groups.flatMap(({ tests }) => tests)).length;
    assert.ok(count > 1200, String(count));
  });
});
