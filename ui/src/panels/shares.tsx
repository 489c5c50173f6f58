// Pie charts and bar charts.
import { useState } from 'preact/hooks';

import { fieldColor, show, valueColor } from '../model/field';
import type { Field, Frame } from '../model/frames';
import { shownText } from '../model/units';
import { numberLabels, numberScale } from '../view/axis';
import type { PanelProps } from './panel';
import { valuesOf, type Value } from './values';

const NOTHING = <div class="nothing">No data</div>;

function slice(x: number, y: number, outer: number, inner: number, from: number, to: number): string {
  const point = (radius: number, share: number) => {
    const angle = share * 2 * Math.PI - Math.PI / 2;
    return `${(x + radius * Math.cos(angle)).toFixed(2)},${(y + radius * Math.sin(angle)).toFixed(2)}`;
  };
  const large = to - from > 0.5 ? 1 : 0;
  if (to - from > 0.99999) {
    // a whole circle has no two ends
    const ring = (radius: number, turn: number) =>
      `M${x - radius},${y}A${radius},${radius},0,1,${turn},${x + radius},${y}` +
      `A${radius},${radius},0,1,${turn},${x - radius},${y}Z`;
    return ring(outer, 1) + (inner ? ring(inner, 0) : '');
  }
  const edge = `M${point(outer, from)}A${outer},${outer},0,${large},1,${point(outer, to)}`;
  const back = `L${point(inner, to)}A${inner},${inner},0,${large},0,${point(inner, from)}`;
  return `${edge}${inner ? back : `L${x},${y}`}Z`;
}

export function Pie({ panel, data, width, height }: PanelProps) {
  const { options } = panel;
  const [off, setOff] = useState<ReadonlySet<string>>(new Set());
  // Of a palette each slice has its own, whatever the fields' positions are.
  const all = valuesOf(data.frames, options.reduceOptions)
    .filter(({ value }) => typeof value === 'number' && Number.isFinite(value) && value > 0)
    .map((one, i): Value => ({
      ...one,
      color:
        one.field.config.color?.mode === 'thresholds' || !one.field.config.color?.mode
          ? valueColor(
              { ...one.field, config: { ...one.field.config, color: { mode: 'palette-classic' } } },
              one.value,
              i,
            )
          : one.color,
    }));
  const shown = all.filter(({ title }) => !off.has(title)).sort((a, b) => Number(b.value) - Number(a.value));
  if (!all.length) return NOTHING;
  const total = shown.reduce((sum, { value }) => sum + Number(value), 0) || 1;
  const legend = options.legend ?? {},
    hasLegend = legend.showLegend !== false && legend.displayMode !== 'hidden',
    isRight = hasLegend && legend.placement === 'right' && width > 300;
  const size = Math.max(
      Math.min(isRight ? width * 0.55 : width, hasLegend && !isRight ? height * 0.72 : height) - 12,
      40,
    ),
    middle = size / 2;
  const inner = options.pieType === 'donut' ? middle * 0.6 : 0,
    wants = Array.isArray(legend.values) ? legend.values : [],
    labels: string[] = Array.isArray(options.displayLabels) ? options.displayLabels : [];
  let at = 0;
  const percent = (value: Value) =>
    `${((Number(value.value) / total) * 100).toFixed(Number(value.value) / total < 0.1 ? 1 : 0)}%`;
  return (
    <div class={isRight ? 'pie right' : 'pie'}>
      <svg
        width={size}
        height={size}
        role="img"
        aria-label={`${panel.title}: ${shown
          .slice(0, 8)
          .map((one) => `${one.title} ${percent(one)}`)
          .join(', ')}`}
      >
        {shown.map((one, i) => {
          const from = at,
            share = Number(one.value) / total;
          at += share;
          const angle = (from + share / 2) * 2 * Math.PI - Math.PI / 2,
            radius = inner ? (middle + inner) / 2 : middle * 0.66;
          const words = [
            labels.includes('name') && one.title,
            labels.includes('value') && shownText(one.shown),
            labels.includes('percent') && percent(one),
          ]
            .filter(Boolean)
            .join(' ');
          return (
            <g key={i}>
              <path
                d={slice(middle, middle, middle - 2, inner, from, at)}
                fill={one.color}
                fill-rule="evenodd"
                stroke="var(--panel)"
                stroke-width="1"
              >
                <title>{`${one.title}: ${shownText(one.shown)} (${percent(one)})`}</title>
              </path>
              {words && share > 0.06 && (
                <text
                  class="pie-label"
                  x={middle + radius * Math.cos(angle)}
                  y={middle + radius * Math.sin(angle) + 4}
                  text-anchor="middle"
                >
                  {words}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      {hasLegend && (
        <div class="legend list pie-legend">
          {all.map((one, i) => (
            <button
              type="button"
              key={i}
              class={off.has(one.title) ? 'legend-name off' : 'legend-name'}
              aria-pressed={!off.has(one.title)}
              onClick={() =>
                setOff((before) => {
                  const next = new Set(before);
                  if (!next.delete(one.title)) next.add(one.title);
                  return next;
                })
              }
            >
              <span class="swatch" style={{ background: one.color }} />
              {one.title}
              {wants.includes('value') && <span class="legend-value">{shownText(one.shown)}</span>}
              {wants.includes('percent') && <span class="legend-value">{percent(one)}</span>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

// --- bars -------------------------------------------------------------------------------------------

interface Bars {
  names: string[];
  series: { field: Field; color: string; values: (number | null)[] }[];
}

const BARS_MAX = 200;

/** Of a histogram each bar is named by the bounds of its bucket. */
function bucketsOf(frame: Frame): Bars {
  const [low, high, ...counts] = frame.fields as [Field, Field, ...Field[]];
  return {
    names: low.values
      .slice(0, BARS_MAX)
      .map((from, i) => `${shownText(show(low, from))}–${shownText(show(high, high.values[i]))}`),
    series: counts.map((field, i) => ({
      field,
      color: fieldColor(field, i),
      values: field.values.slice(0, BARS_MAX) as (number | null)[],
    })),
  };
}

/** A table's texts name the bars; of series the newest values are taken, or their calculation. */
function barsOf(frames: Frame[], options: Record<string, any>): Bars {
  const buckets = frames.find(({ fields }) => fields[0]?.name === 'xMin' && fields[1]?.name === 'xMax');
  if (buckets) return bucketsOf(buckets);
  const table = frames.find(
    (frame) =>
      frame.fields.some((field) => field.type === 'string') && frame.fields.some((field) => field.type === 'number'),
  );
  if (table) {
    const x =
      table.fields.find((field) => (field.title ?? field.name) === options.xField) ??
      table.fields.find((field) => field.type === 'string')!;
    const numbers = table.fields.filter(
      (field) =>
        field.type === 'number' &&
        field !== x &&
        !(field.config.custom as { hideFrom?: { viz?: boolean } } | undefined)?.hideFrom?.viz,
    );
    return {
      names: x.values.slice(0, BARS_MAX).map((value) => shownText(show(x, value))),
      series: numbers.map((field, i) => ({
        field,
        color: fieldColor(field, i),
        values: field.values.slice(0, BARS_MAX) as (number | null)[],
      })),
    };
  }
  const times = frames[0]?.fields.find((field) => field.type === 'time');
  if (frames.length === 1 && times && frames[0]!.length > 1 && !options.reduceBySeries) {
    const numbers = frames[0]!.fields.filter((field) => field.type === 'number');
    const from = Math.max(frames[0]!.length - BARS_MAX, 0);
    return {
      names: times.values.slice(from).map((value) => shownText(show(times, value))),
      series: numbers.map((field, i) => ({
        field,
        color: fieldColor(field, i),
        values: field.values.slice(from) as (number | null)[],
      })),
    };
  }
  const values = valuesOf(frames, { calcs: [options.reduceBySeries ?? 'lastNotNull'] });
  if (!values.length) return { names: [], series: [] };
  return {
    names: values.map(({ title }) => title),
    series: [
      {
        field: values[0]!.field,
        color: values[0]!.color,
        values: values.map(({ value }) => (typeof value === 'number' ? value : null)),
      },
    ],
  };
}

export function BarChart({ panel, data, width, height }: PanelProps) {
  const { options } = panel,
    { names, series } = barsOf(data.frames, options);
  if (!names.length || !series.length) return NOTHING;
  const stacked = options.stacking === 'normal' || options.stacking === 'percent',
    flat = options.orientation === 'horizontal';
  const totals = names.map((_, at) => series.reduce((sum, { values }) => sum + Math.max(values[at] ?? 0, 0), 0));
  const part = (value: number, at: number) => (options.stacking === 'percent' ? value / (totals[at] || 1) : value);
  const high =
    options.stacking === 'percent'
      ? 1
      : stacked
        ? Math.max(...totals)
        : Math.max(0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const low = Math.min(0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const { config } = series[0]!.field,
    unit = options.stacking === 'percent' ? 'percentunit' : config.unit;
  const legend = options.legend ?? {},
    hasLegend = legend.showLegend !== false && legend.displayMode !== 'hidden' && series.length > 1,
    plotHeight = height - (hasLegend ? 26 : 0);
  const scale = numberScale(low, high, {
    unit,
    min: config.min,
    max: options.stacking === 'percent' ? 1 : config.max,
    count: Math.max(Math.floor(flat ? width / 80 : plotHeight / 40), 2),
  });
  const tickTexts = numberLabels(scale.ticks, unit, config.decimals);
  const labelRoom = flat
    ? Math.min(Math.max(...names.map((name) => name.length)) * 6.5 + 10, width * 0.4)
    : Math.max(...tickTexts.map(({ length }) => length)) * 6.5 + 10;
  const box = flat
    ? { x: labelRoom, y: 4, w: width - labelRoom - 40, h: plotHeight - 26 }
    : { x: labelRoom, y: 8, w: width - labelRoom - 8, h: plotHeight - 30 };
  const across = (flat ? box.h : box.w) / names.length,
    group = across * (panel.type === 'histogram' ? 0.98 : (options.groupWidth ?? 0.7)),
    thick = stacked ? group : group / series.length;
  const place = (value: number) => ((value - scale.min) / (scale.max - scale.min || 1)) * (flat ? box.w : box.h);
  const every = flat
    ? 1
    : Math.max(Math.ceil((Math.max(...names.map((name) => Math.min(name.length, 20))) * 6.5) / across), 1);
  const sums = names.map(() => 0);
  const single = series.length === 1;
  return (
    <div class="chart">
      <svg width={width} height={plotHeight} role="img" aria-label={`${panel.title}: ${names.length} bars`}>
        {scale.ticks.map((tick, n) => {
          const at = place(tick);
          return flat ? (
            <g key={tick}>
              <line x1={box.x + at} x2={box.x + at} y1={box.y} y2={box.y + box.h} stroke="var(--grid)" />
              <text class="tick" x={box.x + at} y={box.y + box.h + 14} text-anchor="middle">
                {tickTexts[n]}
              </text>
            </g>
          ) : (
            <g key={tick}>
              <line
                x1={box.x}
                x2={box.x + box.w}
                y1={box.y + box.h - at}
                y2={box.y + box.h - at}
                stroke="var(--grid)"
              />
              <text class="tick" x={box.x - 6} y={box.y + box.h - at + 4} text-anchor="end">
                {tickTexts[n]}
              </text>
            </g>
          );
        })}
        {series.map(({ field, color, values }, n) =>
          values.map((value, at) => {
            if (value === null || value === undefined || !Number.isFinite(value)) return null;
            const size = part(value, at),
              from = stacked ? sums[at]! : 0;
            if (stacked) sums[at]! += size;
            const low1 = place(Math.min(from, from + size)),
              high1 = place(Math.max(from, from + size)),
              side = at * across + (across - group) / 2 + (stacked ? 0 : n * thick);
            const fill =
              single &&
              field.config.color?.mode !== undefined &&
              !['palette-classic', 'fixed'].includes(field.config.color.mode)
                ? valueColor(field, value, at)
                : color;
            const which = single ? '' : `, ${field.title ?? field.name}`;
            const words = `${names[at]}${which}: ${shownText(show(field, value))}`;
            const wants =
              options.showValue === 'always' ||
              (options.showValue !== 'never' && single && thick > 14 && (flat || thick > 34));
            return (
              <g key={`${n}.${at}`}>
                {flat ? (
                  <rect
                    x={box.x + low1}
                    y={box.y + side}
                    width={Math.max(high1 - low1, 0)}
                    height={Math.max(thick - 1, 1)}
                    fill={fill}
                  >
                    <title>{words}</title>
                  </rect>
                ) : (
                  <rect
                    x={box.x + side}
                    y={box.y + box.h - high1}
                    width={Math.max(thick - 1, 1)}
                    height={Math.max(high1 - low1, 0)}
                    fill={fill}
                  >
                    <title>{words}</title>
                  </rect>
                )}
                {wants &&
                  (flat ? (
                    <text class="tick" x={box.x + high1 + 4} y={box.y + side + thick / 2 + 4}>
                      {shownText(show(field, value))}
                    </text>
                  ) : (
                    <text class="tick" x={box.x + side + thick / 2} y={box.y + box.h - high1 - 3} text-anchor="middle">
                      {shownText(show(field, value))}
                    </text>
                  ))}
              </g>
            );
          }),
        )}
        {names.map((name, at) =>
          at % every ? null : flat ? (
            <text class="tick" key={at} x={box.x - 6} y={box.y + at * across + across / 2 + 4} text-anchor="end">
              {cut(name, labelRoom / 6.5)}
            </text>
          ) : (
            <text
              class="tick"
              key={at}
              x={box.x + at * across + across / 2}
              y={box.y + box.h + 16}
              text-anchor="middle"
            >
              {cut(name, Math.max((across * every) / 6.5, 4))}
            </text>
          ),
        )}
      </svg>
      {hasLegend && (
        <div class="legend list">
          {series.map(({ field, color }, i) => (
            <span class="legend-item legend-name" key={i}>
              <span class="swatch" style={{ background: color }} />
              {field.title ?? field.name}
            </span>
          ))}
        </div>
      )}
    </div>
  );
}

const cut = (text: string, most: number) =>
  text.length > most ? `${text.slice(0, Math.max(Math.floor(most) - 1, 1))}…` : text;
