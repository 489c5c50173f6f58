// Alerts: what fires, what is about to, what is watched; and what to do about it.
import { marked } from 'marked';
import { useMemo, useState } from 'preact/hooks';

import { Problem as Failure } from '../data/client';
import { askPrometheus } from '../data/prometheus';
import { cleanHtml } from '../panels/text';
import { ago, Problem, State, useLoaded, type Health } from './common';

export interface ActiveAlert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: 'firing' | 'pending';
  activeAt: string;
  value: string;
}

export interface AlertRule {
  name: string;
  query: string;
  duration: number;
  state: 'firing' | 'pending' | 'inactive';
  labels: Record<string, string>;
  annotations: Record<string, string>;
  alerts: ActiveAlert[];
  health: string;
  lastError?: string;
  group: string;
}

export async function loadAlerts(signal?: AbortSignal): Promise<AlertRule[]> {
  const { data } = await askPrometheus<{ groups: { name: string; rules: (AlertRule & { type: string })[] }[] }>(
    'rules',
    { type: 'alert' },
    signal,
  );
  return data.groups.flatMap(({ name, rules }) =>
    rules.filter(({ type }) => type === 'alerting').map((rule) => ({ ...rule, group: name })),
  );
}

const SEVERITIES = ['critical', 'warning', 'info'];
const STATES = ['firing', 'pending', 'inactive'];

export function byUrgency(a: AlertRule, b: AlertRule): number {
  const severity = ({ labels }: AlertRule) => (SEVERITIES.indexOf(labels.severity ?? '') + 4) % 4;
  return STATES.indexOf(a.state) - STATES.indexOf(b.state) || severity(a) - severity(b) || a.name.localeCompare(b.name);
}

const healthOf = ({ state, labels }: AlertRule): Health =>
  state === 'inactive' ? 'good' : state === 'firing' && labels.severity === 'critical' ? 'bad' : 'warning';

function Active({ alert }: { alert: ActiveAlert }) {
  const labels = Object.entries(alert.labels).filter(([name]) => !['alertname', 'severity', 'concern'].includes(name));
  return (
    <li>
      <strong>{alert.annotations.summary}</strong>{' '}
      <span class="muted">
        {alert.state}, began {ago(alert.activeAt)}
      </span>
      <p>{alert.annotations.description}</p>
      <p>
        {labels.map(([name, value]) => (
          <span class="tag" key={name}>
            {name}={value}
          </span>
        ))}
      </p>
    </li>
  );
}

export function AlertsPage() {
  const { value: rules, problem } = useLoaded(loadAlerts, 'alerts', 5000);
  const [showsAll, setShowsAll] = useState(false);
  const sorted = useMemo(() => rules?.slice().sort(byUrgency), [rules]);
  const active = sorted?.filter(({ state }) => state !== 'inactive') ?? [];
  return (
    <div class="page">
      <h1>Alerts</h1>
      <Problem text={problem} />
      {!sorted && !problem && (
        <p class="nothing" aria-busy="true">
          Asking Prometheus…
        </p>
      )}
      {sorted && !active.length && (
        <p>
          <State health="good">Nothing fires. {sorted.length} alerts are watched.</State>
        </p>
      )}
      {active.map((rule) => (
        <section class="alert" key={`${rule.group} ${rule.name}`} data-alert={rule.name} data-state={rule.state}>
          <h2>
            <State health={healthOf(rule)}>{rule.name}</State>{' '}
            <small>
              {rule.labels.severity}, {rule.state}
            </small>{' '}
            <a href={`/alerts/${encodeURIComponent(rule.name)}`}>What to do</a>
          </h2>
          <ul>
            {rule.alerts.slice(0, 50).map((alert, i) => (
              <Active alert={alert} key={i} />
            ))}
          </ul>
          {rule.alerts.length > 50 && <p class="warn">and {rule.alerts.length - 50} more</p>}
        </section>
      ))}
      {sorted && (
        <section>
          <h2>
            All that is watched{' '}
            <button type="button" aria-expanded={showsAll} onClick={() => setShowsAll(!showsAll)}>
              {showsAll ? 'Hide' : `Show ${sorted.length}`}
            </button>
          </h2>
          {showsAll && (
            <div class="scroll">
              <table>
                <thead>
                  <tr>
                    <th>Alert</th>
                    <th>Severity</th>
                    <th>State</th>
                    <th>Condition</th>
                  </tr>
                </thead>
                <tbody>
                  {sorted.map((rule) => (
                    <tr key={`${rule.group} ${rule.name} ${rule.labels.severity}`}>
                      <td>
                        <a href={`/alerts/${encodeURIComponent(rule.name)}`}>{rule.name}</a>
                      </td>
                      <td>{rule.labels.severity}</td>
                      <td>
                        <State health={rule.health === 'err' ? 'bad' : healthOf(rule)}>
                          {rule.health === 'err' ? (rule.lastError ?? 'cannot be computed') : rule.state}
                        </State>
                      </td>
                      <td>
                        <code>{rule.query}</code>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </section>
      )}
    </div>
  );
}

async function loadRunbook(name: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(`/api/runbooks/${encodeURIComponent(name)}`, { signal }).catch(() => undefined);
  if (!response) throw new Failure('the server cannot be reached');
  if (!response.ok)
    throw new Error(response.status === 404 ? `There is no runbook for ${name}.` : `status ${response.status}`);
  return response.text();
}

export function RunbookPage({ name }: { name: string }) {
  const { value: text, problem } = useLoaded((signal) => loadRunbook(name, signal), name);
  const { value: rules } = useLoaded(loadAlerts, 'alerts', 5000);
  const rule = rules?.filter((one) => one.name === name).sort(byUrgency)[0];
  const html = useMemo(
    () =>
      text
        ? cleanHtml(marked.parse(text, { async: false })).replaceAll(/href="([A-Za-z]+)\.md"/g, 'href="/alerts/$1"')
        : '',
    [text],
  );
  return (
    <div class="page">
      <p>
        <a href="/alerts">All alerts</a>
      </p>
      {rule && (
        <section class="alert" data-state={rule.state}>
          <p>
            <State health={healthOf(rule)}>
              {name} is {rule.state}
            </State>
          </p>
          <ul>
            {rule.alerts.slice(0, 20).map((alert, i) => (
              <Active alert={alert} key={i} />
            ))}
          </ul>
        </section>
      )}
      <Problem text={problem} />
      <article class="markdown" dangerouslySetInnerHTML={{ __html: html }} />
    </div>
  );
}
