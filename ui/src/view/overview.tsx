// The start page: is everything all right, and if not, where to look first.
import { getJson } from '../data/client';
import { byUrgency, loadAlerts, type ActiveAlert } from './alerts';
import { ago, count, Problem, State, useLoaded, type Health } from './common';
import { ask, loadStack, loadTargets, partIsWell } from './sources';
import { loadStreams } from './streams';

interface Finding {
  health: Health;
  text: string;
  href: string;
}

/** Each question is asked on its own: that one has no answer hides no other. */
async function look<T>(
  what: string,
  href: string,
  load: Promise<T>,
  judge: (value: T) => Finding[],
): Promise<Finding[]> {
  try {
    return judge(await load);
  } catch (error) {
    return [{ health: 'unknown', text: `${what}: ${(error as Error).message}`, href }];
  }
}

function inWords(name: string, state: string, alerts: ActiveAlert[]): string {
  const since = state === 'pending' ? ' (not for long yet)' : '';
  const more = alerts.length > 1 ? `, and ${alerts.length - 1} more` : '';
  return `${name}: ${alerts[0]?.annotations.summary ?? state}${since}${more}`;
}

async function judgeAlerts(signal: AbortSignal): Promise<Finding[]> {
  return look('Alerts are not known', '/alerts', loadAlerts(signal), (rules) => {
    const active = rules.filter(({ state }) => state !== 'inactive').sort(byUrgency);
    if (!active.length)
      return [{ health: 'good', text: `No alert fires; ${rules.length} are watched`, href: '/alerts' }];
    return active.map(({ name, state, labels, alerts }) => ({
      health: state === 'firing' && labels.severity === 'critical' ? 'bad' : 'warning',
      text: inWords(name, state, alerts),
      href: `/alerts/${encodeURIComponent(name)}`,
    }));
  });
}

async function judgeMonitor(signal: AbortSignal): Promise<Finding[]> {
  const expr = 'min(cim_monitor_caught_up) and on () (min(cim_monitor_nats_connected) == 1)';
  return look('The monitor is not known', '/sources', ask(expr, signal), ([sample]) => [
    !sample
      ? { health: 'bad', text: 'The event monitor has no figures, or no NATS', href: '/sources' }
      : sample.value[1] === '1'
        ? { health: 'good', text: 'The event monitor has read every stream to its end', href: '/d/cim-events' }
        : { health: 'warning', text: 'The event monitor is still catching up', href: '/d/cim-events' },
  ]);
}

async function judgeTargets(signal: AbortSignal): Promise<Finding[]> {
  return look('Prometheus', '/sources', loadTargets(signal), (targets) => {
    const down = targets.filter(({ health }) => health === 'down');
    return down.length
      ? down.map(({ labels, lastError }) => ({
          health: 'bad' as const,
          text: `${labels.job} cannot be scraped: ${lastError}`,
          href: '/sources',
        }))
      : [
          {
            health: targets.length ? 'good' : 'warning',
            text: `${targets.length} targets are scraped`,
            href: '/sources',
          },
        ];
  });
}

async function judgeStreams(signal: AbortSignal): Promise<Finding[]> {
  return look('NATS', '/streams', loadStreams(signal), ({ streams }) => {
    const newest = streams
      .map(({ state }) => state.last_ts)
      .sort()
      .at(-1);
    const messages = streams.reduce((sum, { state }) => sum + state.messages, 0);
    return [
      {
        health: streams.length ? 'good' : 'warning',
        text: `${streams.length} streams with ${count(messages)} messages, the last one ${ago(newest)}`,
        href: '/streams',
      },
    ];
  });
}

async function judgeStack(signal: AbortSignal): Promise<Finding[]> {
  try {
    const { parts } = await loadStack(signal);
    const bad = parts.filter((part) => !partIsWell(part));
    return bad.length
      ? bad.map(({ name, state, note }) => ({
          health: state === 'failed' ? ('bad' as const) : ('warning' as const),
          text: `${name} is ${state}${note ? `: ${note}` : ''}`,
          href: '/stack',
        }))
      : [{ health: 'good', text: `All ${parts.length} parts of the stack are well`, href: '/stack' }];
  } catch {
    return []; /* none runs here: nothing to judge */
  }
}

const ORDER: Health[] = ['bad', 'warning', 'unknown', 'good'];

async function judge(signal: AbortSignal): Promise<Finding[]> {
  const all = await Promise.all([
    judgeAlerts(signal),
    judgeMonitor(signal),
    judgeTargets(signal),
    judgeStreams(signal),
    judgeStack(signal),
  ]);
  return all.flat().sort((a, b) => ORDER.indexOf(a.health) - ORDER.indexOf(b.health));
}

const WORDS: Record<Health, string> = {
  good: 'Everything is all right',
  warning: 'Something wants a look',
  bad: 'Something is wrong',
  unknown: 'Not everything can be told',
};

async function loadFigures(signal: AbortSignal) {
  const figures: [string, string, (n: number) => string, string][] = [
    ['Events per second', 'sum(rate(cim_events_total[1m]))', (n) => n.toFixed(n < 10 ? 2 : 0), '/d/cim-events'],
    ['Events counted', 'sum(cim_events_total)', (n) => count(n), '/d/cim-events'],
    [
      'Failed, last hour',
      'sum(increase(cim_events_failed_total[1h])) or 0 * sum(cim_events_total)',
      (n) => count(Math.round(n)),
      '/events?where=%24event_type%20~%20Failed&since=1h',
    ],
    ['Active streams', 'sum(cim_active_event_streams)', (n) => count(n), '/streams'],
    ['NATS servers', 'sum(nats_server_up)', (n) => count(n), '/d/cim-nats'],
  ];
  return Promise.all(
    figures.map(async ([name, expr, write, href]) => {
      const [sample] = await ask(expr, signal).catch(() => []);
      return { name, href, text: sample ? write(Number(sample.value[1])) : '–' };
    }),
  );
}

export function OverviewPage() {
  const { value: findings, problem } = useLoaded(judge, 'findings', 5000);
  const { value: figures } = useLoaded(loadFigures, 'figures', 5000);
  const { value: dashboards } = useLoaded(
    (signal) => getJson<{ uid: string; title: string }[]>('/api/dashboards', { signal }),
    'dashboards',
  );
  const worst = findings?.[0]?.health;
  return (
    <div class="page">
      <Problem text={problem} />
      {worst && (
        <h1 class={`verdict ${worst}`} data-health={worst}>
          <State health={worst}>{WORDS[worst]}</State>
        </h1>
      )}
      {!findings && !problem && <h1 class="verdict">Looking…</h1>}
      <ul class="findings">
        {findings?.map(({ health, text, href }) => (
          <li key={text} class={health}>
            <State health={health}>
              <a href={href}>{text}</a>
            </State>
          </li>
        ))}
      </ul>
      <div class="figures">
        {figures?.map(({ name, text, href }) => (
          <a class="figure" href={href} key={name}>
            <span class="value">{text}</span>
            <span class="name">{name}</span>
          </a>
        ))}
      </div>
      <h2>Dashboards</h2>
      <ul class="dashboard-list">
        {dashboards?.map(({ uid, title }) => (
          <li key={uid}>
            <a href={`/d/${encodeURIComponent(uid)}`}>{title}</a>
          </li>
        ))}
      </ul>
    </div>
  );
}
