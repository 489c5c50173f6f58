// Events: what the server tells of them, stored and as they come.
import { getJson, wordsOf } from './client';

export interface EventRow {
  stored_at: string;
  stream?: string;
  seq?: number;
  subject: string;
  envelope?: string;
  malformed?: string;
  domain?: string;
  event_type?: string;
  aggregate_type?: string;
  aggregate_id?: string;
  event_id?: string;
  correlation_id?: string;
  causation_id?: string;
  occurred_at?: string;
  severity?: string;
  error_type?: string;
}

export interface EventDetail extends EventRow {
  headers?: Record<string, string | string[]>;
  payload?: unknown;
  payload_text?: string;
  payload_base64?: string;
  payload_bytes: number;
  payload_cut?: boolean;
}

export interface Found {
  rows: EventRow[];
  matched: number;
  read: number;
  whole: boolean;
  since: string;
  until: string;
  buckets: [number, number][];
}

export type Relation = 'self' | 'aggregate' | 'correlation' | 'cause' | 'effect';

export interface Related {
  rows: (EventRow & { relations: Relation[] })[];
  read: number;
  whole: boolean;
  all: boolean;
  since: string;
  until: string;
}

/** The fields that can be filtered by, besides any condition in `where`. */
export const FILTERS = ['domain', 'type', 'aggregate', 'correlation', 'stream', 'subject', 'where'] as const;

export function filterOf(query: URLSearchParams): URLSearchParams {
  const filter = new URLSearchParams();
  for (const name of FILTERS) {
    const value = query.get(name)?.trim();
    if (value) filter.set(name, value);
  }
  return filter;
}

export const findEvents = (filter: URLSearchParams, signal?: AbortSignal) =>
  getJson<Found>(`/api/events?${filter}`, { signal });

const placeOf = (stream: string, seq: string) => new URLSearchParams({ stream, seq });

export const oneEvent = (stream: string, seq: string, signal?: AbortSignal) =>
  getJson<EventDetail>(`/api/events/one?${placeOf(stream, seq)}`, { signal });

export const relatedEvents = (stream: string, seq: string, span: string, signal?: AbortSignal) =>
  getJson<Related>(`/api/events/related?${placeOf(stream, seq)}&span=${span}`, { signal });

export const payloadPath = (stream: string, seq: string) => `/api/events/payload?${placeOf(stream, seq)}`;

export const addressOf = (row: EventRow) =>
  row.stream && row.seq ? `/events/${encodeURIComponent(row.stream)}/${row.seq}` : undefined;

export const hasFailed = (row: EventRow) =>
  row.malformed !== undefined || row.error_type !== undefined || /Failed$|Error$|Rejected$/.test(row.event_type ?? '');

export interface TailState {
  connected: boolean;
  problem?: string;
  /** Dropped on the way here, since the tail began. */
  dropped: number;
  received: number;
}

const UNREACHABLE = 'the server cannot be reached; trying again';
const REFUSED_MS = 5000;

/**
 * Follows events. Whatever the rate, `onBatch` is called at most four times a second, with the newest of what came:
 * no more than `kept`, as many as are listed. What the server had to drop is counted in `state.dropped`.
 */
export function followEvents(
  filter: URLSearchParams,
  kept: number,
  onBatch: (rows: EventRow[], state: TailState) => void,
): () => void {
  const address = `/api/events/tail?${filter}`;
  const stop = new AbortController();
  const state: TailState = { connected: false, dropped: 0, received: 0 };
  let source: EventSource;
  let pending: string[] = [];
  let isDue = false;
  const away = (problem: string) => {
    Object.assign(state, { connected: false, problem });
    isDue = true;
  };
  /** An EventSource keeps to itself why it was refused: asked once more, for the words. */
  const askWhy = async () => {
    const response = await fetch(address, { signal: stop.signal });
    if (!response.ok) away(wordsOf(response.status, await response.text()));
    else void response.body?.cancel();
    // A wrong filter stays wrong; all else may pass.
    if (response.status !== 400) setTimeout(open, response.ok ? 0 : REFUSED_MS);
  };
  const open = () => {
    if (stop.signal.aborted) return;
    source = new EventSource(address);
    source.onmessage = ({ data }) => {
      state.received++;
      isDue = true;
      pending.push(data as string);
      if (pending.length >= 2 * kept) pending = pending.slice(-kept);
    };
    source.addEventListener('dropped', ({ data }) => {
      state.dropped += Number(data);
      isDue = true;
    });
    source.addEventListener('state', ({ data }) => {
      const { connected, problem } = JSON.parse(data as string) as { connected: boolean; problem?: string };
      Object.assign(state, { connected, problem });
      isDue = true;
    });
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return away(UNREACHABLE);
      return void askWhy().catch(() => {
        away(UNREACHABLE);
        setTimeout(open, REFUSED_MS);
      });
    };
  };
  open();
  const timer = setInterval(() => {
    if (!isDue) return;
    isDue = false;
    const rows = pending.slice(-kept).map((line) => JSON.parse(line) as EventRow);
    pending = [];
    onBatch(rows, { ...state });
  }, 250);
  return () => {
    clearInterval(timer);
    stop.abort();
    source.close();
  };
}
