// Events: those of a time range, or as they come; by any field.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import {
  addressOf,
  FILTERS,
  filterOf,
  findEvents,
  followEvents,
  hasFailed,
  type EventRow,
  type Found,
  type TailState,
} from '../data/events';
import { clock, count, Problem, useLoaded } from './common';
import { go, withQuery, type Place } from './route';

const ROWS_KEPT = 250;
const RANGES = ['5m', '15m', '1h', '6h', '24h', '7d'];

const LABELS: Record<(typeof FILTERS)[number], [string, string]> = {
  domain: ['Domain', 'workflow, agent'],
  type: ['Type', 'WorkflowFailed'],
  aggregate: ['Aggregate', 'id'],
  correlation: ['Correlation', 'id'],
  stream: ['Stream', 'CIM-EVENTS'],
  subject: ['Subject', 'cim.workflow.>'],
  where: ['Condition', '$payload.attempt > 3 and $event_type ~ Failed'],
};

function FilterBar({ place }: { place: Place }) {
  const form = useRef<HTMLFormElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const data = new FormData(form.current!);
    go(withQuery(Object.fromEntries(FILTERS.map((name) => [name, String(data.get(name) ?? '').trim() || undefined]))));
  };
  return (
    <form class="filters" ref={form} onSubmit={submit} role="search" aria-label="Filter events">
      {FILTERS.map((name) => (
        <label key={name} class={`filter ${name}`}>
          <span>{LABELS[name][0]}</span>
          <input
            name={name}
            placeholder={LABELS[name][1]}
            defaultValue={place.query.get(name) ?? ''}
            key={place.query.get(name) ?? ''}
            spellcheck={false}
            autocomplete="off"
            onBlur={(event) => event.currentTarget.value.trim() !== (place.query.get(name) ?? '') && submit(event)}
          />
        </label>
      ))}
      <button type="submit" class="primary">
        Filter
      </button>
    </form>
  );
}

function Histogram({ found, onZoom }: { found: Found; onZoom: (since: string, until: string) => void }) {
  const most = Math.max(1, ...found.buckets.map(([all]) => all));
  const from = Date.parse(found.since);
  const width = (Date.parse(found.until) - from) / found.buckets.length;
  const at = (i: number) => new Date(from + i * width).toISOString();
  return (
    <figure
      class="histogram"
      aria-label={`${found.matched} events from ${clock(found.since)} to ${clock(found.until)}`}
    >
      <div class="counts">
        {found.buckets.map(([all, failed], i) => (
          <button
            key={i}
            type="button"
            tabIndex={all ? 0 : -1}
            title={`${clock(at(i), false)}: ${count(all)} events${failed ? `, ${count(failed)} failed` : ''}`}
            aria-label={`${count(all)} events from ${clock(at(i), false)}; show only these`}
            onClick={() => onZoom(at(i), at(i + 1))}
          >
            <span class="count-bar" style={{ height: `${((all - failed) / most) * 100}%` }} />
            <span class="count-bar failed" style={{ height: `${(failed / most) * 100}%` }} />
          </button>
        ))}
      </div>
      <figcaption>
        <span>{clock(found.since, false)}</span>
        <span>
          at most {count(most)} in {Math.max(1, Math.round(width / 1000))} s
        </span>
        <span>{clock(found.until, false)}</span>
      </figcaption>
    </figure>
  );
}

export function EventTable({ rows, mark }: { rows: EventRow[]; mark?: (row: EventRow) => string | undefined }) {
  return (
    <div class="scroll">
      <table class="events">
        <thead>
          <tr>
            <th>Time</th>
            <th>Domain</th>
            <th>Type</th>
            <th>Aggregate</th>
            <th>Stream</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const address = addressOf(row);
            const type = row.event_type ?? (row.malformed ? 'malformed' : row.subject);
            return (
              <tr
                key={`${row.stream} ${row.seq}`}
                class={`${hasFailed(row) ? 'failed' : ''} ${mark?.(row) ?? ''}`}
                data-seq={row.seq}
              >
                <td class="time">{clock(row.stored_at)}</td>
                <td>{row.domain ?? '–'}</td>
                <td class="type">
                  {address ? <a href={address}>{type}</a> : type}
                  {row.malformed && <span class="why"> {row.malformed}</span>}
                </td>
                <td class="id" title={row.aggregate_id}>
                  {row.aggregate_id ?? '–'}
                </td>
                <td class="from">
                  {row.stream ?? '–'} {row.seq}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Live({ filter }: { filter: string }) {
  const [rows, setRows] = useState<EventRow[]>([]);
  const [state, setState] = useState<TailState>();
  const [rate, setRate] = useState(0);
  const [isPaused, setPaused] = useState(false);
  const paused = useRef(false);
  paused.current = isPaused;
  useEffect(() => {
    const marks: [number, number][] = [];
    setRows([]);
    setState(undefined);
    return followEvents(new URLSearchParams(filter), ROWS_KEPT, (batch, next) => {
      const now = performance.now();
      marks.push([now, next.received]);
      while (marks.length > 2 && now - marks[0]![0] > 5000) marks.shift();
      const [since, before] = marks[0]!;
      setRate(now > since ? ((next.received - before) / (now - since)) * 1000 : 0);
      setState(next);
      if (!paused.current) setRows((kept) => [...batch.reverse(), ...kept].slice(0, ROWS_KEPT));
    });
  }, [filter]);
  return (
    <>
      <div class="tail-state" aria-live="off">
        <State state={state} />
        <span data-rate={rate}>{rate.toFixed(rate < 10 ? 1 : 0)} events/s</span>
        <span data-received={state?.received ?? 0}>{count(state?.received ?? 0)} received</span>
        {state !== undefined && state.dropped > 0 && (
          <span class="warn">{count(state.dropped)} not shown: they came faster than they can be</span>
        )}
        <button type="button" onClick={() => setPaused(!isPaused)} aria-pressed={isPaused}>
          {isPaused ? 'Go on' : 'Pause'}
        </button>
      </div>
      {rows.length ? <EventTable rows={rows} /> : <p class="nothing">Waiting for events…</p>}
    </>
  );
}

function State({ state }: { state?: TailState }) {
  if (!state)
    return (
      <span class="state unknown">
        <span class="dot" aria-hidden="true" />
        connecting
      </span>
    );
  return state.connected ? (
    <span class="state good">
      <span class="dot" aria-hidden="true" />
      live
    </span>
  ) : (
    <span class="state bad" role="alert">
      <span class="dot" aria-hidden="true" />
      {state.problem ?? 'connecting'}
    </span>
  );
}

function Stored({ place }: { place: Place }) {
  const filter = useMemo(() => {
    const all = filterOf(place.query);
    all.set('since', place.query.get('since') ?? '15m');
    const until = place.query.get('until');
    if (until) all.set('until', until);
    all.set('limit', '300');
    return all;
  }, [place.query.toString()]);
  const { value: found, problem } = useLoaded((signal) => findEvents(filter, signal), filter.toString());
  if (problem) return <Problem text={problem} />;
  if (!found)
    return (
      <p class="nothing" aria-busy="true">
        Reading…
      </p>
    );
  return (
    <>
      <Histogram found={found} onZoom={(since, until) => go(withQuery({ since, until }))} />
      <p class="summary">
        {count(found.matched)} events{found.read > found.matched && ` of ${count(found.read)} read`}
        {found.matched > found.rows.length && `; the newest ${count(found.rows.length)} are listed`}
        {!found.whole && (
          <span class="warn">
            . There is more in this range than is read at once: a shorter one shows all of it. This is from{' '}
            {clock(found.since)} on
          </span>
        )}
      </p>
      {found.rows.length ? (
        <EventTable rows={found.rows} />
      ) : (
        <p class="nothing">No events. A longer range or a wider filter may show some.</p>
      )}
    </>
  );
}

export function EventsPage({ place }: { place: Place }) {
  const isLive = place.query.get('live') === '1';
  const since = place.query.get('since') ?? '15m';
  const filter = filterOf(place.query).toString();
  return (
    <div class="page wide">
      <div class="controls">
        <h1>Events</h1>
        <div class="choice" role="group" aria-label="Range">
          <button
            type="button"
            aria-pressed={isLive}
            onClick={() => go(withQuery({ live: '1', since: undefined, until: undefined }))}
          >
            Live
          </button>
          {RANGES.map((range) => (
            <button
              key={range}
              type="button"
              aria-pressed={!isLive && since === range && !place.query.has('until')}
              onClick={() => go(withQuery({ live: undefined, since: range, until: undefined }))}
            >
              {range}
            </button>
          ))}
          {place.query.has('until') && (
            <button type="button" aria-pressed="true">
              {clock(since, false)} – {clock(place.query.get('until')!, false)}
            </button>
          )}
        </div>
      </div>
      <FilterBar place={place} />
      {isLive ? <Live filter={filter} key={filter} /> : <Stored place={place} />}
    </div>
  );
}
