// Agents: what they do, how fast they answer, what they use of the GPUs.
import { spread, share, barGauge, dashboard, now, orZero, q, row, series, stat, upTo } from '../panels.mjs';

const A = 'domain="agent"';
const ended = (types) => `sum(increase(cim_events_total{${A},event_type=~"${types}"}[$__range]))`;

export default dashboard({
  uid: 'cim-agents',
  title: 'CIM agents',
  description: 'Agents: what they do, how fast they answer, what fails, and what they use of the GPUs.',
  rows: [
    [
      stat('Events of agents', 'Per second.', [q(`sum(rate(cim_events_total{${A}}[$__rate_interval]))`, 'events')], {
        unit: 'cps',
        decimals: 2,
      }),
      stat(
        'Agents known',
        'Different agents that have had events.',
        [q(`sum(cim_aggregate_count{${A},aggregate_type="agent"})`, 'agents')],
        { unit: 'short' },
      ),
      stat(
        'Responses',
        'Responses completed per minute.',
        [q(`60 * sum(rate(cim_events_total{${A},event_type="ResponseCompleted"}[$__rate_interval]))`, 'responses')],
        { unit: 'short', decimals: 1 },
      ),
      stat(
        'Responses that fail',
        'Of the responses that ended in the shown range.',
        [now(share(orZero(ended('ResponseFailed')), ended('ResponseCompleted|ResponseFailed')), 'failed')],
        { unit: 'percentunit', decimals: 1, graph: false, thresholds: upTo([0.05, 'orange'], [0.2, 'red']) },
      ),
      stat(
        'Deployed',
        'Agents deployed in the shown range.',
        [now(orZero(`sum(increase(cim_events_total{${A},event_type="AgentDeployed"}[$__range]))`), 'deployed')],
        { unit: 'locale', decimals: 0, graph: false },
      ),
      stat(
        'Last event',
        'How long ago an agent had an event.',
        [q(`time() - max(cim_last_event_timestamp_seconds{${A}})`, 'ago')],
        { unit: 's', graph: false, thresholds: upTo([600, 'orange'], [86400, 'red']) },
      ),
    ],
    [
      series(
        'What agents do',
        'Events per second by type.',
        [q(`sum by (event_type) (rate(cim_events_total{${A}}[$__rate_interval]))`, '{{event_type}}')],
        {
          w: 16,
          h: 9,
          unit: 'cps',
          stacked: true,
          legend: { displayMode: 'table', placement: 'right', calcs: ['mean', 'lastNotNull'] },
        },
      ),
      barGauge(
        'In the shown range',
        'How often each type came.',
        [now(`topk(12, sum by (event_type) (increase(cim_events_total{${A}}[$__range])))`, '{{event_type}}')],
        { w: 8, h: 9, unit: 'locale', decimals: 0 },
      ),
    ],
    [
      series(
        'Lives of agents',
        'Deployed, activated, suspended, decommissioned: per minute.',
        [
          q(
            `60 * sum by (event_type) (rate(cim_events_total{${A},event_type=~"Agent.*"}[$__rate_interval]))`,
            '{{event_type}}',
          ),
        ],
        { w: 8, unit: 'short' },
      ),
      series(
        'From happening to being stored',
        'How long agents take to publish: half, 95 and 99 of 100 events.',
        spread('cim_event_publish_delay_seconds', A),
        { w: 8, unit: 's' },
      ),
      series(
        'Failures',
        'Per second, by what they say of themselves.',
        [
          q(
            orZero(`sum by (error_type) (rate(cim_events_failed_total{${A}}[$__rate_interval]))`, 'error_type'),
            '{{error_type}}',
          ),
        ],
        { w: 8, unit: 'cps' },
      ),
    ],
    row('GPUs in the hands of agents'),
    [
      stat(
        'GPUs allocated',
        'Allocations that agents hold at present.',
        [q(orZero('sum(cim_agent_gpu_allocations)'), 'allocations')],
        { w: 6, h: 8, unit: 'short' },
      ),
      series(
        'GPU use',
        'How busy each GPU is.',
        [q('max by (host, gpu, type) (cim_gpu_utilization_percent)', '{{host}} {{gpu}} ({{type}})')],
        { w: 9, unit: 'percent', max: 100, noValue: 'No GPU reports' },
      ),
      series(
        'Allocations that failed',
        'Per minute, by reason.',
        [
          q(
            orZero('60 * sum by (reason) (rate(cim_agent_gpu_allocation_failures_total[$__rate_interval]))', 'reason'),
            '{{reason}}',
          ),
        ],
        { w: 9, unit: 'short' },
      ),
    ],
  ],
});
