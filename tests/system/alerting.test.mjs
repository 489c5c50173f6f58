// From a rule to a page: the real Alertmanager with the configuration we ship, a pager on loopback, and
// at the end the real Prometheus with the rules we ship.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { run, scopeOf, startAlertmanager, startPrometheus, until } from './lib/index.mjs';
import { PRIMARY, SECONDARY, pagerConfig, quickRules, startFakePager } from './fake_pager.mjs';

// No program of ours takes part, so there is nothing for a sanitizer to see.
const options = { skip: process.env.CIM_OPS_SANITIZED && 'runs no code of ours' };
const RUNBOOKS = 'https://github.com/thecowboyai/cim-ops/blob/main/doc/operations/runbooks';

/** An alert as Prometheus posts it. */
function alert(alertname, labels, { ends } = {}) {
  return {
    labels: { alertname, ...labels },
    annotations: { summary: `${alertname} of ${labels.stream ?? labels.host ?? 'x'}`,
      description: `All about ${alertname}.`, runbook_url: `${RUNBOOKS}/${alertname}.md` },
    ...(ends ? { endsAt: ends.toISOString() } : { startsAt: new Date().toISOString() }),
  };
}

async function startPaging(t, { refuse, ...config } = {}) {
  const pager = await startFakePager(t, { refuse });
  const configFile = await pagerConfig(t, pager, config);
  const check = await run('amtool', ['check-config', configFile]);
  assert.equal(check.code, 0, check.stdout + check.stderr);
  return { pager, alertmanager: await startAlertmanager(t, { configFile }) };
}

const lag = (stream, severity) => alert(
  severity === 'critical' ? 'EventProcessingLagCritical' : 'EventProcessingLagHigh',
  { severity, concern: 'processing-lag', instance: 'm', domain: 'git', stream });

test('alerting', options, async (t) => {
  await t.test('each severity reaches its receiver, and all are recorded', async (t) => {
    const { pager, alertmanager } = await startPaging(t);
    await alertmanager.post([
      alert('NatsUnreachable', { severity: 'critical', concern: 'nats', instance: 'm' }),
      alert('HostCpuHigh', { severity: 'warning', concern: 'host-cpu', host: 'h1' }),
      alert('StreamRecreated', { severity: 'info', concern: 'stream-recreated', stream: 'S' }),
      alert('SomebodysOwn', { severity: 'page-me' }),
    ]);
    const critical = await pager.paged(PRIMARY);
    assert.equal(critical.event_action, 'trigger');
    assert.equal(critical.payload.severity, 'critical');
    assert.equal(critical.payload.class, 'NatsUnreachable');
    assert.equal(critical.payload.component, 'nats');
    assert.equal(critical.payload.summary, 'NatsUnreachable of x');
    assert.equal(critical.payload.custom_details.description, 'All about NatsUnreachable.');
    assert.deepEqual(critical.links, [{ href: `${RUNBOOKS}/NatsUnreachable.md`, text: 'Runbook' }]);
    const warning = await pager.paged(SECONDARY, ({ payload }) => payload.class === 'HostCpuHigh');
    assert.equal(warning.payload.severity, 'warning');
    await pager.paged(SECONDARY, ({ payload }) => payload.class === 'SomebodysOwn');
    const info = await pager.told();
    assert.equal(info.title, 'StreamRecreated of S');
    assert.equal(info.title_link, `${RUNBOOKS}/StreamRecreated.md`);
    for (const name of ['NatsUnreachable', 'HostCpuHigh', 'StreamRecreated', 'SomebodysOwn']) {
      await pager.recordedAlert((status, { alertname }) => status === 'firing' && alertname === name);
    }
    assert.equal(pager.pagesFor(PRIMARY).length, 1);
    assert.equal(pager.pagesFor(SECONDARY).length, 2);
    assert.equal(pager.messages.length, 1);
    assert.deepEqual(pager.faults, []);
  });

  await t.test('one page for one kind of trouble, one per host', async (t) => {
    const { pager, alertmanager } = await startPaging(t);
    await alertmanager.post([...['A', 'B', 'C'].map((stream) => lag(stream, 'critical')),
      ...['h1', 'h2'].map((host) =>
        alert('GpuLost', { severity: 'critical', concern: 'gpu-lost', host }))]);
    const page = await pager.paged(PRIMARY, ({ payload }) => /Lag/.test(payload.class));
    assert.match(page.payload.summary, / \(3 alerts\)$/);
    assert.equal(page.payload.custom_details.num_firing, '3');
    for (const stream of ['A', 'B', 'C']) {
      assert.match(page.payload.custom_details.firing, new RegExp(`of ${stream} `));
      await pager.recordedAlert((status, labels) => labels.stream === stream);
    }
    for (const host of ['h1', 'h2']) {
      await pager.paged(PRIMARY, ({ payload }) => payload.summary === `GpuLost of ${host}`);
    }
    assert.equal(new Set(pager.pages.map(({ dedup_key: key }) => key)).size, 3);
    assert.deepEqual(pager.faults, []);
  });

  await t.test('a critical alert mutes its own warning and no other', async (t) => {
    const { pager, alertmanager } = await startPaging(t);
    await alertmanager.post([lag('A', 'critical')]);
    await pager.paged(PRIMARY);
    await alertmanager.post([lag('A', 'warning'), lag('B', 'warning'),
      alert('DomainStalled', { severity: 'warning', concern: 'domain-silent', domain: 'git' })]);
    const page = await pager.paged(SECONDARY);
    assert.equal(page.payload.summary, 'EventProcessingLagHigh of B');
    assert.equal(page.payload.custom_details.num_firing, '1');
    const states = Object.fromEntries((await alertmanager.alerts())
      .map(({ labels, status }) => [`${labels.alertname} ${labels.stream ?? ''}`, status.state]));
    assert.deepEqual(states, { 'EventProcessingLagCritical A': 'active',
      'EventProcessingLagHigh A': 'suppressed', 'EventProcessingLagHigh B': 'active',
      'DomainStalled ': 'suppressed' });
    // It was muted, not forgotten: it speaks when the critical one is over.
    await alertmanager.post([{ ...lag('A', 'critical'), endsAt: new Date().toISOString() }]);
    await pager.paged(SECONDARY, ({ payload }) => payload?.custom_details.num_firing === '2');
    assert.deepEqual(pager.faults, []);
  });

  await t.test('what is over is resolved everywhere', async (t) => {
    const { pager, alertmanager } = await startPaging(t);
    const both = (ends) => [
      alert('NatsUnreachable', { severity: 'critical', concern: 'nats', instance: 'm' }, { ends }),
      alert('StreamRecreated', { severity: 'info', concern: 'stream-recreated', stream: 'S' }, { ends })];
    await alertmanager.post(both());
    const trigger = await pager.paged(PRIMARY);
    await pager.told();
    const fired = await pager.recordedAlert((status) => status === 'firing');
    await alertmanager.post(both(new Date()));
    const resolve = await pager.paged(PRIMARY, ({ event_action: action }) => action === 'resolve');
    assert.equal(resolve.dedup_key, trigger.dedup_key);
    await pager.told(({ title, color }) => title === 'Over: StreamRecreated of S' && color === 'good');
    const over = await pager.recordedAlert((status, { alertname }) =>
      status === 'resolved' && alertname === fired.labels.alertname);
    // What makes the two events of one occurrence one: see events.md.
    assert.equal(over.fingerprint, fired.fingerprint);
    assert.equal(over.startsAt, fired.startsAt);
    assert.ok(Date.parse(over.endsAt) > Date.parse(over.startsAt));
    assert.deepEqual(pager.faults, []);
  });

  await t.test('a pager that fails gets the page when it is back', async (t) => {
    let down = true;
    const { pager, alertmanager } = await startPaging(t, {
      refuse: (kind) => (down && kind === 'pagerduty' ? 500 : undefined) });
    await alertmanager.post([alert('GpuLost', { severity: 'critical', concern: 'gpu-lost', host: 'h1' })]);
    await until(() => pager.refused.length >= 2, { what: 'two tries' });
    down = false;
    await pager.paged(PRIMARY);
    assert.deepEqual(pager.faults, []);
  });

  // alertmanager-local.yml with its own times: the event is stored although the alert ended in between.
  await t.test('without pagers, nothing is lost while the monitor is away', async (t) => {
    let down = true;
    const { pager, alertmanager } = await startPaging(t, { file: 'alertmanager-local.yml',
      groupInterval: '5m', refuse: () => (down ? 503 : undefined) });
    const labels = { severity: 'critical', concern: 'nats', instance: 'm' };
    await alertmanager.post([alert('NatsUnreachable', labels),
      alert('HostCpuHigh', { severity: 'warning' })]);
    await until(() => pager.refused.length >= 4, { what: 'two tries for each' });
    await alertmanager.post([alert('NatsUnreachable', labels, { ends: new Date() })]);
    await until(async () => (await alertmanager.alerts()).length === 1, { what: 'the alert is over' });
    down = false;
    await pager.recordedAlert((status, { alertname }) => alertname === 'NatsUnreachable');
    await pager.recordedAlert((status, { alertname }) => alertname === 'HostCpuHigh');
    assert.equal(pager.recorded.length, 2);
    assert.deepEqual(pager.faults, []);
  });

  await t.test('from a metric through Prometheus and Alertmanager to the page, and back', async (t) => {
    const { pager, alertmanager } = await startPaging(t);
    const target = await startTarget(t);
    target.show({ lag: 0.002, pending: 0, recreated: 0 });
    const prometheus = await startPrometheus(t, { targets: { 'cim-monitor': [target.address] },
      rules: [await quickRules(t)], alertmanager: alertmanager.address });
    await until(async () => (await prometheus.query('count_over_time(cim_monitor_nats_connected[1m])'))[0]
      ?.value >= 3, { deadline: 20_000, what: 'three scrapes' });
    assert.deepEqual(await prometheus.alerts(), []);
    await until(async () => (await prometheus.rules()).flatMap(({ rules }) => rules)
      .every(({ health }) => health === 'ok'), { what: 'every rule that we ship has been evaluated' });

    target.show({ lag: 90, pending: 4000, recreated: 1 });
    const page = await pager.paged(PRIMARY);
    assert.equal(page.payload.summary, 'Events of git in CIM-EVENTS are seen 1m 30s late');
    assert.equal(page.links[0].href, `${RUNBOOKS}/EventProcessingLagCritical.md`);
    const message = await pager.told();
    assert.equal(message.title, 'The stream CIM-EVENTS was deleted and created anew');
    const firing = (await prometheus.alerts()).filter(({ state }) => state === 'firing')
      .map(({ labels }) => labels.alertname).sort();
    assert.deepEqual(firing, ['EventProcessingLagCritical', 'EventProcessingLagHigh', 'StreamRecreated']);
    assert.deepEqual(pager.pagesFor(SECONDARY), [], 'the warning is muted by its critical one');

    target.show({ lag: 0.002, pending: 0, recreated: 1 });
    const resolve = await pager.paged(PRIMARY, ({ event_action: action }) => action === 'resolve');
    assert.equal(resolve.dedup_key, page.dedup_key);
    assert.deepEqual(pager.faults, []);
  });
});

/** The monitor, as far as Prometheus can tell. */
async function startTarget(t) {
  let text = '';
  let sequence = 10; // it reads on from scrape to scrape
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
    response.end(`${text}cim_monitor_stream_sequence{stream="CIM-EVENTS"} ${sequence++}\n`);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  scopeOf(t).after(() => new Promise((resolve) => {
    server.closeAllConnections?.();
    server.close(resolve);
  }));
  return {
    address: `127.0.0.1:${server.address().port}`,
    show: ({ lag: seconds, pending, recreated }) => {
      text = [`cim_monitor_nats_connected 1`, `cim_monitor_caught_up 1`,
        `cim_event_processing_lag_seconds{domain="git",stream="CIM-EVENTS"} ${seconds}`,
        `cim_monitor_stream_pending_messages{stream="CIM-EVENTS"} ${pending}`,
        `cim_monitor_stream_recreated_total{stream="CIM-EVENTS"} ${recreated}`,
        `cim_events_total{domain="git",event_type="CommitAnalyzed",aggregate_type="commit"} 10`,
        ''].join('\n');
    },
  };
}
