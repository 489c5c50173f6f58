// PagerDuty, Slack and the monitor's POST /alerts, played on loopback, as strict as the real ones; and
// configurations for the real Alertmanager and Prometheus, derived from the ones we ship.
//
//     const pager = await startFakePager(t);
//     const alertmanager = await startAlertmanager(t, { configFile: await pagerConfig(t, pager) });
//     await pager.paged(PRIMARY, (page) => page.payload.class === 'NatsUnreachable');
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { parse } from 'yaml';

import { REPOSITORY, startReceiver, tempDir, until } from './lib/index.mjs';

export const PRIMARY = 'key-of-the-primary';
export const SECONDARY = 'key-of-the-secondary';
const OPERATIONS = join(REPOSITORY, 'doc/operations');

/**
 * `pages` are the accepted PagerDuty events, `messages` the accepted Slack messages, `recorded` the
 * webhook notifications. `refuse(kind)` may return an HTTP status to answer instead (kind: pagerduty,
 * slack or webhook); what was refused is kept in `refused` only.
 */
export async function startFakePager(t, { refuse = () => undefined } = {}) {
  const pager = { pages: [], messages: [], recorded: [], refused: [], faults: [] };
  const kinds = {
    '/v2/enqueue': { kind: 'pagerduty', list: pager.pages, faults: pageFaults, accept: enqueued },
    '/services/T0/B0/secret': { kind: 'slack', list: pager.messages, faults: slackFaults,
      accept: () => ({ status: 200, body: 'ok' }) },
    '/alerts': { kind: 'webhook', list: pager.recorded, faults: webhookFaults,
      accept: () => ({ status: 200, body: '{}' }) },
  };
  const reply = ({ method, path, body }) => {
    const endpoint = kinds[path];
    if (!endpoint || method !== 'POST') {
      pager.faults.push(`${method} ${path}`);
      return { status: 404, body: '{}' };
    }
    const status = refuse(endpoint.kind, body);
    if (status) {
      pager.refused.push({ kind: endpoint.kind, body });
      return { status, body: '{"status":"refused by the test"}' };
    }
    const faults = endpoint.faults(body);
    if (faults.length) {
      pager.faults.push(...faults);
      return { status: 400, body: JSON.stringify({ status: 'invalid event', errors: faults }) };
    }
    endpoint.list.push(body);
    return endpoint.accept(body);
  };
  const { url } = await startReceiver(t, { reply });
  return Object.assign(pager, {
    url,
    /** The first accepted page for this routing key that fits, waiting for it. */
    paged: (key, fits = () => true, options) => wait(pager, options, `a page for ${key}`,
      () => pager.pages.find((page) => page.routing_key === key && fits(page))),
    told: (fits = () => true, options) => wait(pager, options, 'a Slack message',
      () => pager.messages.map(({ attachments }) => attachments[0]).find(fits)),
    /** The first recorded notification whose only alert fits: (status, labels) => boolean. */
    recordedAlert: (fits, options) => wait(pager, options, 'a recorded alert',
      () => pager.recorded.map(({ alerts }) => alerts[0])
        .find(({ status, labels }) => fits(status, labels))),
    pagesFor: (key) => pager.pages.filter((page) => page.routing_key === key),
  });
}

function wait(pager, options, what, condition) {
  return until(condition, { deadline: 30_000, ...options,
    what: () => `${what}; seen: ${JSON.stringify({ pages: pager.pages.map(brief),
      messages: pager.messages.map(({ attachments }) => attachments[0].title),
      recorded: pager.recorded.map(({ alerts }) => `${alerts[0].status} ${alerts[0].labels.alertname}`),
      refused: pager.refused.length, faults: pager.faults })}` });
}

const brief = ({ routing_key: key, event_action: action, payload }) =>
  `${key} ${action} ${payload?.summary}`;

// --- what the real ones would not accept -----------------------------------------------------------

/** developer.pagerduty.com, "Send an Event": required fields, allowed values, lengths. */
function pageFaults(page) {
  if (!page) return ['PagerDuty: the body is no JSON'];
  const { routing_key: key, event_action: action, dedup_key: dedup, payload = {}, links = [] } = page;
  const rules = [
    [[PRIMARY, SECONDARY].includes(key), `unknown routing_key ${JSON.stringify(key)}`],
    [['trigger', 'acknowledge', 'resolve'].includes(action), `event_action ${action}`],
    [dedup?.length > 0 && dedup.length <= 255, `dedup_key ${dedup}`],
    ...(action !== 'trigger' ? [] : [
      [payload.summary?.length > 0 && payload.summary.length <= 1024, `summary ${payload.summary}`],
      [payload.source, 'source is missing'],
      [['critical', 'error', 'warning', 'info'].includes(payload.severity),
        `severity ${payload.severity}`],
      [links.every(({ href }) => /^https?:\/\//.test(href)), `links ${JSON.stringify(links)}`],
    ]),
  ];
  return rules.filter(([holds]) => !holds).map(([, fault]) => `PagerDuty: ${fault}`);
}

const enqueued = ({ dedup_key: dedup }) => ({
  status: 202, body: JSON.stringify({ status: 'success', message: 'Event processed', dedup_key: dedup }) });

function slackFaults(message) {
  return message?.attachments?.[0]?.title && message.attachments[0].fallback
    ? [] : [`Slack: no_text in ${JSON.stringify(message)}`];
}

/** What the monitor's POST /alerts relies on: version 4, one alert per notification. */
function webhookFaults(body) {
  const ok = body?.version === '4' && body.alerts?.length === 1 && body.truncatedAlerts === 0 &&
    body.alerts[0].fingerprint && ['firing', 'resolved'].includes(body.alerts[0].status);
  return ok ? [] : [`webhook: ${JSON.stringify(body)}`];
}

// --- derived configurations ------------------------------------------------------------------------

/**
 * alertmanager.yml (or `file`), with its secrets in files of the test, its addresses on the fake pager,
 * and its waiting times shortened. Everything else is as shipped.
 */
export async function pagerConfig(t, pager, { file = 'alertmanager.yml', groupInterval = '2s' } = {}) {
  const dir = await tempDir(t, 'pager');
  const config = parse(await readFile(join(OPERATIONS, file), 'utf8'), { merge: true });
  // As people write them: with a newline at the end.
  const secrets = { 'pagerduty-primary': PRIMARY, 'pagerduty-secondary': SECONDARY,
    'slack-webhook': `${pager.url}/services/T0/B0/secret` };
  for (const [name, secret] of Object.entries(secrets)) await writeFile(join(dir, name), `${secret}\n`);

  if (config.global?.pagerduty_url) config.global.pagerduty_url = `${pager.url}/v2/enqueue`;
  for (const receiver of config.receivers) {
    for (const pagerDuty of receiver.pagerduty_configs ?? []) {
      pagerDuty.routing_key_file = moved(pagerDuty.routing_key_file, dir);
    }
    for (const slack of receiver.slack_configs ?? []) {
      slack.api_url_file = moved(slack.api_url_file, dir);
    }
    for (const webhook of receiver.webhook_configs ?? []) {
      webhook.url = `${pager.url}${new URL(webhook.url).pathname}`;
    }
  }
  hasten(config.route, groupInterval);
  const configFile = join(dir, 'alertmanager.json');
  await writeFile(configFile, JSON.stringify(config, null, 2)); // JSON is YAML
  return configFile;
}

const moved = (file, dir) => join(dir, file.split('/').at(-1));

function hasten(route, groupInterval) {
  if (route.group_wait !== undefined && route.group_wait !== '0s') route.group_wait = '1s';
  if (route.group_interval !== undefined) route.group_interval = groupInterval;
  for (const child of route.routes ?? []) hasten(child, groupInterval);
}

/** alerts.yaml with every `for` and `keep_firing_for` cut to `wait`; the expressions are as shipped. */
export async function quickRules(t, { wait: shortest = '1s' } = {}) {
  const dir = await tempDir(t, 'rules');
  const { groups } = parse(await readFile(join(OPERATIONS, 'alerts.yaml'), 'utf8'));
  for (const group of groups) {
    delete group.interval;
    for (const rule of group.rules) {
      if (rule.for) rule.for = shortest;
      if (rule.keep_firing_for) rule.keep_firing_for = shortest;
    }
  }
  const file = join(dir, 'alerts.json');
  await writeFile(file, JSON.stringify({ groups }, null, 2));
  return file;
}
