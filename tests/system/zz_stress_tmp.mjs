import { jetstreamManager } from '@nats-io/jetstream';
import { readFile } from 'node:fs/promises'; import { join } from 'node:path'; import { test } from 'node:test'; import assert from 'node:assert';
import { Metrics, connectNats, startCimOps, startNats, tempDir } from './lib/index.mjs';
import { readStream, recount } from './recount.mjs';
test('stress', async (t) => {
  const nats = await startNats(t, {}); const c = await connectNats(t, nats.url); const m = await jetstreamManager(c);
  await m.streams.add({ name: 'CIM-EVENTS', subjects: ['cim.>', 'events.>', 'infrastructure.>', 'agent.events.>','agent.model_config.events.>', 'person.events.>', 'organization.events.>', 'git.event.>','git.ack.>', 'network.*.*'] });
  const file = join(await tempDir(t, 'e'), 'e.prom');
  const child = startCimOps(t, ['simulate', '--nats', nats.url, '--rate', 'max', '--seed', '77', '--count', '600000', '--expect', file]);
  let kills = 0;
  while (child.running) { await new Promise(r => setTimeout(r, 300 + Math.random() * 900)); if (!child.running) break; if (kills < 7) { await nats.restart(); kills++; } }
  const { code } = await child.ended(); console.log(kills, code, child.stderr);
  const msgs = await readStream(c, 'CIM-EVENTS'); console.log(msgs.length);
  const want = new Map([...new Metrics(await readFile(file, 'utf8')).samples].sort()), got = new Map([...recount(msgs, { stream: 'CIM-EVENTS' })].sort());
  for (const [k, v] of want) if (got.get(k) !== v) console.log('DIFF', k, v, got.get(k));
  assert.deepEqual(want, got); assert.equal(msgs.length, 600000);
});
