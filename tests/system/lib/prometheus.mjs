// A real Prometheus of the test's own.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { freePort } from './ports.mjs';
import { start } from './process.mjs';
import { tempDir } from './scope.mjs';
import { until } from './wait.mjs';

/**
 * @param {object} [options]
 * @param {Record<string, string[]>} [options.targets] job name -> ["127.0.0.1:9091", ...]
 * @param {string} [options.interval] scrape and evaluation interval, default 1s
 * @param {string[]} [options.rules] rule files
 * @param {string} [options.alertmanager] "127.0.0.1:9093"
 * @param {string} [options.configFile] a ready configuration instead of all of the above
 */
export async function startPrometheus(t, {
  port, dir, targets = {}, interval = '1s', rules = [], alertmanager, configFile, args = [],
} = {}) {
  dir ??= await tempDir(t, 'prometheus');
  port ??= await freePort();
  if (!configFile) {
    // JSON is YAML.
    configFile = join(dir, 'prometheus.yml');
    await writeFile(configFile, JSON.stringify({
      global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
      rule_files: rules,
      scrape_configs: Object.entries(targets).map(([job, list]) => (
        { job_name: job, static_configs: [{ targets: list }] })),
      ...(alertmanager && {
        alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] },
      }),
    }, null, 2));
  }
  const url = `http://127.0.0.1:${port}`;
  const child = start(t, 'prometheus', [`--config.file=${configFile}`,
    `--storage.tsdb.path=${join(dir, 'data')}`, `--web.listen-address=127.0.0.1:${port}`,
    '--web.enable-lifecycle', ...args], { name: 'prometheus' });
  await until(async () => (await fetch(`${url}/-/ready`)).ok,
    { deadline: 30_000, alive: child, what: 'Prometheus is ready' });
  return {
    url, port, dir, child,
    query: (expression) => query(url, expression),
    targets: async () => (await api(url, 'targets')).activeTargets,
    alerts: async () => (await api(url, 'alerts')).alerts,
    rules: async () => (await api(url, 'rules')).groups,
  };
}

/** An instant query: [{labels, value}], values as numbers. */
export async function query(url, expression) {
  const { result } = await api(url, `query?query=${encodeURIComponent(expression)}`);
  return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

async function api(url, path) {
  const response = await fetch(`${url}/api/v1/${path}`, { signal: AbortSignal.timeout(10_000) });
  const body = await response.json();
  if (body.status !== 'success') throw new Error(`${url} ${path}: ${body.error}`);
  return body.data;
}
