// A million events, the monitor killed twenty times and the server twice: every counter equals the stream.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { jetstreamManager } from '@nats-io/jetstream';

import { Metrics, Monitor, connectNats, freePort, startCimOps, startNats, tempDir, until }
  from './lib/index.mjs';
import { Recount, readEach } from './recount.mjs';
import { SUBJECTS } from './monitor_tools.mjs';

const EVENTS = Number(process.env.CIM_EXACT_EVENTS ?? 1_000_000);
const RATE = 25_000;
const MONITOR_KILLS = 20;
const SERVER_KILLS = 2;
const SEED = Number(process.env.CIM_EXACT_SEED ?? Date.now() % 1_000_000);

/** The simulator's own names only; what CIM-OPS itself adds to the shared families is left out. */
function simulated(samples, names) {
  return new Map([...samples].filter(([key]) =>
    names.has(key.split('{')[0]) && !/"monitor"|stream="CIM-OPS"/.test(key)).sort());
}

/** All three say the same of each series; where not, the message shows which one stands alone. */
function assertAgree(told) {
  const wrong = [];
  const all = new Set(told.flatMap(([, samples]) => [...samples.keys()]));
  for (const key of all) {
    const says = told.map(([who, samples]) => [who, samples.get(key)]);
    if (says.some(([, value]) => value !== says[0][1])) {
      wrong.push(`${key}: ${says.map(([who, value]) => `${who} ${value}`).join(', ')}`);
    }
  }
  assert.deepEqual(wrong, [], `${wrong.length} of ${all.size} series differ; seed ${SEED}`);
}

test(`${EVENTS} events, ${MONITOR_KILLS} kills of the monitor and ${SERVER_KILLS} of the server`,
  { timeout: 600_000 }, async (t) => {
    const nats = await startNats(t);
    const connection = await connectNats(t, nats.url);
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'CIM-EVENTS', subjects: SUBJECTS });
    await manager.streams.add({ name: 'CIM-OPS', subjects: ['ops.>'] });
    const file = join(await tempDir(t, 'expect'), 'expected.prom');
    const monitor = new Monitor(t, { nats: nats.url, dir: await tempDir(t, 'state'), port: await freePort(),
      args: ['--first-zero', '0s', '--snapshot-interval', '500ms'] });
    monitor.launch();
    const load = startCimOps(t, ['simulate', '--nats', nats.url, '--rate', String(RATE), '--count',
      String(EVENTS), '--seed', String(SEED), '--expect', file]);

    const stored = async () => {
      const { account_details: [account] } = await nats.monitorz('jsz', 'streams=true');
      return account.stream_detail.find((x) => x.name === 'CIM-EVENTS').state.messages;
    };
    let serverKills = 0;
    for (let kills = 1; kills <= MONITOR_KILLS; kills++) {
      const mark = EVENTS * 0.95 * kills / MONITOR_KILLS;
      await until(async () => await stored() >= mark, { deadline: 200_000, every: 50, alive: load });
      await pause(Math.random() * 300); // where in its work it is hit is up to chance
      if (kills === 7 || kills === 14) {
        await nats.restart();
        serverKills++;
      }
      await monitor.kill();
      monitor.launch();
    }
    assert.equal(serverKills, SERVER_KILLS);

    const { code } = await load.wait({ deadline: 300_000 });
    assert.equal(code, 0, load.stderr);
    assert.equal(await stored(), EVENTS);
    await monitor.caughtUp({ deadline: 120_000 });
    const metrics = await monitor.until((m) =>
      m.get('cim_monitor_stream_sequence', { stream: 'CIM-EVENTS' }) === EVENTS, { deadline: 60_000 });

    const expected = new Metrics(await readFile(file, 'utf8'));
    const names = new Set(expected.names());
    const recount = new Recount({ stream: 'CIM-EVENTS' });
    await readEach(connection, 'CIM-EVENTS', (message) => recount.add(message), { batch: 20_000 });
    const told = [['monitor', metrics.samples], ['--expect', expected.samples], ['recount', recount.finish()]]
      .map(([who, samples]) => [who, simulated(samples, names)]);
    assertAgree(told);
    assert.equal(metrics.get('cim_monitor_missed_events_total', { stream: 'CIM-EVENTS' }) ?? 0, 0);
    t.diagnostic(`seed ${SEED}; ${load.stderr.trim()}`);
  });
