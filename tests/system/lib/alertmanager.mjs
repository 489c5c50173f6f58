// A real Alertmanager of the test's own, and an endpoint that plays the pager.
import { createServer } from 'node:http';
import { join } from 'node:path';

import { freePort } from './ports.mjs';
import { start } from './process.mjs';
import { scopeOf, tempDir } from './scope.mjs';
import { until } from './wait.mjs';

/** @param {{configFile: string, port?: number, dir?: string, args?: string[], env?: object}} options */
export async function startAlertmanager(t, { configFile, port, dir, args = [], env }) {
  dir ??= await tempDir(t, 'alertmanager');
  port ??= await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = start(t, 'prometheus-alertmanager', [`--config.file=${configFile}`,
    `--storage.path=${join(dir, 'data')}`, `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=', ...args], { name: 'alertmanager', env });
  await until(async () => (await fetch(`${url}/-/ready`)).ok,
    { deadline: 20_000, alive: child, what: 'Alertmanager is ready' });
  return {
    url, port, dir, child, address: `127.0.0.1:${port}`,
    alerts: async () => (await fetch(`${url}/api/v2/alerts`)).json(),
    post: async (alerts) => {
      const response = await fetch(`${url}/api/v2/alerts`, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(alerts),
      });
      if (!response.ok) throw new Error(`Alertmanager: ${response.status} ${await response.text()}`);
    },
  };
}

/**
 * An HTTP server that keeps every request: `requests` is [{method, path, headers, body}], the body
 * parsed when it is JSON. Stands in for PagerDuty and Slack; `reply` may answer otherwise than 202.
 */
export async function startReceiver(t, { port = 0, reply } = {}) {
  const requests = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const entry = { method: request.method, path: request.url, headers: request.headers, text,
        body: parseJson(text) };
      requests.push(entry);
      const { status = 202, body = '{"status":"success"}' } = reply?.(entry) ?? {};
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body);
    });
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  scopeOf(t).after(() => new Promise((resolve) => {
    server.closeAllConnections?.();
    server.close(resolve);
  }));
  return {
    requests, port: server.address().port, url: `http://127.0.0.1:${server.address().port}`,
    received: (matches, options) => until(() => requests.find(matches),
      { what: () => `a request that fits; seen: ${JSON.stringify(requests.map((r) => r.path))}`,
        ...options }),
  };
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
