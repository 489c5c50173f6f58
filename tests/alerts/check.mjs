// What promtool and amtool do not look at: is every alert complete, tested both ways, and routed?
// Prints TAP-like lines ("ok - ...", "not ok - ..."); exit code 1 when one is not ok.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { parse } from 'yaml';

const HERE = dirname(fileURLToPath(import.meta.url));
// ALERTS_DOC: another folder with the same files, for trying the checker itself.
const DOC = process.env.ALERTS_DOC ?? join(HERE, '../../doc/operations');
const RUNBOOKS = 'https://github.com/thecowboyai/cim-ops/blob/main/doc/operations/runbooks';
const SECTIONS = ['## What it means', '## Look', '## Do', '## When it is harmless'];

const load = (file) => parse(readFileSync(file, 'utf8'), { merge: true });
const alerts = load(join(DOC, 'alerts.yaml')).groups.flatMap(({ rules }) => rules)
  .filter(({ alert }) => alert);
const names = alerts.map(({ alert }) => alert);
const tests = readdirSync(HERE).filter((file) => file.endsWith('.test.yaml'))
  .flatMap((file) => load(join(HERE, file)).tests.map((test) => ({ file, ...test })));
const configs = ['alertmanager.yml', 'alertmanager-local.yml'].map((file) => (
  { file, ...load(join(DOC, file)) }));

let failed = 0;

/** `faults` is a list of texts; empty means ok. */
function report(what, faults) {
  if (faults.length) failed++;
  console.log(faults.length ? `not ok - ${what}: ${faults.join('; ')}` : `ok - ${what}`);
}

function completeness({ alert, labels = {}, annotations = {} }) {
  const faults = [];
  if (!/^[A-Z][A-Za-z]+$/.test(alert)) faults.push('its name is not in CamelCase');
  if (!['critical', 'warning', 'info'].includes(labels.severity)) {
    faults.push(`severity is ${labels.severity}, expected critical, warning or info`);
  }
  if (!labels.concern) faults.push('it has no label `concern` (inhibition goes by it)');
  for (const key of ['summary', 'description']) {
    const text = annotations[key];
    if (!text) faults.push(`it has no ${key}`);
    else if (/\$value(?! \| humanize)/.test(text)) faults.push(`${key} shows a bare $value`);
  }
  if (annotations.runbook_url !== `${RUNBOOKS}/${alert}.md`) {
    faults.push(`runbook_url is ${annotations.runbook_url}, expected ${RUNBOOKS}/${alert}.md`);
  }
  return faults.concat(runbookFaults(alert));
}

function runbookFaults(alert) {
  const file = join(DOC, 'runbooks', `${alert}.md`);
  if (!existsSync(file)) return [`runbooks/${alert}.md does not exist`];
  const text = readFileSync(file, 'utf8');
  const faults = SECTIONS.filter((section) => !text.includes(`\n${section}\n`))
    .map((section) => `its runbook has no "${section}"`);
  if (!text.startsWith(`# ${alert}\n`)) faults.push(`its runbook does not begin with "# ${alert}"`);
  return faults;
}

/** Fires in one test; in another, named "harmless: ...", it is looked at and never fires. */
function testedBothWays(alert) {
  const outcomes = tests.map(({ name, alert_rule_test: cases }) => {
    const own = cases.filter(({ alertname }) => alertname === alert);
    return { name, looked: own.length > 0, fired: own.some(({ exp_alerts: exp }) => exp?.length) };
  });
  const faults = [];
  if (!outcomes.some(({ fired }) => fired)) faults.push('no promtool test makes it fire');
  if (!outcomes.some(({ name, looked, fired }) => looked && !fired && name.startsWith('harmless: '))) {
    faults.push('no promtool test named "harmless: ..." keeps it quiet');
  }
  return faults;
}

function strayRunbooks() {
  return readdirSync(join(DOC, 'runbooks')).filter((file) => /^[A-Z]\w*\.md$/.test(file))
    .map((file) => file.slice(0, -3)).filter((name) => name !== 'README' && !names.includes(name))
    .map((name) => `runbooks/${name}.md belongs to no alert`);
}

function unknownInTests() {
  return tests.flatMap(({ file, name, alert_rule_test: cases }) => cases
    .filter(({ alertname }) => !names.includes(alertname))
    .map(({ alertname }) => `${file}, "${name}": there is no alert ${alertname}`));
}

/** A secret in the text instead of in a file. */
function secretsIn(node, path = '') {
  if (node === null || typeof node !== 'object') return [];
  return Object.entries(node).flatMap(([key, value]) => (
    ['routing_key', 'service_key', 'api_url', 'slack_api_url', 'password', 'credentials'].includes(key)
      ? [`${path}/${key} holds a secret; name a file`] : secretsIn(value, `${path}/${key}`)));
}

/** Every alert name in a matcher exists, alone or as one side of a `|`. */
function matchersOf({ route, inhibit_rules: rules }) {
  const routes = (node) => [...(node.matchers ?? []), ...(node.routes ?? []).flatMap(routes)];
  return [...routes(route), ...rules.flatMap((rule) => [...rule.source_matchers, ...rule.target_matchers])];
}

function unknownInMatchers(config) {
  return matchersOf(config).map((matcher) => matcher.match(/^alertname =~? "?([^"]*)"?$/)?.[1])
    .filter(Boolean).flatMap((list) => list.split('|'))
    .filter((pattern) => !names.some((name) => new RegExp(`^(?:${pattern})$`).test(name)))
    .map((pattern) => `no alert is called ${pattern}`);
}

/** events.md against the source: the types that the monitor publishes are the types that have a row. */
function eventTypes() {
  const monitor = join(HERE, '../../src/monitor');
  const source = readdirSync(monitor).filter((file) => file.endsWith('.c'))
    .map((file) => readFileSync(join(monitor, file), 'utf8')).join('\n');
  // In a call, the type is the first text with a capital letter and a small one after it.
  const calls = [/(?:journal_add|say)\(\s*monitor\b[^;]*?"([A-Z][a-z]\w+)"/g,
    /\[REPORT_\w+\] = "(\w+)"/g, /\btype\[\] = "(\w+)"/g, /"(Alert\w+)" : "Alert\w+"/g, /"Alert\w+" : "(Alert\w+)"/g];
  const published = new Set(calls.flatMap((call) => [...source.matchAll(call)].map(([, type]) => type)));
  const text = readFileSync(join(DOC, 'events.md'), 'utf8');
  const rows = text.matchAll(/^\| `ops\.(?:monitor|alert)\.\S+\.(\w+)` \|/gm);
  const documented = new Set([...rows].map(([, type]) => type));
  return [
    ...[...published].filter((type) => !documented.has(type)).map((type) => `${type} has no row`),
    ...[...documented].filter((type) => !published.has(type)).map((type) => `nothing publishes ${type}`)];
}

/** The same of a replay: what it tells, has a row and a contract. */
function replayTypes() {
  const folder = join(HERE, '../../src/act/replay');
  const source = readdirSync(folder).filter((file) => file.endsWith('.c'))
    .map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  const calls = [...source.matchAll(/story_tell\(\s*&?\w+,\s*([^;]*?),\s*(?:json_pack|story_figures|problem_data)/g)];
  const told = new Set(calls.flatMap(([, type]) => [...type.matchAll(/"([A-Z]\w+)"/g)].map(([, name]) => name)));
  const text = readFileSync(join(DOC, 'events.md'), 'utf8');
  const rows = new Set([...text.matchAll(/^\| `ops\.replay\.\S+\.(\w+)` \|/gm)].map(([, type]) => type));
  const contracts = new Set(readdirSync(join(HERE, '../../rules/schemas/replay')).map((file) => file.slice(0, -5)));
  return [
    ...[...told].filter((type) => !rows.has(type)).map((type) => `${type} has no row`),
    ...[...told].filter((type) => !contracts.has(type)).map((type) => `${type} has no contract`),
    ...[...rows, ...contracts].filter((type) => !told.has(type)).map((type) => `nothing tells ${type}`)];
}

const webhook = ({ receivers }) =>
  receivers.find(({ name }) => name === 'events')?.webhook_configs?.[0]?.url;

for (const rule of alerts) {
  report(`${rule.alert} is complete`, completeness(rule));
  report(`${rule.alert} is tested both ways`, testedBothWays(rule.alert));
}
report('alert names are unique', names.filter((name, i) => names.indexOf(name) !== i));
report('every runbook belongs to an alert', strayRunbooks());
report('the tests name alerts that exist', unknownInTests());
for (const config of configs) {
  report(`${config.file} holds no secret`, secretsIn(config));
  report(`${config.file} names alerts that exist`, unknownInMatchers(config));
}
const [full, local] = configs;
report('events.md has a row for each event that the monitor publishes', eventTypes());
report('events.md has a row for each event of a replay, and each has a contract', replayTypes());
report('both configurations mute the same', JSON.stringify(full.inhibit_rules) ===
  JSON.stringify(local.inhibit_rules) ? [] : ['inhibit_rules differ']);
report('both record events at the same address', webhook(full) && webhook(full) === webhook(local)
  ? [] : [`${webhook(full)} and ${webhook(local)}`]);
process.exitCode = failed ? 1 : 0;
