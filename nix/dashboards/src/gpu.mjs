// GPUs of all makers side by side.
import {
  TABLE_LEGEND,
  dashboard,
  gauge,
  labels,
  now,
  orZero,
  q,
  row,
  series,
  stat,
  states,
  table,
  timeline,
  upTo,
} from '../panels.mjs';

const G = 'type=~"$type",host=~"$host",gpu=~"$gpu"';
const H = 'host=~"$host",gpu=~"$gpu"';
const NAME = '{{host}} {{gpu}} ({{type}})';
const NONE = { noValue: 'No GPU reports it' };
const each = (metric) => `max by (host, gpu, type) (${metric}{${G}})`;

export default dashboard({
  uid: 'cim-gpu',
  title: 'CIM GPUs',
  description:
    'NVIDIA, Apple and AMD GPUs side by side: use, memory, temperature, power, errors, and what agents hold.',
  variables: [
    labels('type', 'Maker', 'label_values(cim_gpu_utilization_percent, type)'),
    labels('host', 'Host', 'label_values(cim_gpu_utilization_percent{type=~"$type"}, host)'),
    labels('gpu', 'GPU', 'label_values(cim_gpu_utilization_percent{type=~"$type",host=~"$host"}, gpu)'),
  ],
  rows: [
    [
      stat('Available', 'GPUs that answer.', [q(orZero(`sum(cim_gpu_available{${H}})`), 'available')], {
        graph: false,
      }),
      stat(
        'Not healthy',
        'GPUs that answer, but whose health is not good.',
        [now(orZero(`sum(cim_gpu_healthy{${H}} == bool 0)`), 'not healthy')],
        { graph: false, thresholds: upTo([1, 'red']) },
      ),
      gauge('Use', 'The mean over all GPUs shown.', [q(`avg(cim_gpu_utilization_percent{${G}})`, 'use')], {
        unit: 'percent',
        max: 100,
        ...NONE,
      }),
      gauge(
        'Memory',
        'Of all GPUs shown together. Alerts from 95 % of one on.',
        [q(`sum(cim_gpu_memory_used_bytes{${G}}) / sum(cim_gpu_memory_total_bytes{${G}} > 0)`, 'memory')],
        { unit: 'percentunit', max: 1, thresholds: upTo([0.95, 'red']), ...NONE },
      ),
      stat('Hottest', 'Alerts from 85 and 95 °C on.', [q(`max(cim_gpu_temperature_celsius{${G}})`, 'hottest')], {
        unit: 'celsius',
        thresholds: upTo([85, 'orange'], [95, 'red']),
        ...NONE,
      }),
      stat('Power', 'All GPUs shown together.', [q(`sum(cim_gpu_power_watts{${G}})`, 'power')], {
        unit: 'watt',
        ...NONE,
      }),
    ],
    [
      table(
        'GPUs',
        'Each GPU as it last reported.',
        [
          now(`max by (host, gpu, type) (cim_gpu_utilization_percent{${G}})`),
          now(`max by (host, gpu, type) (cim_gpu_memory_used_bytes{${G}})`),
          now(`max by (host, gpu, type) (cim_gpu_memory_total_bytes{${G}})`),
          now(`max by (host, gpu, type) (cim_gpu_temperature_celsius{${G}})`),
          now(`max by (host, gpu, type) (cim_gpu_power_watts{${G}})`),
          now(`max by (host, gpu, type) (cim_gpu_power_limit_watts{${G}})`),
          now(`max by (host, gpu, type) (cim_gpu_processes{${G}})`),
        ],
        [
          ['host', 'Host'],
          ['gpu', 'GPU'],
          ['type', 'Maker'],
          [
            'Value #A',
            'Use',
            { unit: 'percent', min: 0, max: 100, 'custom.cellOptions': { type: 'gauge', mode: 'basic' } },
          ],
          ['Value #B', 'Memory used', { unit: 'bytes' }],
          ['Value #C', 'Memory', { unit: 'bytes' }],
          ['Value #D', 'Temperature', { unit: 'celsius' }],
          ['Value #E', 'Power', { unit: 'watt' }],
          ['Value #F', 'Limit', { unit: 'watt' }],
          ['Value #G', 'Processes', {}],
        ],
        { w: 24, h: 6, noValue: '–' },
      ),
    ],
    [
      series('Use', 'How busy each GPU is.', [q(each('cim_gpu_utilization_percent'), NAME)], {
        unit: 'percent',
        max: 100,
        legend: TABLE_LEGEND,
        ...NONE,
      }),
      series(
        'Memory',
        'Used by each GPU, and what it has.',
        [q(each('cim_gpu_memory_used_bytes'), `${NAME} used`), q(each('cim_gpu_memory_total_bytes'), `${NAME} has`)],
        { unit: 'bytes', legend: TABLE_LEGEND, ...NONE },
      ),
    ],
    [
      series('Temperature', 'Alerts from 85 and 95 °C on.', [q(each('cim_gpu_temperature_celsius'), NAME)], {
        w: 8,
        unit: 'celsius',
        thresholds: upTo([85, 'orange'], [95, 'red']),
        line: true,
        ...NONE,
      }),
      series(
        'Power against limit',
        'What each draws, and what it may.',
        [q(each('cim_gpu_power_watts'), `${NAME}`), q(each('cim_gpu_power_limit_watts'), `${NAME} limit`)],
        { w: 8, unit: 'watt', ...NONE },
      ),
      series('Clock', 'Of the processors.', [q(each('cim_gpu_clock_sm_hertz'), NAME)], {
        w: 8,
        unit: 'hertz',
        ...NONE,
      }),
    ],
    row('Health'),
    [
      timeline(
        'Answering',
        'Which GPUs have answered, and when.',
        [q(`max by (host, gpu) (cim_gpu_available{${H}})`, '{{host}} {{gpu}}')],
        { w: 12, h: 6, mappings: states({ 0: ['lost', 'red'], 1: ['answers', 'green'] }), ...NONE },
      ),
      timeline(
        'Healthy',
        'What each GPU says of itself.',
        [q(`max by (host, gpu) (cim_gpu_healthy{${H}})`, '{{host}} {{gpu}}')],
        { w: 12, h: 6, mappings: states({ 0: ['not healthy', 'red'], 1: ['healthy', 'green'] }), ...NONE },
      ),
    ],
    [
      series(
        'XID errors',
        'Errors that NVIDIA’s driver reports, in each hour, by number.',
        [q(orZero(`sum by (xid) (increase(cim_gpu_xid_errors_total{${H}}[1h]))`, 'xid'), 'XID {{xid}}')],
        { w: 8, unit: 'short', bars: true },
      ),
      series(
        'ECC errors',
        'Memory errors in each hour, corrected and not.',
        [q(orZero(`sum by (kind) (increase(cim_gpu_ecc_errors_total{${H}}[1h]))`, 'kind'), '{{kind}}')],
        { w: 8, unit: 'short', bars: true },
      ),
      series(
        'Slowed down',
        'How often in each hour, by heat, by power, by hardware.',
        [q(orZero(`sum by (class) (increase(cim_gpu_throttles_total{${H}}[1h]))`, 'class'), '{{class}}')],
        { w: 8, unit: 'short', bars: true },
      ),
    ],
    row('Agents'),
    [
      series('Allocations', 'GPUs that agents hold.', [q(orZero('sum(cim_agent_gpu_allocations)'), 'allocations')], {
        unit: 'short',
      }),
      series(
        'Allocations that failed',
        'Per minute, by reason.',
        [
          q(
            orZero('60 * sum by (reason) (rate(cim_agent_gpu_allocation_failures_total[$__rate_interval]))', 'reason'),
            '{{reason}}',
          ),
        ],
        { unit: 'short' },
      ),
    ],
  ],
});
