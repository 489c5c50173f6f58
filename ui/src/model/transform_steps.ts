// The steps of transformations that look at one frame at a time: its columns, its rows.
import { patternOf } from './field';
import { guessType, makeField, type Cell, type Field, type Frame } from './frames';
import { reduce, reducerName } from './reduce';
import { parseTime } from './time';

export type Step = (frames: Frame[], options: Record<string, any>) => Frame[];

export const nameOf = (frame: Frame, field: Field, all: Frame[]): string =>
  field.config.displayName ??
  field.config.displayNameFromDS ??
  (field.type !== 'time' && frame.name && all.length > 1 && field.name === 'Value' ? frame.name : field.name);

export const keyOf = (value: Cell) => `${typeof value}:${String(value)}`;

export const rowsOf = (frame: Frame) => Array.from({ length: frame.length }, (_, i) => i);

export const pick = (field: Field, rows: number[]): Field => ({
  ...field,
  values: rows.map((row) => field.values[row] ?? null),
});

export const pickRows = (frame: Frame, rows: number[]): Frame => ({
  ...frame,
  fields: frame.fields.map((field) => pick(field, rows)),
  length: rows.length,
});

// --- columns ----------------------------------------------------------------------------------------

export const organize: Step = (
  frames,
  { excludeByName = {}, includeByName = {}, indexByName = {}, renameByName = {} },
) =>
  frames.map((frame) => {
    const includes = Object.keys(includeByName).some((name) => includeByName[name]);
    const kept = frame.fields.filter((field) => {
      const name = nameOf(frame, field, frames);
      return !excludeByName[name] && (!includes || includeByName[name]);
    });
    const place = (field: Field, at: number) => {
      const index = indexByName[nameOf(frame, field, frames)];
      return typeof index === 'number' ? index : 1e6 + at;
    };
    const fields = kept
      .map((field, at) => ({ field, at: place(field, at) }))
      .sort((a, b) => a.at - b.at)
      .map(({ field }) => {
        const name = nameOf(frame, field, frames),
          renamed = renameByName[name];
        return typeof renamed === 'string' && renamed
          ? { ...field, name: renamed, config: { ...field.config, displayName: renamed } }
          : field;
      });
    return { ...frame, fields };
  });

export function nameFilter(options: Record<string, any> | undefined): ((name: string) => boolean) | undefined {
  if (!options) return undefined;
  const names = new Set<string>(Array.isArray(options.names) ? options.names : []);
  const pattern = typeof options.pattern === 'string' && options.pattern ? patternOf(options.pattern) : undefined;
  return names.size || pattern ? (name) => names.has(name) || (pattern?.test(name) ?? false) : undefined;
}

export const filterFieldsByName: Step = (frames, { include, exclude }) => {
  const wanted = nameFilter(include),
    unwanted = nameFilter(exclude);
  return frames
    .map((frame) => ({
      ...frame,
      fields: frame.fields.filter((field) => {
        const name = nameOf(frame, field, frames);
        return (!wanted || wanted(name)) && !unwanted?.(name);
      }),
    }))
    .filter((frame) => frame.fields.length);
};

export const renameByRegex: Step = (frames, { regex = '', renamePattern = '' }) => {
  const pattern = patternOf(String(regex));
  if (!pattern || !regex) return frames;
  return frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) => {
      const name = nameOf(frame, field, frames);
      return pattern.test(name)
        ? { ...field, config: { ...field.config, displayName: name.replace(pattern, String(renamePattern)) } }
        : field;
    }),
  }));
};

export function converted(value: Cell, type: string): Cell {
  if (value === null || value === undefined) return null;
  switch (type) {
    case 'number': {
      const number = typeof value === 'boolean' ? Number(value) : Number.parseFloat(String(value));
      return Number.isNaN(number) ? null : number;
    }
    case 'time':
      return typeof value === 'number' ? value : (parseTime(String(value), Date.now()) ?? null);
    case 'boolean':
      return typeof value === 'boolean' ? value : !['', '0', 'false'].includes(String(value).toLowerCase());
    default:
      return String(value);
  }
}

export const convertFieldType: Step = (frames, { conversions = [] }) =>
  frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) => {
      const found = conversions.find(
        (one: any) => one?.targetField === nameOf(frame, field, frames) || one?.targetField === field.name,
      );
      const type = found?.destinationType;
      return ['number', 'time', 'boolean', 'string'].includes(type)
        ? { ...field, type, values: field.values.map((value) => converted(value, type)) }
        : field;
    }),
  }));

export function operate(a: Cell, op: string, b: Cell): Cell {
  if (typeof a !== 'number' || typeof b !== 'number') return null;
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '**':
      return a ** b;
    case '%':
      return a % b;
    default:
      return null;
  }
}

export const UNARY: Record<string, (value: number) => number> = {
  abs: Math.abs,
  exp: Math.exp,
  ln: Math.log,
  floor: Math.floor,
  ceil: Math.ceil,
  round: Math.round,
};

/** A column that adds up, or looks at the rows around each row. */
export function running(values: Cell[], reducer: string, window?: { size: number; centered: boolean }): Cell[] {
  return values.map((_value, row) => {
    const from = window ? row - (window.centered ? Math.floor(window.size / 2) : window.size - 1) : 0;
    const to = window?.centered ? from + window.size : row + 1;
    return reduce({ values: values.slice(Math.max(from, 0), to) }, reducer) ?? null;
  });
}

export const calculateField: Step = (frames, options) =>
  frames.map((frame) => {
    const numbers = frame.fields.filter((field) => field.type === 'number');
    const byName = (name: unknown) =>
      frame.fields.find((field) => nameOf(frame, field, frames) === name || field.name === name);
    const operand = (wanted: any, row: number): Cell => {
      const name = typeof wanted === 'object' && wanted ? (wanted.matcher?.options ?? wanted.fixed) : wanted;
      const field = byName(name);
      if (field) return field.values[row] ?? null;
      const fixed = Number(name);
      return name !== '' && name !== undefined && Number.isFinite(fixed) ? fixed : null;
    };
    let values: Cell[], name: string;
    switch (options.mode ?? 'reduceRow') {
      case 'binary': {
        const { left, operator = '+', right } = options.binary ?? {};
        values = rowsOf(frame).map((row) => operate(operand(left, row), operator, operand(right, row)));
        name = `${left?.matcher?.options ?? left} ${operator} ${right?.matcher?.options ?? right?.fixed ?? right}`;
        break;
      }
      case 'unary': {
        const { operator = 'abs', fieldName } = options.unary ?? {};
        const field = byName(fieldName),
          apply = Object.hasOwn(UNARY, operator) ? UNARY[operator]! : Math.abs;
        values = rowsOf(frame).map((row) =>
          typeof field?.values[row] === 'number' ? apply(field.values[row] as number) : null,
        );
        name = `${operator}(${fieldName})`;
        break;
      }
      case 'cumulativeFunctions':
      case 'windowFunctions': {
        const {
          field: wanted,
          reducer = 'sum',
          windowSize,
          windowAlignment,
          windowSizeMode,
        } = (options.mode === 'cumulativeFunctions' ? options.cumulative : options.window) ?? {};
        const field = byName(wanted) ?? numbers[0];
        const size = windowSizeMode === 'percentage' ? (Number(windowSize) || 0) * frame.length : Number(windowSize);
        const window =
          options.mode === 'windowFunctions'
            ? { size: Math.max(Math.round(size || 10), 1), centered: windowAlignment === 'centered' }
            : undefined;
        values = field ? running(field.values, reducer, window) : rowsOf(frame).map(() => null);
        name = `${window ? 'window' : 'cumulative'} ${reducerName(reducer)}(${wanted ?? ''})`;
        break;
      }
      case 'index':
        values = rowsOf(frame).map((row) => (options.index?.asPercentile ? row / Math.max(frame.length, 1) : row));
        name = 'Row';
        break;
      default: {
        const wanted: unknown = options.reduce?.include;
        const used =
          Array.isArray(wanted) && wanted.length
            ? numbers.filter((field) => wanted.includes(nameOf(frame, field, frames)) || wanted.includes(field.name))
            : numbers;
        const reducer = options.reduce?.reducer ?? 'sum';
        values = rowsOf(frame).map(
          (row) => reduce({ values: used.map((field) => field.values[row] ?? null) }, reducer) ?? null,
        );
        name = reducerName(reducer);
      }
    }
    const made = makeField(options.alias || name, guessType(values) === 'string' ? 'string' : 'number', values);
    return {
      ...frame,
      fields: options.replaceFields
        ? [...frame.fields.filter((field) => field.type === 'time'), made]
        : [...frame.fields, made],
    };
  });

// --- rows -------------------------------------------------------------------------------------------

export const sortBy: Step = (frames, { sort = [] }) => {
  const by = sort[0];
  if (!by?.field) return frames;
  return frames.map((frame) => {
    const field = frame.fields.find((one) => nameOf(frame, one, frames) === by.field || one.name === by.field);
    if (!field) return frame;
    return pickRows(
      frame,
      rowsOf(frame).sort((a, b) => compare(field.values[a] ?? null, field.values[b] ?? null) * (by.desc ? -1 : 1)),
    );
  });
};

/** What is absent comes last. */
export function compare(a: Cell, b: Cell): number {
  const none = (value: Cell) => value === null || value === undefined || Number.isNaN(value);
  if (none(a) || none(b)) return Number(none(a)) - Number(none(b));
  if (typeof a === 'string' || typeof b === 'string')
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  return Number(a) - Number(b);
}

export const limit: Step = (frames, { limitField = 10, limitAt }) =>
  frames.map((frame) => {
    const count = Math.max(Number(limitField) || 0, 0);
    return pickRows(
      frame,
      limitAt === 'bottom' ? rowsOf(frame).slice(-count || frame.length) : rowsOf(frame).slice(0, count),
    );
  });

export function valueTest(config: any): (value: Cell) => boolean {
  const options = config?.options ?? {};
  const against = (test: (a: number, b: number) => boolean) => (value: Cell) =>
    value !== null && test(Number(value), Number(options.value));
  switch (config?.id) {
    case 'equal':
      return (value) => String(value) === String(options.value);
    case 'notEqual':
      return (value) => String(value) !== String(options.value);
    case 'greater':
      return against((a, b) => a > b);
    case 'greaterOrEqual':
      return against((a, b) => a >= b);
    case 'lower':
      return against((a, b) => a < b);
    case 'lowerOrEqual':
      return against((a, b) => a <= b);
    case 'between':
      return (value) => value !== null && Number(value) >= Number(options.from) && Number(value) <= Number(options.to);
    case 'isNull':
      return (value) => value === null;
    case 'isNotNull':
      return (value) => value !== null;
    case 'regex': {
      const pattern = patternOf(String(options.value ?? ''));
      return (value) => pattern?.test(String(value)) ?? false;
    }
    case 'substring':
      return (value) =>
        String(value)
          .toLowerCase()
          .includes(String(options.value ?? '').toLowerCase());
    case 'notSubstring':
      return (value) =>
        !String(value)
          .toLowerCase()
          .includes(String(options.value ?? '').toLowerCase());
    default:
      return () => true;
  }
}

export const filterByValue: Step = (frames, { filters = [], type = 'include', match = 'any' }) => {
  if (!filters.length) return frames;
  return frames.map((frame) => {
    const tests = filters
      .map((filter: any) => ({
        field: frame.fields.find(
          (field) => nameOf(frame, field, frames) === filter?.fieldName || field.name === filter?.fieldName,
        ),
        test: valueTest(filter?.config),
      }))
      .filter((one: any) => one.field);
    if (!tests.length) return frame;
    const fits = (row: number) => {
      const hit = ({ field, test }: { field: Field; test: (value: Cell) => boolean }) =>
        test(field.values[row] ?? null);
      return match === 'all' ? tests.every(hit) : tests.some(hit);
    };
    return pickRows(
      frame,
      rowsOf(frame).filter((row) => fits(row) === (type === 'include')),
    );
  });
};
