// The documents are true: their commands work against a running stack, links lead somewhere, generated
// parts are fresh, and what --help says exists is what the documents speak of.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { appendFile, mkdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';

import {
  CIM_OPS, REPOSITORY, Scope, cimOps, connectNats, freePorts, run, scrape, startCimOps, startNats, tempDir,
  until,
} from '../system/lib/index.mjs';

const DOCUMENTS = ['README.md', ...readdirSync(join(REPOSITORY, 'doc'), { recursive: true })
  .filter((name) => name.endsWith('.md')).map((name) => join('doc', name)).sort()];

const PORTS = [4222, 8222, 9091, 9090, 9093, 3000];
const PORT_OPTIONS = ['nats-port', 'nats-http-port', 'metrics-port', 'prometheus-port',
  'alertmanager-port', 'web-port'];

/**
 * The fenced blocks of a document: [{line, info: ['sh', 'test', 'exit=3'], text}]. What runs is marked
 * `sh test`; `exit=N` is the code that its last command must end with.
 */
function blocks(document) {
  const found = [];
  let open;
  readFileSync(join(REPOSITORY, document), 'utf8').split('\n').forEach((line, index) => {
    const fence = line.match(/^\s*```(.*)$/);
    if (!fence && open) open.text += `${line}\n`;
    else if (fence && open) open = void found.push(open);
    else if (fence) open = { line: index + 1, info: fence[1].trim().split(/\s+/), text: '' };
  });
  assert.equal(open, undefined, `${document}: a fenced block is not closed`);
  return found;
}

const commands = DOCUMENTS.flatMap((document) => blocks(document)
  .filter(({ info }) => info[0] === 'sh' && info.includes('test'))
  .map((block) => ({ ...block, document })));

/** Where the documents speak of another server than the local one. */
const OTHER_SERVER = 'nats://new.example.org:4222';

/** The services that the documents replay into: one takes all, the others refuse a first event once. */
async function answerReplays(scope, url) {
  const connection = await connectNats(scope, url);
  const seen = new Set();
  connection.subscribe('services.*.rebuild', { callback: (_, message) => {
    const replay = message.headers.get('Cim-Replay-Id');
    const refuse = message.subject !== 'services.workflow.rebuild' && !seen.has(replay);
    seen.add(replay);
    message.respond(JSON.stringify(refuse ? { error: 'account is locked' } : { status: 'ok' }));
  } });
  await connection.flush();
}

describe('commands in the documents work', () => {
  const scope = new Scope();
  let ports, environment, other;

  before(async () => {
    const home = await tempDir(scope, 'docs');
    ports = await freePorts(PORTS.length);
    environment = {
      HOME: home, XDG_STATE_HOME: join(home, 'state'), CIM_OPS,
      PATH: `${dirname(CIM_OPS)}:${process.env.PATH}`,
      NATS_URL: '', METRICS_PORT: '',
    };
    const options = PORT_OPTIONS.flatMap((name, i) => [`--${name}`, String(ports[i])]);
    const stack = startCimOps(scope, ['up', '--demo', ...options], { env: environment });
    await until(async () => {
      const ready = (await fetch(`http://127.0.0.1:${ports[2]}/readyz`)).ok;
      const { stdout } = await cimOps(['status', '--output', 'json'], { env: environment });
      return ready && /prometheus/.test(stdout) && !/starting|waiting/.test(stdout) && stdout;
    }, { deadline: 60_000, every: 200, alive: stack, what: 'the stack is up' });
    const local = `nats://127.0.0.1:${ports[0]}`;
    environment = { ...environment, NATS_URL: local };
    other = await startNats(scope);
    await answerReplays(scope, local);
  });
  after(() => scope.close());

  /** The documents name the usual ports; here they stand for the scratch stack's. */
  function localized(text) {
    return PORTS.reduce((all, port, i) => all.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${ports[i]}`),
      text).replaceAll('build/cim-ops', CIM_OPS).replaceAll(OTHER_SERVER, other.url);
  }

  test('every metric on /metrics is in the monitoring guide', async () => {
    const guide = readFileSync(join(REPOSITORY, 'doc/operations/monitoring-guide.md'), 'utf8');
    const { types } = await scrape(`http://127.0.0.1:${ports[2]}/metrics`);
    assert.ok(types.size > 20);
    assert.deepEqual([...types.keys()].filter((name) => !guide.includes(`\`${name}\``)), []);
  });

  for (const { document, line, info, text } of commands) {
    test(`${document}:${line}: ${text.split('\n')[0]}`, async () => {
      const wanted = Number(info.find((word) => word.startsWith('exit='))?.slice(5) ?? 0);
      const script = `set -e\n${localized(text)}`;
      const { code, stdout, stderr } = await run('bash', ['-c', script],
        { cwd: REPOSITORY, env: environment, deadline: 60_000 });
      assert.equal(code, wanted, `exit code ${code}, not ${wanted}\n${script}\n${stdout}${stderr}`);
    });
  }

  test('what the replays of the runbook told keeps to the contracts', async () => {
    const told = readdirSync(join(REPOSITORY, 'rules/schemas/replay')).map((file) => file.slice(0, -5));
    const name = 'cim_event_schema_violations_total';
    const metrics = await until(async () => {
      const now = await scrape(`http://127.0.0.1:${ports[2]}/metrics`);
      return now.get(name, { domain: 'replay', event_type: 'ReplayFailed' }) !== undefined && now;
    });
    const seen = metrics.series(name).filter(({ labels }) => labels.domain === 'replay');
    assert.deepEqual(seen.filter(({ value }) => value > 0), []);
    // Nothing is skipped in the runbook; whether one takes long enough to tell of its progress is the machine's.
    const types = new Set([...seen.map(({ labels }) => labels.event_type), 'ReplayProgressed']);
    assert.deepEqual(told.filter((type) => !types.has(type)), ['EventSkipped']);
  });
});

/* Blocks marked `file=FOLDER/NAME` are pieces of that file, in their order; FOLDER is one of rules. */
describe('rules in the documents', () => {
  const scope = new Scope();
  after(() => scope.close());
  const pieces = DOCUMENTS.flatMap((document) => blocks(document).flatMap(({ info, text }) => info
    .filter((word) => word.startsWith('file='))
    .map((word) => ({ document, path: word.slice('file='.length), text }))));
  const folders = new Set(pieces.map(({ document, path }) => join(document, dirname(path))));
  test('there are some', () => assert.ok(folders.size >= 1));
  for (const folder of folders) {
    test(`${folder}: checked and tested`, async () => {
      const home = await tempDir(scope, 'rules');
      const own = pieces.filter(({ document, path }) => join(document, dirname(path)) === folder);
      for (const { path, text } of own) {
        const into = path.endsWith('tests.yaml') ? join(home, 'tests') : home;
        await mkdir(into, { recursive: true });
        await appendFile(join(into, basename(path)), text.replace(/^rules: \.$/m, 'rules: ..'));
      }
      const check = await cimOps(['rules', 'check', '--strict', home]);
      assert.equal(check.code, 0, check.stdout + check.stderr);
      const tested = await cimOps(['rules', 'test', join(home, 'tests', 'tests.yaml')]);
      assert.equal(tested.code, 0, tested.stdout + tested.stderr);
      assert.match(tested.stdout, /^ok 1 /m);
    });
  }
});

test('generated parts are fresh', async () => {
  const { code, stderr } = await run('scripts/gen_docs.sh', ['--check'],
    { cwd: REPOSITORY, env: { CIM_OPS } });
  assert.equal(code, 0, stderr);
});

test('links to files of the repository lead somewhere', () => {
  const dead = [];
  for (const document of DOCUMENTS) {
    const text = readFileSync(join(REPOSITORY, document), 'utf8').replace(/^```[^]*?^```/gm, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:|^#/.test(target)) continue;
      const path = resolve(REPOSITORY, dirname(document), target.replace(/#.*/, ''));
      if (!existsSync(path)) dead.push(`${document}: ${target}`);
    }
  }
  assert.deepEqual(dead, []);
});

test('every verb that --help lists answers --help with an example', async () => {
  const { stdout } = await cimOps(['--help']);
  const verbs = [...stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, verb]) => verb);
  assert.ok(verbs.length >= 6, stdout);
  for (const verb of verbs) {
    const help = await cimOps([verb, '--help']);
    assert.equal(help.code, 0, `${verb} --help`);
    assert.match(help.stdout, new RegExp(`cim-ops ${verb}`), `${verb} --help names no example`);
  }
});

test('options that the documents use exist', async () => {
  const wrong = [];
  for (const document of DOCUMENTS) {
    for (const { info, text, line } of blocks(document)) {
      if (info[0] !== 'sh' || info.includes('exit=2')) continue;
      for (const [, verb, rest] of text.replaceAll('\\\n', ' ')
        .matchAll(/cim-ops ([a-z]+)((?: [^\n|;&]*)?)/g)) {
        const { stdout, code } = await cimOps([verb, '--help']);
        if (code !== 0) wrong.push(`${document}:${line}: no verb ${verb}`);
        for (const [option] of rest.matchAll(/--[a-z-]+/g)) {
          if (!new RegExp(`${option}(?![a-z-])`).test(stdout)) {
            wrong.push(`${document}:${line}: ${verb} has no ${option}`);
          }
        }
      }
    }
  }
  assert.deepEqual(wrong, []);
});
