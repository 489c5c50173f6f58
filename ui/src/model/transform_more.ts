// Transformations that take texts and labels apart, or make settings of what a query gave.
import { matches, patternOf } from './field';
import { guessType, makeField, makeFrame, timeField, type Cell, type Field, type Frame } from './frames';
import { reduce } from './reduce';
import { converted, nameOf, type Step } from './transform_steps';

// --- texts ------------------------------------------------------------------------------------------

type Parts = Record<string, unknown>;

function fromJson(text: string): Parts {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null ? (found as Parts) : {};
  } catch {
    return {};
  }
}

/** a=1, b="two words" or {"a": 1}-like pairs without their braces. */
function fromPairs(text: string): Parts {
  const parts: Parts = {};
  for (const [, key, quoted, bare] of text.matchAll(/([\w.-]+)\s*[=:]\s*(?:"([^"]*)"|([^\s,;}]+))/g))
    parts[key!] = quoted ?? bare;
  return parts;
}

function partsOf(text: string, { format = 'auto', delimiter = ',', regExp }: Record<string, any>): Parts {
  switch (format) {
    case 'json':
      return fromJson(text);
    case 'kvp':
      return fromPairs(text);
    case 'delimiter':
      return Object.fromEntries(
        text.split(String(delimiter)).map((part, i) => [part.trim() || String(i), part.trim()]),
      );
    case 'regexp':
      return patternOf(String(regExp ?? ''))?.exec(text)?.groups ?? {};
    default:
      return text.trim().startsWith('{') ? fromJson(text) : fromPairs(text);
  }
}

function atPath(parts: Parts, path: string): unknown {
  let at: unknown = parts;
  for (const key of path.replace(/\[["']?([^\]"']+)["']?\]/g, '.$1').split('.'))
    at = typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? (at as Parts)[key] : undefined;
  return at;
}

const asCell = (value: unknown): Cell =>
  value === undefined || value === null
    ? null
    : typeof value === 'object'
      ? JSON.stringify(value)
      : (value as string | number | boolean);

/** The parts of a text column as columns of their own. */
export const extractFields: Step = (frames, options) =>
  frames.map((frame) => {
    const source = frame.fields.find(
      (field) => nameOf(frame, field, frames) === options.source || field.name === options.source,
    );
    if (!source) return frame;
    const rows = source.values.map((value) => partsOf(String(value ?? ''), options));
    const paths: { path: string; alias?: string }[] = (Array.isArray(options.jsonPaths) ? options.jsonPaths : [])
      .filter((one: any) => typeof one?.path === 'string' && one.path)
      .slice(0, 100);
    const wanted = paths.length
      ? paths
      : [...new Set(rows.flatMap(Object.keys))].slice(0, 100).map((path) => ({ path }));
    const columns = wanted.map(({ path, alias }: { path: string; alias?: string }) => {
      const values = rows.map((parts) => asCell(paths.length ? atPath(parts, path) : parts[path]));
      return makeField(alias || path, guessType(values), values);
    });
    const kept = options.replace
      ? frame.fields.filter((field) => options.keepTime && field.type === 'time')
      : frame.fields;
    return { ...frame, fields: [...kept, ...columns] };
  });

// --- labels -----------------------------------------------------------------------------------------

/** A row for each set of the labels to join by; a column for each value of the label that names the values. */
export const joinByLabels: Step = (frames, { value: label, join }) => {
  const used = frames.flatMap((frame) => frame.fields.filter(({ labels }) => labels && Object.hasOwn(labels, label)));
  if (!used.length) return frames;
  const by: string[] =
    Array.isArray(join) && join.length
      ? join.map(String)
      : [...new Set(used.flatMap(({ labels }) => Object.keys(labels!)))].filter((name) => name !== label);
  const names = [...new Set(used.map(({ labels }) => labels![label]!))];
  const rows = new Map<string, { keys: Cell[]; cells: Map<string, Cell> }>();
  for (const field of used) {
    const keys = by.map((name) => field.labels![name] ?? null);
    const row = rows.get(JSON.stringify(keys)) ?? { keys, cells: new Map() };
    row.cells.set(field.labels![label]!, reduce(field, 'lastNotNull') ?? null);
    rows.set(JSON.stringify(keys), row);
  }
  const all = [...rows.values()];
  return [
    makeFrame(frames[0]!.refId, [
      ...by.map((name, i) =>
        makeField(
          name,
          'string',
          all.map(({ keys }) => keys[i]!),
        ),
      ),
      ...names.map((name) =>
        makeField(
          name,
          'number',
          all.map(({ cells }) => cells.get(name) ?? null),
        ),
      ),
    ]),
  ];
};

// --- settings ---------------------------------------------------------------------------------------

function setting(key: string, value: Cell): Partial<Field['config']> {
  switch (key) {
    case 'min':
    case 'max':
    case 'decimals':
      return { [key]: converted(value, 'number') as number };
    case 'unit':
    case 'displayName':
    case 'noValue':
      return { [key]: String(value) };
    case 'color':
      return { color: { mode: 'fixed', fixedColor: String(value) } };
    case 'threshold1':
      return {
        thresholds: {
          mode: 'absolute',
          steps: [
            { value: null, color: 'green' },
            { value: Number(value), color: 'red' },
          ],
        },
      };
    default:
      return {};
  }
}

/** What one query gave is the least, the greatest, the threshold, ... of the others. */
export const configFromData: Step = (frames, { configRefId = 'config', mappings = [], applyTo }) => {
  const source = frames.find(({ refId }) => refId === configRefId);
  if (!source) return frames;
  let config: Partial<Field['config']> = {};
  for (const field of source.fields) {
    const name = nameOf(source, field, [source]);
    const given = mappings.find((one: any) => one?.fieldName === name || one?.fieldName === field.name);
    const value = reduce(field, given?.reducerId ?? 'lastNotNull');
    if (value !== null && value !== undefined) config = { ...config, ...setting(given?.handlerKey ?? name, value) };
  }
  const fits = (frame: Frame, field: Field) => (applyTo?.id ? matches(applyTo, frame, field) : field.type === 'number');
  return frames
    .filter((frame) => frame !== source)
    .map((frame) => ({
      ...frame,
      fields: frame.fields.map((field) =>
        fits(frame, field) ? { ...field, config: { ...field.config, ...config } } : field,
      ),
    }));
};

// --- time -------------------------------------------------------------------------------------------

/** Series below each other: a row for each time and series, its labels as columns. */
export const toLong: Step = (frames) => {
  const used = frames.flatMap((frame) => {
    const time = timeField(frame);
    return time ? frame.fields.filter((field) => field.type === 'number').map((field) => ({ time, field })) : [];
  });
  const labels = [...new Set(used.flatMap(({ field }) => Object.keys(field.labels ?? {})))].sort();
  const rows = used
    .flatMap(({ time, field }) => time.values.map((at, i) => ({ at, value: field.values[i] ?? null, field })))
    .sort((a, b) => Number(a.at) - Number(b.at));
  return [
    makeFrame(frames[0]?.refId ?? 'A', [
      makeField(
        'Time',
        'time',
        rows.map(({ at }) => at),
      ),
      ...labels.map((name) =>
        makeField(
          name,
          'string',
          rows.map(({ field }) => field.labels?.[name] ?? null),
        ),
      ),
      makeField(
        'Value',
        'number',
        rows.map(({ value }) => value),
      ),
    ]),
  ];
};
