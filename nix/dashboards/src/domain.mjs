// One domain: its types, its aggregates, its commands and workflows, its failures.
import {
  within,
  spread,
  share,
  TABLE_LEGEND,
  barGauge,
  dashboard,
  labels,
  now,
  orZero,
  q,
  row,
  series,
  stat,
  upTo,
} from '../panels.mjs';

const D = 'domain="$domain"';
const ALL_WORKFLOWS = 'workflow_type=~"$workflow_type"';
const ended = (how) => `sum by (workflow_type) (increase(cim_workflow_${how}_total{${ALL_WORKFLOWS}}[30m]))`;
const FAILED = `(${ended('failures')} or 0 * ${ended('completions')})`;
const WORKFLOW_TIME = within(95, 'cim_workflow_duration_seconds', {
  where: ALL_WORKFLOWS,
  by: ['workflow_type'],
  over: '[30m]',
});

export default dashboard({
  uid: 'cim-domain',
  title: 'CIM domain',
  description:
    'One domain at a time: which events, which aggregates, how long commands and workflows take, what fails.',
  variables: [
    labels('domain', 'Domain', 'label_values(cim_events_total, domain)', {
      multi: false,
      includeAll: false,
      allValue: undefined,
      current: { text: 'workflow', value: 'workflow' },
    }),
    labels('workflow_type', 'Workflow', 'label_values(cim_workflow_completions_total, workflow_type)'),
  ],
  rows: [
    [
      stat(
        'Rate',
        'Events of this domain per second.',
        [q(`sum(rate(cim_events_total{${D}}[$__rate_interval]))`, 'events')],
        { unit: 'cps', decimals: 2 },
      ),
      stat(
        'Events in all',
        'Every event of this domain in the streams that are kept.',
        [q(`sum(cim_events_total{${D}})`, 'events')],
        { graph: false, unit: 'short' },
      ),
      stat(
        'Aggregates',
        'Aggregates that this domain has had events of.',
        [q(`sum(cim_aggregate_count{${D}})`, 'aggregates')],
        { unit: 'short' },
      ),
      stat(
        'Last event',
        'How long ago this domain had an event.',
        [q(`time() - max(cim_last_event_timestamp_seconds{${D}})`, 'ago')],
        { unit: 's', graph: false, thresholds: upTo([600, 'orange'], [86400, 'red']) },
      ),
      stat(
        'Failures',
        'Events of this domain that report a failure, in the shown range.',
        [now(orZero(`sum(increase(cim_events_failed_total{${D}}[$__range]))`), 'failures')],
        { graph: false, unit: 'locale', decimals: 0, thresholds: upTo([1, 'orange']) },
      ),
      stat(
        'Break their schema',
        'Events of this domain that do not fit the schema of their type, in the shown range.',
        [now(orZero(`sum(increase(cim_event_schema_violations_total{${D}}[$__range]))`), 'violations')],
        { graph: false, unit: 'locale', decimals: 0, thresholds: upTo([1, 'orange']) },
      ),
    ],
    [
      series(
        'Events by type',
        'Events per second of each type.',
        [q(`sum by (event_type) (rate(cim_events_total{${D}}[$__rate_interval]))`, '{{event_type}}')],
        { w: 16, h: 9, unit: 'cps', stacked: true, legend: TABLE_LEGEND },
      ),
      barGauge(
        'Types',
        'How often each type came in the shown range.',
        [now(`topk(12, sum by (event_type) (increase(cim_events_total{${D}}[$__range])))`, '{{event_type}}')],
        { w: 8, h: 9, unit: 'locale', decimals: 0 },
      ),
    ],
    [
      series(
        'Aggregates by kind',
        'How many different aggregates have had events.',
        [q(`sum by (aggregate_type) (cim_aggregate_count{${D}})`, '{{aggregate_type}}')],
        { w: 8, unit: 'short' },
      ),
      series(
        'From happening to being stored',
        'How long this domain takes to publish: half, 95 and 99 of 100 events.',
        spread('cim_event_publish_delay_seconds', D),
        { w: 8, unit: 's' },
      ),
      series(
        'Failures by kind',
        'What the failures of this domain say of themselves.',
        [
          q(
            orZero(`sum by (error_type) (rate(cim_events_failed_total{${D}}[$__rate_interval]))`, 'error_type'),
            '{{error_type}}',
          ),
        ],
        { w: 8, unit: 'cps', stacked: true },
      ),
    ],
    row('Commands of all domains'),
    [
      series(
        'Time from command to answer',
        '95 of 100 commands of a domain are answered within this time.',
        [q(`${within(95, 'cim_command_duration_seconds', { by: ['domain'] })} >= 0`, '{{domain}}')],
        { w: 8, unit: 's' },
      ),
      series(
        'Commands answered',
        'Answers per second.',
        [q('sum by (domain) (rate(cim_command_duration_seconds_count[$__rate_interval]))', '{{domain}}')],
        { w: 8, unit: 'cps' },
      ),
      series(
        'Commands failed or unanswered',
        'Per second: answers that are failures, and commands that nobody has answered in time.',
        [
          q('sum by (domain) (rate(cim_commands_failed_total[$__rate_interval]))', '{{domain}} failed'),
          q('sum by (domain) (rate(cim_commands_unanswered_total[$__rate_interval]))', '{{domain}} unanswered'),
        ],
        { w: 8, unit: 'cps' },
      ),
    ],
    row('Workflows'),
    [
      series(
        'Workflows ended',
        'Per second, by kind.',
        [
          q(
            `sum by (workflow_type) (rate(cim_workflow_completions_total{${ALL_WORKFLOWS}}[$__rate_interval]))`,
            '{{workflow_type}} completed',
          ),
          q(
            `sum by (workflow_type) (rate(cim_workflow_failures_total{${ALL_WORKFLOWS}}[$__rate_interval]))`,
            '{{workflow_type}} failed',
          ),
        ],
        { w: 8, unit: 'cps' },
      ),
      series(
        'Share of workflows that fail',
        'Of those that ended within half an hour. The alert comes from 10 % on.',
        [q(share(FAILED, `(${FAILED} + on (workflow_type) ${ended('completions')})`), '{{workflow_type}}')],
        { w: 8, unit: 'percentunit', thresholds: upTo([0.1, 'red']), line: true },
      ),
      series(
        'Time that workflows take',
        '95 of 100 workflows of a kind end within this time.',
        [q(`${WORKFLOW_TIME} >= 0`, '{{workflow_type}}')],
        { w: 8, unit: 's' },
      ),
    ],
  ],
});
