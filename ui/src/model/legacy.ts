// Panels of older Grafana versions, turned into what has replaced them: graph, singlestat, old tables, old
// gauges, pie charts. Field names are theirs; only what changes the picture is taken over.
import type { Json } from './dashboard';
import { reducerName } from './reduce';

const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
const list = (value: unknown): any[] => (Array.isArray(value) ? value : []);
const number = (value: unknown): number | undefined => {
  const found = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
};

const CALCS: Record<string, string> = {
  avg: 'mean',
  current: 'lastNotNull',
  total: 'sum',
  min: 'min',
  max: 'max',
  first: 'firstNotNull',
  last: 'lastNotNull',
  name: 'lastNotNull',
  delta: 'delta',
  diff: 'diff',
  range: 'range',
  last_time: 'lastNotNull',
};

const valueMapping = (value: unknown, text: unknown): Json =>
  value === 'null'
    ? { type: 'special', options: { match: 'null', result: { text } } }
    : { type: 'value', options: { [String(value)]: { text } } };

/** From "null" to "null" stands in every old panel, and means that there is no value: not that any fits. */
const rangeMapping = (low: unknown, high: unknown, text: unknown): Json =>
  number(low) === undefined && number(high) === undefined
    ? { type: 'special', options: { match: 'null', result: { text } } }
    : { type: 'range', options: { from: number(low) ?? null, to: number(high) ?? null, result: { text } } };

/** Both lists stand in an old panel; `mappingType` tells which one counts. */
function mappings(from: Json): Json[] {
  const values = list(from.valueMaps)
    .map(object)
    .map(({ value, text }) => valueMapping(value, text));
  const ranges = list(from.rangeMaps)
    .map(object)
    .map(({ from: low, to, text }) => rangeMapping(low, to, text));
  return from.mappingType === 1 ? values : from.mappingType === 2 ? ranges : [...values, ...ranges];
}

/** "80,90" and three colours. */
function oldThresholds(text: unknown, colors: unknown): Json {
  const bounds = String(text ?? '')
    .split(',')
    .map((part) => number(part))
    .filter((value): value is number => value !== undefined);
  const names = list(colors).map(String);
  return {
    mode: 'absolute',
    steps: [
      { value: null, color: names[0] ?? 'green' },
      ...bounds.map((value, i) => ({ value, color: names[i + 1] ?? 'red' })),
    ],
  };
}

// --- graph ------------------------------------------------------------------------------------------

function legendOf(legend: Json): Json {
  const calcs = Object.entries(CALCS)
    .filter(([key]) => legend.values && legend[key] === true && key !== 'name')
    .map(([, calc]) => calc);
  return {
    showLegend: legend.show !== false,
    displayMode: legend.alignAsTable ? 'table' : 'list',
    placement: legend.rightSide ? 'right' : 'bottom',
    calcs: [...new Set(calcs)],
    ...(typeof legend.sort === 'string' && legend.sort
      ? { sortBy: reducerName(CALCS[legend.sort] ?? legend.sort), sortDesc: legend.sortDesc === true }
      : {}),
  };
}

function seriesOverride(from: Json): Json | undefined {
  const alias = String(from.alias ?? '');
  if (!alias) return undefined;
  const properties: Json[] = [];
  const custom = (id: string, value: unknown) => properties.push({ id: `custom.${id}`, value });
  if (from.color) properties.push({ id: 'color', value: { mode: 'fixed', fixedColor: from.color } });
  if (from.yaxis === 2) custom('axisPlacement', 'right');
  if (from.lines === false) custom('drawStyle', from.bars ? 'bars' : 'points');
  else if (from.bars === true) custom('drawStyle', 'bars');
  if (number(from.fill) !== undefined) custom('fillOpacity', number(from.fill)! * 10);
  if (number(from.linewidth) !== undefined) custom('lineWidth', number(from.linewidth));
  if (from.dashes)
    custom('lineStyle', { fill: 'dash', dash: [number(from.dashLength) ?? 10, number(from.spaceLength) ?? 10] });
  if (from.stack === false) custom('stacking', { mode: 'none' });
  if (typeof from.stack === 'string') custom('stacking', { mode: 'normal', group: from.stack });
  if (from.transform === 'negative-Y') custom('transform', 'negative-Y');
  if (from.steppedLine) custom('lineInterpolation', 'stepAfter');
  if (from.fillBelowTo) custom('fillBelowTo', from.fillBelowTo);
  if (from.legend === false || from.hiddenSeries === true)
    custom('hideFrom', { legend: from.legend === false, viz: from.hiddenSeries === true, tooltip: false });
  const matcher = alias.startsWith('/') ? { id: 'byRegexp', options: alias } : { id: 'byName', options: alias };
  return { matcher, properties };
}

/** What series on the right axis take from it. */
function rightAxis(axis: Json): Json[] {
  const properties: Json[] = [{ id: 'custom.axisLabel', value: axis.label ?? '' }];
  if (axis.format) properties.push({ id: 'unit', value: axis.format });
  for (const id of ['min', 'max', 'decimals']) properties.push({ id, value: number(axis[id]) });
  if (axis.show === false) properties.push({ id: 'custom.axisPlacement', value: 'hidden' });
  if ((number(axis.logBase) ?? 1) > 1)
    properties.push({ id: 'custom.scaleDistribution', value: { type: 'log', log: number(axis.logBase) } });
  return properties;
}

function graph(from: Json): Json {
  const [left, right] = list(from.yaxes).map(object);
  const bars = from.bars === true,
    lines = from.lines !== false;
  const custom: Json = {
    drawStyle: bars && !lines ? 'bars' : !lines && from.points ? 'points' : bars ? 'bars' : 'line',
    lineWidth: number(from.linewidth) ?? 1,
    fillOpacity: bars && !lines ? 100 : (number(from.fill) ?? 1) * 10,
    gradientMode: number(from.fillGradient) ? 'opacity' : 'none',
    pointSize: (number(from.pointradius) ?? 2) * 2,
    showPoints: from.points ? 'always' : 'never',
    spanNulls: from.nullPointMode === 'connected',
    lineInterpolation: from.steppedLine ? 'stepAfter' : 'linear',
    stacking: { mode: from.stack ? (from.percentage ? 'percent' : 'normal') : 'none', group: 'A' },
    axisLabel: left?.label ?? '',
    axisPlacement: left?.show === false ? 'hidden' : 'auto',
    ...(number(left?.logBase) && left!.logBase > 1
      ? { scaleDistribution: { type: 'log', log: number(left!.logBase) } }
      : {}),
  };
  const steps = list(from.thresholds)
    .map(object)
    .filter((one) => number(one.value) !== undefined)
    .sort((a, b) => a.value - b.value);
  const tells: Record<string, string> = { critical: 'red', warning: 'orange', ok: 'green', custom: 'gray' };
  if (steps.length) custom.thresholdsStyle = { mode: steps.some(({ fill }) => fill) ? 'area' : 'line' };
  const overrides = list(from.seriesOverrides)
    .slice(0, 200)
    .map(object)
    .map(seriesOverride)
    .filter((one): one is Json => one !== undefined);
  for (const [name, color] of Object.entries(object(from.aliasColors))) {
    overrides.push({
      matcher: { id: 'byName', options: name },
      properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }],
    });
  }
  const onRight = overrides.filter(({ properties }) =>
    properties.some((one: Json) => one.id === 'custom.axisPlacement'),
  );
  for (const { properties } of onRight) properties.push(...rightAxis(object(right)));
  const type =
    object(from.xaxis).mode === 'series'
      ? 'barchart'
      : object(from.xaxis).mode === 'histogram'
        ? 'histogram'
        : 'timeseries';
  return {
    ...from,
    type,
    options: {
      legend: legendOf(object(from.legend)),
      tooltip: {
        mode: object(from.tooltip).shared === false ? 'single' : 'multi',
        sort: object(from.tooltip).sort === 2 ? 'desc' : 'none',
      },
      ...(type === 'barchart' ? { reduceBySeries: CALCS[list(object(from.xaxis).values)[0]] ?? 'sum' } : {}),
    },
    fieldConfig: {
      defaults: {
        unit: left?.format,
        decimals: number(left?.decimals),
        min: number(left?.min),
        max: number(left?.max),
        custom,
        color: { mode: 'palette-classic' },
        ...(steps.length
          ? {
              thresholds: {
                mode: 'absolute',
                steps: [
                  { value: null, color: 'transparent' },
                  ...steps.map(({ value, colorMode, fillColor }) => ({
                    value: number(value),
                    color: tells[colorMode] === 'gray' ? (fillColor ?? 'gray') : (tells[colorMode] ?? 'red'),
                  })),
                ],
              },
            }
          : {}),
      },
      overrides,
    },
  };
}

// --- single values ----------------------------------------------------------------------------------

function singlestat(from: Json): Json {
  const gauge = object(from.gauge);
  const steps = oldThresholds(from.thresholds, from.colors);
  const isColored = from.colorBackground === true || from.colorValue === true || gauge.show === true;
  const text = { ...(from.prefix || from.postfix ? { prefix: from.prefix ?? '', postfix: from.postfix ?? '' } : {}) };
  return {
    ...from,
    type: gauge.show ? 'gauge' : 'stat',
    options: {
      reduceOptions: { calcs: [CALCS[from.valueName] ?? 'mean'], fields: '' },
      colorMode: from.colorBackground ? 'background' : from.colorValue ? 'value' : 'none',
      graphMode: object(from.sparkline).show ? 'area' : 'none',
      textMode: from.valueName === 'name' ? 'name' : 'value',
      justifyMode: 'auto',
      orientation: 'horizontal',
      affix: text,
      showThresholdMarkers: gauge.thresholdMarkers !== false,
      showThresholdLabels: gauge.thresholdLabels === true,
    },
    fieldConfig: {
      defaults: {
        unit: from.format,
        decimals: number(from.decimals),
        noValue: from.nullText || undefined,
        mappings: mappings(from),
        ...(gauge.show ? { min: number(gauge.minValue) ?? 0, max: number(gauge.maxValue) ?? 100 } : {}),
        color: isColored ? { mode: 'thresholds' } : { mode: 'fixed', fixedColor: 'text' },
        thresholds: steps,
      },
      overrides: [],
    },
  };
}

/** Before 7.0 the field options stood in the panel's options. */
function fieldOptions(from: Json): Json {
  const options = object(from.options),
    old = object(options.fieldOptions);
  if (!options.fieldOptions) return from;
  const defaults = object(old.defaults);
  const thresholds = Array.isArray(old.thresholds) ? { mode: 'absolute', steps: old.thresholds } : defaults.thresholds;
  return {
    ...from,
    options: {
      ...options,
      reduceOptions: {
        calcs: list(old.calcs).map((calc) => CALCS[calc] ?? calc),
        values: old.values === true,
        fields: '',
      },
    },
    fieldConfig: {
      defaults: {
        ...defaults,
        color: defaults.color ?? { mode: 'thresholds' },
        thresholds: Array.isArray(defaults.thresholds) ? { mode: 'absolute', steps: defaults.thresholds } : thresholds,
        mappings: list(defaults.mappings ?? old.mappings)
          .map(object)
          .map(oldMapping),
      },
      overrides: list(old.overrides),
    },
  };
}

/** {type: 1, value, text} and {type: 2, from, to, text} are those of 7. */
function oldMapping(one: Json): Json {
  if (one.type === 1) return valueMapping(one.value, one.text);
  if (one.type === 2) return rangeMapping(one.from, one.to, one.text);
  return one;
}

/** In the defaults and in overrides: lists whose kinds are numbers. */
function oldMappings(from: Json): Json {
  const config = object(from.fieldConfig),
    defaults = object(config.defaults);
  const isOld = (value: unknown) => list(value).some((one) => typeof object(one).type === 'number');
  const mended = (value: unknown) => (isOld(value) ? list(value).map(object).map(oldMapping) : value);
  const overrides = list(config.overrides).map(object);
  const hasOld =
    isOld(defaults.mappings) ||
    overrides.some(({ properties }) => list(properties).some((one) => isOld(object(one).value)));
  if (!hasOld) return from;
  return {
    ...from,
    fieldConfig: {
      ...config,
      defaults: { ...defaults, mappings: mended(defaults.mappings) },
      overrides: overrides.map((override) => ({
        ...override,
        properties: list(override.properties)
          .map(object)
          .map((one) => (one.id === 'mappings' ? { ...one, value: mended(one.value) } : one)),
      })),
    },
  };
}

// --- tables and others ------------------------------------------------------------------------------

function oldTable(from: Json): Json {
  const overrides: Json[] = [];
  for (const style of list(from.styles).slice(0, 200).map(object)) {
    const pattern = String(style.pattern ?? '');
    const properties: Json[] = [];
    if (style.type === 'hidden') properties.push({ id: 'custom.hidden', value: true });
    if (style.alias) properties.push({ id: 'displayName', value: style.alias });
    if (style.unit && style.type === 'number') properties.push({ id: 'unit', value: style.unit });
    if (number(style.decimals) !== undefined && style.type === 'number')
      properties.push({ id: 'decimals', value: number(style.decimals) });
    if (style.colorMode) {
      properties.push(
        { id: 'thresholds', value: oldThresholds(list(style.thresholds).join(','), style.colors) },
        { id: 'color', value: { mode: 'thresholds' } },
        { id: 'custom.cellOptions', value: { type: style.colorMode === 'value' ? 'color-text' : 'color-background' } },
      );
    }
    if (style.link && style.linkUrl)
      properties.push({
        id: 'links',
        value: [
          {
            title: style.linkTooltip ?? style.linkUrl,
            url: String(style.linkUrl).replace(/\$\{?__cell(?:_\d+)?\}?/g, '${__value.text}'),
          },
        ],
      });
    if (list(style.valueMaps).length || list(style.rangeMaps).length)
      properties.push({ id: 'mappings', value: mappings(style) });
    if (!properties.length) continue;
    const isPattern = pattern.startsWith('/');
    // The general style stands last, and gives way to those before it.
    overrides.unshift({
      matcher: isPattern ? { id: 'byRegexp', options: pattern } : { id: 'byName', options: pattern },
      properties,
    });
  }
  const columns = list(from.columns)
    .map(object)
    .map(({ value }) => CALCS[value] ?? value);
  const transformations =
    from.transform === 'timeseries_aggregations'
      ? [{ id: 'reduce', options: { reducers: columns.length ? columns : ['lastNotNull'] } }]
      : from.transform === 'timeseries_to_rows'
        ? [{ id: 'seriesToRows', options: {} }]
        : from.transform === 'timeseries_to_columns'
          ? [{ id: 'joinByField', options: { byField: 'Time' } }]
          : [{ id: 'merge', options: {} }];
  const sort = object(from.sort);
  return {
    ...from,
    type: 'table',
    options: { showHeader: from.showHeader !== false, sortColumn: number(sort.col), sortDesc: sort.desc === true },
    fieldConfig: { defaults: {}, overrides },
    transformations: [...transformations, ...list(from.transformations)],
  };
}

function oldPie(from: Json): Json {
  return {
    ...from,
    type: 'piechart',
    options: {
      pieType: from.pieType === 'donut' ? 'donut' : 'pie',
      reduceOptions: { calcs: [CALCS[from.valueName] ?? 'lastNotNull'], fields: '' },
      legend: {
        showLegend: object(from.legend).show !== false,
        displayMode: 'list',
        placement: from.legendType === 'Right side' ? 'right' : 'bottom',
        values: object(from.legend).percentage ? ['percent'] : object(from.legend).values ? ['value'] : [],
      },
    },
    fieldConfig: {
      defaults: { unit: from.format, color: { mode: 'palette-classic' } },
      overrides: Object.entries(object(from.aliasColors)).map(([name, color]) => ({
        matcher: { id: 'byName', options: name },
        properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }],
      })),
    },
  };
}

function oldHeatmap(from: Json): Json {
  const color = object(from.color);
  return {
    ...from,
    options: {
      calculate: from.dataFormat !== 'tsbuckets',
      yAxis: { unit: object(from.yAxis).format, reverse: from.reverseYBuckets === true },
      color: {
        mode: color.mode === 'opacity' ? 'opacity' : 'scheme',
        scheme: String(color.colorScheme ?? '').replace(/^interpolate/, ''),
        fill: color.cardColor,
        reverse: false,
        steps: 64,
      },
      legend: { show: object(from.legend).show === true },
      filterValues: from.hideZeroBuckets ? { le: 1e-9 } : {},
    },
    fieldConfig: { defaults: {}, overrides: [] },
  };
}

const oldText = (from: Json): Json => ({
  ...from,
  options: { mode: from.mode ?? 'markdown', content: from.content ?? '' },
});

export function convertLegacy(from: Json): Json {
  switch (from.type) {
    case 'graph':
      return graph(from);
    case 'singlestat':
    case 'grafana-singlestat-panel':
      return singlestat(from);
    case 'table-old':
      return oldTable(from);
    case 'table':
      return Array.isArray(from.styles) && !object(from.fieldConfig).defaults ? oldTable(from) : oldMappings(from);
    case 'grafana-piechart-panel':
      return oldPie(from);
    case 'heatmap':
      return from.dataFormat && !object(from.options).calculate && !object(from.options).color
        ? oldHeatmap(from)
        : from;
    case 'text':
      return from.content !== undefined && !object(from.options).content ? oldText(from) : from;
    default:
      return oldMappings(fieldOptions(from));
  }
}
