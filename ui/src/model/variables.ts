// Variables in texts: $name, ${name}, ${name:format}, ${name.field}, [[name]], and those that the panel's
// time and step give ($__interval, $__rate_interval, $__range, $__from, ...). What is not known stays.
import { dateText } from './units';
import { intervalText } from './time';

export type VariableValue = string | string[];

export interface VariableState {
  value: VariableValue;
  /** What is shown for it; values without a text of their own show themselves. */
  text?: VariableValue;
  /** ".*" or the like: what stands for all values, instead of naming each. */
  allValue?: string;
  isAll?: boolean;
}

export type Variables = ReadonlyMap<string, VariableState>;

export interface StepContext {
  fromMs: number;
  toMs: number;
  stepMs: number;
  /** Of the datasource; rates need four. */
  scrapeMs: number;
  dashboard?: string;
  dashboardUid?: string;
}

const escapeRegex = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
/** In a PromQL string the backslashes of a regular expression are doubled. */
const escapePromRegex = (text: string) =>
  escapeRegex(text).replace(/\\\//g, '/').replace(/\\/g, '\\\\').replace(/"/g, '\\"');
const escapeProm = (text: string) => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"');

const HTML: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => HTML[character]!);

type Formatter = (values: string[], name: string, args: string) => string;

const join = (values: string[], separator: string, each: (text: string) => string = (text) => text) =>
  values.map(each).join(separator);

const FORMATTERS: Record<string, Formatter> = {
  raw: (values) => join(values, ','),
  csv: (values) => join(values, ','),
  glob: (values) => (values.length > 1 ? `{${join(values, ',')}}` : (values[0] ?? '')),
  pipe: (values) => join(values, '|'),
  regex: (values) => (values.length === 1 ? escapeRegex(values[0]!) : `(${join(values, '|', escapeRegex)})`),
  json: (values) => JSON.stringify(values.length === 1 ? values[0] : values),
  lucene: (values) => (values.length === 1 ? values[0]! : `(${join(values, ' OR ', (text) => JSON.stringify(text))})`),
  singlequote: (values) => join(values, ',', (text) => `'${text.replace(/'/g, "\\'")}'`),
  doublequote: (values) => join(values, ',', (text) => `"${text.replace(/"/g, '\\"')}"`),
  sqlstring: (values) => join(values, ',', (text) => `'${text.replace(/'/g, "''")}'`),
  distributed: (values, name) => values.map((text, i) => (i ? `${name}=${text}` : text)).join(','),
  percentencode: (values) => encodeURIComponent(values.length > 1 ? `{${join(values, ',')}}` : (values[0] ?? '')),
  uriencode: (values) => encodeURI(values.length > 1 ? `{${join(values, ',')}}` : (values[0] ?? '')),
  queryparam: (values, name) =>
    join(values, '&', (text) => `var-${encodeURIComponent(name)}=${encodeURIComponent(text)}`),
  html: (values) => join(values, ', ', escapeHtml),
  join: (values, _name, args) => join(values, args || ','),
  date: (values, _name, args) => dateOf(Number(values[0]), args),
};

function dateOf(ms: number, format: string): string {
  if (!format || format === 'iso') return new Date(ms).toISOString();
  return format === 'seconds' ? String(Math.floor(ms / 1000)) : dateText(ms, format);
}

/** How a variable stands in PromQL when the query does not say: one value as it is, several as a regex. */
function inPromql(state: VariableState): string {
  if (state.isAll && state.allValue !== undefined) return state.allValue;
  if (!Array.isArray(state.value)) return escapeProm(state.value);
  return state.value.length === 1 ? escapePromRegex(state.value[0]!) : `(${join(state.value, '|', escapePromRegex)})`;
}

function listOf(value: VariableValue): string[] {
  return Array.isArray(value) ? value : [value];
}

/** At least four scrapes, and never less than a step and a scrape. */
export function rateIntervalMs(stepMs: number, scrapeMs: number): number {
  return Math.max(stepMs + scrapeMs, 4 * scrapeMs);
}

function builtin(name: string, path: string | undefined, format: string, step: StepContext): string | undefined {
  const rangeMs = step.toMs - step.fromMs;
  switch (name) {
    case '__interval':
      return intervalText(step.stepMs);
    case '__interval_ms':
      return String(Math.round(step.stepMs));
    case '__rate_interval':
      return intervalText(rateIntervalMs(step.stepMs, step.scrapeMs));
    case '__rate_interval_ms':
      return String(Math.round(rateIntervalMs(step.stepMs, step.scrapeMs)));
    case '__range':
      return `${Math.round(rangeMs / 1000)}s`;
    case '__range_s':
      return String(Math.round(rangeMs / 1000));
    case '__range_ms':
      return String(Math.round(rangeMs));
    case '__from':
    case '__to': {
      const ms = name === '__from' ? step.fromMs : step.toMs;
      return format.startsWith('date') ? dateOf(ms, format.slice(5)) : String(Math.round(ms));
    }
    case '__dashboard':
      return path === 'uid' ? step.dashboardUid : step.dashboard;
    case '__dashboard_uid':
      return step.dashboardUid;
    case '__org': // there is but one, and nobody is known by name
      return path === 'id' ? '1' : '';
    case '__user':
      return '';
    case '__timezone':
      return 'browser';
    case '__timeFilter':
    case 'timeFilter':
      return '';
    default:
      return undefined;
  }
}

const REFERENCE = /\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}/g;

export interface InterpolateOptions {
  step?: StepContext;
  /** Values of a query: several become a regular expression. Else as text, with " + " between. */
  promql?: boolean;
  /** Before the variables: names such as __field.name of a link. */
  more?: (name: string, path: string | undefined, format: string) => string | undefined;
}

/** For links: what this dashboard is asked for, as a query of an address. */
function addressPart(name: string, variables: Variables, step: StepContext): string | undefined {
  if (name === '__url_time_range') return `from=${Math.round(step.fromMs)}&to=${Math.round(step.toMs)}`;
  if (name !== '__all_variables') return undefined;
  return [...variables]
    .map(([key, { value, isAll }]) => FORMATTERS.queryparam!(isAll ? ['$__all'] : listOf(value), key, ''))
    .join('&');
}

export function interpolate(text: string, variables: Variables, options: InterpolateOptions = {}): string {
  return text.replace(REFERENCE, (all, plain, square, squareFormat, braced, path, bracedFormat) => {
    const name: string = plain ?? square ?? braced;
    const format: string = squareFormat ?? bracedFormat ?? '';
    const special =
      options.more?.(name, path, format) ??
      (options.step && (builtin(name, path, format, options.step) ?? addressPart(name, variables, options.step)));
    if (special !== undefined) return special;
    const state = variables.get(name);
    if (!state) return all;
    const values = path === 'text' || format === 'text' ? listOf(state.text ?? state.value) : listOf(state.value);
    if (format === 'text') return values.join(' + ');
    if (state.isAll && state.allValue !== undefined && format !== 'queryparam') return state.allValue;
    const [kind = '', ...args] = format.split(':');
    const formatter = Object.hasOwn(FORMATTERS, kind) ? FORMATTERS[kind] : undefined;
    if (kind && formatter) return formatter(values, name, args.join(':'));
    if (path) return values.join(',');
    return options.promql
      ? inPromql(state)
      : options.promql === undefined
        ? listOf(state.text ?? state.value).join(' + ')
        : FORMATTERS.glob!(values, name, '');
  });
}

/** The variables that a text refers to: what must be known before it can be asked. */
export function references(text: string): Set<string> {
  const names = new Set<string>();
  for (const [, plain, square, , braced] of text.matchAll(REFERENCE)) names.add((plain ?? square ?? braced)!);
  return names;
}

/**
 * An order in which each variable comes behind those that it refers to. Those on a cycle are named: they
 * are asked with what the others happen to be.
 */
export function inOrder<T extends { name: string }>(
  all: T[],
  needs: (item: T) => Iterable<string>,
): { order: T[]; cyclic: string[] } {
  const byName = new Map(all.map((item) => [item.name, item]));
  const state = new Map<string, 'open' | 'done'>();
  const order: T[] = [],
    cyclic = new Set<string>();
  for (const start of all) {
    if (state.has(start.name)) continue;
    const stack: { item: T; rest: Iterator<string> }[] = [{ item: start, rest: [...needs(start)][Symbol.iterator]() }];
    state.set(start.name, 'open');
    while (stack.length) {
      const top = stack.at(-1)!;
      const { value, done } = top.rest.next();
      if (done) {
        state.set(top.item.name, 'done');
        order.push(top.item);
        stack.pop();
        continue;
      }
      const next = byName.get(value);
      if (!next || state.get(value) === 'done') continue;
      if (state.get(value) === 'open') {
        for (let i = stack.length - 1; i >= 0; i--) {
          cyclic.add(stack[i]!.item.name);
          if (stack[i]!.item.name === value) break;
        }
        continue;
      }
      state.set(value, 'open');
      stack.push({ item: next, rest: [...needs(next)][Symbol.iterator]() });
    }
  }
  return { order, cyclic: [...cyclic] };
}
