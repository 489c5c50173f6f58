// Replays that are killed at random points, over a stream with repeated and deleted messages: the target is
// exact each time, by an account of its own that knows nothing of our code.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { jetstreamManager } from '@nats-io/jetstream';

import { cimOps, connectNats, startCimOps, startNats, until } from './lib/index.mjs';
import { SUBJECTS } from './monitor_tools.mjs';
import { readEach, viewOf } from './recount.mjs';

const SANITIZED = Boolean(process.env.CIM_OPS_SANITIZED);
const EVENTS = Number(process.env.CIM_REPLAY_EVENTS ?? (SANITIZED ? 20_000 : 200_000));
const KILLS = Number(process.env.CIM_REPLAY_KILLS ?? (SANITIZED ? 8 : 50));
const ROUND_KILLS = 10;
const WORKERS = 4;
const SEED = Number(process.env.CIM_REPLAY_SEED ?? Date.now() % 1_000_000);

/** Mulberry32: the same kills for the same seed. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const hash = (subject, data) => createHash('sha1').update(subject).update('\0').update(data).digest('base64');

/** Sequence to hash of all that the stream holds, in its order. */
async function account(connection, stream) {
  const all = new Map();
  await readEach(connection, stream, (message) => all.set(message.seq, hash(message.subject, message.data)));
  return all;
}

/** What the target holds of a replay, in its own order: sequences, hashes, and whose events they are. */
async function targetAccount(connection, stream, prefix, id) {
  const seqs = [],
    hashes = [],
    aggregates = [];
  await readEach(connection, stream, (message) => {
    const header = (name) => message.headers.get(name);
    assert.equal(header('cim-replay-id'), id);
    assert.equal(header('cim-replay-stream'), 'CIM-EVENTS');
    assert.ok(message.subject.startsWith(`${prefix}.`), message.subject);
    const subject = message.subject.slice(prefix.length + 1);
    seqs.push(Number(header('cim-replay-sequence')));
    hashes.push(hash(subject, message.data));
    const view = viewOf({ ...message, subject });
    aggregates.push(view?.id ? `${view.domain}.${view.id}` : subject);
  });
  return { seqs, hashes, aggregates };
}

test(`${EVENTS} events, ${WORKERS} workers, ${KILLS} kills`, { timeout: 900_000 }, async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const draw = random(SEED);
  const nats = await startNats(t);
  const connection = await connectNats(t, nats.url);
  const manager = await jetstreamManager(connection);
  // A short window lets repeated ids in: those must come over as often as they are there.
  await manager.streams.add({ name: 'CIM-EVENTS', subjects: SUBJECTS, duplicate_window: 100_000_000 });
  const made = await cimOps([
    'simulate',
    '--nats',
    nats.url,
    '--rate',
    'max',
    '--count',
    String(EVENTS),
    '--seed',
    String(SEED),
    '--share-duplicate',
    '0.02',
    '--live',
    '100',
  ]);
  assert.equal(made.code, 0, made.stderr);
  // Erased: what is only marked as deleted is back when nats-server 2.9 is killed soon after.
  for (let i = 0; i < EVENTS * 0.0015; i++) {
    await manager.streams.deleteMessage('CIM-EVENTS', 1 + Math.floor(draw() * EVENTS), true).catch(() => {});
  }
  const source = await account(connection, 'CIM-EVENTS');
  assert.ok(source.size > EVENTS * 0.99 && source.size < (await manager.streams.info('CIM-EVENTS')).state.last_seq);
  const replay = (...args) => ['replay', '--nats', nats.url, ...args];

  let kills = 0;
  for (let round = 1; kills < KILLS; round++) {
    const target = `COPY-${round}`;
    let id,
      child = startCimOps(
        t,
        replay('--stream', 'CIM-EVENTS', '--target', `stream:${target}`, '--parallel', String(WORKERS)),
      );
    let mine = 0;
    for (; kills < KILLS && mine < ROUND_KILLS; kills++, mine++) {
      await pause(60 + draw() * (SANITIZED ? 4000 : 700)); // a random moment, not a wait
      if (child.exit) break;
      // The server dies with it now and then.
      if (mine % 7 === 5) await nats.restart();
      await child.kill();
      const { stdout } = await cimOps(replay('list', '--output', 'json'));
      id = stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
        .findLast((one) => one.target === `stream:${target}`)?.id;
      child = id
        ? startCimOps(t, replay('--resume', id))
        : startCimOps(
            t,
            replay('--stream', 'CIM-EVENTS', '--target', `stream:${target}`, '--parallel', String(WORKERS)),
          );
    }
    await until(() => child.exit, { deadline: 120_000, what: 'the replay ends' });
    const { code } = child.exit;
    // Killed between its last word and its end, it had nothing left to go on with.
    assert.ok(code === 0 || (code === 4 && / is done/.test(child.stderr)), `${code}: ${child.stderr}`);
    id ??= /^id (\S+)$/m.exec(child.stdout)[1];
    const { seqs, hashes, aggregates } = await targetAccount(connection, target, target, id);
    t.diagnostic(`round ${round}: ${mine} kills, ${seqs.length} events`);
    assert.equal(seqs.length, source.size, `${target}: as many as there are; seed ${SEED}`);
    assert.equal(new Set(seqs).size, source.size, `${target}: none twice; seed ${SEED}`);
    const last = new Map();
    seqs.forEach((seq, at) => {
      assert.equal(hashes[at], source.get(seq), `${target}: ${seq} has its own subject and bytes`);
      assert.ok(!(last.get(aggregates[at]) >= seq), `${target}: ${seq} behind ${last.get(aggregates[at])}`);
      last.set(aggregates[at], seq);
    });
    // What it says of itself counts nothing twice either.
    const { figures } = JSON.parse((await cimOps(replay('status', id, '--output', 'json'))).stdout);
    assert.equal(figures.replayed, source.size, `${target}: replayed; seed ${SEED}`);
    assert.equal(figures.read, source.size, `${target}: read; seed ${SEED}`);
    const verified = await cimOps(replay('verify', id));
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /^verified: /);
    await manager.streams.delete(target);
  }
  assert.equal(kills, KILLS);
});
