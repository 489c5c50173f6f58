// Public dashboards for other exporters, on our metrics: what they ask finds something. Left out: tensor cores
// (DCGM_FI_PROF_PIPE_TENSOR_ACTIVE is not to be had from NVML), page faults (node_vmstat_*).
//
//   dcgm      NVIDIA/dcgm-exporter grafana/dcgm-exporter-dashboard.json (grafana.com 12239)
//   nats      nats-io/prometheus-nats-exporter walkthrough/grafana-nats-dash.json (grafana.com 2279)
//   node      prometheus/node_exporter docs/node-mixin, "Node Exporter / Nodes" and the USE method
import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'node:test';

import {
  CIM_OPS, RULES, cimOps, query, startCimOps, startMonitor, startNats, startPrometheus, tempDir, until,
} from './lib/index.mjs';

const GPU = '{Hostname=~".*", gpu=~".*"}';
const NODE = 'job="node", instance="here"';
const dashboards = {
  dcgm: [
    `max(DCGM_FI_DEV_GPU_TEMP${GPU}) by (Hostname, gpu, uuid)`,
    `max(DCGM_FI_DEV_POWER_USAGE${GPU}) by (Hostname, gpu, uuid)`,
    `sum(max(DCGM_FI_DEV_POWER_USAGE${GPU}) by (gpu))`,
    `max(DCGM_FI_DEV_SM_CLOCK${GPU} * 1000000) by (Hostname, UUID, gpu)`,
    `max(DCGM_FI_PROF_GR_ENGINE_ACTIVE${GPU}) by (Hostname, gpu, GPU_I_ID, GPU_I_PROFILE)`,
    `max(DCGM_FI_DEV_FB_USED${GPU}) by (Hostname, gpu, GPU_I_ID, GPU_I_PROFILE)`,
  ],
  nats: ['cpu', 'mem', 'connections', 'subscriptions', 'slow_consumers'].map((name) => `gnatsd_varz_${name}`)
    .concat(['in_bytes', 'in_msgs', 'out_bytes', 'out_msgs'].map((name) => `rate(gnatsd_varz_${name}[1m])`)),
  node: [
    `((1 - sum without (mode) (rate(node_cpu_seconds_total{${NODE}, mode=~"idle|iowait|steal"}[1m])))
      / ignoring(cpu) group_left count without (cpu, mode) (node_cpu_seconds_total{${NODE}, mode="idle"}))`,
    `node_load1{${NODE}}`, `node_load5{${NODE}}`, `node_load15{${NODE}}`,
    `count(node_cpu_seconds_total{${NODE}, mode="idle"})`,
    `node_memory_MemTotal_bytes{${NODE}} - node_memory_MemFree_bytes{${NODE}} - node_memory_Buffers_bytes{${NODE}}
      - node_memory_Cached_bytes{${NODE}}`,
    `100 - (avg(node_memory_MemAvailable_bytes{${NODE}}) / avg(node_memory_MemTotal_bytes{${NODE}}) * 100)`,
    `rate(node_disk_read_bytes_total{${NODE}, device=~".+"}[1m])`,
    `rate(node_disk_written_bytes_total{${NODE}, device=~".+"}[1m])`,
    `rate(node_disk_io_time_seconds_total{${NODE}, device=~".+"}[1m])`,
    `rate(node_disk_io_time_weighted_seconds_total{${NODE}, device=~".+"}[1m])`,
    `max by (mountpoint) (node_filesystem_size_bytes{${NODE}, fstype!="", mountpoint!=""})`,
    `max by (mountpoint) (node_filesystem_avail_bytes{${NODE}, fstype!="", mountpoint!=""})`,
    `rate(node_network_receive_bytes_total{${NODE}, device!="lo"}[1m]) * 8`,
    `rate(node_network_transmit_bytes_total{${NODE}, device!="lo"}[1m]) * 8`,
    `rate(node_network_receive_drop_total{${NODE}, device!="lo"}[1m])`,
    `rate(node_network_transmit_drop_total{${NODE}, device!="lo"}[1m])`,
    'node_uname_info{job="node", sysname!="Darwin"}',
  ],
};
/** What this machine has not, as in a bare chroot. */
async function missingHere() {
  const { stdout } = await cimOps(['observe', 'host', '--once', '--print']);
  return [['DiskSampled', /node_disk/], ['FilesystemSampled', /node_filesystem/],
    ['"interface":"[^l"]', /device!="lo"/]]
    .filter(([told]) => !new RegExp(told).test(stdout)).map(([, query]) => query);
}

test('queries of dashboards for other exporters', { timeout: 180_000 }, async (t) => {
  const server = await startNats(t);
  const dir = await tempDir(t, 'dashboards');
  const rules = join(dir, 'rules'), script = join(dir, 'nvml'), config = join(dir, 'prometheus.yml');
  await cp(RULES, rules, { recursive: true });
  await cp(join(RULES, 'optional'), rules, { recursive: true });
  await writeFile(script, 'gpu 0 uuid=GPU-1 name=H100 util=40 memutil=1 used=1 total=9 temp=50 power=1 sm=1500\n');
  startCimOps(t, ['observe', 'nats', 'host', 'gpu', '--nats', server.url, '--nats-http', server.httpUrl,
    '--interval', '1s', '--node', 'here', '--nvml', join(dirname(CIM_OPS), 'tests/fake/libfakenvml.so')],
  { env: { CIM_FAKE_NVML: script } });
  const monitor = await startMonitor(t, { nats: server.url, rules });
  await writeFile(config, 'global: {scrape_interval: 1s}\nscrape_configs:\n' +
    `  - {job_name: cim-ops, honor_labels: true, static_configs: [{targets: ["${monitor.address}"]}]}\n`);
  const prometheus = await startPrometheus(t, { configFile: config });
  const missing = await missingHere();
  for (const [dashboard, queries] of Object.entries(dashboards)) {
    for (const expression of queries) {
      if (missing.some((what) => what.test(expression))) {
        t.diagnostic(`${expression}: this machine has nothing to tell of it`);
        continue;
      }
      let found;
      await until(async () => (found = await query(prometheus.url, expression)).length > 0,
        { deadline: 60_000, every: 300, what: `${dashboard}: ${expression}` });
      assert.ok(found.every(({ value }) => !Number.isNaN(value)), `${expression}: ${JSON.stringify(found)}`);
    }
  }
});
