// What a time series panel draws: its frames joined on one time axis, stacked, with a scale for each unit.
import uPlot from 'uplot';

import { fieldColor } from '../model/field';
import type { Cell, Field, Frame } from '../model/frames';

export interface SeriesModel {
  field: Field;
  /** The frame's number, for links and tables. */
  frame: Frame;
  color: string;
  label: string;
  scale: string;
  /** As drawn: stacked, negated. */
  drawn: (number | null | undefined)[];
  /** As told. */
  values: (number | null | undefined)[];
  hidden: boolean;
  custom: Custom;
  stackGroup?: string;
  /** The series below it in its stack: what it fills down to. */
  below?: number;
}

export interface Custom {
  drawStyle?: 'line' | 'bars' | 'points';
  lineInterpolation?: 'linear' | 'smooth' | 'stepBefore' | 'stepAfter';
  lineWidth?: number;
  fillOpacity?: number;
  gradientMode?: string;
  showPoints?: 'auto' | 'always' | 'never';
  pointSize?: number;
  spanNulls?: boolean | number;
  stacking?: { mode?: string; group?: string };
  axisPlacement?: string;
  axisLabel?: string;
  axisSoftMin?: number;
  axisSoftMax?: number;
  axisCenteredZero?: boolean;
  axisGridShow?: boolean;
  scaleDistribution?: { type?: string; log?: number };
  thresholdsStyle?: { mode?: string };
  lineStyle?: { fill?: string; dash?: number[] };
  barAlignment?: number;
  barWidthFactor?: number;
  hideFrom?: { viz?: boolean; legend?: boolean; tooltip?: boolean };
  transform?: string;
  fillBelowTo?: string;
}

export interface ScaleModel {
  key: string;
  unit?: string;
  decimals?: number;
  placement: 'left' | 'right' | 'hidden';
  label?: string;
  min?: number;
  max?: number;
  softMin?: number;
  softMax?: number;
  centered: boolean;
  log?: number;
  percent: boolean;
  grid: boolean;
}

export interface PlotModel {
  times: number[];
  series: SeriesModel[];
  scales: ScaleModel[];
}

const asNumber = (value: Cell | undefined): number | null | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : value === undefined ? undefined : null;

function scaleKey(field: Field, custom: Custom): string {
  const { unit, min, max } = field.config;
  return [
    'y',
    unit ?? '',
    min ?? '',
    max ?? '',
    custom.axisPlacement ?? 'auto',
    custom.axisLabel ?? '',
    custom.scaleDistribution?.type ?? '',
    custom.stacking?.mode === 'percent' ? '%' : '',
  ].join('/');
}

function joined(frames: Frame[]): {
  times: number[];
  columns: { frame: Frame; field: Field; values: (number | null | undefined)[] }[];
} {
  const used = frames
    .map((frame) => ({
      frame,
      time: frame.fields.find((field) => field.type === 'time'),
      numbers: frame.fields.filter((field) => field.type === 'number' || field.type === 'boolean'),
    }))
    .filter(({ time, numbers }) => time && numbers.length);
  if (!used.length) return { times: [], columns: [] };
  const first = used[0]!.time!.values;
  const alike = used.every(
    ({ time }) => time!.values.length === first.length && time!.values.every((at, i) => at === first[i]),
  );
  const tables = used.map(
    ({ time, numbers }) =>
      [
        time!.values as number[],
        ...numbers.map((field) =>
          field.type === 'boolean'
            ? field.values.map((value) => (value === null ? null : Number(value)))
            : field.values.map(asNumber),
        ),
      ] as uPlot.AlignedData,
  );
  const all = alike
    ? ([tables[0]![0], ...tables.flatMap((table) => table.slice(1))] as uPlot.AlignedData)
    : uPlot.join(
        tables,
        tables.map((table) => table.map(() => 2)),
      );
  let at = 1;
  return {
    times: all[0] as number[],
    columns: used.flatMap(({ frame, numbers }) =>
      numbers.map((field) => ({ frame, field, values: all[at++] as (number | null | undefined)[] })),
    ),
  };
}

/** A hole of at most so many milliseconds is drawn over. */
function bridged(
  values: (number | null | undefined)[],
  times: number[],
  spanNulls: boolean | number | undefined,
): (number | null | undefined)[] {
  if (!spanNulls) return values;
  const limit = spanNulls === true ? Infinity : Number(spanNulls);
  const made = [...values];
  let last = -1;
  for (let i = 0; i < made.length; i++) {
    if (made[i] === null || made[i] === undefined) continue;
    if (last >= 0 && i - last > 1 && times[i]! - times[last]! <= limit) made.fill(undefined, last + 1, i);
    last = i;
  }
  return made;
}

function stack(series: SeriesModel[], times: number[]): void {
  const groups = new Map<string, number[]>();
  series.forEach((one, i) => {
    const mode = one.custom.stacking?.mode;
    if (one.hidden || !mode || mode === 'none') return;
    // What goes below zero is stacked downwards, apart.
    const down =
      one.custom.transform === 'negative-Y' ||
      one.drawn.every((value) => value === null || value === undefined || value <= 0);
    one.stackGroup = `${mode}/${one.custom.stacking!.group ?? 'A'}/${one.scale}/${down ? '-' : '+'}`;
    groups.set(one.stackGroup, [...(groups.get(one.stackGroup) ?? []), i]);
  });
  for (const [key, members] of groups) {
    const total = key.startsWith('percent')
      ? times.map((_, at) => members.reduce((sum, i) => sum + Math.abs(series[i]!.drawn[at] ?? 0), 0))
      : undefined;
    const sums = new Array<number>(times.length).fill(0);
    members.forEach((i, n) => {
      const one = series[i]!;
      one.drawn = one.drawn.map((value, at) => {
        sums[at]! += total ? (value ?? 0) / (total[at] || 1) : (value ?? 0);
        return value === undefined && !total ? undefined : sums[at]!;
      });
      if (n) one.below = members[n - 1];
    });
  }
}

function indexOfLabel(series: SeriesModel[], label: string): number | undefined {
  const at = series.findIndex((one) => one.label === label);
  return at < 0 ? undefined : at;
}

export function plotModel(frames: Frame[], hidden: ReadonlySet<string>): PlotModel {
  const { times, columns } = joined(frames);
  const scales = new Map<string, ScaleModel>();
  let shown = 0;
  const series = columns
    .filter(({ field }) => (field.config.custom as Custom | undefined)?.hideFrom?.viz !== true)
    .map(({ frame, field, values }): SeriesModel => {
      const custom = (field.config.custom ?? {}) as Custom,
        key = scaleKey(field, custom),
        { config } = field;
      if (!scales.has(key)) {
        const wanted = custom.axisPlacement;
        scales.set(key, {
          key,
          unit: custom.stacking?.mode === 'percent' ? 'percentunit' : config.unit,
          decimals: config.decimals,
          label: custom.axisLabel || undefined,
          placement:
            wanted === 'hidden'
              ? 'hidden'
              : wanted === 'right'
                ? 'right'
                : wanted === 'left'
                  ? 'left'
                  : scales.size
                    ? 'right'
                    : 'left',
          min: config.min,
          max: config.max,
          softMin: custom.axisSoftMin,
          softMax: custom.axisSoftMax,
          centered: custom.axisCenteredZero === true,
          log: custom.scaleDistribution?.type === 'log' ? (custom.scaleDistribution.log ?? 10) : undefined,
          percent: custom.stacking?.mode === 'percent',
          grid: custom.axisGridShow !== false,
        });
      }
      const label = field.title ?? field.name;
      const spanned = bridged(values, times, custom.spanNulls);
      return {
        field,
        frame,
        label,
        scale: key,
        custom,
        values,
        hidden: hidden.has(label),
        color: fieldColor(field, shown++),
        drawn:
          custom.transform === 'negative-Y'
            ? spanned.map((value) => (typeof value === 'number' ? -value : value))
            : custom.transform === 'constant'
              ? spanned.map(() => spanned.find((value) => typeof value === 'number') ?? null)
              : spanned,
      };
    });
  stack(series, times);
  for (const one of series) if (one.custom.fillBelowTo) one.below = indexOfLabel(series, one.custom.fillBelowTo);
  return { times, series, scales: [...scales.values()] };
}
