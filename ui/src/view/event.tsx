// One event in full, and what has to do with it.
import { useState } from 'preact/hooks';

import { oneEvent, payloadPath, relatedEvents, type EventDetail, type Relation } from '../data/events';
import { bytes, clock, count, Problem, useLoaded } from './common';
import { EventTable } from './events';

const SHOWN_MAX = 60_000;
const FIELDS: (keyof EventDetail)[] = [
  'domain',
  'event_type',
  'aggregate_type',
  'aggregate_id',
  'event_id',
  'correlation_id',
  'causation_id',
  'occurred_at',
  'stored_at',
  'severity',
  'error_type',
  'malformed',
  'envelope',
  'subject',
];
const FILTER_OF: Partial<Record<keyof EventDetail, string>> = {
  domain: 'domain',
  event_type: 'type',
  aggregate_id: 'aggregate',
  correlation_id: 'correlation',
  subject: 'subject',
};
const GROUPS: [Relation, string, string][] = [
  ['cause', 'Its cause', 'The event whose id is this one’s causation id'],
  ['effect', 'Its effects', 'Events whose causation id is this one’s id'],
  ['aggregate', 'On the same aggregate', 'Its neighbours, in the order they were stored'],
  ['correlation', 'Of the same correlation', 'Everything that one request set off'],
];

function textOf(event: EventDetail): string {
  if (event.payload !== undefined) return JSON.stringify(event.payload, null, 2);
  return event.payload_text ?? event.payload_base64 ?? '';
}

function Payload({ event, stream, seq }: { event: EventDetail; stream: string; seq: string }) {
  const [isWhole, setWhole] = useState(false);
  const text = textOf(event);
  return (
    <section>
      <h2>
        Payload{' '}
        <small>
          {bytes(event.payload_bytes)}
          {event.payload_base64 !== undefined && ', no text: as base64'}
        </small>
      </h2>
      <pre class="payload" tabIndex={0}>
        {isWhole ? text : text.slice(0, SHOWN_MAX)}
      </pre>
      <p>
        {text.length > SHOWN_MAX && !isWhole && (
          <button type="button" onClick={() => setWhole(true)}>
            Show all {count(text.length)} characters
          </button>
        )}{' '}
        {event.payload_cut && <span class="warn">Only its beginning is shown. </span>}
        <a href={payloadPath(stream, seq)} download>
          Download its bytes
        </a>
      </p>
    </section>
  );
}

function Related({ stream, seq }: { stream: string; seq: string }) {
  const [span, setSpan] = useState('15m');
  const { value: related, problem } = useLoaded(
    (signal) => relatedEvents(stream, seq, span, signal),
    `${stream} ${seq} ${span}`,
  );
  return (
    <section class="related" aria-busy={!related && !problem}>
      <h2>What has to do with it</h2>
      <div class="choice" role="group" aria-label="How far around it">
        {['1m', '15m', '2h', '1d'].map((one) => (
          <button key={one} type="button" aria-pressed={span === one} onClick={() => setSpan(one)}>
            ± {one}
          </button>
        ))}
      </div>
      <Problem text={problem} />
      {!related && !problem && <p class="nothing">Reading…</p>}
      {related &&
        GROUPS.map(([relation, title, why]) => {
          const rows = related.rows.filter(({ relations }) => relations.includes(relation));
          return (
            <div key={relation} data-relation={relation}>
              <h3 title={why}>
                {title} <small>{rows.filter(({ relations }) => !relations.includes('self')).length}</small>
              </h3>
              {rows.length > 0 && (
                <EventTable
                  rows={rows}
                  mark={(row) => (row.seq === Number(seq) && row.stream === stream ? 'self' : undefined)}
                />
              )}
            </div>
          );
        })}
      {related && (
        <p class="summary">
          {count(related.read)} events read, {clock(related.since)} to {clock(related.until)}
          {!related.whole && <span class="warn">; there were more than are read at once</span>}
          {!related.all && <span class="warn">; only the nearest are shown</span>}
        </p>
      )}
    </section>
  );
}

export function EventPage({ stream, seq }: { stream: string; seq: string }) {
  const { value: event, problem } = useLoaded((signal) => oneEvent(stream, seq, signal), `${stream} ${seq}`);
  const number = Number(seq);
  const sibling = (to: number) => `/events/${encodeURIComponent(stream)}/${to}`;
  return (
    <div class="page wide">
      <div class="controls">
        <h1>
          {event?.event_type ?? 'Event'}{' '}
          <small>
            {stream} {seq}
          </small>
        </h1>
        <div class="choice">
          {number > 1 && (
            <a class="button" href={sibling(number - 1)} rel="prev">
              ← {number - 1}
            </a>
          )}
          {number > 0 && (
            <a class="button" href={sibling(number + 1)} rel="next">
              {number + 1} →
            </a>
          )}
        </div>
      </div>
      <Problem text={problem} />
      {!event && !problem && (
        <p class="nothing" aria-busy="true">
          Reading…
        </p>
      )}
      {event && (
        <div class="columns">
          <div>
            <dl class="fields">
              {FIELDS.filter((name) => event[name] !== undefined).map((name) => {
                const value = String(event[name]),
                  filter = FILTER_OF[name];
                return (
                  <div key={name}>
                    <dt>{name.replaceAll('_', ' ')}</dt>
                    <dd>
                      {filter ? (
                        <a
                          href={`/events?${new URLSearchParams({ [filter]: value, since: '1h' })}`}
                          title="All events like this"
                        >
                          {value}
                        </a>
                      ) : name.endsWith('_at') ? (
                        `${clock(value)} (${value})`
                      ) : (
                        value
                      )}
                    </dd>
                  </div>
                );
              })}
            </dl>
            {event.headers && (
              <section>
                <h2>Headers</h2>
                <dl class="fields">
                  {Object.entries(event.headers).map(([name, value]) => (
                    <div key={name}>
                      <dt>{name}</dt>
                      <dd>{[value].flat().join(', ')}</dd>
                    </div>
                  ))}
                </dl>
              </section>
            )}
            <Payload event={event} stream={stream} seq={seq} key={`${stream} ${seq}`} />
          </div>
          <Related stream={stream} seq={seq} key={`${stream} ${seq}`} />
        </div>
      )}
    </div>
  );
}
