// Streams and their consumers, as JetStream tells of them.
import { useMemo } from 'preact/hooks';

import { getJson } from '../data/client';
import { ago, bytes, count, duration, Problem, State, useLoaded, type Health } from './common';

interface Stream {
  config: {
    name: string;
    subjects?: string[];
    retention: string;
    storage: string;
    num_replicas: number;
    max_bytes: number;
    max_msgs: number;
    max_age: number;
    mirror?: { name: string };
  };
  state: {
    messages: number;
    bytes: number;
    first_seq: number;
    last_seq: number;
    last_ts: string;
    consumer_count: number;
    num_subjects?: number;
  };
  cluster?: { leader?: string; replicas?: { name: string; current: boolean; offline?: boolean; lag?: number }[] };
}

interface Consumer {
  name: string;
  config: { durable_name?: string; filter_subject?: string; ack_policy: string; max_deliver?: number };
  delivered: { stream_seq: number; last_active?: string };
  ack_floor: { stream_seq: number; last_active?: string };
  num_ack_pending: number;
  num_redelivered: number;
  num_waiting: number;
  num_pending: number;
}

export const loadStreams = (signal?: AbortSignal) =>
  getJson<{ streams: Stream[]; total: number }>('/api/streams', { signal });

function healthOf({ cluster }: Stream): [Health, string] {
  if (!cluster?.replicas?.length) return ['good', cluster?.leader ? `leader ${cluster.leader}` : 'one copy'];
  if (!cluster.leader) return ['bad', 'no leader'];
  const behind = cluster.replicas.filter(({ current, offline }) => !current || offline);
  return behind.length
    ? ['warning', `${behind.map(({ name }) => name).join(', ')} behind`]
    : ['good', `${cluster.replicas.length + 1} copies`];
}

const KEPT: Record<string, string> = {
  limits: 'until a limit is reached',
  interest: 'until all consumers have it',
  workqueue: 'until one consumer has it',
};

const rangeOf = ({ state }: Stream) => `${count(state.first_seq)} to ${count(state.last_seq)}`;

const limitsOf = ({ config }: Stream) =>
  [
    config.max_bytes > 0 && bytes(config.max_bytes),
    config.max_msgs > 0 && `${count(config.max_msgs)} messages`,
    config.max_age > 0 && duration(config.max_age),
  ]
    .filter(Boolean)
    .join(', ') || 'none';

export function StreamsPage() {
  const { value, problem } = useLoaded(loadStreams, 'streams', 5000);
  const streams = useMemo(
    () => value?.streams.slice().sort((a, b) => a.config.name.localeCompare(b.config.name)),
    [value],
  );
  return (
    <div class="page wide">
      <h1>Streams</h1>
      <Problem text={problem} />
      {!streams && !problem && (
        <p class="nothing" aria-busy="true">
          Asking NATS…
        </p>
      )}
      {streams && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Stream</th>
                <th class="number">Messages</th>
                <th class="number">Bytes</th>
                <th class="number">Sequences</th>
                <th>Last</th>
                <th class="number">Consumers</th>
                <th>Limits</th>
                <th>Copies</th>
                <th>Subjects</th>
              </tr>
            </thead>
            <tbody>
              {streams.map((stream) => {
                const { config, state } = stream,
                  [health, words] = healthOf(stream);
                return (
                  <tr key={config.name} data-stream={config.name}>
                    <td>
                      <a href={`/streams/${encodeURIComponent(config.name)}`}>{config.name}</a>
                      {config.mirror && <small> mirror of {config.mirror.name}</small>}
                    </td>
                    <td class="number">{count(state.messages)}</td>
                    <td class="number">{bytes(state.bytes)}</td>
                    <td class="number">
                      {count(state.first_seq)} – {count(state.last_seq)}
                    </td>
                    <td>{ago(state.last_ts)}</td>
                    <td class="number">{state.consumer_count}</td>
                    <td>{limitsOf(stream)}</td>
                    <td>
                      <State health={health}>{words}</State>
                    </td>
                    <td class="subjects">
                      {(config.subjects ?? []).slice(0, 6).join(' ')}
                      {(config.subjects?.length ?? 0) > 6 && ` and ${config.subjects!.length - 6} more`}
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {value && value.total > value.streams.length && (
        <p class="warn">
          Only {value.streams.length} of {value.total} streams are shown.
        </p>
      )}
    </div>
  );
}

export function StreamPage({ name }: { name: string }) {
  const { value, problem } = useLoaded(
    (signal) => getJson<{ consumers: Consumer[] }>(`/api/streams/${encodeURIComponent(name)}`, { signal }),
    name,
    5000,
  );
  const { value: all } = useLoaded(loadStreams, 'streams', 5000);
  const stream = all?.streams.find(({ config }) => config.name === name);
  return (
    <div class="page wide">
      <p>
        <a href="/streams">All streams</a>
      </p>
      <h1>{name}</h1>
      <Problem text={problem} />
      {stream && (
        <dl class="fields">
          <div>
            <dt>messages</dt>
            <dd>{`${count(stream.state.messages)}, ${bytes(stream.state.bytes)}, sequences ${rangeOf(stream)}`}</dd>
          </div>
          <div>
            <dt>last</dt>
            <dd>
              <a href={`/events/${encodeURIComponent(name)}/${stream.state.last_seq}`}>{ago(stream.state.last_ts)}</a>
            </dd>
          </div>
          <div>
            <dt>kept</dt>
            <dd>
              {KEPT[stream.config.retention] ?? stream.config.retention},{' '}
              {stream.config.storage === 'memory' ? 'in memory' : 'on disk'}; limits: {limitsOf(stream)}
            </dd>
          </div>
          <div>
            <dt>subjects</dt>
            <dd>{(stream.config.subjects ?? []).join('  ')}</dd>
          </div>
          <div>
            <dt>events</dt>
            <dd>
              <a href={`/events?stream=${encodeURIComponent(name)}`}>stored</a>,{' '}
              <a href={`/events?stream=${encodeURIComponent(name)}&live=1`}>live</a>
            </dd>
          </div>
        </dl>
      )}
      <h2>Consumers</h2>
      {value && !value.consumers.length && <p class="nothing">No consumer reads this stream.</p>}
      {value && value.consumers.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Consumer</th>
                <th class="number">Behind</th>
                <th class="number">Unacknowledged</th>
                <th class="number">Redelivered</th>
                <th class="number">Delivered to</th>
                <th>Last active</th>
                <th>Acknowledges</th>
                <th>Filter</th>
              </tr>
            </thead>
            <tbody>
              {value.consumers.map((consumer) => (
                <tr key={consumer.name}>
                  <td>
                    {consumer.name}
                    {!consumer.config.durable_name && <small> ephemeral</small>}
                  </td>
                  <td class="number">{count(consumer.num_pending)}</td>
                  <td class="number">{count(consumer.num_ack_pending)}</td>
                  <td class="number">{count(consumer.num_redelivered)}</td>
                  <td class="number">{count(consumer.delivered.stream_seq)}</td>
                  <td>{ago(consumer.delivered.last_active)}</td>
                  <td>{consumer.config.ack_policy}</td>
                  <td>{consumer.config.filter_subject ?? ''}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
