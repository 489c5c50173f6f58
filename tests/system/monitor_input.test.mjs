// Bad input is counted, located, and stops nothing.
import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { RULES, scopeOf, tempDir, until } from './lib/index.mjs';
import { counted, event, ownEvents, publish, withMonitor } from './monitor_tools.mjs';

const STREAM = { EVENTS: ['infrastructure.>', 'cim.>', 'events.>'] };
const BIG = { nats: { config: 'max_payload: 16MB' } };

const malformed = (metrics) => metrics.get('cim_events_malformed_total', { stream: 'EVENTS' }) ?? 0;
const suspects = (metrics) => Object.fromEntries(
  metrics.series('cim_monitor_suspect_events_total', { stream: 'EVENTS' })
    .map(({ labels, value }) => [labels.reason, value]));

/** Publishes bytes as they are, headers included, past any client that would mend them. */
async function publishRaw(t, port, lines) {
  const socket = connect(port, '127.0.0.1');
  scopeOf(t).after(() => socket.destroy());
  let heard = '';
  socket.on('data', (bytes) => {
    heard += bytes;
  });
  socket.on('error', (error) => {
    heard += error.message;
  });
  await until(() => heard.includes('INFO'));
  socket.write('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n');
  for (const { subject, header, payload } of lines) {
    socket.write(`HPUB ${subject} ${header.length} ${header.length + payload.length}\r\n${header}${payload}\r\n`);
  }
  socket.write('PING\r\n');
  await until(() => /PONG|-ERR/.test(heard), { what: () => `the server answers: ${heard}` });
  return heard;
}

/** The rules as shipped, and one that reads a number. */
async function rulesWithNumber(t) {
  const dir = join(await tempDir(t, 'rules'), 'rules');
  await cp(RULES, dir, { recursive: true });
  await writeFile(join(dir, 'site.yaml'), `metrics:
  - name: site_size
    type: gauge
    help: A number of the payload.
    value: $payload.size
`);
  return dir;
}

describe('bad input', { concurrency: 3 }, () => {
  test('what cannot be read is counted as malformed and located', async (t) => {
    const { js, connection, monitor, nats, manager } = await withMonitor(t, STREAM, BIG);
    const subject = 'infrastructure.server.provisioned';
    const deep = (depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const bad = [
      ['truncated JSON', '{"event_type":"ServerProvisioned","a":'],
      ['text after it', '{"a":1} x'],
      ['not JSON at all', 'hello'],
      ['nothing', ''],
      ['only blanks', '  \n'],
      ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
      ['a lone surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
      ['10,000 deep', deep(10_000)],
      ['a million deep, without end', '['.repeat(1_000_000)],
      ['a control character in text', '{"a":"\u0001"}'],
      ['8 MB that are not JSON', 'x'.repeat(8 << 20)],
      ['NaN', '{"a":NaN}'],
    ];
    for (const [, payload] of bad) await js.publish(subject, payload);
    const good = [
      ['8 MB', JSON.stringify({ event_type: 'ServerProvisioned', fill: 'x'.repeat(8 << 20) })],
      ['1000 deep', `{"event_type":"ServerProvisioned","a":${deep(1000)}}`],
      ['a number of many digits', `{"event_type":"ServerProvisioned","a":1${'0'.repeat(5000)}}`],
      ['keys twice', '{"event_type":"ServerProvisioned","event_type":"ServerProvisioned"}'],
    ];
    for (const [, payload] of good) await js.publish(subject, payload);
    const metrics = await monitor.until((m) =>
      m.get('cim_monitor_stream_sequence', { stream: 'EVENTS' }) === bad.length + good.length);
    assert.equal(malformed(metrics), bad.length);
    assert.equal(counted(metrics), good.length);
    assert.equal(suspects(metrics).payload_large, 1);

    const located = await until(async () => {
      const found = await ownEvents(connection, 'MalformedEvent');
      return found.length >= 10 && found;
    });
    assert.deepEqual(located.slice(0, 10).map((x) => x.data.sequence), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.ok(located.every((x) => x.data.stream === 'EVENTS' && x.data.reason));

    // Broken header blocks, as no client would send them.
    const payload = event().payload;
    const before = (await manager.streams.info('EVENTS')).state.messages;
    await publishRaw(t, nats.port, [
      { subject, header: 'NATS/1.0\r\nX-Event-Type: Server', payload },
      { subject, header: 'NATS/1.0\r\nno colon here\r\n\r\n', payload },
      { subject, header: 'HTTP/1.1 200 OK\r\n\r\n', payload },
      { subject, header: 'NATS/1.0\r\n\r\n', payload: event().payload },
    ]);
    const stored = (await manager.streams.info('EVENTS')).state.messages;
    assert.ok(stored > before, 'the server stores at least the sound one');
    const after = await monitor.until((m) =>
      m.get('cim_monitor_stream_sequence', { stream: 'EVENTS' }) === stored);
    assert.equal(malformed(after) + counted(after), stored, 'each is one or the other');
    assert.ok(malformed(after) > bad.length, 'a broken header block is malformed');
    t.diagnostic(`of 4 header blocks ${stored - before} were stored, ${malformed(after) - bad.length} malformed`);

    // The stream goes on, and a restart gives the same.
    await publish(js, 10);
    await monitor.until((m) => malformed(m) + counted(m) === stored + 10);
    await monitor.restart();
    const last = await monitor.metrics();
    assert.equal(malformed(last), malformed(after));
    assert.equal(counted(last), counted(after) + 10);
  });

  test('what can be read but is odd is counted as an event and as suspect', async (t) => {
    const { js, connection, monitor } = await withMonitor(t, STREAM, { rules: await rulesWithNumber(t) });
    const odd = (timestamp, more) => js.publish('events.person.1.thing',
      JSON.stringify({ event_type: 'ThingDone', timestamp, ...more }));
    await odd('1970-01-01T00:00:00Z');
    await odd('2100-01-01T00:00:00Z');
    await odd('2100-01-01T00:00:00Z');
    await odd(0);
    await odd('not a time');
    await odd(new Date().toISOString(), { size: 5 });
    await js.publish('events.person.1.thing', '{"event_type":"ThingDone","size":1e999}');
    await js.publish('events.person.1.thing', '{"event_type":"ThingDone","size":-1e999}');
    const metrics = await monitor.until((m) =>
      m.get('cim_monitor_stream_sequence', { stream: 'EVENTS' }) === 8);
    assert.equal(metrics.sum('cim_events_total', { domain: 'person' }), 8);
    assert.deepEqual(suspects(metrics), { timestamp_past: 2, timestamp_future: 2, number_out_of_range: 2,
      timestamp_unreadable: 1 });
    assert.equal(metrics.get('site_size'), 5);
    assert.equal(malformed(metrics), 0);
    const located = await until(async () => {
      const found = (await ownEvents(connection, 'SuspectEvent')).filter((x) => x.data.stream === 'EVENTS');
      return found.length === 7 && found;
    });
    assert.deepEqual(located.map((x) => x.data.sequence).sort(), [1, 2, 3, 4, 5, 7, 8]);
  });

  test('a flood of bad input is told at a bounded rate, with the number held back', async (t) => {
    const { js, connection, monitor } = await withMonitor(t, STREAM);
    const began = performance.now();
    for (let i = 0; i < 20; i++) {
      await Promise.all(Array.from({ length: 500 }, () => js.publish('events.person.1.thing', '{')));
    }
    await monitor.until((m) => malformed(m) === 10_000);
    const events = await until(async () => {
      const found = await ownEvents(connection, 'MalformedEvent');
      return found.length >= 10 && found;
    });
    const seconds = (performance.now() - began) / 1000;
    assert.ok(events.length <= 10 + seconds + 2, `${events.length} events in ${seconds} s`);
    // One more, later, says how many were not told.
    let extra = 0, held = 0;
    await until(async () => {
      await js.publish('events.person.1.thing', '{');
      extra++;
      const told = await ownEvents(connection, 'MalformedEvent');
      held = told.reduce((sum, x) => sum + x.data.suppressed, 0);
      return held + told.length >= 10_000;
    }, { every: 300, what: () => `all are told of or counted as held back; held back: ${held}` });
    assert.ok(held <= 10_000 + extra, `held back: ${held}`);
  });

  test('subjects, names and values that would break an exposition do not', async (t) => {
    const { js, monitor } = await withMonitor(t, STREAM);
    const types = ['quote"quote', 'back\\slash', 'new\nline', 'tab\tand\u0001', '', ' ', 'ünïcode 😀',
      'x'.repeat(5000), '# HELP', '{}', '\u0000', 'le="1"'];
    for (const type of types) {
      await js.publish('cim.odd.events.x', JSON.stringify({ event_type: type, aggregate_type: type }));
    }
    await js.publish('cim."quoted".events.x', '{"event_type":"Quoted"}');
    await js.publish('cim.ünï.events.x', '{"event_type":7,"aggregate_type":{"a":1}}');
    const metrics = await monitor.until((m) =>
      m.get('cim_monitor_stream_sequence', { stream: 'EVENTS' }) === types.length + 2);
    assert.equal(metrics.sum('cim_events_total') - (metrics.sum('cim_events_total', { domain: 'monitor' }) ?? 0),
      types.length + 2);
    assert.equal(metrics.sum('cim_events_total', { event_type: 'Quote"quote' }), 1);
    assert.equal(metrics.sum('cim_events_total', { event_type: 'New\nline' }), 1);
    assert.equal(metrics.sum('cim_events_total', { domain: '"quoted"' }), 1);
  });
});
