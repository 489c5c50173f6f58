// Transformations: what a panel makes of its frames before they are drawn (grafana.com/docs, "Transform
// data"). One that is not known is named, and the frames stay as they are.
import { patternOf } from './field';
import { copyFrame, guessType, makeField, makeFrame, timeField, type Cell, type Field, type Frame } from './frames';
import { reduce, reducerName } from './reduce';
import { configFromData, extractFields, joinByLabels, toLong } from './transform_more';
import { dateText } from './units';
import {
  type Step,
  nameOf,
  keyOf,
  rowsOf,
  pick,
  pickRows,
  organize,
  filterFieldsByName,
  renameByRegex,
  convertFieldType,
  calculateField,
  sortBy,
  limit,
  filterByValue,
} from './transform_steps';

export interface Transformation {
  id: string;
  options?: Record<string, any>;
  disabled?: boolean;
  filter?: { id: string; options?: unknown };
}

export interface Transformed {
  frames: Frame[];
  /** What could not be done: said on the panel. */
  problems: string[];
}

// --- several frames ---------------------------------------------------------------------------------

const filterByRefId: Step = (frames, { include }) => {
  const pattern = typeof include === 'string' && include ? new Set(include.split('|')) : undefined;
  return pattern
    ? frames.filter(
        (frame) => pattern.has(frame.refId) || [...pattern].some((one) => patternOf(`^(?:${one})$`)?.test(frame.refId)),
      )
    : frames;
};

/** Rows that agree in all columns that the frames share become one; else they stand below each other. */
const merge: Step = (frames) => {
  const used = frames.filter((frame) => frame.fields.length);
  if (used.length < 2) return used;
  const columns: Field[] = [];
  const at = new Map<string, number>();
  // Of several frames with a "Value" each, each keeps its own: "Value #A".
  const values = used.filter((frame) => frame.fields.some((field) => field.name === 'Value'));
  const columnName = (frame: Frame, field: Field) => {
    const named = nameOf(frame, field, used);
    return field.name === 'Value' &&
      values.length > 1 &&
      new Set(values.map(({ refId }) => refId)).size > 1 &&
      named === 'Value'
      ? `Value #${frame.refId}`
      : named;
  };
  for (const frame of used) {
    for (const field of frame.fields) {
      const name = columnName(frame, field);
      if (at.has(name)) continue;
      at.set(name, columns.length);
      columns.push({ ...field, name, values: [] });
    }
  }
  const shared = [...at.keys()].filter((name) =>
    used.every((frame) => frame.fields.some((field) => columnName(frame, field) === name)),
  );
  const rows: Cell[][] = [],
    byKey = new Map<string, Cell[][]>();
  for (const frame of used) {
    const names = frame.fields.map((field) => columnName(frame, field));
    for (let row = 0; row < frame.length; row++) {
      const key = shared.map((name) => keyOf(frame.fields[names.indexOf(name)]!.values[row] ?? null)).join('\u0001');
      const others = byKey.get(key) ?? [];
      const fits = shared.length
        ? others.find((other) =>
            names.every((name, i) => {
              const there = other[at.get(name)!];
              return there === undefined || there === frame.fields[i]!.values[row];
            }),
          )
        : undefined;
      const target: Cell[] = fits ?? [];
      names.forEach((name, i) => {
        target[at.get(name)!] = frame.fields[i]!.values[row] ?? null;
      });
      if (fits) continue;
      rows.push(target);
      byKey.set(key, [...others, target]);
    }
  }
  const fields = columns.map((column, i) => ({ ...column, values: rows.map((row) => row[i] ?? null) }));
  return [makeFrame(used[0]!.refId, fields)];
};

/** Of columns of one name the first is "name 1", the second "name 2": what steps behind call them. */
function numbered(fields: Field[], keeps: (field: Field) => boolean = () => false): Field[] {
  const counts = new Map<string, number>(),
    seen = new Map<string, number>();
  for (const { name } of fields) counts.set(name, (counts.get(name) ?? 0) + 1);
  return fields.map((field) => {
    if (counts.get(field.name) === 1 || keeps(field)) return field;
    const at = (seen.get(field.name) ?? 0) + 1;
    seen.set(field.name, at);
    const name = `${field.name} ${at}`;
    return { ...field, name, config: { ...field.config, displayNameFromDS: field.config.displayNameFromDS && name } };
  });
}

/** One row for each value of the field (time, unless named); the other columns beside each other. */
const joinByField: Step = (frames, { byField, mode = 'outer' }) => {
  const used = frames
    .map((frame) => ({
      frame,
      by: byField
        ? frame.fields.find((field) => nameOf(frame, field, frames) === byField || field.name === byField)
        : timeField(frame),
    }))
    .filter((one): one is { frame: Frame; by: Field } => one.by !== undefined);
  if (used.length < 2) return frames;
  const keys = new Map<string, Cell>(),
    counts = new Map<string, number>();
  for (const { by } of used) {
    const seen = new Set<string>();
    for (const value of by.values) {
      const key = keyOf(value);
      keys.set(key, value);
      if (!seen.has(key)) counts.set(key, (counts.get(key) ?? 0) + 1);
      seen.add(key);
    }
  }
  let all = [...keys.entries()];
  if (mode === 'inner') all = all.filter(([key]) => counts.get(key) === used.length);
  if (used[0]!.by.type === 'time') all.sort((a, b) => Number(a[1]) - Number(b[1]));
  const fields: Field[] = [{ ...used[0]!.by, values: all.map(([, value]) => value) }];
  for (const { frame, by } of used) {
    const rowOf = new Map<string, number>();
    by.values.forEach((value, row) => rowOf.set(keyOf(value), row));
    for (const field of frame.fields) {
      if (field === by) continue;
      fields.push({
        ...field,
        name: nameOf(frame, field, frames),
        values: all.map(([key]) => {
          const row = rowOf.get(key);
          return row === undefined ? null : (field.values[row] ?? null);
        }),
      });
    }
  }
  return [makeFrame(used[0]!.frame.refId, numbered(fields))];
};

const seriesToRows: Step = (frames) => {
  const rows: { time: Cell; metric: string; value: Cell }[] = [];
  for (const frame of frames) {
    const time = timeField(frame);
    for (const field of frame.fields) {
      if (field === time || !time) continue;
      field.values.forEach((value, row) =>
        rows.push({ time: time.values[row] ?? null, metric: nameOf(frame, field, frames), value }),
      );
    }
  }
  rows.sort((a, b) => Number(b.time) - Number(a.time));
  return [
    makeFrame(frames[0]?.refId ?? 'A', [
      makeField(
        'Time',
        'time',
        rows.map(({ time }) => time),
      ),
      makeField(
        'Metric',
        'string',
        rows.map(({ metric }) => metric),
      ),
      makeField(
        'Value',
        'number',
        rows.map(({ value }) => value),
      ),
    ]),
  ];
};

const concatenate: Step = (frames) => {
  const length = Math.max(0, ...frames.map((frame) => frame.length));
  const fields = frames.flatMap((frame) =>
    frame.fields.map((field) => ({
      ...field,
      name: nameOf(frame, field, frames),
      values: Array.from({ length }, (_, row) => field.values[row] ?? null),
    })),
  );
  // Times stay "Time", all of them, as one name takes them all away.
  const apart = numbered(fields, (field) => field.type === 'time');
  return apart.length ? [{ ...makeFrame(frames[0]!.refId, apart), length }] : [];
};

const reduceFrames: Step = (
  frames,
  { reducers = ['lastNotNull'], mode = 'seriesToRows', includeTimeField = false, labelsToFields = false },
) => {
  const ids: string[] = Array.isArray(reducers) ? reducers.map(String) : ['lastNotNull'];
  if (mode === 'reduceFields') {
    return frames.map((frame) =>
      makeFrame(
        frame.refId,
        frame.fields
          .filter((field) => includeTimeField || field.type !== 'time')
          .map((field) => ({ ...field, values: [reduce(field, ids[0] ?? 'lastNotNull') ?? null] })),
        frame.name,
      ),
    );
  }
  const used = frames.flatMap((frame) =>
    frame.fields.filter((field) => includeTimeField || field.type !== 'time').map((field) => ({ frame, field })),
  );
  const labels = labelsToFields
    ? [...new Set(used.flatMap(({ field }) => Object.keys(field.labels ?? {})))].sort()
    : [];
  const columns: Field[] = [
    makeField(
      'Field',
      'string',
      used.map(({ frame, field }) => nameOf(frame, field, frames)),
    ),
  ];
  for (const label of labels)
    columns.push(
      makeField(
        label,
        'string',
        used.map(({ field }) => field.labels?.[label] ?? null),
      ),
    );
  for (const id of ids) {
    const values = used.map(({ field }) => reduce(field, id) ?? null);
    columns.push({
      ...makeField(reducerName(id), guessType(values) === 'string' ? 'string' : 'number', values),
      config: { ...used[0]?.field.config, displayName: undefined, displayNameFromDS: undefined },
    });
  }
  return [makeFrame(frames[0]?.refId ?? 'A', columns)];
};

const groupBy: Step = (frames, { fields: wanted = {} }) =>
  frames.map((frame) => {
    const setting = (field: Field) => wanted[nameOf(frame, field, frames)] ?? wanted[field.name];
    const by = frame.fields.filter((field) => setting(field)?.operation === 'groupby');
    if (!by.length) return frame;
    const groups = new Map<string, number[]>();
    for (const row of rowsOf(frame)) {
      const key = by.map((field) => keyOf(field.values[row] ?? null)).join('\u0001');
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    const rows = [...groups.values()];
    const columns = by.map((field) => ({ ...field, values: rows.map((group) => field.values[group[0]!] ?? null) }));
    for (const field of frame.fields) {
      const { operation, aggregations } = setting(field) ?? {};
      if (operation !== 'aggregate' || !Array.isArray(aggregations)) continue;
      for (const id of aggregations.map(String)) {
        const values = rows.map((group) => reduce(pick(field, group), id) ?? null);
        columns.push({
          ...makeField(
            `${nameOf(frame, field, frames)} (${id})`,
            guessType(values) === 'string' ? 'string' : 'number',
            values,
          ),
          config: { ...field.config, displayName: undefined, displayNameFromDS: undefined },
        });
      }
    }
    return makeFrame(frame.refId, columns, frame.name);
  });

const labelsToFields: Step = (frames, { mode = 'columns', keepLabels, valueLabel }) => {
  if (mode === 'rows') {
    const rows = frames.flatMap((frame) => frame.fields.flatMap((field) => Object.entries(field.labels ?? {})));
    return [
      makeFrame(frames[0]?.refId ?? 'A', [
        makeField(
          'label',
          'string',
          rows.map(([name]) => name),
        ),
        makeField(
          'value',
          'string',
          rows.map(([, value]) => value),
        ),
      ]),
    ];
  }
  const keeps = Array.isArray(keepLabels) && keepLabels.length ? new Set<string>(keepLabels.map(String)) : undefined;
  const made = frames.flatMap((frame) => {
    const time = timeField(frame);
    return frame.fields
      .filter((field) => field !== time)
      .map((field) => {
        const names = Object.keys(field.labels ?? {}).filter(
          (name) => name !== valueLabel && (!keeps || keeps.has(name)),
        );
        const renamed = valueLabel && field.labels?.[valueLabel];
        const value = {
          ...field,
          labels: undefined,
          name: renamed || field.name,
          config: { ...field.config, displayNameFromDS: undefined },
        };
        return makeFrame(frame.refId, [
          ...(time ? [time] : []),
          ...names.map((name) =>
            makeField(
              name,
              'string',
              Array.from({ length: frame.length }, () => field.labels![name]!),
            ),
          ),
          value,
        ]);
      });
  });
  return merge(made, {});
};

const partitionByValues: Step = (frames, { fields: wanted = [], keepFields = false }) =>
  frames.flatMap((frame) => {
    const by = frame.fields.filter((field) => wanted.includes(nameOf(frame, field, frames)));
    if (!by.length) return [frame];
    const groups = new Map<string, number[]>();
    for (const row of rowsOf(frame)) {
      const key = by.map((field) => String(field.values[row] ?? '')).join(' ');
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    return [...groups].map(([name, rows]) => {
      const picked = pickRows(frame, rows);
      const labels = Object.fromEntries(by.map((field) => [field.name, String(field.values[rows[0]!] ?? '')]));
      const fields = picked.fields
        .filter((_field, i) => keepFields || !by.includes(frame.fields[i]!))
        .map((field) => (field.type === 'number' ? { ...field, labels } : field));
      return { ...picked, name, fields };
    });
  });

const groupingToMatrix: Step = (
  frames,
  { columnField = 'Time', rowField = 'Time', valueField = 'Value', emptyValue },
) => {
  const frame = frames[0];
  const named = (name: string) =>
    frame?.fields.find((field) => nameOf(frame, field, frames) === name || field.name === name);
  const columns = named(columnField),
    rows = named(rowField),
    values = named(valueField);
  if (!frame || !columns || !rows || !values) return frames;
  const names = [...new Set(columns.values.map((value) => String(value ?? '')))],
    keys = [...new Map(rows.values.map((value) => [keyOf(value), value])).entries()];
  const cells = new Map(
    rowsOf(frame).map((row) => [
      `${keyOf(rows.values[row] ?? null)}\u0001${String(columns.values[row] ?? '')}`,
      values.values[row] ?? null,
    ]),
  );
  const empty: Cell =
    emptyValue === 'zero'
      ? 0
      : emptyValue === 'true'
        ? true
        : emptyValue === 'false'
          ? false
          : emptyValue === 'empty'
            ? ''
            : null;
  return [
    makeFrame(frame.refId, [
      {
        ...rows,
        name: `${rowField}\\${columnField}`,
        config: { ...rows.config, displayName: undefined },
        values: keys.map(([, value]) => value),
      },
      ...names.map((name) => ({
        ...values,
        name,
        labels: undefined,
        config: { ...values.config, displayName: undefined, displayNameFromDS: undefined },
        values: keys.map(([key]) => cells.get(`${key}\u0001${name}`) ?? empty),
      })),
    ]),
  ];
};

const transpose: Step = (frames, { firstFieldName }) =>
  frames.map((frame) => {
    const [head, ...rest] = frame.fields;
    if (!head) return frame;
    const columns = rowsOf(frame).map((row) => {
      const values = rest.map((field) => field.values[row] ?? null);
      return makeField(String(head.values[row] ?? row), guessType(values), values);
    });
    return makeFrame(frame.refId, [
      makeField(
        firstFieldName || 'Field',
        'string',
        rest.map((field) => nameOf(frame, field, frames)),
      ),
      ...columns,
    ]);
  });

const rowsToFields: Step = (frames) =>
  frames.map((frame) => {
    const names = frame.fields.find((field) => field.type === 'string'),
      values = frame.fields.find((field) => field.type === 'number');
    if (!names || !values) return frame;
    return makeFrame(
      frame.refId,
      rowsOf(frame).map((row) => ({
        ...values,
        name: String(names.values[row] ?? row),
        config: { ...values.config, displayName: undefined, displayNameFromDS: undefined },
        values: [values.values[row] ?? null],
      })),
    );
  });

const timeSeriesTable: Step = (frames) => {
  const labels = [
    ...new Set(frames.flatMap((frame) => frame.fields.flatMap((field) => Object.keys(field.labels ?? {})))),
  ].sort();
  const used = frames.flatMap((frame) => frame.fields.filter((field) => field.type === 'number').map((field) => field));
  return [
    makeFrame(frames[0]?.refId ?? 'A', [
      ...labels.map((name) =>
        makeField(
          name,
          'string',
          used.map((field) => field.labels?.[name] ?? null),
        ),
      ),
      makeField(
        'Trend',
        'number',
        used.map((field) => reduce(field, 'lastNotNull') ?? null),
      ),
    ]),
  ];
};

const histogram: Step = (frames, { bucketSize, bucketCount = 30, combine }) => {
  const all = frames.flatMap((frame) => frame.fields.filter((field) => field.type === 'number'));
  if (!all.length) return [];
  const together = { ...makeField('Count', 'number', combine ? all.flatMap(({ values }) => values) : []) };
  const fields = combine ? [{ ...together, config: { ...all[0]!.config, displayNameFromDS: undefined } }] : all;
  const numbers = fields.flatMap((field) =>
    field.values.filter((value): value is number => typeof value === 'number' && Number.isFinite(value)),
  );
  if (!numbers.length) return [];
  const [low, high] = [numbers.reduce((a, b) => Math.min(a, b)), numbers.reduce((a, b) => Math.max(a, b))];
  const given = Number(bucketSize);
  const raw = given > 0 ? given : (high - low) / Math.min(Math.max(Number(bucketCount) || 30, 1), 1000) || 1;
  const size = Math.max(raw, (high - low) / 1000),
    first = Math.floor(low / size) * size,
    count = Math.floor((high - first) / size) + 1;
  const bounds = Array.from({ length: count }, (_, i) => first + i * size);
  const { unit, decimals } = fields[0]!.config;
  return [
    makeFrame(frames[0]!.refId, [
      { ...makeField('xMin', 'number', bounds), config: { unit, decimals } },
      {
        ...makeField(
          'xMax',
          'number',
          bounds.map((bound) => bound + size),
        ),
        config: { unit, decimals },
      },
      ...fields.map((field) => {
        const counts = bounds.map(() => 0);
        for (const value of field.values) {
          if (typeof value === 'number' && Number.isFinite(value))
            counts[Math.min(Math.floor((value - first) / size), count - 1)]! += 1;
        }
        return {
          ...makeField(field.title ?? field.config.displayNameFromDS ?? field.name, 'number', counts),
          config: { ...field.config, unit: undefined, decimals: undefined, displayName: undefined },
        };
      }),
    ]),
  ];
};

/** A time as text: in the browser's zone, or in UTC. Other zones are not known here. */
const formatTime: Step = (frames, { timeField: name, outputFormat = 'YYYY-MM-DD HH:mm:ss', timezone }) =>
  frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) =>
      field.type !== 'time' || (name && field.name !== name)
        ? field
        : {
            ...field,
            type: 'string' as const,
            values: field.values.map((at) =>
              typeof at === 'number'
                ? dateText(
                    at,
                    outputFormat,
                    timezone === undefined ? undefined : String(timezone).toLowerCase() === 'utc',
                  )
                : at,
            ),
          },
    ),
  }));

/** Series are "many" as they come; "wide" is one table by time. */
const prepareTimeSeries: Step = (frames, { format = 'wide' }) =>
  format === 'long' ? toLong(frames, {}) : format === 'wide' ? joinByField(frames, {}) : frames;

const STEPS: Record<string, Step> = {
  configFromData,
  extractFields,
  joinByLabels,
  prepareTimeSeries,
  organize,
  filterFieldsByName,
  renameByRegex,
  convertFieldType,
  calculateField,
  sortBy,
  limit,
  filterByValue,
  filterByRefId,
  merge,
  joinByField,
  seriesToColumns: joinByField,
  seriesToRows,
  concatenate,
  reduce: reduceFrames,
  groupBy,
  labelsToFields,
  partitionByValues,
  groupingToMatrix,
  transpose,
  rowsToFields,
  timeSeriesTable,
  histogram,
  formatTime,
  filterFrames: filterByRefId,
  noop: (frames) => frames,
};

/** All texts in it, with variables filled in. */
function filled(value: any, fill: (text: string) => string): any {
  if (typeof value === 'string') return value.includes('$') || value.includes('[[') ? fill(value) : value;
  if (Array.isArray(value)) return value.map((one) => filled(one, fill));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one, fill)]));
}

/** `fill`: for variables in the options. */
export function transform(
  frames: Frame[],
  all: readonly Transformation[] | undefined,
  fill: (text: string) => string = (text) => text,
): Transformed {
  const problems: string[] = [];
  let now = frames;
  for (const one of Array.isArray(all) ? all : []) {
    if (!one || one.disabled) continue;
    const step = Object.hasOwn(STEPS, one.id) ? STEPS[one.id] : undefined;
    if (!step) {
      problems.push(`the transformation "${String(one.id).slice(0, 60)}" is not known here`);
      continue;
    }
    const wanted = one.filter?.id === 'byRefId' ? new Set(String(one.filter.options ?? '').split('|')) : undefined;
    const used = wanted ? now.filter((frame) => wanted.has(frame.refId)) : now;
    try {
      const made = step(used.map(copyFrame), filled(one.options ?? {}, fill));
      now = wanted ? [...now.filter((frame) => !wanted.has(frame.refId)), ...made] : made;
    } catch (error) {
      problems.push(`the transformation "${one.id}" failed: ${(error as Error).message}`);
    }
  }
  return { frames: now.map((frame) => ({ ...frame, length: frame.fields[0]?.values.length ?? 0 })), problems };
}
