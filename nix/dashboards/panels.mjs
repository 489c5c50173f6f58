// The words that our dashboards are described in: panels, rows of them, whole dashboards (Grafana's classic schema).

export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const REDUCE = { values: false, calcs: ['lastNotNull'], fields: '' };

/** A query: an expression and what its series are called. */
export const q = (expr, legend = '', more = {}) => ({
  expr: expr.replaceAll(/\s+/g, ' ').trim(),
  legendFormat: legend,
  ...more,
});
/** The same asked for one moment only. */
export const now = (expr, legend = '', more = {}) => q(expr, legend, { instant: true, range: false, ...more });

/**
 * Zero where nothing has been counted: true only when the monitor has read everything, so else there is nothing.
 * `label`: the label by which it is counted; its value is then "none".
 */
export const orZero = (expr, label) =>
  `(${expr}) or on () ${
    label
      ? `label_replace(0 * max(cim_monitor_caught_up == 1), "${label}", "none", "", "")`
      : '0 * max(cim_monitor_caught_up == 1)'
  }`;

const RATE = '[$__rate_interval]';
/** The time within which `part` of 100 are done, of a histogram. */
export const within = (part, metric, { where = '', by = [], over = RATE } = {}) =>
  `histogram_quantile(${part / 100}, sum by (${[...by, 'le'].join(', ')}) (rate(${metric}_bucket{${where}}${over})))`;
/** Half, 95 and 99 of 100. */
export const spread = (metric, where) =>
  [50, 95, 99].map((part) => q(within(part, metric, { where }), `${part} of 100`));

/** A share: of each, by its labels; nothing where the whole is nothing. */
export const share = (part, whole) => `(${part}) / (${whole} > 0)`;

const steps = (levels) => ({
  mode: 'absolute',
  steps: levels.map(([value, color]) => ({ value, color })),
});
/** Green below, then colours from a value on: upTo([0.8, 'orange'], [0.95, 'red']). */
export const upTo = (...levels) => steps([[null, 'green'], ...levels]);
/** Red below, green from there on. */
export const atLeast = (value) =>
  steps([
    [null, 'red'],
    [value, 'green'],
  ]);
export const plain = (color = 'blue') => steps([[null, color]]);

function panel(
  type,
  title,
  description,
  targets,
  {
    w = 6,
    h,
    unit,
    min,
    max,
    decimals,
    thresholds,
    mappings,
    noValue,
    overrides = [],
    custom,
    color,
    options = {},
    transformations,
    ...more
  },
) {
  const defaults = {
    ...(unit && { unit }),
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
    ...(decimals !== undefined && { decimals }),
    ...(noValue && { noValue }),
    thresholds: thresholds ?? plain('green'),
    mappings: mappings ?? [],
    color: color ?? { mode: 'thresholds' },
    ...(custom && { custom }),
  };
  return {
    type,
    title,
    description,
    datasource: DATASOURCE,
    gridPos: { x: 0, y: 0, w, h },
    targets: targets.map((target, i) => ({
      refId: String.fromCharCode(65 + i),
      datasource: DATASOURCE,
      editorMode: 'code',
      range: true,
      ...target,
    })),
    fieldConfig: { defaults, overrides },
    options,
    ...(transformations && { transformations }),
    ...more,
  };
}

export const stat = (title, description, targets, { graph = true, ...more } = {}) =>
  panel('stat', title, description, targets, {
    h: 4,
    w: 4,
    thresholds: plain(),
    ...more,
    options: {
      reduceOptions: REDUCE,
      graphMode: graph ? 'area' : 'none',
      colorMode: 'value',
      textMode: 'auto',
      orientation: 'auto',
      justifyMode: 'auto',
      wideLayout: true,
      ...more.options,
    },
  });

export const gauge = (title, description, targets, more = {}) =>
  panel('gauge', title, description, targets, {
    h: 4,
    w: 4,
    min: 0,
    ...more,
    options: {
      reduceOptions: REDUCE,
      showThresholdLabels: false,
      showThresholdMarkers: true,
      orientation: 'auto',
      minVizWidth: 75,
      minVizHeight: 75,
      sizing: 'auto',
      ...more.options,
    },
  });

const LEGEND = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] };
export const TABLE_LEGEND = {
  showLegend: true,
  displayMode: 'table',
  placement: 'right',
  calcs: ['mean', 'max', 'lastNotNull'],
};

export const series = (
  title,
  description,
  targets,
  { stacked = false, bars = false, fill, legend, line = false, ...more } = {},
) =>
  panel('timeseries', title, description, targets, {
    h: 8,
    w: 12,
    min: 0,
    color: { mode: 'palette-classic' },
    ...more,
    custom: {
      drawStyle: bars ? 'bars' : 'line',
      lineInterpolation: 'linear',
      lineWidth: 1,
      fillOpacity: fill ?? (stacked ? 25 : bars ? 60 : 8),
      showPoints: 'never',
      spanNulls: false,
      stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
      thresholdsStyle: { mode: line ? 'dashed' : 'off' },
      ...more.custom,
    },
    options: { legend: { ...LEGEND, ...legend }, tooltip: { mode: 'multi', sort: 'desc' }, ...more.options },
  });

export const barGauge = (title, description, targets, more = {}) =>
  panel('bargauge', title, description, targets, {
    h: 8,
    w: 8,
    min: 0,
    color: { mode: 'palette-classic' },
    ...more,
    options: {
      reduceOptions: REDUCE,
      orientation: 'horizontal',
      displayMode: 'basic',
      valueMode: 'color',
      namePlacement: 'auto',
      showUnfilled: true,
      sizing: 'auto',
      minVizWidth: 8,
      minVizHeight: 16,
      maxVizHeight: 300,
      ...more.options,
    },
  });

export const pie = (title, description, targets, more = {}) =>
  panel('piechart', title, description, targets, {
    h: 8,
    w: 6,
    color: { mode: 'palette-classic' },
    ...more,
    options: {
      reduceOptions: REDUCE,
      pieType: 'donut',
      legend: { showLegend: true, displayMode: 'table', placement: 'right', values: ['value', 'percent'] },
      tooltip: { mode: 'single', sort: 'none' },
      ...more.options,
    },
  });

/** Columns: [name of the field, what stands above it, options of the field]. Those not named are left out. */
export const table = (title, description, targets, columns, { sortBy, ...more } = {}) =>
  panel(
    'table',
    title,
    description,
    targets.map((one) => ({ ...one, format: 'table' })),
    {
      h: 8,
      w: 12,
      ...more,
      custom: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false },
      overrides: columns
        .filter(([, , options]) => options)
        .map(([, name, options]) => ({
          matcher: { id: 'byName', options: name },
          properties: Object.entries(options).map(([id, value]) => ({ id, value })),
        })),
      options: {
        showHeader: true,
        cellHeight: 'sm',
        ...(sortBy && { sortBy: [{ displayName: sortBy, desc: true }] }),
        ...more.options,
      },
      transformations: [
        ...(targets.length > 1 ? [{ id: 'merge', options: {} }] : []),
        { id: 'filterFieldsByName', options: { include: { names: columns.map(([name]) => name) } } },
        {
          id: 'organize',
          options: {
            excludeByName: {},
            indexByName: Object.fromEntries(columns.map(([name], i) => [name, i])),
            renameByName: Object.fromEntries(columns.map(([name, shown]) => [name, shown])),
          },
        },
      ],
    },
  );

export const timeline = (title, description, targets, more = {}) =>
  panel('state-timeline', title, description, targets, {
    h: 6,
    w: 12,
    ...more,
    custom: { fillOpacity: 70, lineWidth: 0 },
    options: {
      showValue: 'never',
      rowHeight: 0.85,
      mergeValues: true,
      alignValue: 'left',
      legend: { ...LEGEND, showLegend: false },
      tooltip: { mode: 'single', sort: 'none' },
      ...more.options,
    },
  });

export const heatmap = (title, description, targets, { unit, ...more } = {}) =>
  panel(
    'heatmap',
    title,
    description,
    targets.map((one) => ({ ...one, format: 'heatmap' })),
    {
      h: 8,
      w: 12,
      ...more,
      custom: { scaleDistribution: { type: 'linear' }, hideFrom: { tooltip: false, viz: false, legend: false } },
      options: {
        calculate: false,
        yAxis: { axisPlacement: 'left', unit, reverse: false },
        color: { mode: 'scheme', scheme: 'Spectral', steps: 64, exponent: 0.5, fill: 'dark-orange', reverse: false },
        cellGap: 1,
        filterValues: { le: 1e-9 },
        tooltip: { mode: 'single', yHistogram: false, showColorScale: false },
        legend: { show: true },
        rowsFrame: { layout: 'auto' },
        exemplars: { color: 'rgba(255,0,255,0.7)' },
        ...more.options,
      },
    },
  );

/** Value to words and colour: states({0: ['down', 'red'], 1: ['up', 'green']}). */
export const states = (map) => [
  {
    type: 'value',
    options: Object.fromEntries(
      Object.entries(map).map(([value, [text, color]], index) => [value, { text, color, index }]),
    ),
  },
];
export const UP_DOWN = states({ 0: ['down', 'red'], 1: ['up', 'green'] });
export const YES_NO = states({ 0: ['no', 'red'], 1: ['yes', 'green'] });

export const row = (title, more = {}) => ({
  type: 'row',
  title,
  collapsed: false,
  panels: [],
  gridPos: { x: 0, y: 0, w: 24, h: 1 },
  ...more,
});

/** A variable of Prometheus's label values, several at once. */
export const labels = (name, label, from, more = {}) => ({
  name,
  label,
  type: 'query',
  datasource: DATASOURCE,
  query: { query: from, refId: 'Variable' },
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: '.*',
  current: { text: ['All'], value: ['$__all'] },
  hide: 0,
  skipUrlSync: false,
  options: [],
  regex: '',
  ...more,
});

/** Rows of panels from left to right, below each other; ids in their order. */
function place(rows) {
  let y = 0,
    id = 1;
  return rows.flatMap((line) => {
    const items = Array.isArray(line) ? line : [line];
    let x = 0;
    for (const item of items) {
      item.id = id++;
      Object.assign(item.gridPos, { x, y });
      x += item.gridPos.w;
      if (x > 24) throw new Error(`'${item.title}' ends at column ${x} of 24`);
    }
    const heights = new Set(items.map(({ gridPos }) => gridPos.h));
    if (heights.size > 1) throw new Error(`'${items[0].title}' and those beside it differ in height`);
    if (items[0].type !== 'row' && x !== 24)
      throw new Error(`the row of '${items[0].title}' ends at column ${x} of 24`);
    y += items[0].gridPos.h;
    return items;
  });
}

export function dashboard({ uid, title, description, variables = [], rows, tags = [], time = 'now-1h' }) {
  return {
    uid,
    title,
    description,
    tags: ['cim', ...tags],
    schemaVersion: 41,
    version: 1,
    editable: true,
    graphTooltip: 1,
    fiscalYearStartMonth: 0,
    preload: false,
    time: { from: time, to: 'now' },
    refresh: '10s',
    timezone: 'browser',
    timepicker: {},
    annotations: { list: [] },
    links: [
      {
        title: 'CIM dashboards',
        type: 'dashboards',
        tags: ['cim'],
        asDropdown: true,
        keepTime: true,
        includeVars: false,
        targetBlank: false,
        icon: 'external link',
        tooltip: '',
        url: '',
      },
    ],
    templating: {
      list: [
        {
          name: 'datasource',
          label: 'Data source',
          type: 'datasource',
          query: 'prometheus',
          current: { text: 'default', value: 'default' },
          refresh: 1,
          hide: 0,
          skipUrlSync: false,
          multi: false,
          includeAll: false,
          options: [],
          regex: '',
        },
        ...variables,
      ],
    },
    panels: place(rows),
  };
}
