// NATS: the servers, what flows, what is stored, who is behind.
import {
  share,
  TABLE_LEGEND,
  UP_DOWN,
  atLeast,
  dashboard,
  gauge,
  labels,
  now,
  orZero,
  q,
  row,
  series,
  stat,
  table,
  timeline,
  upTo,
} from '../panels.mjs';

const S = 'server=~"$server"';
const T = 'stream=~"$stream"';
const used = share(
  `max by (server) (nats_jetstream_storage_used_bytes{${S}})`,
  `max by (server) (nats_jetstream_storage_limit_bytes{${S}})`,
);
const rate = (metric) => `sum by (server) (rate(${metric}{${S}}[$__rate_interval]))`;

export default dashboard({
  uid: 'cim-nats',
  title: 'CIM NATS',
  description: 'NATS servers and JetStream: who answers, what flows, what is stored, which consumer is behind.',
  variables: [
    labels('server', 'Server', 'label_values(nats_server_up, server)'),
    labels('stream', 'Stream', 'label_values(nats_jetstream_stream_messages, stream)'),
  ],
  rows: [
    [
      stat('Servers up', 'Servers that answer.', [q(`sum(nats_server_up{${S}})`, 'up')], {
        graph: false,
        thresholds: atLeast(1),
      }),
      stat('Cluster size', 'Servers that belong to the cluster.', [q('max(nats_server_cluster_size)', 'size')], {
        graph: false,
      }),
      gauge(
        'Storage',
        'JetStream’s disk space, of the fullest server. Alerts from 80 and 95 % on.',
        [q(`max(${used})`, 'used')],
        { unit: 'percentunit', max: 1, thresholds: upTo([0.8, 'orange'], [0.95, 'red']) },
      ),
      stat('Connections', 'Clients that are connected.', [q(`sum(nats_server_connections{${S}})`, 'connections')], {
        unit: 'short',
      }),
      stat(
        'Most behind',
        'Messages that the slowest consumer has not had yet. The alert comes from 10,000 on.',
        [q(orZero(`max(nats_jetstream_consumer_lag_messages{${T}})`), 'behind')],
        { unit: 'short', thresholds: upTo([1000, 'orange'], [10000, 'red']) },
      ),
      stat(
        'Replicas that differ',
        'Streams whose copies do not hold the same.',
        [now(orZero(`sum(nats_jetstream_stream_replicas_differ{${T}} > 0)`), 'differ')],
        { graph: false, thresholds: upTo([1, 'red']) },
      ),
    ],
    [
      timeline(
        'Servers',
        'Which servers have answered, and when.',
        [q(`max by (server) (nats_server_up{${S}})`, '{{server}}')],
        { w: 12, h: 7, mappings: UP_DOWN },
      ),
      table(
        'Servers',
        'As each last reported.',
        [
          now(`max by (server, version) (nats_server_info{${S}})`),
          now(`max by (server) (nats_server_uptime_seconds{${S}})`),
          now(`max by (server) (nats_server_cpu_percent{${S}})`),
          now(`max by (server) (nats_server_memory_bytes{${S}})`),
          now(`max by (server) (nats_server_slow_consumers{${S}})`),
        ],
        [
          ['server', 'Server'],
          ['version', 'Version'],
          ['Value #B', 'Up for', { unit: 's' }],
          ['Value #C', 'CPU', { unit: 'percent' }],
          ['Value #D', 'Memory', { unit: 'bytes' }],
          ['Value #E', 'Slow clients', {}],
        ],
        { w: 12, h: 7 },
      ),
    ],
    [
      series(
        'Messages',
        'Per second, in and out.',
        [q(rate('nats_server_in_msgs'), '{{server}} in'), q(rate('nats_server_out_msgs'), '{{server}} out')],
        { w: 8, unit: 'cps' },
      ),
      series(
        'Data',
        'Per second, in and out.',
        [q(rate('nats_server_in_bytes'), '{{server}} in'), q(rate('nats_server_out_bytes'), '{{server}} out')],
        { w: 8, unit: 'Bps' },
      ),
      series(
        'Connections and subscriptions',
        'Of each server.',
        [
          q(`max by (server) (nats_server_connections{${S}})`, '{{server}} connections'),
          q(`max by (server) (nats_server_subscriptions{${S}})`, '{{server}} subscriptions'),
        ],
        { w: 8, unit: 'short' },
      ),
    ],
    row('JetStream'),
    [
      series(
        'Stored by stream',
        'Bytes on disk.',
        [q(`max by (account, stream) (cim_nats_jetstream_storage_bytes{${T}})`, '{{stream}}')],
        { unit: 'bytes', stacked: true, legend: TABLE_LEGEND },
      ),
      series(
        'Stored per second',
        'New messages of each stream.',
        [
          q(
            `max by (account, stream) (rate(nats_jetstream_stream_last_sequence{${T}}[$__rate_interval]))`,
            '{{stream}}',
          ),
        ],
        { unit: 'cps', legend: TABLE_LEGEND },
      ),
    ],
    [
      series(
        'Storage against limit',
        'Used by each server, and what it may use.',
        [
          q(`max by (server) (nats_jetstream_storage_used_bytes{${S}})`, '{{server}} used'),
          q(`max by (server) (nats_jetstream_storage_limit_bytes{${S}})`, '{{server}} limit'),
        ],
        { w: 8, unit: 'bytes' },
      ),
      series(
        'API of JetStream',
        'Requests and errors per second.',
        [
          q(rate('nats_jetstream_api_requests'), '{{server}} requests'),
          q(rate('nats_jetstream_api_errors'), '{{server}} errors'),
        ],
        { w: 8, unit: 'cps' },
      ),
      timeline(
        'Quorum',
        'Which streams have had enough copies to store.',
        [q(`max by (account, stream) (nats_jetstream_stream_quorum{${T}})`, '{{stream}}')],
        {
          w: 8,
          h: 8,
          mappings: [
            {
              type: 'value',
              options: {
                0: { text: 'no quorum', color: 'red', index: 0 },
                1: { text: 'quorum', color: 'green', index: 1 },
              },
            },
          ],
        },
      ),
    ],
    [
      table(
        'Streams',
        'As their leader last reported.',
        [
          now(`max by (account, stream) (nats_jetstream_stream_messages{${T}})`),
          now(`max by (account, stream) (cim_nats_jetstream_storage_bytes{${T}})`),
          now(`max by (account, stream) (nats_jetstream_stream_consumers{${T}})`),
          now(`max by (account, stream) (nats_jetstream_stream_replicas{${T}})`),
          now(`max by (account, stream) (nats_jetstream_stream_replicas_current{${T}})`),
        ],
        [
          ['account', 'Account'],
          ['stream', 'Stream'],
          ['Value #A', 'Messages', { unit: 'locale' }],
          ['Value #B', 'Bytes', { unit: 'bytes' }],
          ['Value #C', 'Consumers', {}],
          ['Value #D', 'Copies', {}],
          ['Value #E', 'Current', {}],
        ],
        { w: 12, sortBy: 'Messages' },
      ),
      table(
        'Consumers',
        'The twenty that are most behind. A class says why one stalls.',
        [
          now(`topk(20, max by (stream, consumer) (nats_jetstream_consumer_lag_messages{${T}}))`),
          now(`max by (stream, consumer) (nats_jetstream_consumer_lag_seconds{${T}})`),
          now(`max by (stream, consumer) (nats_jetstream_consumer_ack_pending{${T}})`),
          now(`max by (stream, consumer) (nats_jetstream_consumer_redelivered{${T}})`),
          now(`max by (stream, consumer, class) (nats_jetstream_consumer_stalled{${T}} > 0)`),
        ],
        [
          ['stream', 'Stream'],
          ['consumer', 'Consumer'],
          ['class', 'Stalled'],
          ['Value #A', 'Behind', { unit: 'locale' }],
          ['Value #B', 'For', { unit: 's' }],
          ['Value #C', 'Unacknowledged', {}],
          ['Value #D', 'Redelivered', {}],
        ],
        { w: 12, sortBy: 'Behind' },
      ),
    ],
    row('Who is behind, who leads'),
    [
      series(
        'Behind',
        'Messages that each consumer has not had yet.',
        [q(`max by (stream, consumer) (nats_jetstream_consumer_lag_messages{${T}})`, '{{stream}} {{consumer}}')],
        { w: 8, unit: 'short' },
      ),
      series(
        'Stalled consumers',
        'By why they stall.',
        [q(orZero(`count by (class) (nats_jetstream_consumer_stalled{${T}} > 0)`, 'class'), '{{class}}')],
        { w: 8, unit: 'short' },
      ),
      series(
        'Round trips',
        'Of a ping: between servers, and from the monitor.',
        [
          q(`max by (server, remote, link) (nats_server_rtt_nanoseconds{${S}}) / 1e9`, '{{server}} to {{remote}}'),
          q('max by (instance) (cim_monitor_nats_round_trip_seconds)', 'monitor {{instance}}'),
        ],
        { w: 8, unit: 's' },
      ),
    ],
    [
      series(
        'Leaders and links that changed',
        'Transitions of servers and streams in each 5 minutes.',
        [
          q(
            orZero(`sum by (event_type) (increase(nats_server_transitions_total{${S}}[5m]))`, 'event_type'),
            '{{event_type}}',
          ),
          q(
            `sum by (event_type) (increase(nats_jetstream_stream_transitions_total{${T}}[5m]))`,
            'stream {{event_type}}',
          ),
        ],
        { w: 12, unit: 'short', bars: true },
      ),
      series(
        'Advisories',
        'What JetStream itself tells, in each 5 minutes.',
        [q(orZero('sum by (event_type) (increase(cim_nats_advisories_total[5m]))', 'event_type'), '{{event_type}}')],
        { w: 12, unit: 'short', bars: true },
      ),
    ],
  ],
});
