// Stat, gauge and bar gauge: single values, large.
import { asText, readableOn, namedColor, scaleColor, isScale } from '../model/color';
import { boundsOf, steps, thresholdOf } from '../model/field';
import { reduce } from '../model/reduce';
import { shownText, showNumber } from '../model/units';
import type { PanelProps } from './panel';
import { linkOf } from './links';
import { gridOf, valuesOf, type Value } from './values';

/** What it points to lies over all of it. */
function Follow({ value, fill }: { value: Value; fill: (text: string) => string }) {
  const found = linkOf(value, fill);
  return found ? (
    <a
      class="follow"
      href={found.href}
      target={found.link.targetBlank ? '_blank' : undefined}
      rel="noopener noreferrer"
      title={found.link.title}
      aria-label={found.link.title || value.title}
    />
  ) : null;
}

/** How much it has changed over the range. */
function Change({ value, mode, theme }: { value: Value; mode: string; theme: string }) {
  const share = reduce(value.field, 'diffperc');
  if (typeof share !== 'number' || !Number.isFinite(share)) return null;
  const good = mode === 'inverted' ? share <= 0 : share >= 0;
  const hue = namedColor(share === 0 ? 'text' : good ? 'green' : 'red'),
    color = mode === 'same_as_value' ? undefined : asText(hue, theme);
  return (
    <div class="stat-change" style={{ color }}>
      {share < 0 ? '▼' : '▲'} {Math.abs(share * 100).toFixed(1)}%
    </div>
  );
}

const NOTHING = <div class="nothing">No data</div>;

/** The largest letters with which the text fits. */
function letters(text: string, width: number, height: number, most = 120): number {
  return Math.max(Math.min(height, width / Math.max(text.length, 1) / 0.68, most), 10);
}

function Sparkline({ value, width, height }: { value: Value; width: number; height: number }) {
  const { times, course, color, field } = value;
  if (!times || !course || height < 12) return null;
  let [low, high] = [Infinity, -Infinity];
  for (const one of course)
    if (typeof one === 'number' && Number.isFinite(one)) [low, high] = [Math.min(low, one), Math.max(high, one)];
  if (low > high) return null;
  if (typeof field.config.min === 'number') low = Math.min(low, field.config.min);
  const from = times[0]!,
    span = times.at(-1)! - from || 1,
    range = high - low || 1;
  let line = '',
    area = '',
    start: string | undefined,
    last = '';
  course.forEach((one, i) => {
    if (typeof one !== 'number' || !Number.isFinite(one)) {
      if (start !== undefined) area += `L${last},${height}L${start},${height}Z`;
      start = undefined;
      return;
    }
    const x = (((times[i]! - from) / span) * width).toFixed(1),
      y = (height - 2 - ((one - low) / range) * (height - 4)).toFixed(1);
    line += `${start === undefined ? 'M' : 'L'}${x},${y}`;
    area += `${start === undefined ? 'M' : 'L'}${x},${y}`;
    start ??= x;
    last = x;
  });
  if (start !== undefined) area += `L${last},${height}L${start},${height}Z`;
  return (
    <svg class="sparkline" width={width} height={height} aria-hidden="true">
      <path d={area} fill={color} fill-opacity="0.18" />
      <path d={line} fill="none" stroke={color} stroke-width="1.5" />
    </svg>
  );
}

export function Stat({ panel, data, width, height, theme, fill }: PanelProps) {
  const { options } = panel;
  const values = valuesOf(data.frames, options.reduceOptions);
  if (!values.length) return NOTHING;
  const { columns, rows } = gridOf(values.length, width, height, options.orientation);
  const w = width / columns,
    h = Math.max(height / rows, 26);
  const mode = options.textMode ?? 'auto',
    affix = options.affix ?? {};
  const hasGraph = options.graphMode === 'area' && h > 60;
  const hasTitle = mode === 'value_and_name' || mode === 'name' || (mode === 'auto' && values.length > 1);
  return (
    <div class="values" style={{ gridTemplateColumns: `repeat(${columns}, 1fr)` }}>
      {values.map((value, i) => {
        const text =
          mode === 'none'
            ? ''
            : mode === 'name'
              ? value.title
              : `${affix.prefix ?? ''}${shownText(value.shown)}${affix.postfix ?? ''}`;
        const onColor = options.colorMode === 'background' || options.colorMode === 'background_solid';
        // A low and wide one has its name beside it.
        const isFlat = hasTitle && mode !== 'name' && h < 48 && w > 110;
        const size = letters(
          text,
          isFlat ? (w - 30) / 2 : w - 24,
          h * (hasGraph ? 0.44 : hasTitle && mode !== 'name' && !isFlat ? 0.5 : 0.62),
          options.text?.valueSize || 120,
        );
        const color = onColor
          ? readableOn(value.color)
          : options.colorMode === 'none'
            ? 'var(--text)'
            : asText(value.color, theme, size);
        const centered = options.justifyMode === 'center' || (values.length === 1 && options.graphMode === 'none');
        return (
          <div
            class={isFlat ? 'stat flat' : centered ? 'stat centered' : 'stat'}
            key={i}
            style={{ height: `${h}px`, background: onColor ? value.color : undefined, color }}
          >
            {hasTitle && mode !== 'name' && (
              <div
                class="stat-title"
                style={{ fontSize: `${letters(value.title, w - 24, isFlat ? 14 : h * 0.2, 18)}px` }}
              >
                {value.title}
              </div>
            )}
            <div class="stat-value" style={{ fontSize: `${size}px`, whiteSpace: size < 13 ? 'normal' : undefined }}>
              {text}
            </div>
            {options.showPercentChange === true && value.course && (
              <Change
                value={value}
                mode={onColor ? 'same_as_value' : (options.percentChangeColorMode ?? 'standard')}
                theme={theme}
              />
            )}
            <Follow value={value} fill={fill} />
            {hasGraph && (
              <Sparkline value={onColor ? { ...value, color } : value} width={w} height={h * 0.32} />
            )}
          </div>
        );
      })}
    </div>
  );
}

// --- gauge ------------------------------------------------------------------------------------------

const START = -Math.PI * 1.2,
  END = Math.PI * 0.2;

function arc(x: number, y: number, radius: number, from: number, to: number): string {
  const point = (angle: number) =>
    `${(x + radius * Math.cos(angle)).toFixed(2)},${(y + radius * Math.sin(angle)).toFixed(2)}`;
  return `M${point(from)}A${radius},${radius},0,${to - from > Math.PI ? 1 : 0},1,${point(to)}`;
}

function Dial({
  value,
  width,
  height,
  theme,
  options,
}: {
  value: Value;
  width: number;
  height: number;
  theme: string;
  options: Record<string, any>;
}) {
  const bounds = boundsOf(value.field),
    range = bounds.max - bounds.min || 1;
  const hasTitle = Boolean(value.title),
    size = Math.max(Math.min(width, (height - (hasTitle ? 22 : 0)) * 1.2), 40);
  const radius = size * 0.4,
    x = width / 2,
    spare = height - size * 0.84 - (hasTitle ? 22 : 0),
    y = size * 0.49 + Math.max(spare / 2, 0),
    thick = radius * 0.24;
  const angle = (share: number) => START + Math.min(Math.max(share, 0), 1) * (END - START);
  const share = typeof value.value === 'number' ? (value.value - bounds.min) / range : 0;
  const all = steps(value.field.config),
    isPercent = value.field.config.thresholds?.mode === 'percentage';
  const at = (step: number | null) => (step === null ? 0 : isPercent ? step / 100 : (step - bounds.min) / range);
  const text = shownText(value.shown),
    fontPx = letters(text, radius * 1.25, radius * 0.55);
  return (
    <svg width={width} height={height} role="img" aria-label={`${value.title}: ${text}`}>
      <path d={arc(x, y, radius, START, END)} fill="none" stroke="var(--track)" stroke-width={thick} />
      {share > 0 && (
        <path d={arc(x, y, radius, START, angle(share))} fill="none" stroke={value.color} stroke-width={thick} />
      )}
      {options.showThresholdMarkers !== false &&
        all.map((step, i) => {
          const from = Math.max(at(step.value), 0),
            to = Math.min(all[i + 1] ? at(all[i + 1]!.value) : 1, 1);
          return (
            to > from && (
              <path
                key={i}
                d={arc(x, y, radius + thick * 0.72, angle(from), angle(to))}
                fill="none"
                stroke={namedColor(step.color)}
                stroke-width={thick * 0.22}
              />
            )
          );
        })}
      {options.showThresholdLabels === true &&
        all
          .filter((step) => step.value !== null)
          .map((step, i) => {
            const place = angle(at(step.value));
            return (
              <text
                key={i}
                class="gauge-label"
                x={x + Math.cos(place) * (radius + thick * 1.2)}
                y={y + Math.sin(place) * (radius + thick * 1.2)}
                text-anchor="middle"
              >
                {shownText(showNumber(step.value!, value.field.config.unit, 0))}
              </text>
            );
          })}
      <text
        x={x}
        y={y + radius * 0.12}
        text-anchor="middle"
        fill={asText(value.color, theme, fontPx)}
        font-weight="600"
        font-size={fontPx}
      >
        {text}
      </text>
      {hasTitle && (
        <text class="gauge-title" x={x} y={Math.min(y + radius * 0.92 + 14, height - 4)} text-anchor="middle">
          {value.title}
        </text>
      )}
    </svg>
  );
}

export function Gauge({ panel, data, width, height, theme, fill }: PanelProps) {
  const values = valuesOf(data.frames, panel.options.reduceOptions);
  if (!values.length) return NOTHING;
  const { columns, rows } = gridOf(
    values.length,
    width,
    height,
    panel.options.orientation === 'auto' ? undefined : panel.options.orientation,
    1.2,
  );
  const w = Math.max(width / columns, 80),
    h = Math.max(height / rows, 70);
  return (
    <div class="values" style={{ gridTemplateColumns: `repeat(${columns}, 1fr)` }}>
      {values.map((value, i) => (
        <div class="dial" key={i}>
          <Dial
            value={values.length > 1 || panel.options.textMode === 'value_and_name' ? value : { ...value, title: '' }}
            width={w}
            height={h}
            theme={theme}
            options={panel.options}
          />
          <Follow value={value} fill={fill} />
        </div>
      ))}
    </div>
  );
}

// --- bar gauge --------------------------------------------------------------------------------------

function barColor(value: Value, mode: string, share: number): string {
  const scale = value.field.config.color?.mode;
  // A colour of its own, from a palette or fixed, has no steps to run through.
  if (mode === 'gradient' && (!scale || scale === 'thresholds' || isScale(scale))) {
    const bounds = boundsOf(value.field);
    const stops = isScale(scale)
      ? [0, 0.25, 0.5, 0.75, 1].map((part) => scaleColor(scale!, part * share))
      : [0, 0.5, 1].map((part) =>
          namedColor(
            thresholdOf(value.field.config, bounds.min + (bounds.max - bounds.min) * part * share, bounds).color,
          ),
        );
    return `linear-gradient(var(--direction), ${stops.join(', ')})`;
  }
  return value.color;
}

export function BarGauge({ panel, data, width, height, theme, fill }: PanelProps) {
  const { options } = panel;
  const values = valuesOf(data.frames, options.reduceOptions);
  if (!values.length) return NOTHING;
  const vertical =
    options.orientation === 'vertical' ||
    ((options.orientation ?? 'auto') === 'auto' && width > height * 1.6 && values.length <= width / 60);
  const longest = Math.min(Math.max(...values.map(({ title }) => title.length)) * 7 + 12, width * 0.4);
  return (
    <div class={vertical ? 'bars vertical' : 'bars'} style={{ '--name-width': `${longest}px` }}>
      {values.map((value, i) => {
        const bounds = boundsOf(value.field),
          share =
            typeof value.value === 'number'
              ? Math.min(Math.max((value.value - bounds.min) / (bounds.max - bounds.min || 1), 0), 1)
              : 0;
        const percent = `${(share * 100).toFixed(2)}%`,
          text = shownText(value.shown);
        return (
          <div class={options.displayMode === 'lcd' ? 'bar lcd' : 'bar'} key={i}>
            <div class="bar-name" title={value.title}>
              {value.title}
            </div>
            <div class="bar-track">
              <div
                class="bar-fill"
                style={{
                  [vertical ? 'height' : 'width']: percent,
                  background: barColor(value, options.displayMode ?? 'gradient', share),
                }}
              />
            </div>
            <div class="bar-value" style={{ color: asText(value.color, theme) }}>
              {text}
            </div>
            <Follow value={value} fill={fill} />
          </div>
        );
      })}
    </div>
  );
}
