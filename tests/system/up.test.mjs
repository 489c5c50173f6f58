// cim-ops up, status, down: the stack of real servers starts, heals, stops, and never outlives its parent.
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';

import { jetstreamManager } from '@nats-io/jetstream';

import {
  CIM_OPS, REPOSITORY, connectNats, freePort, pidAlive, run, scopeOf, start, startNats, tempDir, until,
} from './lib/index.mjs';

const ANY_PORTS = ['--nats-port', '0', '--nats-http-port', '0', '--prometheus-port', '0',
  '--metrics-port', '0', '--alertmanager-port', '0', '--web-port', '0'];
const ENV = { CIM_OPS_SHARE: process.env.CIM_OPS_SHARE ?? REPOSITORY, NATS_URL: '', NATS_CREDS: '' };
const CHANGE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ([a-z]+) ([a-z]+)(?: (\S+:\/\/\S+))?(?: \((.*)\))?$/;

const record = async (dir) => JSON.parse(await readFile(join(dir, 'stack.json'), 'utf8'));
const part = (stack, name) => stack.parts.find((p) => p.name === name);
const ready = (stack) => stack.parts.every((p) => ['running', 'done'].includes(p.state));

/** A stack in a folder of its own; `up.stack()` is what it says of itself. */
async function startUp(t, { dir, args = [], env = {}, wait = true } = {}) {
  dir ??= await tempDir(t, 'up');
  const child = start(t, CIM_OPS, ['up', '--dir', dir, ...ANY_PORTS, ...args],
    { name: 'cim-ops up', env: { ...ENV, ...env } });
  const up = { dir, child, stack: () => record(dir) };
  if (wait) await untilReady(up);
  return up;
}

const untilReady = (up) => until(async () => {
  const stack = await up.stack();
  return stack.pid === up.child.pid && ready(stack) && stack;
}, { deadline: 30_000, alive: up.child, what: 'all parts are ready' });

async function pidsOf(up) {
  const pids = (await up.stack()).parts.map((p) => p.pid).filter(Boolean);
  assert.ok(pids.length >= 4, `four parts at least have a process: ${pids}`);
  return pids;
}

async function assertGone(pids, deadline = 2_000) {
  for (const pid of pids) {
    await until(async () => !(await pidAlive(pid)), { deadline, what: `end of process ${pid}` });
  }
}

test('in a pipe: one line per change and nothing else; SIGINT stops all in order within 5 s', async (t) => {
  const up = await startUp(t, { args: ['--demo'] });
  const pids = await pidsOf(up);
  assert.equal(pids.length, 7);
  const began = performance.now();
  const { code } = await up.child.stop({ signal: 'SIGINT', deadline: 5_000 });
  assert.equal(code, 0, up.child.describe());
  assert.ok(performance.now() - began < 5_000);
  await assertGone(pids, 0);

  const changes = up.child.stdout.trimEnd().split('\n').map((line) => {
    const match = line.match(CHANGE);
    assert.ok(match, `no change: ${line}`);
    return { name: match[1], state: match[2], url: match[3] };
  });
  const index = (name, state) => changes.findIndex((c) => c.name === name && c.state === state);
  for (const name of ['nats', 'monitor', 'prometheus', 'alertmanager', 'web']) {
    assert.match(changes[index(name, 'running')].url, /^(http|nats):\/\/127\.0\.0\.1:\d+$/);
  }
  assert.ok(index('nats', 'running') < index('streams', 'done'));
  assert.ok(index('streams', 'done') < index('monitor', 'starting'));
  const stops = changes.filter((c) => c.state === 'stopped').map((c) => c.name);
  assert.deepEqual(stops, ['demo', 'web', 'alertmanager', 'prometheus', 'observe', 'monitor', 'nats']);
  assert.equal(up.child.stderr, '');
  await assert.rejects(record(up.dir), /ENOENT/);
});

test('kill -9 of the parent leaves no child, and the folder can be used again', async (t) => {
  const up = await startUp(t, { args: ['--demo'] });
  const pids = await pidsOf(up);
  await up.child.kill();
  await assertGone(pids);
  const status = await run(CIM_OPS, ['status', '--dir', up.dir], { env: ENV });
  assert.equal(status.code, 3);
  assert.match(status.stderr, /no stack runs in .* was killed/);
  const down = await run(CIM_OPS, ['down', '--dir', up.dir], { env: ENV });
  assert.equal(down.code, 3);
  const again = await startUp(t, { dir: up.dir });
  assert.match(part(await again.stack(), 'streams').note, /CIM-EVENTS was there, CIM-OPS was there/);
  assert.equal((await again.child.stop({ deadline: 5_000 })).code, 0);
});

test('a child that is killed comes back', async (t) => {
  const up = await startUp(t);
  for (const name of ['nats', 'monitor', 'prometheus']) {
    const before = part(await up.stack(), name);
    process.kill(before.pid, 'SIGKILL');
    const after = await until(async () => {
      const now = part(await up.stack(), name);
      return now.state === 'running' && now.pid !== before.pid && now;
    }, { deadline: 20_000, alive: up.child, what: `${name} runs again` });
    assert.equal(after.restarts, 1);
    assert.equal(after.url, before.url);
    assert.match(up.child.stdout, new RegExp(`${name} restarting .*\\(signal 9 .*again in 0\\.[3-7] s\\)`));
  }
  await until(async () => ready(await up.stack()), { deadline: 20_000 });
  assert.equal((await up.child.stop({ deadline: 5_000 })).code, 0);
});

test('a part that hangs is shown as unresponsive, and still stops in time', async (t) => {
  const up = await startUp(t);
  const { pid } = part(await up.stack(), 'alertmanager');
  process.kill(pid, 'SIGSTOP');
  await until(async () => part(await up.stack(), 'alertmanager').state === 'unresponsive',
    { deadline: 30_000, alive: up.child });
  const pids = await pidsOf(up);
  assert.equal((await up.child.stop({ deadline: 5_000 })).code, 0);
  await assertGone(pids, 0);
});

test('a child that ignores SIGTERM is killed, with all that it started, within the 5 s', async (t) => {
  const bin = await tempDir(t, 'bin');
  await writeFile(join(bin, 'prometheus-alertmanager'), '#!/bin/sh\ntrap "" TERM\necho "$$"\nsleep 1000 &\n' +
    'echo "child $!"\nwhile :; do wait; done\n');
  await chmod(join(bin, 'prometheus-alertmanager'), 0o755);
  const up = await startUp(t, { wait: false, env: { PATH: `${bin}:${process.env.PATH}` } });
  const log = join(up.dir, 'log/alertmanager.out');
  const [, sleeper] = await until(async () => (await readFile(log, 'utf8')).match(/child (\d+)/));
  await until(async () => (await up.stack()).parts
    .every((p) => p.name === 'alertmanager' || ['running', 'done'].includes(p.state)), { deadline: 20_000 });
  const pids = await pidsOf(up);
  assert.equal((await up.child.stop({ deadline: 5_000 })).code, 0);
  await assertGone([...pids, Number(sleeper)], 200);
  assert.match(up.child.stdout, /alertmanager stopped .*\(did not stop in time, killed\)/);
});

test('five quick deaths: failed, with the last lines it printed; an edited file is kept', async (t) => {
  const dir = await tempDir(t, 'up');
  await writeFile(join(dir, 'prometheus.yml'), 'global: {scrape_intervall: 5s}\n');
  const up = await startUp(t, { dir, wait: false });
  const failed = await until(async () => {
    const prometheus = part(await up.stack(), 'prometheus');
    return prometheus.state === 'failed' && prometheus;
  }, { deadline: 40_000, alive: up.child, what: 'prometheus has failed' });
  assert.match(failed.last_lines.join('\n'), /scrape_intervall/);
  assert.equal(failed.restarts, 4);
  assert.match(failed.note, /exit \d+; 5 quick deaths, given up/);
  const delays = [...up.child.stdout.matchAll(/prometheus restarting .*again in ([\d.]+) s/g)]
    .map((m) => Number(m[1]));
  assert.equal(delays.length, 4);
  delays.forEach((delay, i) => assert.ok(Math.abs(delay / (0.5 * 2 ** i) - 1) < 0.35, `${delays}`));
  assert.match(up.child.stderr, /prometheus\.yml is kept as it is: it was edited/);
  assert.match(up.child.stderr, /prometheus printed last:\n.*scrape_intervall/s);
  assert.equal(await readFile(join(dir, 'prometheus.yml'), 'utf8'), 'global: {scrape_intervall: 5s}\n');

  const status = await run(CIM_OPS, ['status', '--dir', dir], { env: ENV });
  assert.equal(status.code, 1);
  assert.match(status.stdout, /prometheus +failed/);
  assert.match(status.stdout.replaceAll('\n    ', ''),
    /prometheus is failed: exit \d+; 5 quick deaths, given up; it printed last:\n {2}.*scrape_intervall/s);
  assert.equal((await up.child.stop({ deadline: 5_000 })).code, 0);
});

test('files: readable, ours until edited, accepted by their programs', async (t) => {
  const up = await startUp(t);
  const nats = await readFile(join(up.dir, 'nats-server.conf'), 'utf8');
  assert.match(nats, /sync_interval/);
  assert.match(nats, /power cut/);
  assert.equal((await run('nats-server', ['-t', '-c', join(up.dir, 'nats-server.conf')])).code, 0);
  assert.equal((await run('promtool', ['check', 'config', join(up.dir, 'prometheus.yml')])).code, 0);
  assert.equal((await run('amtool', ['check-config', join(up.dir, 'alertmanager.yml')])).code, 0);
  await up.child.stop({ deadline: 5_000 });

  // Ports have changed: an unedited file follows, an edited one stays and is named.
  await writeFile(join(up.dir, 'nats-server.conf'), `${nats}\n# mine\n`);
  const again = await startUp(t, { dir: up.dir });
  assert.equal(await readFile(join(up.dir, 'nats-server.conf'), 'utf8'), `${nats}\n# mine\n`);
  assert.match(again.child.stderr, /nats-server\.conf is kept as it is/);
  assert.doesNotMatch(again.child.stderr, /prometheus\.yml/);
  const { url } = part(await again.stack(), 'monitor');
  assert.ok((await readFile(join(up.dir, 'prometheus.yml'), 'utf8')).includes(url.replace('http://', '')));
  await again.child.stop({ deadline: 5_000 });
});

test('a taken port, a missing program, a second up: one message each, and its exit code', async (t) => {
  const port = await freePort();
  const server = createServer().listen(port, '127.0.0.1');
  scopeOf(t).after(() => new Promise((resolve) => { server.close(resolve); }));
  const dir = await tempDir(t, 'up');
  const oneLine = (text) => assert.match(text, /^cim-ops up: [^\n]+\n$/);

  const taken = await run(CIM_OPS, ['up', '--dir', dir, ...ANY_PORTS, '--prometheus-port', `${port}`],
    { env: ENV });
  assert.equal(taken.code, 4);
  oneLine(taken.stderr);
  assert.match(taken.stderr, new RegExp(`port ${port} on 127.0.0.1 is taken by .* \\(pid ${process.pid}\\)`));
  assert.match(taken.stderr, /--prometheus-port/);

  const twice = await run(CIM_OPS, ['up', '--dir', dir, ...ANY_PORTS, '--metrics-port', `${port + 1}`,
    '--prometheus-port', `${port + 1}`], { env: ENV });
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /--metrics-port and --prometheus-port are both/);

  const missing = await run('env', ['PATH=/nonexistent', CIM_OPS, 'up', '--dir', dir, ...ANY_PORTS],
    { env: ENV });
  assert.equal(missing.code, 3);
  oneLine(missing.stderr);
  assert.match(missing.stderr, /prometheus is not installed .*apt-get install prometheus/);

  const bind = await run(CIM_OPS, ['up', '--dir', dir, '--bind', 'here'], { env: ENV });
  assert.equal(bind.code, 2);
  oneLine(bind.stderr);

  const up = await startUp(t, { dir });
  const second = await run(CIM_OPS, ['up', '--dir', dir, ...ANY_PORTS], { env: ENV });
  assert.equal(second.code, 4);
  oneLine(second.stderr);
  assert.match(second.stderr, new RegExp(`runs already in .* \\(pid ${up.child.pid}\\)`));
  await up.child.stop({ deadline: 5_000 });
});

test('--detach returns when all is ready; status and down; down twice', async (t) => {
  const dir = await tempDir(t, 'up');
  scopeOf(t).after(() => run(CIM_OPS, ['down', '--dir', dir], { env: ENV }));
  const none = await run(CIM_OPS, ['status', '--dir', dir], { env: ENV });
  assert.equal(none.code, 3);
  const up = await run(CIM_OPS, ['up', '--dir', dir, ...ANY_PORTS, '--detach'], { env: ENV });
  assert.equal(up.code, 0, up.stderr);
  for (const name of ['nats', 'monitor', 'prometheus', 'alertmanager']) {
    const [, url] = up.stdout.match(new RegExp(`^${name} +(\\S+://127\\.0\\.0\\.1:\\d+)$`, 'm'));
    if (url.startsWith('http')) assert.ok((await fetch(`${url}/metrics`)).ok);
  }
  const json = await run(CIM_OPS, ['status', '--dir', dir, '--output', 'json'], { env: ENV });
  assert.equal(json.code, 0);
  const stack = JSON.parse(json.stdout);
  assert.ok(ready(stack));
  assert.ok(stack.parts.every((p) => p.restarts === 0 && !Number.isNaN(Date.parse(p.since))));
  const table = await run(CIM_OPS, ['status', '--dir', dir], { env: ENV });
  assert.equal(table.code, 0);
  assert.match(table.stdout, /^PART +STATE +URL +RESTARTS +SINCE$/m);
  assert.ok(table.stdout.split('\n').every((line) => line.length <= 80));
  assert.doesNotMatch(table.stdout, /\x1b/);

  const pids = stack.parts.map((p) => p.pid).filter(Boolean);
  const down = await run(CIM_OPS, ['down', '--dir', dir], { env: ENV });
  assert.equal(down.code, 0, down.stderr);
  assert.match(down.stdout, /stopped the stack in/);
  await assertGone([stack.pid, ...pids], 0);
  assert.equal((await run(CIM_OPS, ['down', '--dir', dir], { env: ENV })).code, 3);
});

test('the usual folder is $XDG_STATE_HOME/cim-ops, else ~/.local/state/cim-ops', async (t) => {
  const home = await tempDir(t, 'home');
  const xdg = await run(CIM_OPS, ['status'], { env: { ...ENV, XDG_STATE_HOME: join(home, 'xdg') } });
  assert.equal(xdg.code, 3);
  assert.ok(xdg.stderr.includes(join(home, 'xdg/cim-ops')));
  const plain = await run(CIM_OPS, ['status'], { env: { ...ENV, XDG_STATE_HOME: '', HOME: home } });
  assert.equal(plain.code, 3);
  assert.ok(plain.stderr.includes(join(home, '.local/state/cim-ops')));
});

test('--detach with a part that cannot live: its last lines, exit 3, nothing left', async (t) => {
  const dir = await tempDir(t, 'up');
  await writeFile(join(dir, 'alertmanager.yml'), 'route: {receiver: nobody}\n');
  const up = await run(CIM_OPS, ['up', '--dir', dir, ...ANY_PORTS, '--detach'], { env: ENV });
  assert.equal(up.code, 3, up.stderr);
  assert.match(up.stderr, /alertmanager is failed: .*it printed last:\n.*nobody/s);
  assert.equal((await run(CIM_OPS, ['status', '--dir', dir], { env: ENV })).code, 3);
});

test('our own server gets CIM-EVENTS and CIM-OPS, without subjects that other streams hold', async (t) => {
  const up = await startUp(t);
  const manager = await jetstreamManager(await connectNats(t, part(await up.stack(), 'nats').url));
  const events = (await manager.streams.info('CIM-EVENTS')).config;
  for (const subject of ['cim.>', 'events.>', 'agent.events.>', 'git.ack.>']) {
    assert.ok(events.subjects.includes(subject), subject);
  }
  assert.equal(events.storage, 'file');
  // The observing agent adds JetStream's advisories, but the audit of each request.
  await until(async () => {
    const { subjects } = (await manager.streams.info('CIM-OPS')).config;
    return subjects[0] === 'ops.>' && subjects.includes('$JS.EVENT.ADVISORY.CONSUMER.>')
      && !subjects.some((subject) => subject === '$JS.EVENT.ADVISORY.>' || subject === '$JS.EVENT.ADVISORY.API.>');
  }, { what: 'CIM-OPS takes events of our own and advisories' });

  await manager.streams.delete('CIM-EVENTS');
  await manager.streams.add({ name: 'MINE', subjects: ['events.workflow.>'] });
  await up.child.stop({ deadline: 5_000 });
  const again = await startUp(t, { dir: up.dir });
  assert.match(part(await again.stack(), 'streams').note, /CIM-EVENTS created \(without 1 of \d+ subjects/);
  const second = await jetstreamManager(await connectNats(t, part(await again.stack(), 'nats').url));
  const { subjects } = (await second.streams.info('CIM-EVENTS')).config;
  assert.ok(subjects.includes('cim.>') && !subjects.includes('events.>'));
  await again.child.stop({ deadline: 5_000 });
});

test('a foreign server: only CIM-OPS is created, no demo, and its password is nowhere to be seen', async (t) => {
  const nats = await startNats(t, { config: 'authorization { user: "ops", password: "s3cr3t-word" }' });
  const url = `nats://ops:s3cr3t-word@127.0.0.1:${nats.port}`;
  const up = await startUp(t, { args: ['--demo'], env: { NATS_URL: url } });
  const stack = await up.stack();
  assert.deepEqual(stack.parts.map((p) => p.name),
    ['nats', 'streams', 'monitor', 'observe', 'prometheus', 'alertmanager', 'web']);
  assert.equal(part(stack, 'nats').pid, undefined);
  assert.equal(part(stack, 'nats').url, `nats://127.0.0.1:${nats.port}`);
  assert.match(part(stack, 'streams').note, /^CIM-OPS created, nothing else$/);
  assert.match(up.child.stderr,
    /is not our server: nothing is created there but the stream CIM-OPS, and --demo is left out/);
  const manager = await jetstreamManager(await connectNats(t, `nats://127.0.0.1:${nats.port}`,
    { user: 'ops', pass: 's3cr3t-word' }));
  const names = [];
  for await (const name of manager.streams.names()) names.push(name);
  assert.deepEqual(names, ['CIM-OPS']);

  const { pid } = part(stack, 'monitor');
  assert.doesNotMatch(await readFile(`/proc/${pid}/cmdline`, 'utf8'), /s3cr3t/);
  for (const entry of await readdir(up.dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile()) assert.ok(!(await readFile(path)).includes('s3cr3t'), path);
  }
  assert.doesNotMatch(up.child.output, /s3cr3t/);
  await up.child.stop({ deadline: 5_000 });
});

test('a foreign server that captures ops.> already gets nothing; one that is not there: exit 3', async (t) => {
  const nats = await startNats(t);
  const manager = await jetstreamManager(await connectNats(t, nats.url));
  await manager.streams.add({ name: 'ALL', subjects: ['ops.>'] });
  const up = await startUp(t, { args: ['--nats', nats.url] });
  assert.match(part(await up.stack(), 'streams').note, /CIM-OPS not needed: ALL captures ops\.>/);
  await up.child.stop({ deadline: 5_000 });

  const nobody = `nats://127.0.0.1:${await freePort()}`;
  const refused = await run(CIM_OPS, ['up', '--dir', up.dir, ...ANY_PORTS, '--nats', nobody], { env: ENV });
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /^cim-ops up: [^\n]+\n$/);
  assert.ok(refused.stderr.includes(nobody.replace('nats://', '')));
});

/** Runs `up` on a terminal of its own (util-linux script) and returns what that terminal was sent. */
async function startOnTerminal(t, env = {}) {
  const dir = await tempDir(t, 'up');
  await mkdir(dir, { recursive: true });
  const command = `stty cols 80 rows 24; exec ${CIM_OPS} up --demo --dir ${dir} ${ANY_PORTS.join(' ')}`;
  const child = start(t, 'script', ['-qfec', command, '/dev/null'],
    { name: 'up on a terminal', env: { ...ENV, TERM: 'xterm', NO_COLOR: '', ...env } });
  await until(async () => ready(await record(dir)), { deadline: 30_000, alive: child });
  return { dir, child };
}

test('on a terminal: a live table of 80 columns with events per second, in colour unless told not to', async (t) => {
  const { dir, child } = await startOnTerminal(t);
  await child.printed(/events per second: [1-9]\d*\.\d, \d+ in all/, { deadline: 20_000 });
  const { pid, parts } = await record(dir);
  process.kill(pid, 'SIGINT');
  await child.wait({ deadline: 6_000 });
  await assertGone(parts.map((p) => p.pid).filter(Boolean), 0);
  assert.match(child.stdout, /\x1b\[32mrunning\x1b\[0m/);
  const lines = child.stdout.replace(/\x1b\[[\d;?]*[A-Za-z]/g, '').split(/\r*\n/);
  assert.ok(lines.some((line) => /^PART +STATE +URL +RESTARTS +SINCE$/.test(line)));
  assert.ok(lines.some((line) => /^monitor +running +http:\/\/127\.0\.0\.1:\d+ +0 +\d\d:\d\d:\d\d$/.test(line)));
  for (const line of lines) assert.ok(line.replace(/^\r+/, '').length <= 80, line);
});

test('on a terminal with NO_COLOR there is no colour', async (t) => {
  const { dir, child } = await startOnTerminal(t, { NO_COLOR: '1' });
  process.kill((await record(dir)).pid, 'SIGTERM');
  await child.wait({ deadline: 6_000 });
  assert.doesNotMatch(child.stdout, /\x1b\[\d*m/);
});
