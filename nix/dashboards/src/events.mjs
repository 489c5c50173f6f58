// What flows, how fast, how late, and what fails.
import {
  spread,
  TABLE_LEGEND,
  atLeast,
  barGauge,
  dashboard,
  heatmap,
  labels,
  now,
  orZero,
  pie,
  plain,
  q,
  row,
  series,
  stat,
  states,
  table,
  upTo,
} from '../panels.mjs';

const D = 'domain=~"$domain"';
const failed = `sum(rate(cim_events_failed_total{${D}}[$__rate_interval]))`;
const all = `sum(rate(cim_events_total{${D}}[$__rate_interval]))`;

export default dashboard({
  uid: 'cim-events',
  title: 'CIM events',
  description: 'The flow of events through all domains: how many, how late, what fails.',
  variables: [labels('domain', 'Domain', 'label_values(cim_events_total, domain)')],
  rows: [
    [
      stat('Rate', 'Events counted per second.', [q(all, 'events')], { unit: 'cps', decimals: 1 }),
      stat(
        'Success rate',
        'The share of events that report no failure.',
        [q(`1 - (${orZero(failed)}) / (${all} > 0)`, 'success')],
        {
          unit: 'percentunit',
          decimals: 2,
          thresholds: {
            mode: 'absolute',
            steps: [
              { value: null, color: 'red' },
              { value: 0.9, color: 'orange' },
              { value: 0.95, color: 'green' },
            ],
          },
        },
      ),
      stat(
        'Processing lag',
        'How far behind the newest event the slowest stream is read. Alerts from 10 s and 60 s on.',
        [q('max(cim_event_processing_lag_seconds)', 'lag')],
        { unit: 's', thresholds: upTo([10, 'orange'], [60, 'red']) },
      ),
      stat('Active streams', 'Streams of events that are read.', [q('sum(cim_active_event_streams)', 'streams')], {
        thresholds: atLeast(1),
        graph: false,
      }),
      stat(
        'Events in all',
        'Every event ever counted in the streams that are kept.',
        [q(`sum(cim_events_total{${D}})`, 'events')],
        { unit: 'short', graph: false },
      ),
      stat(
        'Caught up',
        'Has the monitor read every stream to its end since it started?',
        [now('min(cim_monitor_caught_up)', '')],
        {
          graph: false,
          mappings: states({ 0: ['reading', 'orange'], 1: ['yes', 'green'] }),
          thresholds: plain('green'),
        },
      ),
    ],
    [
      series(
        'Events by domain',
        'Events per second of each domain.',
        [q(`sum by (domain) (rate(cim_events_total{${D}}[$__rate_interval]))`, '{{domain}}')],
        { w: 16, h: 9, unit: 'cps', stacked: true, legend: TABLE_LEGEND },
      ),
      pie(
        'Share of each domain',
        'How the events of the shown range are spread over the domains.',
        [now(`sum by (domain) (increase(cim_events_total{${D}}[$__range])) > 0`, '{{domain}}')],
        { w: 8, h: 9, unit: 'locale', decimals: 0 },
      ),
    ],
    [
      barGauge(
        'Most frequent types',
        'The twelve types that came most often in the shown range.',
        [now(`topk(12, sum by (event_type) (increase(cim_events_total{${D}}[$__range])))`, '{{event_type}}')],
        { h: 10, w: 8, unit: 'locale', decimals: 0 },
      ),
      table(
        'Types',
        'Every type: how often, and when one came last in its domain.',
        [
          now(`sum by (domain, event_type) (cim_events_total{${D}})`),
          now(`sum by (domain, event_type) (rate(cim_events_total{${D}}[5m]))`),
        ],
        [
          ['domain', 'Domain'],
          ['event_type', 'Type'],
          ['Value #A', 'In all', { unit: 'locale', 'custom.width': 110 }],
          ['Value #B', 'Per second', { unit: 'cps', decimals: 3, 'custom.width': 110 }],
        ],
        { h: 10, w: 16, sortBy: 'In all' },
      ),
    ],
    row('What fails'),
    [
      stat(
        'Failures',
        'Events that report a failure, in the shown range.',
        [now(orZero(`sum(increase(cim_events_failed_total{${D}}[$__range]))`), 'failures')],
        { unit: 'locale', decimals: 0, graph: false, thresholds: upTo([1, 'orange']) },
      ),
      stat(
        'Unreadable',
        'Messages that could not be read as events, in the shown range. Alerts from 10 in 10 minutes on.',
        [now(orZero('sum(increase(cim_events_malformed_total[$__range]))'), 'unreadable')],
        { unit: 'locale', decimals: 0, graph: false, thresholds: upTo([1, 'orange'], [10, 'red']) },
      ),
      stat(
        'Break their schema',
        'Events that do not fit the schema of their type, in the shown range.',
        [now(orZero(`sum(increase(cim_event_schema_violations_total{${D}}[$__range]))`), 'violations')],
        { unit: 'locale', decimals: 0, graph: false, thresholds: upTo([1, 'orange']) },
      ),
      stat(
        'Duplicates',
        'Messages that carry the id of an event counted before. They count once.',
        [now(orZero(`sum(increase(cim_duplicate_events_total{${D}}[$__range]))`), 'duplicates')],
        { unit: 'locale', decimals: 0, graph: false },
      ),
      stat(
        'Missed',
        'Events that were gone from their stream before the monitor could read them.',
        [now(orZero('sum(increase(cim_monitor_missed_events_total[$__range]))'), 'missed')],
        { unit: 'locale', decimals: 0, graph: false, thresholds: upTo([1, 'red']) },
      ),
      stat(
        'Odd',
        'Events that are counted but look wrong, such as times in the future.',
        [now(orZero('sum(increase(cim_monitor_suspect_events_total[$__range]))'), 'odd')],
        { unit: 'locale', decimals: 0, graph: false, thresholds: upTo([10, 'orange']) },
      ),
    ],
    [
      series(
        'Errors by domain',
        'Errors per second. The alert comes from 1 per second on.',
        [q(orZero(`sum by (domain) (rate(cim_domain_errors_total{${D}}[$__rate_interval]))`, 'domain'), '{{domain}}')],
        { unit: 'cps', thresholds: upTo([1, 'red']), line: true },
      ),
      series(
        'Errors by kind',
        'What the failures say of themselves.',
        [
          q(
            orZero(`sum by (error_type) (rate(cim_events_failed_total{${D}}[$__rate_interval]))`, 'error_type'),
            '{{error_type}}',
          ),
        ],
        { unit: 'cps', stacked: true },
      ),
    ],
    row('How late'),
    [
      series(
        'Processing lag by stream',
        'Seconds between the storing of an event and its counting.',
        [q('max by (stream) (cim_event_processing_lag_seconds)', '{{stream}}')],
        { unit: 's', w: 8 },
      ),
      series(
        'Time to count an event',
        'Half, 95 and 99 of 100 events are counted within this time.',
        spread('cim_event_processing_duration_seconds', ''),
        { unit: 's', w: 8 },
      ),
      series(
        'Waiting to be read',
        'Messages that lie in a stream behind the last one that was read.',
        [q('max by (stream) (cim_monitor_stream_pending_messages)', '{{stream}}')],
        { unit: 'short', w: 8 },
      ),
    ],
    [
      heatmap(
        'From happening to being stored',
        'How long events take from their own time to the stream, by how many.',
        [q(`sum by (le) (rate(cim_event_publish_delay_seconds_bucket{${D}}[$__rate_interval]))`, '{{le}}')],
        { unit: 's', w: 24 },
      ),
    ],
  ],
});
