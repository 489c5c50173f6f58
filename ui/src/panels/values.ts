// Single values: what stat, gauge, bar gauge and pie panels show of their frames.
import { fieldColor, show, valueColor } from '../model/field';
import type { Cell, Field, Frame } from '../model/frames';
import { patternOf } from '../model/field';
import { reduce, reducerName } from '../model/reduce';
import type { Shown } from '../model/units';

export interface Value {
  title: string;
  value: Cell;
  shown: Shown;
  color: string;
  field: Field;
  frame: Frame;
  /** Of a table's row. */
  row?: number;
  /** Its course over time, where it has one. */
  times?: number[];
  course?: (number | null)[];
}

interface ReduceOptions {
  calcs?: unknown;
  values?: boolean;
  fields?: string;
  limit?: number;
}

const VALUES_MAX = 200;

function wanted(field: Field, fields: string | undefined): boolean {
  if (!fields) return field.type === 'number';
  // A name as it is, or a pattern between strokes.
  if (!fields.startsWith('/')) return [field.title, field.name].includes(fields);
  return field.type !== 'time' && (patternOf(fields)?.test(field.title ?? field.name) ?? false);
}

/** One value for each field and calculation; with several calculations each says which it is. */
export function valuesOf(frames: Frame[], options: ReduceOptions = {}): Value[] {
  const calcs = Array.isArray(options.calcs) && options.calcs.length ? options.calcs.map(String) : ['lastNotNull'];
  const values: Value[] = [];
  for (const frame of frames) {
    const time = frame.fields.find((field) => field.type === 'time');
    for (const field of frame.fields) {
      if (values.length >= VALUES_MAX) return values;
      if (!wanted(field, options.fields)) continue;
      if (options.values) {
        // One for each row, named by the row's texts.
        const names = frame.fields.filter((other) => other.type === 'string');
        for (let row = 0; row < Math.min(frame.length, options.limit ?? 25); row++) {
          const value = field.values[row] ?? null,
            title = names.map((name) => name.values[row] ?? '').join(' ') || (field.title ?? field.name);
          values.push({
            title,
            value,
            shown: show(field, value),
            color: valueColor(field, value, values.length),
            field,
            frame,
            row,
          });
        }
        continue;
      }
      for (const calc of calcs) {
        const value = reduce(field, calc) ?? null;
        const byValue =
          field.config.color?.mode === undefined ||
          field.config.color.mode === 'thresholds' ||
          field.config.color.mode.startsWith('continuous');
        const title = field.title ?? field.name;
        values.push({
          title: calcs.length > 1 ? `${reducerName(calc)}: ${title}` : title,
          value,
          shown: show(field, value),
          field,
          frame,
          color: byValue ? valueColor(field, value, values.length) : fieldColor(field, values.length),
          ...(time && field.type === 'number' && frame.length > 1
            ? { times: time.values as number[], course: field.values as (number | null)[] }
            : {}),
        });
      }
    }
  }
  return values;
}

/** Cells of a grid in which all get about the same, and none too small to be read. */
export function gridOf(
  count: number,
  width: number,
  height: number,
  orientation: string | undefined,
  ratio = 2,
): { columns: number; rows: number } {
  if (orientation === 'horizontal') return { columns: 1, rows: count };
  if (orientation === 'vertical') return { columns: count, rows: 1 };
  let best = { columns: count, rows: 1 },
    most = 0;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns),
      w = width / columns,
      h = height / rows;
    const size = Math.min(w, h * ratio);
    if (size > most) [best, most] = [{ columns, rows }, size];
  }
  return best;
}
