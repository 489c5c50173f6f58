// What the monitor's tests share: a server with streams, plain events, and the monitor's own events.
import { jetstream, jetstreamManager } from '@nats-io/jetstream';

import { connectNats, startMonitor, startNats } from './lib/index.mjs';
import { readStream } from './recount.mjs';

export const SUBJECTS = ['cim.>', 'events.>', 'infrastructure.>', 'agent.events.>',
  'agent.model_config.events.>', 'person.events.>', 'organization.events.>', 'git.event.>',
  'git.ack.>', 'network.*.*'];

/** A server, a client, and streams: name -> subjects or a whole configuration. CIM-OPS is always there. */
export async function withServer(t, streams = {}, options = {}) {
  const nats = await startNats(t, options);
  const connection = await connectNats(t, nats.url);
  const manager = await jetstreamManager(connection);
  const js = jetstream(connection);
  await manager.streams.add({ name: 'CIM-OPS', subjects: ['ops.>'] });
  for (const [name, config] of Object.entries(streams)) {
    await manager.streams.add({ name, ...(Array.isArray(config) ? { subjects: config } : config) });
  }
  return { nats, connection, manager, js };
}

/** The same with a monitor that has caught up. */
export async function withMonitor(t, streams, { nats: serverOptions, ...options } = {}) {
  const server = await withServer(t, streams, serverOptions);
  const monitor = await startMonitor(t, { nats: server.nats.url, ...options,
    args: ['--first-zero', '0s', '--snapshot-interval', '200ms', ...(options.args ?? [])] });
  return { ...server, monitor };
}

let made = 0;

/** One event in the flat infrastructure shape; `kind` is the subject's second token. */
export function event(kind = 'server', type = 'ServerProvisioned', more = {}) {
  const number = ++made;
  return {
    subject: `infrastructure.${kind}.provisioned`,
    payload: JSON.stringify({ event_id: `event-${process.pid}-${number}`, event_type: type,
      aggregate_id: `${kind}-${number}`, ...more }),
  };
}

/** Publishes `count` events, each acknowledged. */
export async function publish(js, count, kind, type, more) {
  for (let left = count; left > 0; left -= 500) {
    await Promise.all(Array.from({ length: Math.min(left, 500) }, () => {
      const { subject, payload } = event(kind, type, more);
      return js.publish(subject, payload);
    }));
  }
}

/** How many events of a kind the monitor has counted; 0 when the series is absent. */
export function counted(metrics, kind = 'server', type) {
  return metrics.sum('cim_events_total',
    { domain: 'infrastructure', aggregate_type: kind, ...(type && { event_type: type }) }) ?? 0;
}

/** The monitor's own events that are stored, oldest first: [{subject, type, id, data}]. */
export async function ownEvents(connection, type) {
  const messages = await readStream(connection, 'CIM-OPS');
  return messages.filter(({ subject }) => subject.startsWith('ops.monitor.')).map(({ subject, data }) => {
    const body = JSON.parse(data.toString('utf8'));
    return { subject, type: body.event_type, id: subject.split('.')[3], data: body.data };
  }).filter((event) => !type || event.type === type);
}
