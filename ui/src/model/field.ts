// Field options: defaults and overrides of a panel on its frames; the name, colour and text of a value.
import { colorOfName, isScale, namedColor, scaleColor, seriesColor } from './color';
import type { Cell, Field, FieldConfig, Frame, Mapping, MappingResult, Threshold } from './frames';
import { reduce } from './reduce';
import { seriesText } from './prometheus';
import { soundConfig } from './sound';
import { dateText, showNumber, type Shown } from './units';
import { interpolate, type Variables } from './variables';

export interface Override {
  matcher: { id: string; options?: unknown };
  properties: { id: string; value?: unknown }[];
}

export interface FieldOptions {
  defaults?: FieldConfig;
  overrides?: Override[];
}

/** A pattern as dashboards write it: /…/flags, or without the strokes. Never throws, never too long. */
export function patternOf(text: string): RegExp | undefined {
  const match = /^\/(.*)\/([gimsuy]*)$/s.exec(text);
  if ((match?.[1] ?? text).length > 1000) return undefined;
  try {
    return match ? new RegExp(match[1]!, match[2]!.replace(/[gy]/g, '')) : new RegExp(text);
  } catch {
    return undefined;
  }
}

const asList = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

function compares(op: string, a: number, b: number): boolean {
  switch (op) {
    case 'gte':
      return a >= b;
    case 'gt':
      return a > b;
    case 'lte':
      return a <= b;
    case 'lt':
      return a < b;
    case 'eq':
      return a === b;
    case 'neq':
      return a !== b;
    default:
      return false;
  }
}

export function matches({ id, options }: Override['matcher'], frame: Frame, field: Field): boolean {
  const names = [field.name, field.title ?? ''];
  switch (id) {
    case 'byName':
      return names.includes(String(options));
    case 'byNames': {
      const {
        names: wanted,
        mode,
        readOnly: _,
      } = (options ?? {}) as { names?: unknown; mode?: string; readOnly?: boolean };
      const found = asList(wanted).some((name) => names.includes(name));
      return mode === 'exclude' ? !found && field.type !== 'time' : found;
    }
    case 'byRegexp':
    case 'byRegexpOrNames': {
      const pattern = patternOf(String(options ?? ''));
      return pattern !== undefined && names.some((name) => pattern.test(name));
    }
    case 'byType':
      return field.type === options;
    case 'byTypes':
      return asList(options).includes(field.type);
    case 'numeric':
      return field.type === 'number';
    case 'time':
      return field.type === 'time';
    case 'byFrameRefID':
      return frame.refId === options;
    case 'byValue': {
      const { reducer, op, value } = (options ?? {}) as { reducer?: string; op?: string; value?: unknown };
      const reduced = reduce(field, reducer ?? 'lastNotNull');
      return field.type === 'number' && typeof reduced === 'number' && compares(op ?? 'gte', reduced, Number(value));
    }
    default:
      return false;
  }
}

/** Names that would reach into the prototype are no properties. */
const SAFE_KEY = /^(?!__proto__$|constructor$|prototype$)[\w-]+$/;

function setProperty(config: FieldConfig, id: string, value: unknown): void {
  const path = id.split('.');
  if (!path.every((key) => SAFE_KEY.test(key))) return;
  let at = config as Record<string, unknown>;
  for (const key of path.slice(0, -1)) {
    const inner = at[key];
    at = at[key] = typeof inner === 'object' && inner !== null ? { ...inner } : {};
  }
  at[path.at(-1)!] = value;
}

/** Of several fields of the same title the labels tell which is which. */
function titleOf(frame: Frame, field: Field, frames: Frame[], variables: Variables): string {
  const { displayName, displayNameFromDS } = field.config;
  if (displayName) {
    return interpolate(displayName, variables, {
      more: (name, path) => {
        if (name !== '__field' && name !== '__series' && name !== '__cell') return undefined;
        if (path?.startsWith('labels.')) return field.labels?.[path.slice(7)] ?? '';
        if (path === 'labels') return seriesText(field.labels ?? {});
        return path === 'name' || path === 'displayName' ? (displayNameFromDS ?? frame.name ?? field.name) : '';
      },
    });
  }
  if (displayNameFromDS) return displayNameFromDS;
  if (field.type === 'time' && !field.labels) return field.name;
  if (frame.name && frame.fields.filter((other) => other.type === field.type).length === 1 && frames.length > 1)
    return frame.name;
  if (field.labels && Object.keys(field.labels).length && frames.length > 1) return seriesText(field.labels);
  return field.name;
}

/** Copies of the frames with their config; the first are left as they are. */
export function applyOptions(frames: Frame[], options: FieldOptions | undefined, variables: Variables): Frame[] {
  const defaults = options?.defaults ?? {};
  const applied = frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((plain) => {
      const config: FieldConfig = {
        ...defaults,
        ...plain.config,
        custom: { ...defaults.custom, ...plain.config.custom },
      };
      const field: Field = { ...plain, config: soundConfig(config) };
      if (field.type === 'time' && !plain.config.unit) field.config.unit = 'dateTimeAsIso';
      field.title = titleOf(frame, field, frames, variables);
      for (const override of options?.overrides ?? []) {
        if (!override?.matcher || !matches(override.matcher, frame, field)) continue;
        for (const { id, value } of override.properties ?? []) setProperty(field.config, String(id), value);
      }
      field.config = soundConfig(field.config);
      field.title = titleOf(frame, field, frames, variables);
      return field;
    }),
  }));
  bindRange(applied);
  return applied;
}

/** What has no bounds of its own has those of all numbers of the panel, unless it wants its own (fieldMinMax). */
function bindRange(frames: Frame[]): void {
  const range = { min: Infinity, max: -Infinity };
  const fields = frames.flatMap((frame) => frame.fields.filter(({ type }) => type === 'number'));
  for (const { values } of fields) {
    for (const value of values) {
      if (typeof value !== 'number' || !Number.isFinite(value)) continue;
      if (value < range.min) range.min = value;
      if (value > range.max) range.max = value;
    }
  }
  if (range.min > range.max) return;
  for (const field of fields) if (field.config.fieldMinMax !== true) field.range = range;
}

// --- thresholds, mappings, colours ------------------------------------------------------------------

export interface Bounds {
  min: number;
  max: number;
}

export function boundsOf(field: Field): Bounds {
  let { min, max } = field.config;
  if ((typeof min !== 'number' || typeof max !== 'number') && field.range) {
    min = typeof min === 'number' ? min : field.range.min;
    max = typeof max === 'number' ? max : field.range.max;
  } else if (typeof min !== 'number' || typeof max !== 'number') {
    let [low, high] = [Infinity, -Infinity];
    for (const value of field.values) {
      if (typeof value === 'number' && Number.isFinite(value))
        [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
    min = typeof min === 'number' ? min : low;
    max = typeof max === 'number' ? max : high;
  }
  return { min: Number.isFinite(min) ? min! : 0, max: Number.isFinite(max) ? max! : 100 };
}

export function steps(config: FieldConfig): Threshold[] {
  const found = Array.isArray(config.thresholds?.steps) ? config.thresholds.steps : [];
  return found.length
    ? found
    : [
        { value: null, color: 'green' },
        { value: 80, color: 'red' },
      ];
}

export function thresholdOf(config: FieldConfig, value: number, bounds: Bounds): Threshold {
  const all = steps(config);
  const size =
    config.thresholds?.mode === 'percentage' ? ((value - bounds.min) / (bounds.max - bounds.min || 1)) * 100 : value;
  let found = all[0]!;
  for (const step of all) {
    if (step.value === null || step.value === undefined || size >= step.value) found = step;
  }
  return found;
}

function mappingOf(mapping: Mapping, value: Cell): MappingResult | undefined {
  const options = (mapping.options ?? {}) as Record<string, any>;
  switch (mapping.type) {
    case 'value':
      return value !== null && Object.hasOwn(options, String(value)) ? options[String(value)] : undefined;
    case 'range': {
      const number = Number(value);
      if (value === null || Number.isNaN(number)) return undefined;
      const above = options.from === null || options.from === undefined || number >= options.from;
      const below = options.to === null || options.to === undefined || number <= options.to;
      return above && below ? options.result : undefined;
    }
    case 'regex': {
      const pattern = patternOf(String(options.pattern ?? ''));
      if (!pattern || value === null || !pattern.test(String(value))) return undefined;
      const text = options.result?.text;
      return {
        ...options.result,
        text: typeof text === 'string' && text ? String(value).replace(pattern, text) : undefined,
      };
    }
    case 'special': {
      const kind = options.match;
      const isNan = typeof value === 'number' && Number.isNaN(value);
      const hit =
        (kind === 'null' && value === null) ||
        (kind === 'nan' && isNan) ||
        (kind === 'null+nan' && (value === null || isNan)) ||
        (kind === 'true' && value === true) ||
        (kind === 'false' && value === false) ||
        (kind === 'empty' && value === '');
      return hit ? options.result : undefined;
    }
    default:
      return undefined;
  }
}

export function mapped(config: FieldConfig, value: Cell): MappingResult | undefined {
  for (const mapping of Array.isArray(config.mappings) ? config.mappings : []) {
    const found = mapping && mappingOf(mapping, value);
    if (found) return found;
  }
  return undefined;
}

/** `index`: of the series in its panel. */
export function fieldColor(field: Field, index: number): string {
  const { mode, fixedColor, seriesBy } = field.config.color ?? {};
  switch (mode) {
    case 'fixed':
      return namedColor(fixedColor);
    case 'shades':
      return namedColor(fixedColor);
    case 'palette-classic-by-name':
      return colorOfName(field.title ?? field.name);
    case 'thresholds':
    case undefined:
    case 'palette-classic':
      if (mode !== 'thresholds') return seriesColor(index);
  }
  const reduced = reduce(field, seriesBy === 'min' || seriesBy === 'max' ? seriesBy : 'lastNotNull');
  return typeof reduced === 'number' ? valueColor(field, reduced, index) : seriesColor(index);
}

export function valueColor(field: Field, value: Cell, index = 0): string {
  const hit = mapped(field.config, value);
  if (hit?.color) return namedColor(hit.color);
  const mode = field.config.color?.mode;
  if (mode === 'fixed' || mode === 'shades') return namedColor(field.config.color?.fixedColor);
  if (mode === 'palette-classic') return seriesColor(index);
  if (mode === 'palette-classic-by-name') return colorOfName(field.title ?? field.name);
  // What is no number has the colour of the least one.
  if (typeof value !== 'number' || Number.isNaN(value))
    return isScale(mode) ? scaleColor(mode!, 0) : namedColor(steps(field.config)[0]!.color);
  const bounds = boundsOf(field);
  if (isScale(mode)) return scaleColor(mode!, (value - bounds.min) / (bounds.max - bounds.min || 1));
  return namedColor(thresholdOf(field.config, value, bounds).color);
}

export function show(field: Field, value: Cell | undefined): Shown {
  const hit = mapped(field.config, value ?? null);
  const plain = (text: string): Shown => ({ prefix: '', text, suffix: '' });
  if (hit?.text) return plain(hit.text);
  if (value === null || value === undefined) return plain(field.config.noValue ?? '');
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return plain(field.config.noValue ?? 'NaN');
    if (field.type === 'time' && field.config.unit === 'dateTimeAsIso')
      return plain(dateText(value, 'YYYY-MM-DD HH:mm:ss'));
    return showNumber(
      value,
      field.config.unit,
      typeof field.config.decimals === 'number' ? field.config.decimals : undefined,
    );
  }
  if (typeof value === 'object') return plain(JSON.stringify(value));
  const unit = field.config.unit;
  if (typeof value === 'string' && unit && unit !== 'string' && value.trim() !== '' && Number.isFinite(Number(value))) {
    return showNumber(Number(value), unit, field.config.decimals);
  }
  return plain(String(value));
}
