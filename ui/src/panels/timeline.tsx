// State timelines, status histories and heatmaps: what was when, as coloured fields.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { schemeColors } from '../model/color';
import { fieldColor, mapped, show, valueColor } from '../model/field';
import type { Cell, Field, Frame } from '../model/frames';
import { promNumber } from '../model/prometheus';
import { dateText, showNumber, shownText } from '../model/units';
import { timeLabels, timeTicks } from '../view/axis';
import type { PanelProps } from './panel';

const NOTHING = <div class="nothing">No data</div>;
const AXIS = 22;

interface Row {
  title: string;
  field: Field;
  pieces: { from: number; to: number; value: Cell }[];
}

function rowsOf(frames: Frame[], stepMs: number, toMs: number, merges: boolean): Row[] {
  const rows: Row[] = [];
  for (const frame of frames) {
    const times = frame.fields.find((field) => field.type === 'time')?.values as number[] | undefined;
    for (const field of frame.fields) {
      if (!times || field.type === 'time' || rows.length >= 100) continue;
      const pieces: Row['pieces'] = [];
      field.values.forEach((value, i) => {
        const from = times[i]!,
          to = Math.min(times[i + 1] ?? from + stepMs, toMs),
          last = pieces.at(-1);
        const hit = (one: Cell) => mapped(field.config, one)?.text ?? shownText(show(field, one));
        if (value === null || value === undefined) return;
        if (merges && last && last.to >= from - 1 && (last.value === value || hit(last.value) === hit(value)))
          last.to = to;
        else pieces.push({ from, to, value });
      });
      rows.push({ title: field.title ?? field.name, field, pieces });
    }
  }
  return rows;
}

const exact = (ms: number) => dateText(ms, 'YYYY-MM-DD HH:mm:ss');

export function StateTimeline({ panel, data, width, height }: PanelProps) {
  const isHistory = panel.type === 'status-history',
    { options } = panel;
  const rows = useMemo(
    () => rowsOf(data.frames, data.stepMs, data.span.toMs, !isHistory && options.mergeValues !== false),
    [data, isHistory],
  );
  if (!rows.length) return NOTHING;
  const names = Math.min(Math.max(...rows.map(({ title }) => title.length)) * 6.6 + 12, width * 0.35),
    box = width - names - 8;
  const { fromMs, toMs } = data.span,
    x = (ms: number) => names + ((ms - fromMs) / (toMs - fromMs)) * box;
  const each = Math.max((height - AXIS) / rows.length, 14),
    thick = each * (options.rowHeight ?? 0.9),
    { ticks, format } = timeTicks(fromMs, toMs, Math.max(Math.floor(box / 90), 2)),
    labels = timeLabels(ticks, format);
  return (
    <div class="scroll">
      <svg
        width={width}
        height={each * rows.length + AXIS}
        role="img"
        aria-label={`${panel.title}: ${rows.length} states over time`}
      >
        {rows.map((row, n) => (
          <g key={n}>
            <text class="tick" x={names - 6} y={n * each + each / 2 + 4} text-anchor="end">
              {row.title.length * 6.6 > names ? `${row.title.slice(0, Math.floor(names / 6.6) - 2)}…` : row.title}
            </text>
            {row.pieces.map(({ from, to, value }, i) => {
              const left = Math.max(x(from), names),
                w = Math.max(x(to) - left - (isHistory ? 1 : 0), 1),
                text = shownText(show(row.field, value));
              const color =
                row.field.config.color?.mode === 'palette-classic' && typeof value === 'string'
                  ? fieldColor(row.field, i)
                  : valueColor(row.field, value, n);
              if (x(to) < names) return null;
              return (
                <g key={i}>
                  <rect
                    x={left}
                    y={n * each + (each - thick) / 2}
                    width={w}
                    height={thick}
                    fill={color}
                    fill-opacity={((row.field.config.custom?.fillOpacity as number | undefined) ?? 70) / 100}
                  >
                    <title>{`${row.title}: ${text}\n${exact(from)} to ${exact(to)}`}</title>
                  </rect>
                  {options.showValue !== 'never' && w > text.length * 6.8 + 8 && thick > 12 && (
                    <text
                      class="tick on"
                      x={options.alignValue === 'center' ? left + w / 2 : left + 4}
                      y={n * each + each / 2 + 4}
                      text-anchor={options.alignValue === 'center' ? 'middle' : 'start'}
                    >
                      {text}
                    </text>
                  )}
                </g>
              );
            })}
          </g>
        ))}
        {ticks.map((tick, i) => (
          <text class="tick" key={tick} x={x(tick)} y={each * rows.length + 15} text-anchor="middle">
            {labels[i]}
          </text>
        ))}
      </svg>
    </div>
  );
}

// --- heatmap ----------------------------------------------------------------------------------------

interface Heat {
  times: number[];
  /** From the lowest bucket up. */
  names: string[];
  rows: (number | null)[][];
  most: number;
}

const BUCKETS = 24;

function heatOf(frames: Frame[], options: Record<string, any>): Heat | undefined {
  const frame = frames[0];
  const times = frame?.fields.find((field) => field.type === 'time')?.values as number[] | undefined;
  if (!frame || !times) return undefined;
  let names: string[], rows: (number | null)[][];
  if (options.calculate) {
    // Values fall into buckets of equal width.
    const fields = frames.flatMap((one) => one.fields.filter((field) => field.type === 'number'));
    const numbers = fields.flatMap((field) =>
      field.values.filter((value): value is number => typeof value === 'number' && Number.isFinite(value)),
    );
    if (!numbers.length) return undefined;
    const low = numbers.reduce((a, b) => Math.min(a, b)),
      high = numbers.reduce((a, b) => Math.max(a, b)),
      size = (high - low) / BUCKETS || 1;
    rows = Array.from({ length: BUCKETS }, () => times.map((): number | null => null));
    for (const field of fields) {
      field.values.forEach((value, i) => {
        if (typeof value !== 'number' || !Number.isFinite(value) || i >= times.length) return;
        const row = rows[Math.min(Math.floor((value - low) / size), BUCKETS - 1)]!;
        row[i] = (row[i] ?? 0) + 1;
      });
    }
    const unit = options.yAxis?.unit ?? fields[0]!.config.unit;
    names = rows.map((_, i) => shownText(showNumber(low + size * (i + 1), unit)));
  } else {
    // Buckets, a column each; or a series each, by the bound in their names.
    const fields =
      frames.length > 1
        ? frames.flatMap((one) => one.fields.filter((field) => field.type === 'number'))
        : frame.fields.filter((field) => field.type === 'number');
    const bound = (field: Field) => promNumber(field.labels?.le ?? field.title ?? field.name);
    const sorted = fields.every((field) => !Number.isNaN(bound(field)))
      ? [...fields].sort((a, b) => bound(a) - bound(b))
      : fields;
    rows = sorted.map((field) => {
      const own = frames.find((one) => one.fields.includes(field))!.fields.find((one) => one.type === 'time')!
        .values as number[];
      if (own === times || own.length === times.length) return field.values as (number | null)[];
      const at = new Map(own.map((time, i) => [time, field.values[i] as number | null]));
      return times.map((time) => at.get(time) ?? null);
    });
    const unit = options.yAxis?.unit;
    names = sorted.map((field) =>
      Number.isFinite(bound(field)) && unit ? shownText(showNumber(bound(field), unit)) : (field.title ?? field.name),
    );
  }
  let most = 0;
  for (const row of rows)
    for (const value of row) if (typeof value === 'number' && Number.isFinite(value)) most = Math.max(most, value);
  return { times, names, rows, most };
}

export function Heatmap({ panel, data, width, height }: PanelProps) {
  const { options } = panel,
    canvas = useRef<HTMLCanvasElement>(null);
  const heat = useMemo(() => heatOf(data.frames, options), [data, options]);
  const [hover, setHover] = useState<{ x: number; y: number; text: string[] }>();
  const names = heat ? Math.min(Math.max(...heat.names.map((name) => name.length), 2) * 6.6 + 12, width * 0.3) : 0,
    box = { w: Math.max(width - names - 8, 10), h: Math.max(height - AXIS, 10) };
  const colors = useMemo(() => schemeColors(options.color?.scheme, 64, options.color?.reverse === true), [options]);
  const { fromMs, toMs } = data.span;
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || !heat || !canvas.current) return;
    const ratio = devicePixelRatio || 1;
    canvas.current.width = box.w * ratio;
    canvas.current.height = box.h * ratio;
    context.scale(ratio, ratio);
    const h = box.h / heat.rows.length,
      step = heat.times.length > 1 ? heat.times[1]! - heat.times[0]! : data.stepMs;
    heat.rows.forEach((row, n) =>
      row.forEach((value, i) => {
        if (!value || !Number.isFinite(value)) return;
        const x = ((heat.times[i]! - step - fromMs) / (toMs - fromMs)) * box.w,
          share = heat.most ? (value / heat.most) ** (options.color?.exponent ?? 0.5) : 0;
        context.fillStyle = colors[Math.min(Math.floor(share * 63.99), 63)]!;
        context.fillRect(
          x,
          box.h - (n + 1) * h,
          Math.max((step / (toMs - fromMs)) * box.w - 0.5, 1),
          Math.max(h - 0.5, 1),
        );
      }),
    );
  }, [heat, box.w, box.h, colors]);
  if (!heat || !heat.rows.length) return NOTHING;
  const { ticks, format } = timeTicks(fromMs, toMs, Math.max(Math.floor(box.w / 90), 2)),
    labels = timeLabels(ticks, format),
    every = Math.max(Math.ceil(14 / (box.h / heat.names.length)), 1);
  const move = (event: MouseEvent) => {
    const row = heat.rows.length - 1 - Math.floor((event.offsetY / box.h) * heat.rows.length),
      ms = fromMs + (event.offsetX / box.w) * (toMs - fromMs);
    const i = heat.times.findIndex((time) => time >= ms),
      value = heat.rows[row]?.[i];
    setHover(
      i < 0
        ? undefined
        : {
            x: event.offsetX,
            y: event.offsetY,
            text: [
              dateText(heat.times[i]!, 'YYYY-MM-DD HH:mm:ss'),
              `≤ ${heat.names[row] ?? ''}`,
              value === null || value === undefined ? 'nothing' : shownText(showNumber(value, 'short')),
            ],
          },
    );
  };
  return (
    <div class="heat" style={{ width: `${width}px`, height: `${height}px` }}>
      <svg width={width} height={height} aria-hidden="true">
        {heat.names.map(
          (name, n) =>
            n % every === 0 && (
              <text
                class="tick"
                key={n}
                x={names - 6}
                y={box.h - ((n + 0.5) * box.h) / heat.names.length + 4}
                text-anchor="end"
              >
                {name}
              </text>
            ),
        )}
        {ticks.map((tick, i) => (
          <text
            class="tick"
            key={tick}
            x={names + ((tick - fromMs) / (toMs - fromMs)) * box.w}
            y={box.h + 15}
            text-anchor="middle"
          >
            {labels[i]}
          </text>
        ))}
      </svg>
      <canvas
        ref={canvas}
        style={{ left: `${names}px`, width: `${box.w}px`, height: `${box.h}px` }}
        role="img"
        aria-label={`${panel.title}: heatmap of ${heat.names.length} buckets`}
        onMouseMove={move}
        onMouseLeave={() => setHover(undefined)}
      />
      {hover && (
        <div
          class="tooltip"
          style={
            hover.x > box.w / 2
              ? { right: `${width - names - hover.x + 12}px`, top: `${hover.y}px` }
              : { left: `${names + hover.x + 12}px`, top: `${hover.y}px` }
          }
        >
          {hover.text.map((line) => (
            <div key={line}>{line}</div>
          ))}
        </div>
      )}
    </div>
  );
}
