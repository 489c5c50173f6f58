// CIDs are checked in what a stream holds: each event once, killed or not, and breaks are located.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { until } from './lib/index.mjs';
import { ownEvents, withMonitor } from './monitor_tools.mjs';

/** tests/corpus/chains.jsonl, the payloads as the bytes that they are there. */
async function corpus() {
  const text = await readFile(new URL('../corpus/chains.jsonl', import.meta.url), 'utf8');
  return text.trimEnd().split('\n').map((line) => {
    const [, payload] = /"payload":(.*),"expect":/s.exec(line);
    const { subject, expect } = JSON.parse(line);
    return { subject, expect, payload };
  });
}

const breaks = (metrics) => {
  const sums = {};
  for (const { labels, value } of metrics.series('cim_event_chain_breaks_total')) {
    sums[labels.reason] = (sums[labels.reason] ?? 0) + value;
  }
  return sums;
};

test('each event of a chain counts once, through kills, and each break is told with its place', async (t) => {
  const lines = await corpus();
  const subjects = [...new Set(lines.map(({ subject }) => `${subject.split('.')[0]}.>`))];
  const { js, connection, monitor } = await withMonitor(t, { EVENTS: subjects });
  const wanted = {}, places = [];
  let verified = 0;
  for (const [i, { subject, payload, expect }] of lines.entries()) {
    await js.publish(subject, payload);
    if (expect === 'verified') verified++;
    else if (expect !== 'none' && !expect.startsWith('unverifiable')) {
      wanted[expect] = (wanted[expect] ?? 0) + 1;
      places.push(`${i + 1} ${expect}`);
    }
    if (i % 20 === 10) {
      await monitor.kill();
      monitor.launch();
    }
  }
  const metrics = await monitor.until((m) => m.get('cim_monitor_caught_up') === 1 &&
    m.get('cim_monitor_stream_sequence', { stream: 'EVENTS' }) === lines.length);
  assert.deepEqual(breaks(metrics), wanted);
  assert.equal(metrics.sum('cim_event_chain_verified_total'), verified);
  // Told at a bounded rate, and what was told just before a kill may be lost or told twice.
  const told = await until(async () => {
    const found = (await ownEvents(connection, 'ChainBroken')).map(({ data }) => `${data.sequence} ${data.reason}`);
    return new Set(found).size >= 5 && found;
  });
  assert.deepEqual(told.filter((place) => !places.includes(place)), []);
});
