// Grafana's second dashboard schema (elements and a layout; apiVersion dashboard.grafana.app/v2*) -> the first.
import type { Json } from './dashboard';

const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
const list = (value: unknown): any[] => (Array.isArray(value) ? value : []);

interface Place {
  x: number;
  y: number;
  w: number;
  h: number;
  repeat?: Json;
}

/** Since v2beta1 the kind of source stands in the query's group, and the source has a name; before, in its kind. */
function sourceOf(one: Json, inner: Json): Json {
  const type = inner.kind === 'DataQuery' ? inner.group : inner.kind;
  const given = object(one.datasource ?? inner.datasource);
  return { ...given, type: given.type ?? type, uid: given.uid ?? given.name };
}

function panelOf(element: Json, place: Place): Json {
  const spec = object(element.spec);
  const data = object(object(spec.data).spec),
    viz = object(spec.vizConfig),
    vizSpec = object(viz.spec),
    queryOptions = object(data.queryOptions);
  const targets = list(data.queries).map((query) => {
    const one = object(object(query).spec),
      inner = object(one.query);
    return {
      ...object(inner.spec),
      refId: one.refId,
      hide: one.hidden === true,
      datasource: sourceOf(one, inner),
    };
  });
  return {
    id: spec.id,
    title: spec.title,
    description: spec.description,
    links: spec.links,
    transparent: spec.transparent,
    gridPos: { x: place.x, y: place.y, w: place.w, h: place.h },
    // "VizConfig" is the kind since v2beta1, with the type beside it; before, the kind was the type.
    type: viz.kind === 'VizConfig' ? viz.group : viz.kind,
    options: vizSpec.options,
    fieldConfig: vizSpec.fieldConfig,
    targets,
    transformations: list(data.transformations).map((one) => ({
      id: object(one).group ?? object(one).kind,
      ...object(object(one).spec),
    })),
    interval: queryOptions.interval,
    maxDataPoints: queryOptions.maxDataPoints,
    timeFrom: queryOptions.timeFrom,
    timeShift: queryOptions.timeShift,
    repeat: place.repeat?.value,
    repeatDirection: place.repeat?.direction,
    maxPerRow: place.repeat?.maxPerRow,
    ...(element.kind === 'LibraryPanel' ? { libraryPanel: object(spec.libraryPanel) } : {}),
  };
}

/** Of a grid that lays itself out: named, or in pixels. */
function autoHeight(spec: Json): number {
  const named: Record<string, number> = { short: 4, standard: 8, tall: 13 };
  const pixels = Number(spec.rowHeight);
  if (pixels > 0) return Math.min(Math.max(Math.round(pixels / 38), 2), 60);
  return named[String(spec.rowHeightMode ?? spec.rowHeight)] ?? 8;
}

/** Appends what the layout holds, from row y on; the row behind it. Layouts in layouts, to a depth. */
function lay(layout: Json, elements: Json, y: number, panels: Json[], depth: number): number {
  const spec = object(layout.spec);
  let below = y;
  if (depth > 8) return y;
  switch (layout.kind) {
    case 'GridLayout':
      for (const item of list(spec.items).map((one) => object(object(one).spec))) {
        const name = String(object(item.element).name ?? '');
        if (!Object.hasOwn(elements, name)) continue;
        const h = Number(item.height) || 8;
        panels.push(
          panelOf(object(elements[name]), {
            x: Number(item.x) || 0,
            y: y + (Number(item.y) || 0),
            w: Number(item.width) || 12,
            h,
            repeat: item.repeat && object(item.repeat),
          }),
        );
        below = Math.max(below, y + (Number(item.y) || 0) + h);
      }
      return below;
    case 'AutoGridLayout': {
      const most = Math.min(Math.max(Number(spec.maxColumnCount) || 3, 1), 24),
        columns = Math.min(most, Math.max(list(spec.items).length, 1)),
        w = Math.floor(24 / columns),
        h = autoHeight(spec);
      list(spec.items)
        .map((one) => object(object(one).spec))
        .forEach((item, i) => {
          const name = String(object(item.element).name ?? '');
          if (!Object.hasOwn(elements, name)) return;
          const top = y + Math.floor(i / columns) * h;
          panels.push(
            panelOf(object(elements[name]), {
              x: (i % columns) * w,
              y: top,
              w,
              h,
              repeat: item.repeat && object(item.repeat),
            }),
          );
          below = Math.max(below, top + h);
        });
      return below;
    }
    case 'RowsLayout':
    case 'TabsLayout':
      for (const one of list(layout.kind === 'RowsLayout' ? spec.rows : spec.tabs).map((row) =>
        object(object(row).spec),
      )) {
        if (!one.hideHeader)
          panels.push({
            type: 'row',
            title: one.title,
            collapsed: one.collapse === true,
            repeat: object(one.repeat).value,
            gridPos: { x: 0, y: below++, w: 24, h: 1 },
          });
        below = lay(object(one.layout), elements, below, panels, depth + 1);
      }
      return below;
    default:
      return y;
  }
}

function annotationOf(value: unknown): Json {
  const spec = object(object(value).spec),
    query = object(object(spec.query).spec);
  const datasource = sourceOf(spec, object(spec.query));
  return {
    ...object(spec.legacyOptions),
    ...spec,
    ...query,
    datasource,
    expr: query.expr ?? object(spec.legacyOptions).expr,
  };
}

const VARIABLE_TYPES: Record<string, string> = {
  QueryVariable: 'query',
  CustomVariable: 'custom',
  IntervalVariable: 'interval',
  DatasourceVariable: 'datasource',
  ConstantVariable: 'constant',
  TextVariable: 'textbox',
  AdhocVariable: 'adhoc',
  SwitchVariable: 'switch',
};
const HIDES: Record<string, number> = { hideLabel: 1, hideVariable: 2 };

function switchOf(spec: Json): Json {
  const [yes, no] = [String(spec.enabledValue ?? 'true'), String(spec.disabledValue ?? 'false')];
  return {
    options: [yes, no].map((value) => ({ text: value, value })),
    current: { text: spec.current, value: spec.current },
  };
}

export function fromV2(value: Json): Json {
  const panels: Json[] = [];
  lay(object(value.layout), object(value.elements), 0, panels, 0);
  const time = object(value.timeSettings);
  return {
    title: value.title,
    description: value.description,
    tags: value.tags,
    links: value.links,
    panels,
    refresh: time.autoRefresh,
    timezone: time.timezone,
    time: { from: time.from, to: time.to },
    timepicker: { refresh_intervals: time.autoRefreshIntervals },
    graphTooltip: value.cursorSync === 'Crosshair' ? 1 : value.cursorSync === 'Tooltip' ? 2 : 0,
    annotations: { list: list(value.annotations).map(annotationOf) },
    templating: {
      list: list(value.variables)
        .map(object)
        .map(({ kind, spec }) => {
          const one = object(spec),
            query = object(one.query);
          return {
            ...one,
            type: VARIABLE_TYPES[String(kind)],
            hide: HIDES[one.hide] ?? 0,
            ...(kind === 'QueryVariable'
              ? {
                  query: object(query.spec).query ?? object(query.spec).expr ?? one.definition,
                  datasource: sourceOf(one, query),
                }
              : {}),
            ...(kind === 'SwitchVariable' ? switchOf(one) : {}),
          };
        }),
    },
  };
}
