// The whole flow with real parts: a simulated fault becomes events, metrics, an alert, a page, and an
// event about the alert.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';

import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

import { startAlertmanager, startCimOps, startMonitor, startNats, startPrometheus, until }
  from './lib/index.mjs';
import { pagerConfig, PRIMARY, quickRules, SECONDARY, startFakePager } from './fake_pager.mjs';

const SUBJECTS = ['cim.>', 'events.>', 'infrastructure.>', 'agent.events.>', 'agent.model_config.events.>',
  'person.events.>', 'organization.events.>', 'git.event.>', 'git.ack.>', 'network.*.*'];

/** What the monitor's webhook stored, by type: the third-party client reads it. */
async function storedAlerts(manager) {
  const { state } = await manager.streams.info('CIM-OPS', { subjects_filter: 'ops.alert.>' });
  return Object.keys(state.subjects ?? {});
}

test('a simulated fault reaches the on-call pager and the event stream', { timeout: 180_000 }, async (t) => {
  const nats = await startNats(t);
  const connection = await connect({ servers: nats.url });
  t.after(() => connection.close());
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: 'CIM-EVENTS', subjects: SUBJECTS });
  await manager.streams.add({ name: 'CIM-OPS', subjects: ['ops.>'] });

  const monitor = await startMonitor(t, { nats: nats.url, args: ['--first-zero', '1s'] });
  const pager = await startFakePager(t);
  const configFile = await pagerConfig(t, pager);
  // The recording receiver is the real one here: the monitor.
  await writeFile(configFile, (await readFile(configFile, 'utf8'))
    .replaceAll(`${pager.url}/alerts`, `${monitor.url}/alerts`));
  const alertmanager = await startAlertmanager(t, { configFile });
  const prometheus = await startPrometheus(t, { targets: { 'cim-monitor': [monitor.address] },
    rules: [await quickRules(t)], alertmanager: alertmanager.address });

  startCimOps(t, ['simulate', '--nats', nats.url, '--rate', '100', '--seed', '7', '--forever',
    '--fault', 'errors']);
  const failing = ({ payload }) => payload?.class === 'EventFailureShareHigh';
  const page = await until(() => [...pager.pagesFor(PRIMARY), ...pager.pagesFor(SECONDARY)].find(failing),
    { deadline: 120_000, every: 250, what: () =>
      `a page about failures; seen: ${JSON.stringify(pager.pages.map((x) => x.payload?.summary))}` });
  assert.equal(page.event_action, 'trigger');
  assert.match(page.links[0].href, /EventFailureShareHigh\.md$/);

  const subjects = await until(async () => {
    const found = await storedAlerts(manager);
    return found.some((x) => /^ops\.alert\.EventFailureShareHigh\..+\.AlertFired$/.test(x)) && found;
  }, { deadline: 30_000, what: 'the alert is stored as an event' });
  assert.ok(subjects.length >= 1);
  await monitor.until((m) => m.sum('cim_events_total', { domain: 'alert', event_type: 'AlertFired' }) > 0);
  assert.deepEqual((await prometheus.targets()).map((x) => x.health), ['up']);
  assert.deepEqual(pager.faults, []);
});
