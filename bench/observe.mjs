// What the observing agent costs: 3 servers, 200 streams, 2,000 consumers, 8 GPUs and this host, every 10 s.
// node bench/observe.mjs [CIM-OPS] -> CPU, memory and requests per interval, as measured over three intervals.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const program = process.argv[2] ?? 'build/cim-ops';
const STREAMS = 200, CONSUMERS = 2000, SERVERS = 3, GPUS = 8, INTERVAL_S = 10, INTERVALS = 3;
const names = Array.from({ length: SERVERS }, (_, i) => `n${i + 1}`);
const began = '2026-01-01T00:00:00Z';
let moment = 0, requests = 0;

const replicas = (leader) => names.filter((name) => name !== leader)
  .map((name) => ({ name, current: true, active: 1e8, peer: 'abcdefgh' }));
const consumer = (stream, i, leader) => ({
  stream_name: `STREAM-${stream}`, name: `consumer-${i}`, created: began,
  config: { durable_name: `consumer-${i}`, deliver_policy: 'all', ack_policy: 'explicit', ack_wait: 3e10,
    max_deliver: 5,
    replay_policy: 'instant', max_waiting: 512, max_ack_pending: 1000, num_replicas: 0 },
  // One in ten is at work.
  delivered: { consumer_seq: i % 10 ? 100 : 100 + moment, stream_seq: i % 10 ? 100 : 100 + moment },
  ack_floor: { consumer_seq: 100, stream_seq: 100 }, num_ack_pending: 0, num_redelivered: 0, num_waiting: 1,
    num_pending: 0,
  cluster: { name: 'C', leader, replicas: replicas(leader) },
});
const stream = (i) => {
  const leader = names[i % SERVERS], last = i % 10 ? 100 : 100 + moment;
  return {
    name: `STREAM-${i}`, created: began, cluster: { name: 'C', leader, replicas: replicas(leader) },
    config: { name: `STREAM-${i}`, subjects: [`s${i}.>`], retention: 'limits', max_bytes: -1, num_replicas: 3 },
    state: { messages: last, bytes: last * 100, first_seq: 1, last_seq: last, consumer_count: CONSUMERS / STREAMS },
    consumer_detail: Array.from({ length: CONSUMERS / STREAMS }, (_, c) => consumer(i, i * 10 + c, leader)),
  };
};
const bytes = { count: 0 };
const page = (name) => ({
  varz: { server_id: `N${name}`, server_name: name, version: '2.9.10', start: began, config_load_time: began,
    connections: 50,
    cluster: { name: 'C' }, cpu: 3, mem: 1e8, in_msgs: moment * 1000, out_msgs: moment * 1000, subscriptions: 4000 },
  routez: { routes: names.filter((n) => n !== name).map((n) => ({ remote_id: `N${n}`, rtt: '300µs' })) },
  healthz: { status: 'ok' },
  jsz: { storage: 1e9, config: { max_storage: 1e11, max_memory: 1e10 }, streams: STREAMS, consumers: CONSUMERS,
    meta_cluster: { leader: 'n1', cluster_size: SERVERS },
    account_details: [{ name: 'APP', stream_detail: Array.from({ length: STREAMS }, (_, i) => stream(i)) }] },
});
const servers = await Promise.all(names.map((name) => new Promise((done) => {
  const server = createServer((request, response) => {
    requests++;
    const text = JSON.stringify(page(name)[request.url.slice(1).split('?')[0]]);
    bytes.count += text.length;
    response.end(text);
  });
  server.listen(0, '127.0.0.1', () => done(server));
})));

const dir = mkdtempSync(join(tmpdir(), 'cim-ops-bench-'));
const script = join(dir, 'nvml');
const gpu = 'name=H100 util=40 memutil=10 used=100 total=1000 temp=50 power=200500 limit=300000 sm=1500 fan=30 ecc_u=0';
writeFileSync(script, Array.from({ length: GPUS }, (_, i) => `gpu ${i} uuid=GPU-${i} ${gpu}\n`).join(''));
const agent = spawn(program, ['observe', 'nats', 'host', 'gpu', '--print', '--interval', `${INTERVAL_S}s`,
  '--nvml', join(dirname(program), 'tests/fake/libfakenvml.so'),
  '--nats-http', servers.map((s) => `http://127.0.0.1:${s.address().port}`).join(',')],
  { env: { ...process.env, CIM_FAKE_NVML: script }, stdio: ['ignore', 'pipe', 'inherit'] });
let events = 0, told = 0;
agent.stdout.on('data', (chunk) => { told += chunk.length; events += chunk.toString().split('\n').length - 1; });
const hertz = 100;
const cpu = () => {
  const fields = readFileSync(`/proc/${agent.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / hertz;
};
const memory = (name) => Number(readFileSync(`/proc/${agent.pid}/status`, 'utf8')
  .match(new RegExp(`${name}:\\s+(\\d+)`))[1]) / 1024;
await pause(INTERVAL_S * 1500); // the first look makes everything known
const before = { cpu: cpu(), requests, events, at: performance.now(), bytes: bytes.count };
for (let i = 0; i < INTERVALS; i++) {
  moment++;
  await pause(INTERVAL_S * 1000);
}
const seconds = (performance.now() - before.at) / 1000;
console.log(`observe: ${SERVERS} servers, ${STREAMS} streams, ${CONSUMERS} consumers, ${GPUS} GPUs and the host, ` +
  `every ${INTERVAL_S} s`);
console.log(`  CPU       ${((cpu() - before.cpu) / seconds * 100).toFixed(2)} % of one core (at most 1)`);
const [most, now] = ['VmHWM', 'VmRSS'].map((name) => memory(name).toFixed(1));
console.log(`  memory    ${most} MiB at most, ${now} MiB now (at most 30)`);
console.log(`  requests  ${((requests - before.requests) / INTERVALS).toFixed(1)} per interval (at most 20), ` +
  `${((bytes.count - before.bytes) / INTERVALS / 1e6).toFixed(1)} MB`);
console.log(`  events    ${((events - before.events) / INTERVALS).toFixed(0)} per interval`);
agent.kill();
for (const server of servers) { server.closeAllConnections(); server.close(); }
rmSync(dir, { recursive: true });
