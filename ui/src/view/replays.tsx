// Replays: what `cim-ops replay` has done and is doing, by its records in KV CIM_REPLAYS.
import { useRef } from 'preact/hooks';

import { getJson } from '../data/client';
import { ago, bytes, count, Problem, State, useLoaded, type Health } from './common';

export interface Replay {
  id: string;
  state: string;
  target: string;
  problem?: string;
  started_at: string;
  updated_at: string;
  by?: { host?: string; pid?: number };
  selection?: {
    wanted?: Record<string, string>;
    streams?: { name: string; first: number; cut: number }[];
  };
  positions?: Record<string, number>;
  figures?: { read: number; replayed: number; bytes: number; skipped: number; parked: number; retried: number };
}

const STALE_MS = 15_000; // as in act/replay/record.h

/** Running, but not written to for so long: its process is gone. */
export function stateOf(replay: Replay, nowMs = Date.now()): string {
  const running = replay.state === 'running' || replay.state === 'cancelling';
  return running && nowMs - Date.parse(replay.updated_at) > STALE_MS ? 'broken off' : replay.state;
}

const HEALTH: Record<string, Health> = {
  done: 'good',
  running: 'good',
  cancelling: 'warning',
  cancelled: 'unknown',
  interrupted: 'warning',
  'broken off': 'warning',
  failed: 'bad',
};

/** How much of what was chosen has been passed, 0 to 1; undefined when it is not known. */
export function shareOf({ state, selection, positions }: Replay): number | undefined {
  // The last event that was chosen need not be the last one of its stream.
  if (state === 'done') return 1;
  let all = 0,
    done = 0;
  for (const { name, first, cut } of selection?.streams ?? []) {
    const span = Math.max(0, cut - first + 1);
    all += span;
    done += Math.min(span, Math.max(0, (positions?.[name] ?? first) - first));
  }
  return all > 0 ? done / all : undefined;
}

const selectionOf = ({ selection }: Replay) =>
  [
    selection?.streams?.map(({ name }) => name).join(', '),
    ...Object.entries(selection?.wanted ?? {})
      .filter(([name]) => name !== 'stream')
      .map(([name, text]) => `${name} ${text}`),
  ]
    .filter(Boolean)
    .join('; ');

/** Events per second between two looks. */
function useRates(replays: Replay[] | undefined): Map<string, number> {
  const before = useRef(new Map<string, { at: number; replayed: number; rate?: number }>());
  const rates = new Map<string, number>();
  for (const { id, updated_at, figures } of replays ?? []) {
    const at = Date.parse(updated_at),
      replayed = figures?.replayed ?? 0,
      last = before.current.get(id);
    const rate = last && at > last.at ? ((replayed - last.replayed) * 1000) / (at - last.at) : last?.rate;
    before.current.set(id, { at, replayed, rate });
    if (rate !== undefined) rates.set(id, rate);
  }
  return rates;
}

function Row({ replay, rate }: { replay: Replay; rate?: number }) {
  const state = stateOf(replay),
    share = shareOf(replay),
    { figures } = replay;
  const canGoOn = ['broken off', 'interrupted', 'failed'].includes(state);
  return (
    <tr data-replay={replay.id}>
      <td>
        <a href={`/events?since=7d&subject=${encodeURIComponent(`ops.replay.replay.${replay.id}.>`)}`}>{replay.id}</a>
      </td>
      <td>
        <State health={HEALTH[state] ?? 'unknown'}>{state}</State>
        {replay.problem && <small class="wrong"> {replay.problem}</small>}
        {canGoOn && (
          <small>
            {' '}
            <code>cim-ops replay --resume {replay.id}</code>
          </small>
        )}
      </td>
      <td>{replay.target}</td>
      <td>{selectionOf(replay)}</td>
      <td class="number">{count(figures?.replayed)}</td>
      <td class="number">{share === undefined ? '–' : `${Math.floor(share * 100)} %`}</td>
      <td class="number">{state === 'running' && rate !== undefined ? `${count(Math.round(rate))}/s` : ''}</td>
      <td class="number">{bytes(figures?.bytes)}</td>
      <td class="number">
        {figures && figures.skipped + figures.parked > 0 ? count(figures.skipped + figures.parked) : ''}
      </td>
      <td>{ago(replay.started_at)}</td>
      <td>{ago(replay.updated_at)}</td>
    </tr>
  );
}

export function ReplaysPage() {
  const { value, problem } = useLoaded(
    (signal) => getJson<{ replays: Replay[]; total: number }>('/api/replays', { signal }),
    'replays',
    2000,
  );
  const rates = useRates(value?.replays);
  return (
    <div class="page wide">
      <h1>Replays</h1>
      <Problem text={problem} />
      {!value && !problem && (
        <p class="nothing" aria-busy="true">
          Asking NATS…
        </p>
      )}
      {value?.replays.length === 0 && (
        <p class="nothing">
          Nothing has been replayed. <code>cim-ops replay --dry-run --target -</code> says what would be.
        </p>
      )}
      {value && value.replays.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Replay</th>
                <th>State</th>
                <th>Target</th>
                <th>Selection</th>
                <th class="number">Replayed</th>
                <th class="number">Read</th>
                <th class="number">Rate</th>
                <th class="number">Bytes</th>
                <th class="number">Not taken</th>
                <th>Started</th>
                <th>Checkpoint</th>
              </tr>
            </thead>
            <tbody>
              {value.replays.map((replay) => (
                <Row key={replay.id} replay={replay} rate={rates.get(replay.id)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {value && value.total > value.replays.length && (
        <p>
          The newest {value.replays.length} of {count(value.total)} are shown.
        </p>
      )}
    </div>
  );
}
