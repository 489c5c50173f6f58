// Dashboard JSON, whatever its age -> one shape that the views draw. Nothing in it is trusted: what is
// missing gets its default, what is of the wrong type is dropped, what is too much is cut and said.
import type { FieldOptions, Override } from './field';
import type { Link } from './frames';
import { convertLegacy } from './legacy';
import { fromV2 } from './schema_v2';
import { soundConfig, withoutNulls } from './sound';
import type { Transformation } from './transform';

export const PANELS_MAX = 400;
const TARGETS_MAX = 52;
const VARIABLES_MAX = 100;
const TEXT_MAX = 20_000;

export type Json = Record<string, any>;

export interface GridPos {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Target {
  refId: string;
  expr: string;
  datasource?: unknown;
  format?: string;
  legendFormat?: string;
  instant?: boolean;
  range?: boolean;
  interval?: string;
  intervalFactor?: number;
  hide?: boolean;
  /** The panel's own words when it is asked for something that is not PromQL. */
  foreign?: string;
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: GridPos;
  datasource?: unknown;
  targets: Target[];
  options: Json;
  fieldConfig: FieldOptions;
  transformations: Transformation[];
  repeat?: string;
  repeatDirection?: 'h' | 'v';
  maxPerRow?: number;
  links: Link[];
  interval?: string;
  maxDataPoints?: number;
  timeFrom?: string;
  timeShift?: string;
  hideTimeOverride?: boolean;
  transparent?: boolean;
  /** Rows: */
  collapsed?: boolean;
  /** What of it cannot be done here. */
  problems: string[];
  /** Values of the variables that this copy stands for, and which panel it is a copy of. */
  scope?: Record<string, { text: string; value: string }>;
  copyOf?: number;
}

export type VariableKind =
  'query' | 'custom' | 'interval' | 'datasource' | 'constant' | 'textbox' | 'adhoc' | 'unknown';

export interface VariableModel {
  kind: VariableKind;
  name: string;
  label: string;
  description?: string;
  hide: 0 | 1 | 2;
  query: string;
  regex: string;
  sort: number;
  multi: boolean;
  includeAll: boolean;
  allValue?: string;
  options: { text: string; value: string }[];
  current?: { text: string | string[]; value: string | string[] };
  refresh: number;
  /** What kind of source a query asks; empty: the usual one. */
  sourceType: string;
  auto: boolean;
  autoCount: number;
  autoMin: string;
}

export interface DashboardLink {
  title: string;
  url: string;
  type: 'link' | 'dashboards';
  tags: string[];
  keepTime: boolean;
  includeVars: boolean;
  targetBlank: boolean;
  tooltip?: string;
}

/** Of Prometheus: where its series are not zero, something was. */
export interface Annotation {
  name: string;
  expr: string;
  color: string;
  step: string;
  titleFormat: string;
  textFormat: string;
  useValueForTime: boolean;
}

export interface Dashboard {
  uid: string;
  title: string;
  description?: string;
  tags: string[];
  refresh?: string;
  refreshIntervals: string[];
  time: { from: string; to: string };
  timezone: string;
  graphTooltip: number;
  panels: Panel[];
  variables: VariableModel[];
  links: DashboardLink[];
  /** What kind of source a variable or an input stands for. */
  sourceKinds: Map<string, string>;
  annotations: Annotation[];
  problems: string[];
}

// --- reading what may be anything -------------------------------------------------------------------

export const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
export const list = (value: unknown): any[] => (Array.isArray(value) ? value : []);
export const text = (value: unknown, otherwise = ''): string =>
  typeof value === 'string' ? value.slice(0, TEXT_MAX) : typeof value === 'number' ? String(value) : otherwise;
export const number = (value: unknown): number | undefined => {
  const found = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
};
const optional = (value: unknown): string | undefined => text(value) || undefined;

const within = (value: unknown, least: number, most: number, otherwise: number): number =>
  Math.min(Math.max(Math.round(number(value) ?? otherwise), least), most);

// --- panels -----------------------------------------------------------------------------------------

function readLinks(value: unknown): Link[] {
  return list(value)
    .slice(0, 20)
    .map(object)
    .filter((link) => link.url)
    .map((link) => ({
      title: text(link.title, text(link.url)).slice(0, 200),
      url: text(link.url),
      targetBlank: link.targetBlank === true,
    }));
}

/** Only these may be followed; the rest (javascript:, data:) is no address. */
export function safeUrl(url: string): string | undefined {
  const trimmed = url.trim();
  if (/^(https?:|mailto:)/i.test(trimmed)) return trimmed;
  return /^[\w+.-]*:/.test(trimmed.replace(/[\u0000-\u0020]/g, '')) || trimmed.startsWith('//') ? undefined : trimmed;
}

function readTarget(value: unknown, at: number): Target {
  const from = object(value);
  const expr = text(from.expr ?? from.query);
  const kind = object(from.datasource).type;
  const isForeign =
    !expr &&
    Object.keys(from).some((key) => ['rawSql', 'queryText', 'metricName', 'target', 'scenarioId'].includes(key));
  return {
    refId: text(from.refId) || String.fromCharCode(65 + (at % 26)),
    expr,
    datasource: from.datasource,
    format: optional(from.format),
    legendFormat: optional(from.legendFormat),
    instant: from.instant === true,
    range: typeof from.range === 'boolean' ? from.range : undefined,
    interval: optional(from.interval),
    intervalFactor: number(from.intervalFactor),
    hide: from.hide === true,
    foreign: isForeign
      ? `query ${text(from.refId, '?')} is not PromQL${typeof kind === 'string' ? ` (${kind.slice(0, 40)})` : ''}`
      : undefined,
  };
}

function readFieldOptions(value: unknown): FieldOptions {
  const { defaults, overrides } = object(value);
  return {
    defaults: soundConfig(object(defaults)),
    overrides: list(overrides)
      .slice(0, 500)
      .map(object)
      .filter((one) => one.matcher && Array.isArray(one.properties))
      .map((one) => ({ matcher: object(one.matcher), properties: one.properties.map(object) }) as Override),
  };
}

/** Numbers that can be counted on from: two panels with one of them are told apart. */
const idOf = (value: unknown) => {
  const id = number(value);
  return id !== undefined && Number.isInteger(id) && Math.abs(id) < 1e9 ? id : undefined;
};

function readPanel(value: unknown, at: number): Panel {
  const from = convertLegacy(object(value));
  const grid = object(from.gridPos);
  const problems: string[] = list(from.problems).map((one) => text(one));
  if (from.libraryPanel && !from.targets)
    problems.push(
      `it is the library panel "${text(object(from.libraryPanel).name)}", whose content is not in this file`,
    );
  const targets = list(from.targets).slice(0, TARGETS_MAX).map(readTarget);
  for (const { foreign } of targets) if (foreign) problems.push(foreign);
  if (from.alert) problems.push('its alert rule is not evaluated here');
  const w = within(grid.w, 1, 24, from.type === 'row' ? 24 : 12);
  return {
    id: idOf(from.id) ?? 100_000 + at,
    type: text(from.type, 'unknown').slice(0, 100),
    title: text(from.title).slice(0, 500),
    description: optional(from.description),
    gridPos: {
      x: Math.min(within(grid.x, 0, 23, 0), 24 - w),
      y: within(grid.y, 0, 1e6, at * 8),
      w,
      h: within(grid.h, 1, 200, from.type === 'row' ? 1 : 8),
    },
    datasource: from.datasource,
    targets,
    options: withoutNulls(object(from.options)),
    fieldConfig: readFieldOptions(from.fieldConfig),
    transformations: list(from.transformations).slice(0, 50).map(object) as unknown as Transformation[],
    repeat: optional(from.repeat),
    repeatDirection: from.repeatDirection === 'v' ? 'v' : 'h',
    maxPerRow: number(from.maxPerRow) ?? (number(from.minSpan) ? Math.floor(24 / number(from.minSpan)!) : undefined),
    links: readLinks(from.links),
    interval: optional(from.interval),
    maxDataPoints: number(from.maxDataPoints),
    timeFrom: optional(from.timeFrom),
    timeShift: optional(from.timeShift),
    hideTimeOverride: from.hideTimeOverride === true,
    transparent: from.transparent === true,
    collapsed: from.collapsed === true,
    problems,
  };
}

/** Dashboards before schema 16: rows of panels with a span of twelfths. */
function fromRows(rows: any[]): Json[] {
  const panels: Json[] = [];
  let y = 0;
  const titled = rows.some((row) => object(row).showTitle || object(row).collapse || object(row).repeat);
  for (const one of rows.slice(0, PANELS_MAX)) {
    const row = object(one);
    const pixels = number(text(row.height).replace('px', '')) ?? number(row.height) ?? 250;
    const h = Math.max(Math.round(pixels / 38), 3);
    if (titled) {
      panels.push({
        type: 'row',
        title: row.title,
        collapsed: row.collapse === true,
        repeat: row.repeat,
        gridPos: { x: 0, y, w: 24, h: 1 },
      });
      y++;
    }
    let x = 0,
      high = 0;
    for (const inner of list(row.panels).slice(0, PANELS_MAX)) {
      const panel = object(inner);
      const w = Math.min(Math.max(Math.round((number(panel.span) ?? 4) * 2), 1), 24);
      const own = number(text(panel.height).replace('px', ''));
      const height = own ? Math.max(Math.round(own / 38), 2) : h;
      if (x + w > 24) {
        x = 0;
        y += high;
        high = 0;
      }
      panels.push({ ...panel, gridPos: { x, y, w, h: height } });
      x += w;
      high = Math.max(high, height);
    }
    y += high;
  }
  return panels;
}

/** Panels in collapsed rows stand in the row: they come behind it. */
function flatten(panels: any[]): Json[] {
  const flat: Json[] = [];
  for (const one of panels) {
    const panel = object(one);
    flat.push(panel);
    if (panel.type === 'row') flat.push(...list(panel.panels).map(object));
    if (flat.length > PANELS_MAX + 1) break;
  }
  return flat;
}

// --- variables --------------------------------------------------------------------------------------

const KINDS = ['query', 'custom', 'interval', 'datasource', 'constant', 'textbox', 'adhoc'];

const textOrList = (value: unknown): string | string[] =>
  Array.isArray(value) ? value.map((one) => text(one)) : text(value);

/** a,b : 2,"c\,d": values with commas between, "text : value". */
export function customOptions(query: string): { text: string; value: string }[] {
  return query
    .split(/(?<!\\),/)
    .map((part) => part.replace(/\\,/g, ',').trim())
    .filter(Boolean)
    .slice(0, 5000)
    .map((part) => {
      const match = /^(.+?)\s:\s(.+)$/.exec(part);
      return match ? { text: match[1]!.trim(), value: match[2]!.trim() } : { text: part, value: part };
    });
}

function readVariable(value: unknown): VariableModel {
  const from = object(value);
  // A switch is a choice of two.
  const kind = (KINDS.includes(from.type) ? from.type : from.type === 'switch' ? 'custom' : 'unknown') as VariableKind;
  const query =
    typeof from.query === 'object' && from.query ? text(from.query.query ?? from.query.expr) : text(from.query);
  const current = object(from.current);
  return {
    kind,
    name: text(from.name).slice(0, 200),
    label: text(from.label) || text(from.name).slice(0, 200),
    description: optional(from.description),
    hide: from.hide === 2 ? 2 : from.hide === 1 ? 1 : 0,
    query: query || text(from.definition),
    regex: text(from.regex),
    sort: number(from.sort) ?? 0,
    multi: from.multi === true,
    includeAll: from.includeAll === true,
    allValue: optional(from.allValue),
    options: list(from.options)
      .slice(0, 5000)
      .map(object)
      .map((one) => ({ text: text(one.text), value: text(one.value) })),
    current:
      current.value === undefined ? undefined : { text: textOrList(current.text), value: textOrList(current.value) },
    refresh: number(from.refresh) ?? 0,
    sourceType: text(object(from.datasource).type),
    auto: from.auto === true,
    autoCount: within(from.auto_count, 1, 500, 30),
    autoMin: text(from.auto_min, '10s'),
  };
}

// --- all of it --------------------------------------------------------------------------------------

function unwrap(value: Json): Json {
  if (value.elements && value.layout) return fromV2(value);
  if (value.dashboard && typeof value.dashboard === 'object') return unwrap(object(value.dashboard));
  if (value.spec && typeof value.spec === 'object') {
    const uid = text(object(value.metadata).name);
    const inner = unwrap(object(value.spec));
    return uid && !inner.uid ? { ...inner, uid } : inner;
  }
  return value;
}

function readLink(value: unknown): DashboardLink {
  const from = object(value);
  return {
    title: text(from.title).slice(0, 200),
    url: text(from.url),
    type: from.type === 'dashboards' ? 'dashboards' : 'link',
    tags: list(from.tags).map((tag) => text(tag)),
    keepTime: from.keepTime === true,
    includeVars: from.includeVars === true,
    targetBlank: from.targetBlank === true,
    tooltip: optional(from.tooltip),
  };
}

/** Inputs of an exported dashboard: what stands for the datasource, and constants. */
function fillInputs(value: Json): Json {
  const constants = list(value.__inputs)
    .map(object)
    .filter((one) => one.type === 'constant' && typeof one.value === 'string');
  if (!constants.length) return value;
  let source = JSON.stringify(value);
  for (const { name, value: given } of constants)
    source = source.replaceAll(`\${${text(name)}}`, JSON.stringify(given).slice(1, -1));
  return JSON.parse(source);
}

/** Kinds of sources that speak PromQL. */
export const isPrometheusLike = (type: string): boolean =>
  [
    '',
    'prometheus',
    'grafana-amazonprometheus-datasource',
    'grafana-azureprometheus-datasource',
    'victoriametrics-metrics-datasource',
    'mimir',
    'datasource',
  ].includes(type);

const isAsked = (from: Json): boolean =>
  from.enable !== false &&
  text(from.expr ?? object(from.target).expr) !== '' &&
  isPrometheusLike(text(object(from.datasource).type));

function readAnnotation(from: Json): Annotation {
  return {
    name: text(from.name, 'Annotation').slice(0, 200),
    expr: text(from.expr ?? object(from.target).expr),
    color: text(from.iconColor, 'red'),
    step: text(from.step),
    titleFormat: text(from.titleFormat),
    textFormat: text(from.textFormat),
    useValueForTime: from.useValueForTime === true || from.useValueForTime === 'on',
  };
}

function sourceKinds(from: Json, variables: VariableModel[]): Map<string, string> {
  const inputs = list(from.__inputs)
    .map(object)
    .filter((one) => one.type === 'datasource')
    .map((one): [string, string] => [text(one.name), text(one.pluginId)]);
  const chosen = variables
    .filter(({ kind }) => kind === 'datasource')
    .map(({ name, query }): [string, string] => [name, query]);
  return new Map([...inputs, ...chosen]);
}

export function readDashboard(value: unknown, uid = ''): Dashboard {
  const problems: string[] = [];
  const from = fillInputs(unwrap(object(value)));
  if (!Array.isArray(from.panels) && !Array.isArray(from.rows)) problems.push('it has no panels: is this a dashboard?');
  const raw = flatten(Array.isArray(from.rows) && !list(from.panels).length ? fromRows(from.rows) : list(from.panels));
  if (raw.length > PANELS_MAX)
    problems.push(`it has more than ${PANELS_MAX} panels; the first ${PANELS_MAX} are shown`);
  const time = object(from.time);
  const variables = list(object(from.templating).list)
    .slice(0, VARIABLES_MAX)
    .map(readVariable)
    .filter(({ name }) => name);
  const ids = new Set<number>();
  const panels = raw.slice(0, PANELS_MAX).map(readPanel);
  for (const panel of panels) {
    while (ids.has(panel.id)) panel.id += 1_000_000;
    ids.add(panel.id);
  }
  return {
    uid: text(from.uid) || uid,
    title: text(from.title, uid || 'Dashboard').slice(0, 500),
    description: optional(from.description),
    tags: list(from.tags)
      .slice(0, 50)
      .map((tag) => text(tag)),
    refresh: typeof from.refresh === 'string' ? from.refresh : undefined,
    refreshIntervals: list(object(from.timepicker).refresh_intervals)
      .slice(0, 20)
      .map((one) => text(one)),
    time: { from: text(time.from, 'now-6h'), to: text(time.to, 'now') },
    timezone: text(from.timezone, 'browser'),
    graphTooltip: number(from.graphTooltip) ?? (from.sharedCrosshair === true ? 1 : 0),
    panels,
    variables,
    links: list(from.links).slice(0, 30).map(readLink),
    sourceKinds: sourceKinds(from, variables),
    annotations: list(object(from.annotations).list).slice(0, 20).map(object).filter(isAsked).map(readAnnotation),
    problems,
  };
}
