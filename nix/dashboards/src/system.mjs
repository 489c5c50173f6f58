// The machines: processors, memory, disks, network.
import {
  share,
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
  table,
  upTo,
} from '../panels.mjs';

const H = 'host=~"$host"';
const worked = (more) => `sum by (host) (rate(cim_host_cpu_seconds_total{${H}${more}}[$__rate_interval]))`;
const busy = `1 - ${share(worked(',mode=~"idle|iowait"'), worked(''))}`;
const most = (metric, ...by) => `max by (${['host', ...by].join(', ')}) (cim_host_${metric}{${H}})`;
const memory = `1 - ${share(most('memory_available_bytes'), most('memory_total_bytes'))}`;
const filesystem = (metric) => most(`filesystem_${metric}`, 'mountpoint');
const disk = `1 - ${share(filesystem('available_bytes'), filesystem('size_bytes'))}`;
const rate = (metric, by) => `sum by (host, ${by}) (rate(${metric}{${H}}[$__rate_interval]))`;

/** Received and sent together. */
const lost = (what) =>
  ['receive', 'send'].map((way) => rate(`cim_host_network_${way}_${what}_total`, 'interface')).join(' + ');

export default dashboard({
  uid: 'cim-system',
  title: 'CIM hosts',
  description: 'The machines that CIM runs on: processors, memory, disks, network, and where they are under pressure.',
  variables: [labels('host', 'Host', 'label_values(cim_host_cpus, host)')],
  rows: [
    [
      stat('Hosts', 'Machines that report.', [q(`count(cim_host_cpus{${H}})`, 'hosts')], { graph: false }),
      gauge('Processors', 'Of the busiest machine. The alert comes from 90 % on.', [q(`max(${busy})`, 'busy')], {
        unit: 'percentunit',
        max: 1,
        thresholds: upTo([0.7, 'orange'], [0.9, 'red']),
      }),
      gauge('Memory', 'Of the fullest machine. The alert comes from 90 % on.', [q(`max(${memory})`, 'used')], {
        unit: 'percentunit',
        max: 1,
        thresholds: upTo([0.8, 'orange'], [0.9, 'red']),
      }),
      gauge('Disk', 'Of the fullest file system. Alerts from 90 and 97 % on.', [q(`max(${disk})`, 'used')], {
        unit: 'percentunit',
        max: 1,
        thresholds: upTo([0.9, 'orange'], [0.97, 'red']),
      }),
      stat(
        'Load',
        'Tasks that run or wait, per processor, of the most loaded machine.',
        [q(`max(max by (host) (cim_host_load5{${H}}) / max by (host) (cim_host_cpus{${H}}))`, 'load')],
        { decimals: 2, thresholds: upTo([1, 'orange'], [2, 'red']) },
      ),
      stat(
        'Killed for memory',
        'Processes that the kernel ended for want of memory, in the shown range.',
        [now(orZero(`sum(increase(cim_host_oom_kills_total{${H}}[$__range]))`), 'killed')],
        { graph: false, decimals: 0, thresholds: upTo([1, 'red']) },
      ),
    ],
    [
      series('Processors', 'The share of time that they work.', [q(busy, '{{host}}')], {
        unit: 'percentunit',
        max: 1,
        legend: TABLE_LEGEND,
        thresholds: upTo([0.9, 'red']),
        line: true,
      }),
      series(
        'What processors do',
        'Of all machines shown, by kind of work.',
        [q(`avg by (mode) (cim_host_cpu_ratio{${H},mode!="idle"})`, '{{mode}}')],
        { unit: 'percentunit', stacked: true, legend: TABLE_LEGEND },
      ),
    ],
    [
      series('Memory used', 'What is not available to new programs.', [q(memory, '{{host}}')], {
        w: 8,
        unit: 'percentunit',
        max: 1,
        thresholds: upTo([0.9, 'red']),
        line: true,
      }),
      series(
        'Memory',
        'Of all machines shown together.',
        [
          q(`sum(cim_host_memory_total_bytes{${H}})`, 'total'),
          q(`sum(cim_host_memory_available_bytes{${H}})`, 'available'),
          q(`sum(cim_host_memory_cached_bytes{${H}})`, 'cached'),
          q(`sum(cim_host_memory_dirty_bytes{${H}})`, 'not written yet'),
        ],
        { w: 8, unit: 'bytes' },
      ),
      series(
        'Load',
        'Tasks that run or wait: mean of 1, 5 and 15 minutes.',
        [
          q(`max by (host) (cim_host_load1{${H}})`, '{{host}} 1 min'),
          q(`max by (host) (cim_host_load5{${H}})`, '{{host}} 5 min'),
          q(`max by (host) (cim_host_load15{${H}})`, '{{host}} 15 min'),
        ],
        { w: 8, unit: 'short' },
      ),
    ],
    [
      series(
        'Pressure',
        'The share of time in which some task waited for processors, memory or disks.',
        ['cpu', 'memory', 'io'].map((kind) =>
          q(`max by (host) (cim_host_pressure_${kind}_some_ratio{${H}})`, `{{host}} ${kind}`),
        ),
        { w: 12, unit: 'percentunit' },
      ),
      series(
        'Page faults and swapping',
        'Per second.',
        [
          q(
            `sum by (host) (rate(cim_host_major_page_faults_total{${H}}[$__rate_interval]))`,
            '{{host}} faults that read',
          ),
          q(`sum by (host) (rate(cim_host_swap_in_pages_total{${H}}[$__rate_interval]))`, '{{host}} swapped in'),
          q(`sum by (host) (rate(cim_host_swap_out_pages_total{${H}}[$__rate_interval]))`, '{{host}} swapped out'),
        ],
        { w: 12, unit: 'cps' },
      ),
    ],
    row('Disks'),
    [
      table(
        'File systems',
        'As they last reported.',
        [
          now(`max by (host, mountpoint) (cim_host_filesystem_size_bytes{${H}})`),
          now(`max by (host, mountpoint) (cim_host_filesystem_available_bytes{${H}})`),
          now(disk),
        ],
        [
          ['host', 'Host'],
          ['mountpoint', 'Mounted at'],
          ['Value #A', 'Size', { unit: 'bytes' }],
          ['Value #B', 'Available', { unit: 'bytes' }],
          [
            'Value #C',
            'Used',
            {
              unit: 'percentunit',
              min: 0,
              max: 1,
              thresholds: upTo([0.9, 'orange'], [0.97, 'red']),
              'custom.cellOptions': { type: 'gauge', mode: 'basic' },
            },
          ],
        ],
        { w: 12, sortBy: 'Used' },
      ),
      series('Full', 'The share of each file system that is used.', [q(disk, '{{host}} {{mountpoint}}')], {
        w: 12,
        unit: 'percentunit',
        max: 1,
      }),
    ],
    [
      series(
        'Disk data',
        'Read and written per second.',
        [
          q(rate('cim_host_disk_read_bytes_total', 'device'), '{{host}} {{device}} read'),
          q(rate('cim_host_disk_written_bytes_total', 'device'), '{{host}} {{device}} written'),
        ],
        { w: 8, unit: 'Bps' },
      ),
      series(
        'Disk time',
        'The share of time in which a disk works.',
        [q(`max by (host, device) (cim_host_disk_busy_ratio{${H}})`, '{{host}} {{device}}')],
        { w: 8, unit: 'percentunit' },
      ),
      series(
        'Disk latency',
        'How long reads and writes take.',
        [
          q(`max by (host, device) (cim_host_disk_read_latency_seconds{${H}})`, '{{host}} {{device}} read'),
          q(`max by (host, device) (cim_host_disk_write_latency_seconds{${H}})`, '{{host}} {{device}} write'),
        ],
        { w: 8, unit: 's' },
      ),
    ],
    row('Network'),
    [
      series(
        'Network data',
        'Received and sent per second.',
        [
          q(rate('cim_host_network_received_bytes_total', 'interface'), '{{host}} {{interface}} received'),
          q(rate('cim_host_network_sent_bytes_total', 'interface'), '{{host}} {{interface}} sent'),
        ],
        { unit: 'Bps' },
      ),
      series(
        'Lost on the network',
        'Errors and drops per second.',
        [q(lost('errors'), '{{host}} {{interface}} errors'), q(lost('drops'), '{{host}} {{interface}} drops')],
        { unit: 'cps' },
      ),
    ],
  ],
});
