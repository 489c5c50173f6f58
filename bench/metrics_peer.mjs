// prom-client with the series of bench/metrics.c: prints "CPU-ms bytes-per-series" of a scrape.
//
//     node --expose-gc metrics_peer.mjs FOLDER counters|histograms SERIES ROUNDS
//
// FOLDER holds node_modules/prom-client; without it nothing is printed.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [folder, kind, series, rounds] = process.argv.slice(2);
const VALUES = 1000;
let client;
try {
  client = createRequire(resolve(folder, 'package.json'))('prom-client');
} catch {
  process.exit(0);
}

global.gc();
const before = process.memoryUsage().heapUsed;
const shape = { help: 'As in metrics.c.', labelNames: ['domain', 'event_type'] };
const metric = kind === 'counters'
  ? new client.Counter({ name: 'bench_events_total', ...shape })
  : new client.Histogram({ name: 'bench_duration_seconds', ...shape,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] });
for (let i = 0; i < Number(series); i++) {
  const labels = { domain: `domain_${Math.floor(i / VALUES)}`, event_type: `SomethingHappened${i % VALUES}` };
  if (kind === 'counters') metric.inc(labels, (i * 2654435761) % 1000000);
  else for (let k = 0; k < 5; k++) metric.observe(labels, ((i + k) % 4000) / 1000);
}
global.gc();
const held = process.memoryUsage().heapUsed - before;

const times = [];
for (let round = 0; round < Number(rounds); round++) {
  global.gc();
  const begun = process.cpuUsage();
  await client.register.metrics();
  const used = process.cpuUsage(begun);
  times.push((used.user + used.system) / 1000);
}
times.sort((a, b) => a - b);
console.log(times[times.length >> 1].toFixed(1), (held / Number(series)).toFixed(1));
