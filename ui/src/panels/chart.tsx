// The time series panel: uPlot draws, this tells it what and says what is under the pointer.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';

import type { Mark } from '../data/annotations';
import { namedColor } from '../model/color';
import { show, steps } from '../model/field';
import { dateText, shownText } from '../model/units';
import { numberLabels, numberScale, timeLabels, timeTicks } from '../view/axis';
import { Legend, type LegendOptions } from './legend';
import type { PanelProps } from './panel';
import { plotModel, type PlotModel, type ScaleModel, type SeriesModel } from './series';

const AXIS_FONT = '11px Inter, system-ui, sans-serif';
const TOOLTIP_ROWS = 30;

interface Look {
  text: string;
  grid: string;
}

const lookOf = (element: Element): Look => {
  const style = getComputedStyle(element);
  return {
    text: style.getPropertyValue('--muted').trim() || '#888',
    grid: style.getPropertyValue('--grid').trim() || '#8883',
  };
};

function faded(color: string, opacity: number): string {
  if (!/^#[0-9a-f]{6}/i.test(color)) return color;
  return (
    color.slice(0, 7) +
    Math.round(Math.min(Math.max(opacity, 0), 1) * 255)
      .toString(16)
      .padStart(2, '0')
  );
}

function fillOf({ color, custom }: SeriesModel): uPlot.Series['fill'] {
  const opacity = (custom.fillOpacity ?? 0) / 100;
  if (!opacity) return undefined;
  if (custom.gradientMode !== 'opacity' && custom.gradientMode !== 'hue') return faded(color, opacity);
  return (plot) => {
    const gradient = plot.ctx.createLinearGradient(0, plot.bbox.top, 0, plot.bbox.top + plot.bbox.height);
    gradient.addColorStop(0, faded(color, opacity));
    gradient.addColorStop(1, faded(color, 0));
    return gradient;
  };
}

const PATHS = {
  linear: uPlot.paths.linear!(),
  smooth: uPlot.paths.spline!(),
  stepBefore: uPlot.paths.stepped!({ align: -1 }),
  stepAfter: uPlot.paths.stepped!({ align: 1 }),
};

function seriesOf(model: SeriesModel, count: number): uPlot.Series {
  const { custom } = model,
    style = custom.drawStyle ?? 'line',
    width = custom.lineWidth ?? 1;
  const points =
    style === 'points' || custom.showPoints === 'always' ? true : custom.showPoints === 'never' ? false : undefined;
  const dash =
    custom.lineStyle?.fill === 'dash'
      ? (custom.lineStyle.dash ?? [10, 10])
      : custom.lineStyle?.fill === 'dot'
        ? (custom.lineStyle.dash ?? [0, 10])
        : undefined;
  return {
    label: model.label,
    scale: model.scale,
    show: !model.hidden,
    stroke: style === 'points' ? 'transparent' : model.color,
    width: style === 'points' ? 0 : width,
    fill: style === 'bars' ? faded(model.color, (custom.fillOpacity ?? 100) / 100) : fillOf(model),
    dash,
    spanGaps: custom.spanNulls === true,
    paths:
      style === 'bars'
        ? uPlot.paths.bars!({
            align: custom.barAlignment === -1 ? -1 : custom.barAlignment === 1 ? 1 : 0,
            size: [custom.barWidthFactor ?? 0.6, 100],
          })
        : style === 'points'
          ? () => null
          : (PATHS[custom.lineInterpolation ?? 'linear'] ?? PATHS.linear),
    points: {
      show: points ?? (count <= 60 ? undefined : false),
      size: custom.pointSize ?? 5,
      fill: model.color,
      stroke: model.color,
    },
  };
}

function scaleOf(scale: ScaleModel, model: PlotModel): uPlot.Scale {
  if (scale.log)
    return {
      distr: 3,
      log: scale.log === 2 ? 2 : 10,
      range: (_plot, low, high) => uPlot.rangeLog(low ?? 1, high ?? 10, scale.log === 2 ? 2 : 10, false),
    };
  const stacked = model.series.some(
    (one) => one.scale === scale.key && (one.stackGroup || one.custom.drawStyle === 'bars'),
  );
  return {
    range: (_plot, low, high) => {
      let [from, to] = [low ?? NaN, high ?? NaN];
      if (stacked) [from, to] = [Math.min(from, 0), Math.max(to, 0)];
      if (scale.centered)
        [from, to] = [-Math.max(Math.abs(from), Math.abs(to)), Math.max(Math.abs(from), Math.abs(to))];
      const { min, max } = numberScale(from, to, {
        unit: scale.unit,
        min: scale.min,
        max: scale.percent ? 1 : scale.max,
        softMin: scale.softMin,
        softMax: scale.softMax,
      });
      return [min, max];
    },
  };
}

let measuring: CanvasRenderingContext2D | null | undefined;

function textWidth(text: string): number {
  measuring ??= document.createElement('canvas').getContext('2d');
  if (!measuring) return text.length * 6;
  measuring.font = AXIS_FONT;
  return measuring.measureText(text).width;
}

function axisOf(scale: ScaleModel, look: Look, isFirst: boolean): uPlot.Axis {
  return {
    scale: scale.key,
    side: scale.placement === 'right' ? 1 : 3,
    show: scale.placement !== 'hidden',
    stroke: look.text,
    font: AXIS_FONT,
    gap: 4,
    label: scale.label,
    labelSize: 18,
    labelFont: AXIS_FONT,
    labelGap: 0,
    grid: { show: isFirst && scale.grid, stroke: look.grid, width: 1 },
    ticks: { show: false },
    splits: (plot, _axis, min, max) =>
      scale.log
        ? logTicks(min, max, scale.log)
        : numberScale(min, max, { unit: scale.unit, min, max, count: Math.max(Math.floor(plot.height / 36), 2) }).ticks,
    values: (_plot, ticks) => numberLabels(ticks, scale.unit, scale.decimals),
    size: (_plot, values) => Math.ceil(Math.max(24, ...(values ?? []).map((value) => textWidth(String(value))))) + 10,
  };
}

function logTicks(min: number, max: number, base: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log(min) / Math.log(base)); base ** power <= max && ticks.length < 40; power++)
    if (base ** power >= min) ticks.push(base ** power);
  return ticks;
}

/** Thresholds as lines across, or as areas behind. */
function drawThresholds(plot: uPlot, model: PlotModel, below: boolean): void {
  const series = model.series.find(
    ({ custom }) => custom.thresholdsStyle?.mode && custom.thresholdsStyle.mode !== 'off',
  );
  const mode = series?.custom.thresholdsStyle?.mode ?? '';
  if (!series || (below ? !mode.includes('area') : !/line|dashed/.test(mode))) return;
  const { ctx, bbox } = plot,
    all = steps(series.field.config),
    scale = plot.scales[series.scale]!;
  const share =
    series.field.config.thresholds?.mode === 'percentage' ? ((scale.max ?? 1) - (scale.min ?? 0)) / 100 : undefined;
  const place = (value: number | null) => {
    if (value === null || value === undefined) return bbox.top + bbox.height;
    const at = plot.valToPos(share === undefined ? value : (scale.min ?? 0) + value * share, series.scale, true);
    return Math.min(Math.max(at, bbox.top), bbox.top + bbox.height);
  };
  ctx.save();
  all.forEach((step, i) => {
    const color = namedColor(step.color),
      top = all[i + 1] ? place(all[i + 1]!.value) : bbox.top,
      bottom = place(step.value);
    if (below) {
      ctx.fillStyle = faded(color, 0.12);
      if (color !== 'transparent') ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
    } else if (step.value !== null && bottom > bbox.top && bottom < bbox.top + bbox.height) {
      ctx.strokeStyle = color;
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash(mode.startsWith('dashed') ? [8, 6] : []);
      ctx.beginPath();
      ctx.moveTo(bbox.left, bottom);
      ctx.lineTo(bbox.left + bbox.width, bottom);
      ctx.stroke();
    }
  });
  ctx.restore();
}

interface Hover {
  left: number;
  top: number;
  index: number;
  nearest: number;
  marks: Mark[];
}

function Tooltip({
  model,
  hover,
  options,
  width,
}: {
  model: PlotModel;
  hover: Hover;
  options: { mode?: string; sort?: string };
  width: number;
}) {
  let rows = model.series
    .map((series, i) => ({ series, i, value: series.values[hover.index] }))
    .filter(
      ({ series, value }) =>
        !series.hidden && series.custom.hideFrom?.tooltip !== true && value !== null && value !== undefined,
    );
  if (options.mode === 'single') rows = rows.filter(({ i }) => i === hover.nearest);
  if (options.sort === 'asc' || options.sort === 'desc')
    rows.sort((a, b) => (a.value! - b.value!) * (options.sort === 'asc' ? 1 : -1));
  const cut = rows.length > TOOLTIP_ROWS;
  // The nearest one is never cut off.
  const shown = cut
    ? [...rows].sort((a, b) => Number(b.i === hover.nearest) - Number(a.i === hover.nearest)).slice(0, TOOLTIP_ROWS)
    : rows;
  const onLeft = hover.left > width / 2;
  return (
    <div
      class="tooltip"
      style={
        onLeft
          ? { right: `${width - hover.left + 12}px`, top: `${hover.top}px` }
          : { left: `${hover.left + 12}px`, top: `${hover.top}px` }
      }
    >
      <div class="tooltip-time">{dateText(model.times[hover.index] ?? NaN, 'YYYY-MM-DD HH:mm:ss')}</div>
      {hover.marks.slice(0, 5).map(({ color, title, text }, i) => (
        <div class="tooltip-row" key={`mark${i}`}>
          <span class="swatch" style={{ background: color }} />
          <span class="tooltip-name">{[title, text].filter(Boolean).join(': ')}</span>
        </div>
      ))}
      {shown.map(({ series, i, value }) => (
        <div class={i === hover.nearest ? 'tooltip-row nearest' : 'tooltip-row'} key={i}>
          <span class="swatch" style={{ background: series.color }} />
          <span class="tooltip-name">{series.label}</span>
          <span class="tooltip-value">{shownText(show(series.field, value))}</span>
        </div>
      ))}
      {cut && <div class="tooltip-more">and {rows.length - TOOLTIP_ROWS} more</div>}
    </div>
  );
}

function nearestSeries(plot: uPlot, model: PlotModel, index: number, top: number): number {
  let best = -1,
    least = Infinity;
  model.series.forEach((series, i) => {
    const value = series.drawn[index];
    if (series.hidden || typeof value !== 'number') return;
    const distance = Math.abs(plot.valToPos(value, series.scale) - top);
    if (distance < least) [best, least] = [i, distance];
  });
  return best;
}

/** Annotations: a dashed line for a moment, a shade for a span. */
function drawMarks(plot: uPlot, marks: Mark[]): void {
  const { ctx, bbox } = plot,
    place = (ms: number) => Math.min(Math.max(plot.valToPos(ms, 'x', true), bbox.left), bbox.left + bbox.width);
  ctx.save();
  for (const { fromMs, toMs, color } of marks) {
    const [left, right] = [place(fromMs), place(toMs)];
    ctx.fillStyle = ctx.strokeStyle = color;
    ctx.globalAlpha = 0.12;
    if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.globalAlpha = 0.9;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    for (const x of right > left ? [left, right] : [left]) {
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
    }
    ctx.stroke();
  }
  ctx.restore();
}

const NO_MARKS: Mark[] = [];

export function TimeSeries({ panel, data, width, height, sync, onZoom, theme, marks = NO_MARKS }: PanelProps) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [hover, setHover] = useState<Hover>();
  const host = useRef<HTMLDivElement>(null),
    plot = useRef<uPlot | undefined>(undefined);
  const model = useMemo(() => plotModel(data.frames, hidden), [data, hidden]);
  const legend: LegendOptions = panel.options.legend ?? {};
  const isRight = legend.placement === 'right' && width > 420;
  const hasLegend = legend.showLegend !== false && legend.displayMode !== 'hidden' && model.series.length > 0;
  const legendHeight =
    !hasLegend || isRight
      ? 0
      : legend.displayMode === 'table'
        ? Math.min(height * 0.4, 26 + model.series.length * 22)
        : Math.min(
            Math.max(
              24,
              Math.ceil(
                model.series.reduce((sum, { label }) => sum + label.length * 6.5 + 34, 0) / Math.max(width, 1),
              ) * 22,
            ),
            height * 0.35,
          );
  // A name and, in a table, a column for each figure.
  const columns = legend.displayMode === 'table' ? (legend.calcs?.length ?? 0) : 0;
  const longest = Math.min(Math.max(8, ...model.series.map(({ label }) => label.length)), 32);
  const legendWidth = Math.min(
    Math.max(legend.width ?? 0, 40 + longest * 7 + columns * 78),
    width * (columns ? 0.55 : 0.35),
  );
  const plotWidth = Math.max(hasLegend && isRight ? width - legendWidth : width, 40),
    plotHeight = Math.max(height - legendHeight, 40);
  const shape = JSON.stringify([
    model.scales,
    model.series.map(({ label, scale, color, custom, below, hidden: off }) => [
      label,
      scale,
      color,
      custom,
      below,
      off,
    ]),
    theme,
    panel.id,
  ]);

  // The chart is made once for many answers: what it asks for while it draws is that of the last one.
  const latest = useRef({ span: data.span, onZoom, model, marks });
  latest.current = { span: data.span, onZoom, model, marks };

  useEffect(() => {
    const element = host.current!;
    if (!model.series.length) return undefined;
    const look = lookOf(element);
    const made = new uPlot(
      {
        width: plotWidth,
        height: plotHeight,
        ms: 1,
        legend: { show: false },
        padding: [8, 8, 0, 0],
        scales: {
          x: { time: false, range: () => [latest.current.span.fromMs, latest.current.span.toMs] },
          ...Object.fromEntries(model.scales.map((scale) => [scale.key, scaleOf(scale, model)])),
        },
        axes: [
          {
            stroke: look.text,
            font: AXIS_FONT,
            size: 24,
            gap: 4,
            grid: { stroke: look.grid, width: 1 },
            ticks: { show: false },
            splits: (self, _axis, min, max) => timeTicks(min, max, Math.max(Math.floor(self.width / 90), 2)).ticks,
            values: (self, ticks) =>
              timeLabels(
                ticks,
                timeTicks(self.scales.x!.min!, self.scales.x!.max!, Math.max(Math.floor(self.width / 90), 2)).format,
              ),
          },
          ...model.scales.map((scale, i) => axisOf(scale, look, i === 0)),
        ],
        series: [{}, ...model.series.map((series) => seriesOf(series, model.times.length))],
        bands: model.series.flatMap((series, i) =>
          series.below === undefined || !series.custom.fillOpacity
            ? []
            : [{ series: [i + 1, series.below + 1] as [number, number] }],
        ),
        cursor: {
          drag: { x: true, y: false, uni: 10 },
          points: { size: 7 },
          sync: sync ? { key: sync, setSeries: false } : undefined,
          focus: { prox: -1 },
        },
        hooks: {
          drawClear: [(self) => drawThresholds(self, latest.current.model, true)],
          draw: [
            (self) => {
              drawThresholds(self, latest.current.model, false);
              drawMarks(self, latest.current.marks);
            },
          ],
          setSelect: [
            (self) => {
              if (self.select.width < 4) return;
              const from = self.posToVal(self.select.left, 'x'),
                to = self.posToVal(self.select.left + self.select.width, 'x');
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              latest.current.onZoom?.(Math.round(from), Math.round(to));
            },
          ],
          setCursor: [
            (self) => {
              const { idx, left, top } = self.cursor;
              if (idx === null || idx === undefined || left === undefined || left < 0 || !self.over.matches(':hover')) {
                setHover(undefined);
                return;
              }
              setHover({
                left: left + self.over.offsetLeft,
                top: Math.max((top ?? 0) + self.over.offsetTop - 10, 0),
                index: idx,
                marks: latest.current.marks.filter(
                  ({ fromMs, toMs }) => self.valToPos(fromMs, 'x') - 5 <= left && left <= self.valToPos(toMs, 'x') + 5,
                ),
                nearest: nearestSeries(self, latest.current.model, idx, top ?? 0),
              });
            },
          ],
        },
      },
      [model.times, ...model.series.map(({ drawn }) => drawn)] as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = undefined;
    };
    // The data alone comes in below, without building everything anew.
  }, [shape]);

  // What comes while somebody drags a range waits: new data would end the drag.
  const isDragging = useRef(false),
    [released, setReleased] = useState(0);
  useEffect(() => {
    const element = host.current!;
    const press = () => {
      isDragging.current = true;
    };
    const release = () => {
      if (!isDragging.current) return;
      isDragging.current = false;
      setReleased((before) => before + 1);
    };
    element.addEventListener('mousedown', press);
    addEventListener('mouseup', release);
    return () => {
      element.removeEventListener('mousedown', press);
      removeEventListener('mouseup', release);
    };
  }, []);
  useEffect(() => {
    if (!isDragging.current)
      plot.current?.setData([model.times, ...model.series.map(({ drawn }) => drawn)] as uPlot.AlignedData);
  }, [model, data.span.fromMs, data.span.toMs, released]);

  useEffect(() => plot.current?.redraw(false), [marks]);

  useEffect(() => {
    plot.current?.setSize({ width: plotWidth, height: plotHeight });
  }, [plotWidth, plotHeight]);

  /** A click shows this one alone, or all again; with Ctrl it is switched. */
  const toggle = (label: string, more: boolean) =>
    setHidden((before) => {
      const all = model.series.map((one) => one.label);
      if (more) {
        const next = new Set(before);
        if (!next.delete(label)) next.add(label);
        return next;
      }
      const isAlone = all.every((one) => (one === label) !== before.has(one));
      return isAlone ? new Set<string>() : new Set(all.filter((one) => one !== label));
    });

  return (
    <div class={isRight ? 'chart right' : 'chart'}>
      <div
        class="plot"
        ref={host}
        role="img"
        aria-label={`${panel.title}: ${model.series.length} series over time`}
        style={{ width: `${plotWidth}px`, height: `${plotHeight}px` }}
      >
        {hover && panel.options.tooltip?.mode !== 'none' && (
          <Tooltip model={model} hover={hover} options={panel.options.tooltip ?? {}} width={plotWidth} />
        )}
      </div>
      {hasLegend && (
        <Legend series={model.series} options={legend} height={isRight ? plotHeight : legendHeight} onToggle={toggle} />
      )}
    </div>
  );
}
