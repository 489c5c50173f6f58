// Rules that are wrong, rules that change, and alerts that come back as events.
import assert from 'node:assert/strict';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { RULES, cimOps, tempDir, until } from './lib/index.mjs';
import { counted, ownEvents, publish, withMonitor } from './monitor_tools.mjs';

const STREAM = { 'CIM-EVENTS': ['infrastructure.>', 'events.>'] };
const BY_TYPE = (name) => `metrics:
  - name: ${name}
    type: counter
    help: Provisioned things, by kind of aggregate.
    when: [$event_type == ServerProvisioned]
    labels: {kind: $aggregate_type}
`;

async function ownRules(t, files = {}) {
  const dir = join(await tempDir(t, 'rules'), 'rules');
  await cp(RULES, dir, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  return dir;
}

const value = (metrics) => metrics.sum('cim_events_total', { domain: 'infrastructure' });

/** All samples that a fold feeds, without what the monitor's own events add. */
function folded(metrics, names = /^cim_(events|duplicate|domain|aggregate|workflow)/) {
  return new Map([...metrics.samples].filter(([key]) =>
    names.test(key) && !/domain="(monitor|alert)"|CIM-OPS/.test(key)).sort());
}

/** Watches that a value never goes down between scrapes while `work` runs. */
async function steadily(monitor, value, work) {
  const state = { on: true, last: 0, scrapes: 0 };
  const watching = (async () => {
    while (state.on) {
      const now = value(await monitor.metrics());
      assert.ok(now === undefined || now >= state.last, `${now} after ${state.last}`);
      state.last = now ?? state.last;
      state.scrapes++;
    }
  })();
  try {
    await work();
  } finally {
    state.on = false;
    await watching;
  }
  assert.ok(state.scrapes > 0);
}

describe('rules', { concurrency: 3 }, () => {
  test('a wrong file ends the start with code 2, the place, the line, and what was expected', async (t) => {
    const cases = [
      [BY_TYPE('site_things_total').replace('type: counter', 'type: countr'), 3, /countr/],
      [BY_TYPE('site_things_total').replace('$event_type ==', '$event_typ =='), 5, /event_typ/],
      [BY_TYPE('site-things').replace('site-things', '"7 things"'), 2, /7 things/],
      ['metrics:\n  - name: [unclosed\n', 2, /./],
      [`${BY_TYPE('site_things_total')}    colour: red\n`, 7, /colour/],
    ];
    for (const [text, line, names] of cases) {
      const rules = await ownRules(t, { 'site.yaml': text });
      const { code, stderr } = await cimOps(['monitor', '--nats', 'nats://127.0.0.1:1', '--rules', rules,
        '--state', await tempDir(t), '--metrics-port', '0']);
      assert.equal(code, 2, stderr);
      const place = stderr.match(/site\.yaml:(\d+):(\d+)/);
      assert.ok(place, stderr);
      assert.ok(Math.abs(Number(place[1]) - line) <= 1, `line ${line}: ${stderr}`);
      assert.match(stderr, names);
      const shown = text.split('\n')[Number(place[1]) - 1].trim();
      assert.ok(stderr.includes(shown), `the line itself, '${shown}', in: ${stderr}`);
    }
  });

  test('SIGHUP with a wrong file keeps the old rules and stores why', async (t) => {
    const rules = await ownRules(t);
    const { js, monitor, connection } = await withMonitor(t, STREAM, { rules });
    await publish(js, 20);
    const before = await monitor.until((m) => counted(m) === 20);
    await writeFile(join(rules, 'site.yaml'), BY_TYPE('site_things_total').replace('counter', 'countr'));
    monitor.child.signal('SIGHUP');
    const [rejected] = await until(async () => {
      const found = await ownEvents(connection, 'RulesRejected');
      return found.length && found;
    });
    assert.match(rejected.data.reason, /site\.yaml:3:\d+/);
    assert.match(rejected.data.reason, /countr/);
    assert.deepEqual(folded(await monitor.metrics()), folded(before));
    await publish(js, 5);
    await monitor.until((m) => counted(m) === 25);
    assert.equal((await monitor.get('/readyz')).status, 200);
    assert.equal(monitor.child.stderr, '');
  });

  for (const how of ['SIGHUP', 'restart', 'SIGHUP amid traffic']) {
    test(`a new metric has its whole history, the others stay as they are: ${how}`, async (t) => {
      const rules = await ownRules(t);
      const { js, manager, monitor, connection } = await withMonitor(t, STREAM, { rules });
      await publish(js, 3000);
      await publish(js, 100, 'rack', 'RackFailed');
      await Promise.all(Array.from({ length: 10 }, () => js.publish('infrastructure.rack.failed',
        '{"event_type":"RackFailed","event_id":"the same","aggregate_id":"r"}')));
      const before = await monitor.until((m) => value(m) === 3110);
      const [, unchanged] = [await manager.streams.info('CIM-EVENTS'), folded(before)];
      await writeFile(join(rules, 'site.yaml'), BY_TYPE('site_things_total'));
      let late = 0;
      if (how === 'restart') {
        await monitor.child.stop();
        await monitor.start();
      } else {
        let traffic = true;
        const publishing = (async () => {
          while (how.endsWith('traffic') && traffic) {
            await publish(js, 50, 'late', 'LateArrived');
            late += 50;
          }
        })();
        await steadily(monitor, value, async () => {
          monitor.child.signal('SIGHUP');
          await monitor.until((m) => m.get('site_things_total', { kind: 'server' }) === 3000, { every: 5 });
          traffic = false;
          await publishing;
        });
        await until(async () => (await ownEvents(connection, 'RulesReloaded')).length === 1);
      }
      const after = await monitor.until((m) => counted(m, 'late') === late && m.has('site_things_total'));
      assert.equal(after.sum('site_things_total'), 3000);
      for (const [key, before] of unchanged) {
        if (!/aggregate_count/.test(key)) assert.equal(after.samples.get(key), before, key);
      }
      assert.equal(after.sum('cim_duplicate_events_total', { domain: 'infrastructure' }), 9);
      assert.equal(after.get('cim_monitor_missed_events_total', { stream: 'CIM-EVENTS' }) ?? 0, 0);

      // And it stays so: killed, restarted; then the metric is taken away again.
      await monitor.restart();
      assert.equal((await monitor.metrics()).sum('site_things_total'), 3000);
      assert.equal(value(await monitor.metrics()), 3110 + late);
      await rm(join(rules, 'site.yaml'));
      await publish(js, 1, 'last', 'LastSeen');
      await monitor.restart();
      const last = await monitor.until((m) => counted(m, 'last') === 1);
      assert.equal(last.has('site_things_total'), false);
      assert.equal(value(last), 3111 + late);
    });
  }

  test('a changed rule is folded anew, an interrupted change is taken up again', async (t) => {
    const rules = await ownRules(t, { 'site.yaml': BY_TYPE('site_things_total') });
    const { js, monitor } = await withMonitor(t, STREAM, { rules });
    await publish(js, 20_000);
    await publish(js, 500, 'rack', 'RackFailed');
    await monitor.until((m) => value(m) === 20_500 && m.sum('site_things_total') === 20_000,
      { deadline: 20_000 });
    await writeFile(join(rules, 'site.yaml'), BY_TYPE('site_things_total').replace('ServerProvisioned', 'RackFailed'));
    for (let round = 0; round < 5; round++) { // killed while it reads from the start again
      monitor.child.signal('SIGHUP');
      await until(async () => (await monitor.metrics()).get('cim_monitor_caught_up') === 0 || round > 0,
        { every: 1, deadline: 3000 }).catch(() => {});
      await monitor.kill();
      await monitor.start({ caughtUp: round === 4 });
    }
    const metrics = await monitor.until((m) => value(m) === 20_500);
    assert.deepEqual(metrics.series('site_things_total'), [{ labels: { kind: 'rack' }, value: 500 }]);
    assert.equal(metrics.sum('cim_events_failed_total', { domain: 'infrastructure' }), 500);
  });
});

describe('alerts', { concurrency: 2 }, () => {
  const notification = (...alerts) => JSON.stringify({ version: '4', groupKey: '{}:{}', status: 'firing',
    receiver: 'events', groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: '', alerts });
  const alert = (more) => ({ status: 'firing', labels: { alertname: 'LagHigh', severity: 'warning' },
    annotations: { summary: 'behind' }, startsAt: '2026-07-11T12:00:00.5Z', endsAt: '0001-01-01T00:00:00Z',
    fingerprint: 'f00d', ...more });
  const post = async (monitor, body) => {
    const response = await fetch(`${monitor.url}/alerts`, { method: 'POST', body,
      headers: { 'content-type': 'application/json' } });
    return { status: response.status, text: await response.text() };
  };

  test('a notification is stored as events, a repeated one once', async (t) => {
    const { manager, monitor } = await withMonitor(t, {});
    for (let i = 0; i < 3; i++) assert.equal((await post(monitor, notification(alert()))).status, 200);
    const resolved = alert({ status: 'resolved', endsAt: '2026-07-11T12:05:00Z' });
    for (let i = 0; i < 2; i++) assert.equal((await post(monitor, notification(alert(), resolved))).status, 200);
    const { state } = await manager.streams.info('CIM-OPS', { subjects_filter: 'ops.alert.>' });
    assert.deepEqual(state.subjects,
      { 'ops.alert.LagHigh.f00d.AlertFired': 1, 'ops.alert.LagHigh.f00d.AlertResolved': 1 });
    const stored = await manager.streams.getMessage('CIM-OPS', { last_by_subj: 'ops.alert.LagHigh.f00d.AlertFired' });
    const { data, event_type } = stored.json();
    assert.equal(event_type, 'AlertFired');
    assert.equal(data.severity, 'warning');
    assert.equal(data.annotations.summary, 'behind');
    assert.equal(data.starts_at, '2026-07-11T12:00:00.5Z');
    await monitor.until((m) => m.sum('cim_events_total', { domain: 'alert', event_type: 'AlertFired' }) === 1);
  });

  test('what is no notification is refused, whatever it is', async (t) => {
    const { manager, monitor } = await withMonitor(t, {});
    for (const body of ['', '{', '[]', '{"alerts":7}', '"text"', '\u0000'])
      assert.equal((await post(monitor, body)).status, 400, body);
    assert.equal((await post(monitor, `{"alerts":"${'x'.repeat(5 << 20)}"}`)).status, 413);
    for (const body of ['{"alerts":[]}', '{"alerts":[7]}', '{"alerts":[{"labels":7}]}',
      '{"alerts":[{"labels":{"alertname":"a b.c>*"},"fingerprint":"..","startsAt":"soon"}]}'])
      assert.ok([200, 400].includes((await post(monitor, body)).status), body);
    assert.equal((await monitor.get('/healthz')).status, 200);
    const { state } = await manager.streams.info('CIM-OPS', { subjects_filter: 'ops.alert.>' });
    for (const subject of Object.keys(state.subjects ?? {})) assert.equal(subject.split('.').length, 5, subject);
  });

  test('503 while NATS is away, so that Alertmanager tells again', async (t) => {
    const { nats, monitor, manager } = await withMonitor(t, {});
    await nats.kill();
    await monitor.until((m) => m.get('cim_monitor_nats_connected') === 0);
    const away = await post(monitor, notification(alert()));
    assert.equal(away.status, 503);
    assert.match(away.text, /not stored, try again/);
    await nats.start();
    await until(async () => (await post(monitor, notification(alert()))).status === 200, { every: 100 });
    const { state } = await until(() => manager.streams.info('CIM-OPS', { subjects_filter: 'ops.alert.>' }));
    assert.equal(state.subjects['ops.alert.LagHigh.f00d.AlertFired'], 1);
  });
});
