// Where events and figures come from, and the parts of the local stack.
import { getJson } from '../data/client';
import { askPrometheus, queryInstant } from '../data/prometheus';
import { ago, count, Problem, State, useLoaded } from './common';

interface Sample {
  metric: Record<string, string>;
  value: [number, string];
}

export async function ask(expr: string, signal?: AbortSignal): Promise<Sample[]> {
  const { data } = await queryInstant(expr, Date.now(), signal);
  return data.result as Sample[];
}

interface Target {
  labels: Record<string, string>;
  health: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  scrapeUrl: string;
}

export const loadTargets = async (signal?: AbortSignal) =>
  (await askPrometheus<{ activeTargets: Target[] }>('targets', {}, signal)).data.activeTargets;

interface Flow {
  domain: string;
  total: number;
  rate?: number;
  lastMs?: number;
}

async function loadSources(signal: AbortSignal) {
  const [working, dropped, totals, rates, last] = await Promise.all([
    ask('cim_source_working', signal),
    ask('cim_source_dropped_events', signal),
    ask('sum by (domain) (cim_events_total)', signal),
    ask('sum by (domain) (rate(cim_events_total[1m]))', signal),
    ask('max by (domain) (cim_last_event_timestamp_seconds)', signal),
  ]);
  const of = (samples: Sample[], domain: string) => {
    const found = samples.find(({ metric }) => metric.domain === domain);
    return found ? Number(found.value[1]) : undefined;
  };
  const flows: Flow[] = totals.map(({ metric, value }) => {
    const domain = metric.domain ?? '',
      at = of(last, domain);
    return {
      domain,
      total: Number(value[1]),
      rate: of(rates, domain),
      lastMs: at === undefined ? undefined : at * 1000,
    };
  });
  flows.sort((a, b) => a.domain.localeCompare(b.domain));
  const sources = working.map(({ metric, value }) => ({
    source: metric.source ?? '',
    node: metric.node ?? '',
    works: value[1] === '1',
    dropped: Number(
      dropped.find((one) => one.metric.source === metric.source && one.metric.node === metric.node)?.value[1] ?? 0,
    ),
  }));
  return { flows, sources };
}

export function SourcesPage() {
  const { value, problem } = useLoaded(loadSources, 'sources', 5000);
  const { value: targets } = useLoaded(loadTargets, 'targets', 5000);
  return (
    <div class="page">
      <h1>Sources</h1>
      <Problem text={problem} />
      <h2>Domains</h2>
      {value && !value.flows.length && <p class="nothing">No event has been counted.</p>}
      {value && value.flows.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Domain</th>
                <th class="number">Events</th>
                <th class="number">Per second</th>
                <th>Last</th>
              </tr>
            </thead>
            <tbody>
              {value.flows.map(({ domain, total, rate, lastMs }) => (
                <tr key={domain}>
                  <td>
                    <a href={`/events?domain=${encodeURIComponent(domain)}`}>{domain || '(none)'}</a>
                  </td>
                  <td class="number">{count(total)}</td>
                  <td class="number">{rate === undefined ? '–' : rate.toFixed(rate < 10 ? 2 : 0)}</td>
                  <td>{lastMs === undefined ? '–' : ago(new Date(lastMs).toISOString())}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <h2>
        What observes (<code>cim-ops observe</code>)
      </h2>
      {value && !value.sources.length && (
        <p class="nothing">
          No source reports. <code>cim-ops observe</code> turns NATS servers, machines and GPUs into events.
        </p>
      )}
      <ul class="plain">
        {value?.sources.map(({ source, node, works, dropped }) => (
          <li key={`${source} ${node}`}>
            <State health={works ? 'good' : 'bad'}>
              {source} on {node}: {works ? 'working' : 'not working'}
            </State>
            {dropped > 0 && <span class="warn"> {count(dropped)} events dropped</span>}
          </li>
        ))}
      </ul>
      <h2>What Prometheus scrapes</h2>
      <ul class="plain">
        {targets?.map((target) => (
          <li key={target.scrapeUrl}>
            <State health={target.health === 'up' ? 'good' : target.health === 'down' ? 'bad' : 'unknown'}>
              {target.labels.job}: {target.health}
            </State>{' '}
            <span class="muted">
              {target.scrapeUrl}, {ago(target.lastScrape)}
            </span>
            {target.lastError && <p class="wrong">{target.lastError}</p>}
          </li>
        ))}
      </ul>
    </div>
  );
}

export interface StackPart {
  name: string;
  state: string;
  url?: string;
  note?: string;
  restarts?: number;
  since?: string;
  last_lines?: string[];
}

export const loadStack = (signal?: AbortSignal) =>
  getJson<{ parts: StackPart[]; dir: string; since: string }>('/api/stack', { signal });

export const partIsWell = (part: StackPart) => ['running', 'done', 'outside'].includes(part.state);

export function StackPage() {
  const { value: stack, problem } = useLoaded(loadStack, 'stack', 2000);
  return (
    <div class="page">
      <h1>Stack</h1>
      {problem && (
        <p class="nothing">
          {problem}. This page shows what <code>cim-ops up</code> runs.
        </p>
      )}
      {stack && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Part</th>
                <th>State</th>
                <th>Address</th>
                <th class="number">Restarts</th>
                <th>Since</th>
              </tr>
            </thead>
            <tbody>
              {stack.parts.map((part) => (
                <tr key={part.name} data-part={part.name}>
                  <td>{part.name}</td>
                  <td>
                    <State health={partIsWell(part) ? 'good' : part.state === 'failed' ? 'bad' : 'warning'}>
                      {part.state}
                    </State>
                    {part.note && <span class="muted"> {part.note}</span>}
                    {part.last_lines?.length ? <pre>{part.last_lines.join('\n')}</pre> : null}
                  </td>
                  <td>{part.url?.startsWith('http') ? <a href={part.url}>{part.url}</a> : part.url}</td>
                  <td class="number">{part.restarts ?? 0}</td>
                  <td>{ago(part.since)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
