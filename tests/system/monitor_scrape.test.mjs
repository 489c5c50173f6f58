// What a scrape gets: both formats, compressed or not, by Prometheus itself, and beside slow readers.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { request } from 'node:http';

import { Metrics, run, scopeOf, scrapeText, startCimOps, startMonitor, startPrometheus, until }
  from './lib/index.mjs';
import { SUBJECTS, counted, event, publish, withMonitor } from './monitor_tools.mjs';

const STREAM = { 'CIM-EVENTS': SUBJECTS };

/** A request without fetch's own decoding: {status, headers, body}. */
function raw(monitor, path, { method = 'GET', headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port: monitor.port, path, method, headers }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers,
        body: Buffer.concat(chunks) }));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

async function withTraffic(t) {
  const all = await withMonitor(t, STREAM);
  const { code, stderr } = await startCimOps(t, ['simulate', '--nats', all.nats.url, '--rate', 'max',
    '--count', '8000', '--seed', '3']).wait({ deadline: 30_000 });
  assert.equal(code, 0, stderr);
  await all.monitor.until((m) => m.get('cim_monitor_stream_sequence', { stream: 'CIM-EVENTS' }) === 8000);
  return all;
}

describe('scrape', { concurrency: 3 }, () => {
  test('the text form is clean for promtool', async (t) => {
    const { monitor } = await withTraffic(t);
    const { text, response } = await scrapeText(`${monitor.url}/metrics`);
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const { code, stdout, stderr } = await run('promtool', ['check', 'metrics'], { input: text });
    assert.equal(code, 0, stdout + stderr);
    assert.equal(stdout + stderr, '');
    for (const name of ['cim_events_total', 'cim_events_failed_total', 'cim_domain_errors_total',
      'cim_event_processing_lag_seconds', 'cim_event_processing_duration_seconds', 'cim_active_event_streams',
      'cim_event_queue_depth', 'cim_event_queue_capacity', 'cim_events_malformed_total',
      'cim_duplicate_events_total', 'cim_workflow_completions_total', 'cim_workflow_failures_total',
      'cim_workflow_last_completion_timestamp_seconds', 'cim_aggregate_count', 'process_cpu_seconds_total',
      'process_resident_memory_bytes', 'process_open_fds', 'process_start_time_seconds'])
      assert.match(text, new RegExp(`^# TYPE ${name} `, 'm'), name);
  });

  test('OpenMetrics by Accept, with the same values', async (t) => {
    const { monitor } = await withTraffic(t);
    const { text, response } = await scrapeText(`${monitor.url}/metrics`,
      { accept: 'application/openmetrics-text; version=1.0.0' });
    assert.match(response.headers.get('content-type'), /^application\/openmetrics-text; version=1\.0\.0/);
    assert.ok(text.endsWith('\n# EOF\n'));
    assert.match(text, /^# TYPE cim_events counter$/m);
    assert.match(text, /^# TYPE cim_aggregate_count unknown$/m);
    const open = new Metrics(text), plain = await monitor.metrics();
    for (const { labels, value } of plain.series('cim_events_total')) {
      if (labels.domain !== 'monitor') assert.equal(open.get('cim_events_total', labels), value);
    }
    assert.deepEqual(open.names().sort(), plain.names().sort());
  });

  test('gzip, HEAD, unknown paths, wrong methods, the list of paths', async (t) => {
    const { monitor } = await withTraffic(t);
    const zipped = await raw(monitor, '/metrics', { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(zipped.headers['content-encoding'], 'gzip');
    const text = gunzipSync(zipped.body).toString('utf8');
    assert.equal(counted(new Metrics(text), 'compute_resource') > 0, true);
    assert.ok(zipped.body.length < text.length / 4);
    for (const refusal of ['identity', 'gzip;q=0', 'deflate, br']) {
      const plain = await raw(monitor, '/metrics', { headers: { 'accept-encoding': refusal } });
      assert.equal(plain.headers['content-encoding'], undefined, refusal);
    }
    const head = await raw(monitor, '/metrics', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
    assert.ok(Number(head.headers['content-length']) > 1000);
    assert.equal((await raw(monitor, '/nothing')).status, 404);
    const wrong = await raw(monitor, '/metrics', { method: 'DELETE' });
    assert.equal(wrong.status, 405);
    assert.match(wrong.headers.allow, /GET/);
    assert.equal((await raw(monitor, '/alerts')).status, 405);
    assert.match((await raw(monitor, '/')).body.toString(), /\/readyz/);
    // A method that nobody knows, and lines without end, do no harm.
    const socket = connect(monitor.port, '127.0.0.1');
    scopeOf(t).after(() => socket.destroy());
    socket.on('error', () => {});
    socket.write(`GET /${'x'.repeat(200_000)} HTTP/1.1\r\n`);
    await until(async () => (await monitor.get('/healthz')).status === 200);
  });

  test('fifty readers that do not read stop neither the fold nor other scrapes', async (t) => {
    const { js, monitor } = await withTraffic(t);
    for (let i = 0; i < 50; i++) {
      const socket = connect(monitor.port, '127.0.0.1');
      socket.on('error', () => {});
      scopeOf(t).after(() => socket.destroy());
      socket.pause();
      socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
    }
    const before = counted(await monitor.metrics());
    for (let round = 1; round <= 5; round++) {
      await publish(js, 400);
      const began = performance.now();
      await monitor.until((m) => counted(m) === before + 400 * round);
      assert.ok(performance.now() - began < 3000);
    }
  });

  test('one single event is an increase; a restart is none', { timeout: 120_000 }, async (t) => {
    const { js, monitor, nats } = await withMonitor(t, STREAM, { args: ['--first-zero', '1s'] });
    const prometheus = await startPrometheus(t, { targets: { monitor: [monitor.address] }, interval: '1s' });
    const one = async (expression) => (await prometheus.query(expression))[0]?.value;
    await until(async () => await one('up') === 1);
    await publish(js, 1, 'single');
    const series = 'cim_events_total{domain="infrastructure",aggregate_type="single"}';
    await until(async () => await one(`increase(${series}[5m])`) > 0,
      { deadline: 15_000, what: 'increase() sees a single event' });

    // A counter with a history, restarted by kill -9 in the middle of traffic, twice.
    await publish(js, 50, 'steady');
    const steady = series.replace('single', 'steady');
    await until(async () => await one(steady) === 50);
    for (let round = 1; round <= 2; round++) {
      await monitor.kill();
      await publish(js, 100, 'steady');
      await monitor.start();
      await publish(js, 100, 'steady');
      await until(async () => await one(steady) === 50 + 200 * round, { deadline: 15_000 });
    }
    assert.equal(await one(`resets(${steady}[5m])`), 0);
    const first = await one(`min_over_time(${steady}[5m])`);
    assert.equal(first, 0, 'shown at 0 first');
    assert.equal(await one(`max_over_time(${steady}[5m]) - min_over_time(${steady}[5m])`), 450);
    // increase() extrapolates to the ends of its window by at most a scrape interval at each end.
    const increase = await one(`increase(${steady}[5m])`);
    assert.ok(increase >= 450 && increase <= 450 * 1.5, `increase: ${increase}`);
    const [target] = await prometheus.targets();
    assert.equal(target.health, 'up');
    assert.equal(target.lastError, '');
    assert.equal(await one(`resets(${series}[5m])`), 0);
    // A second single event on the same series counts one more.
    await publish(js, 1, 'single');
    await until(async () => await one(series) === 2);
  });
});
