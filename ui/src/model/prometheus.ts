// What Prometheus answers (prometheus.io/docs, "HTTP API") -> frames.
import { makeField, makeFrame, type Cell, type Frame } from './frames';
import { interpolate, type Variables } from './variables';

export type Labels = Record<string, string>;

export interface PromSeries {
  metric: Labels;
  values?: [number, string][];
  value?: [number, string];
  histogram?: unknown;
  histograms?: unknown[];
}

export interface PromData {
  resultType: 'matrix' | 'vector' | 'scalar' | 'string';
  result: PromSeries[] | [number, string];
}

export interface PromTarget {
  refId: string;
  expr: string;
  format?: string;
  legendFormat?: string;
  instant?: boolean;
  range?: boolean;
  interval?: string;
  intervalFactor?: number;
  step?: number;
  hide?: boolean;
}

export function promNumber(text: string): number {
  switch (text) {
    case '+Inf':
    case 'Inf':
      return Infinity;
    case '-Inf':
      return -Infinity;
    default:
      return text.trim() === '' ? NaN : Number(text);
  }
}

/** name{a="b"}, as Prometheus writes it. */
export function seriesText(labels: Labels): string {
  const { __name__: name = '', ...rest } = labels;
  const inside = Object.entries(rest)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(', ');
  return inside || !name ? `${name}{${inside}}` : name;
}

/** {{label}} of a legend; `__auto`: what tells the series apart. What would be empty is named by its labels. */
export function legendText(
  format: string | undefined,
  labels: Labels,
  differing: string[] | undefined,
  variables: Variables,
): string {
  if (format && format !== '__auto') {
    const text = interpolate(format, variables).replace(/\{\{\s*(.+?)\s*\}\}/g, (_all, name) =>
      Object.hasOwn(labels, name) ? labels[name]! : '',
    );
    return text || seriesText(labels);
  }
  if (format === '__auto' && differing) {
    if (differing.length === 1) return labels[differing[0]!] ?? '';
    if (differing.length > 1 && !differing.includes('__name__')) {
      const only = Object.fromEntries(
        differing.filter((name) => Object.hasOwn(labels, name)).map((name) => [name, labels[name]!]),
      );
      return seriesText(only);
    }
  }
  return seriesText(labels);
}

/** Labels that not all series have alike. */
export function differingLabels(all: Labels[]): string[] | undefined {
  if (all.length < 2) return undefined;
  const names = new Set(all.flatMap((labels) => Object.keys(labels)));
  return [...names].filter((name) => all.some((labels) => labels[name] !== all[0]![name]));
}

const seriesOf = (data: PromData): PromSeries[] => {
  if (data.resultType === 'scalar' || data.resultType === 'string')
    return [{ metric: {}, value: data.result as [number, string] }];
  return data.result as PromSeries[];
};

/** Columns: Time, each label, and the value: with the query's name, where other queries give tables, too. */
function tableOf(target: PromTarget, all: PromSeries[], valueName: string): Frame[] {
  const names = [...new Set(all.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const times: Cell[] = [],
    values: Cell[] = [],
    labels: Cell[][] = names.map(() => []);
  for (const series of all) {
    for (const [at, value] of series.values ?? (series.value ? [series.value] : [])) {
      times.push(at * 1000);
      values.push(promNumber(value));
      names.forEach((name, i) => labels[i]!.push(series.metric[name] ?? null));
    }
  }
  if (!times.length) return [];
  return [
    makeFrame(target.refId, [
      makeField('Time', 'time', times),
      ...names.map((name, i) => makeField(name, 'string', labels[i]!)),
      makeField(valueName, 'number', values),
    ]),
  ];
}

/** Buckets of a histogram: one column each by ascending bound, no longer cumulative. */
function heatmapOf(target: PromTarget, frames: Frame[]): Frame[] {
  const bound = (frame: Frame) => promNumber(frame.fields[1]!.labels?.le ?? '');
  const buckets = frames.filter((frame) => !Number.isNaN(bound(frame))).sort((a, b) => bound(a) - bound(b));
  if (!buckets.length) return frames;
  const times = [...new Set(buckets.flatMap((frame) => frame.fields[0]!.values as number[]))].sort((a, b) => a - b);
  const fields = [makeField('Time', 'time', times)];
  let below: number[] = times.map(() => 0);
  for (const bucket of buckets) {
    const at = new Map(
      bucket.fields[0]!.values.map((time, i) => [time as number, bucket.fields[1]!.values[i] as number]),
    );
    const upTo = times.map((time) => at.get(time) ?? NaN);
    const le = bucket.fields[1]!.labels!.le!;
    fields.push(
      makeField(
        le,
        'number',
        upTo.map((value, i) => (Number.isNaN(value) ? null : Math.max(value - below[i]!, 0))),
        { le },
      ),
    );
    below = upTo.map((value, i) => (Number.isNaN(value) ? below[i]! : value));
  }
  return [makeFrame(target.refId, fields)];
}

/**
 * `stepMs`: holes of more than one step become a null, so that a line breaks there. `valueName`: of a table's
 * values.
 */
export function framesOf(
  target: PromTarget,
  data: PromData,
  variables: Variables,
  stepMs: number,
  valueName = 'Value',
): Frame[] {
  const all = seriesOf(data).filter((series) => series.values || series.value);
  if (target.format === 'table') return tableOf(target, all, valueName);
  const differing = differingLabels(all.map(({ metric }) => metric));
  const frames = all.map((series) => {
    const times: Cell[] = [],
      values: Cell[] = [];
    for (const [at, text] of series.values ?? [series.value!]) {
      const ms = at * 1000,
        last = times.at(-1) as number | undefined;
      if (last !== undefined && stepMs > 0 && ms - last > stepMs * 1.5) {
        times.push(last + stepMs);
        values.push(null);
      }
      times.push(ms);
      values.push(promNumber(text));
    }
    const named = legendText(target.legendFormat, series.metric, differing, variables);
    // Without labels the question itself is the name.
    const name = named === '{}' ? target.expr : named;
    const value = makeField('Value', 'number', values, series.metric);
    value.config.displayNameFromDS = name;
    return makeFrame(target.refId, [makeField('Time', 'time', times), value], name);
  });
  return target.format === 'heatmap' ? heatmapOf(target, frames) : frames;
}
