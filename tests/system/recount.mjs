// Counts a stream the slow and plain way, from the meaning of the metrics alone: what the simulator's
// --expect and the monitor's /metrics are held against. Knows nothing of rules/ or of any C.
import { jetstream, jetstreamManager } from '@nats-io/jetstream';

import { seriesKey } from './lib/index.mjs';

const NESTING_MAX = 1024;
const SEEN_MAX = 65_536;
const WAITING_MAX = 65_536;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Calls `each` for every message stored by now, in order:
 * {seq, subject, headers (lower-case name -> value), data (Buffer)}.
 */
export async function readEach(connection, stream, each, { batch = 2000 } = {}) {
  const manager = await jetstreamManager(connection);
  const { state } = await manager.streams.info(stream);
  if (state.messages === 0) return;
  const consumer = await jetstream(connection).consumers.get(stream);
  const iterator = await consumer.consume({ max_messages: batch });
  for await (const m of iterator) {
    const headers = new Map();
    for (const [name, values] of m.headers ?? []) headers.set(name.toLowerCase(), values[0]);
    each({ seq: m.seq, subject: m.subject, headers, data: Buffer.from(m.data) });
    if (m.seq >= state.last_seq) break;
  }
}

export async function readStream(connection, stream) {
  const messages = [];
  await readEach(connection, stream, (message) => messages.push(message));
  return messages;
}

function tooDeep(text) {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
    } else if (c === '[' || c === '{') {
      if (++depth > NESTING_MAX) return true;
    } else if (c === ']' || c === '}') depth--;
  }
  return false;
}

function parse(data) {
  try {
    const text = UTF8.decode(data);
    return tooDeep(text) ? undefined : { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

const soleKey = (object) => Object.keys(object)[0];
const pascal = (snake) => snake.split('_').map((word) => word[0].toUpperCase() + word.slice(1)).join('');
const verbTime = (object) => Object.entries(object ?? {}).find(([key]) => key.endsWith('_at'))?.[1];

const SCHEMES = [
  [/^infrastructure\.compute\.[^.]+\.[^.]+$/, ({ body }) => {
    if (Array.isArray(body)) {
      const inner = JSON.parse(Buffer.from(body).toString('utf8'));
      return { domain: 'infrastructure', type: pascal(inner.type), aggregate: 'compute_resource',
        fact: [inner.event_id], channel: 'service', id: inner.aggregate_id, event: inner.event_id,
          at: inner.timestamp };
    }
    return { domain: 'infrastructure', type: body.event_type, aggregate: body.data.aggregate_type,
      fact: [body.data.event.event_id], channel: 'store', id: body.aggregate_id, event: body.data.event.event_id,
        at: body.data.event.timestamp };
  }],
  [/^infrastructure\.[^.]+\.[^.]+$/, ({ body, tokens }) => ({ domain: 'infrastructure',
    type: body.event_type, aggregate: tokens[1], id: body.aggregate_id, event: body.event_id })],
  [/^agent\.events\.agent\./, ({ body }) => ({ domain: 'agent', type: body.event.type,
    aggregate: 'agent', id: body.aggregate_id, at: body.timestamp,
    fact: [body.aggregate_id, JSON.stringify(body.event)], channel: body.sequence === 0 ? 'publisher' : 'store' })],
  [/^agent\.model_config\.events\./, ({ body }) => ({ domain: 'agent', type: body.event.type,
    aggregate: 'model_config', id: body.aggregate_id, at: body.timestamp })],
  [/^events\.workflow\./, ({ body, headers, tokens }) => {
    const type = soleKey(body);
    return { domain: 'workflow', type, aggregate: 'workflow', id: body[type].workflow_id ?? tokens[2],
      event: headers.get('x-message-id'), at: verbTime(body[type]), name: body[type].name };
  }],
  [/^cim\.cim\.cim\./, ({ body, tokens }) => ({ domain: tokens[3],
    type: Object.values(body.event_type)[0], aggregate: 'workflow',
    id: body.context.workflow_instance_id, event: body.id, at: body.timestamp })],
  [/^person\.events\.[^.]+\.person\./, ({ body, tokens }) => ({ domain: 'person',
    fact: [body.aggregate_id.id, tokens[4], body.event.data.metadata.timestamp], channel: 'v2',
      type: body.event.event_type,
    aggregate: 'person', id: body.aggregate_id.id, event: body.event_id,
    at: body.event.data.metadata.timestamp })],
  [/^person\.events\./, ({ body, tokens }) => ({ domain: 'person',
    fact: [body.aggregate_id.id, tokens[3], verbTime(Object.values(body.event)[0])], channel: 'v1',
      type: soleKey(body.event),
    aggregate: 'person', id: body.aggregate_id.id, at: body.timestamp })],
  [/^(organization\.events|events\.organization)\./, ({ body, tokens }) => ({ domain: 'organization',
    type: body.event_type, aggregate: 'organization', id: body.organization_id?.id ?? tokens[2],
    event: body.event_id, at: body.occurred_at, fact: [body.event_id], channel: tokens[0] })],
  [/^events\.policy\./, ({ body, tokens, headers }) => ({ domain: 'policy', type: body.event_type,
    fact: [body.event_id], channel: headers.get('stream') ?? 'store',
    aggregate: 'policy', id: body.policy_id ?? tokens[2], event: body.event_id, at: verbTime(body) })],
  [/^events\.location\./, ({ body, tokens, data }) => ({ domain: 'location',
    fact: [data.toString()], channel: tokens[4] ?? '', type: soleKey(body),
    aggregate: 'location', id: body[soleKey(body)].location_id })],
  [/^git\.event\./, ({ body, headers, tokens }) => ({ domain: 'git',
    type: body.event?.event_type ?? body.event_type, aggregate: tokens[2],
    id: body.event?.repository_id ?? body.repository_id,
    event: body.metadata?.event_id ?? headers.get('x-event-id') ?? body.event_id,
    at: body.metadata?.occurred_at ?? body.timestamp })],
  [/^git\.ack\./, ({ body }) => ({ domain: 'git', type: `Command${body.status}`, aggregate: 'command',
    id: body.command_id, at: body.timestamp })],
  [/^network\./, ({ body, headers, tokens }) => ({ domain: 'network', type: soleKey(body),
    aggregate: tokens[1], id: headers.get('cim-aggregate-id'), event: headers.get('nats-msg-id'),
    at: headers.get('cim-timestamp') })],
];

/** The event view of one message; undefined when it cannot be read. Throws on an unknown subject. */
export function viewOf({ subject, headers, data }) {
  const parsed = parse(data);
  if (!parsed) return undefined;
  const [, read] = SCHEMES.find(([pattern]) => pattern.test(subject)) ?? [];
  if (!read) throw new Error(`no scheme has the subject ${subject}`);
  return read({ body: parsed.value, headers, data, tokens: subject.split('.') });
}

const ERROR_CLASSES = [['Violation', 'violation'], ['TimedOut', 'timed_out'], ['Timeout', 'timed_out'],
  ['Rejected', 'rejected'], ['Failed', 'failed'], ['Error', 'error']];
const ENDS = new Set(['agent AgentDecommissioned', 'organization OrganizationDissolved',
  'person PersonMergedInto', 'person PersonMerged', 'person Archived', 'location LocationArchived',
  'policy PolicyArchived', 'workflow WorkflowCompleted', 'workflow WorkflowFailed',
  'workflow WorkflowCancelled', 'git CommandCompleted', 'git CommandFailed', 'git CommandRejected',
  'git CommandTimedOut', 'network DeviceDecommissioned', 'network ConnectionRemoved']);

/** RFC 3339 -> seconds as the nearest double, all nine digits used. */
function seconds(text) {
  const [, whole, fraction = ''] = text.match(/^(.*?)(?:\.(\d+))?(?:Z|\+00:00)$/);
  return Number(`${Date.parse(`${whole}Z`) / 1000}.${fraction || '0'}`);
}

/** Samples in the form of Metrics.samples: series -> value. */
export function recount(messages, options) {
  const counter = new Recount(options);
  for (const message of messages) counter.add(message);
  return counter.finish();
}

/** The same for more messages than memory holds. */
export class Recount {
  #stream;
  #samples = new Map();
  #alive = new Map();
  #names = new Map();
  #seen = new Map();
  #noted = 0;
  #waiting = new Map();

  constructor({ stream } = {}) {
    this.#stream = stream;
  }

  #bump(name, labels) {
    const key = seriesKey(name, labels);
    this.#samples.set(key, (this.#samples.get(key) ?? 0) + 1);
  }

  add(message) {
    const view = viewOf(message);
    if (!view) {
      this.#bump('cim_events_malformed_total', { stream: this.#stream });
      return;
    }
    const { domain, type, aggregate, id, event } = view;
    if (event) {
      if (this.#noted - this.#seen.get(event) <= SEEN_MAX) this.#bump('cim_duplicate_events_total', { domain });
      this.#seen.set(event, this.#noted++);
    }
    if (this.#isCopy(view)) {
      this.#bump('cim_event_copies_total', { domain, event_type: type });
      return;
    }
    this.#bump('cim_events_total', { domain, event_type: type, aggregate_type: aggregate });
    const failure = ERROR_CLASSES.find(([part]) => type.includes(part))?.[1];
    if (failure) {
      this.#bump('cim_events_failed_total', { domain, event_type: type, error_type: failure });
      this.#bump('cim_domain_errors_total', { domain, error_type: failure, aggregate_type: aggregate });
    }
    const group = seriesKey('cim_aggregate_count', { domain, aggregate_type: aggregate });
    if (!this.#alive.has(group)) this.#alive.set(group, new Set());
    if (ENDS.has(`${domain} ${type}`)) this.#alive.get(group).delete(id);
    else this.#alive.get(group).add(id);
    this.#workflow(view);
  }

  /** A fact that came by another way before, and was not told twice yet. */
  #isCopy({ domain, fact, channel }) {
    if (!fact || fact.includes(undefined)) return false;
    const key = JSON.stringify([domain, ...fact]);
    const other = this.#waiting.has(key) && this.#waiting.get(key) !== channel;
    if (this.#waiting.size === WAITING_MAX && !this.#waiting.has(key)) {
      this.#waiting.delete(this.#waiting.keys().next().value);
    }
    this.#waiting.delete(key);
    if (!other) this.#waiting.set(key, channel);
    return other;
  }

  #workflow({ type, id, name, at }) {
    if (type === 'WorkflowCreated') this.#names.set(id, name);
    const labels = { workflow_type: this.#names.get(id) };
    if (type === 'WorkflowFailed') this.#bump('cim_workflow_failures_total', labels);
    if (type !== 'WorkflowCompleted') return;
    this.#bump('cim_workflow_completions_total', labels);
    const last = seriesKey('cim_workflow_last_completion_timestamp_seconds', labels);
    this.#samples.set(last, Math.max(this.#samples.get(last) ?? 0, seconds(at)));
  }

  finish() {
    for (const [group, ids] of this.#alive) this.#samples.set(group, ids.size);
    return this.#samples;
  }
}
