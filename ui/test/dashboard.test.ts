import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PANELS_MAX, customOptions, readDashboard, safeUrl } from '../src/model/dashboard';

test('a dashboard of today', () => {
  const dashboard = readDashboard({
    uid: 'u',
    title: 'T',
    time: { from: 'now-1h', to: 'now' },
    refresh: '5s',
    tags: ['a'],
    graphTooltip: 1,
    panels: [
      {
        id: 1,
        type: 'timeseries',
        title: 'P',
        gridPos: { x: 12, y: 0, w: 12, h: 8 },
        targets: [{ refId: 'A', expr: 'up', legendFormat: '{{job}}' }, { rawSql: 'select' }],
      },
      {
        id: 2,
        type: 'row',
        title: 'R',
        collapsed: true,
        gridPos: { x: 0, y: 8, w: 24, h: 1 },
        panels: [{ id: 1, type: 'stat', gridPos: { x: 0, y: 9, w: 6, h: 4 } }],
      },
    ],
    templating: {
      list: [
        {
          type: 'query',
          name: 'job',
          query: { query: 'label_values(up, job)', refId: 'x' },
          multi: true,
          includeAll: true,
          current: { text: ['All'], value: ['$__all'] },
        },
      ],
    },
  });
  assert.deepEqual(dashboard.problems, []);
  assert.deepEqual(
    dashboard.panels.map(({ id, type }) => [id, type]),
    [
      [1, 'timeseries'],
      [2, 'row'],
      [1_000_001, 'stat'],
    ],
  );
  assert.equal(dashboard.panels[0]!.targets[0]!.legendFormat, '{{job}}');
  assert.match(dashboard.panels[0]!.problems[0]!, /not PromQL/);
  assert.equal(dashboard.variables[0]!.query, 'label_values(up, job)');
  assert.deepEqual(readDashboard({ dashboard: { title: 'W', panels: [] }, meta: {} }).title, 'W');
});

test('rows and graphs of long ago', () => {
  const dashboard = readDashboard({
    title: 'Old',
    rows: [
      {
        title: 'One',
        showTitle: true,
        height: '250px',
        panels: [
          {
            type: 'graph',
            span: 8,
            fill: 2,
            linewidth: 3,
            stack: true,
            nullPointMode: 'connected',
            yaxes: [{ format: 'bytes', min: '0', logBase: 10 }, { format: 's' }],
            seriesOverrides: [{ alias: '/lat/', yaxis: 2, color: '#fff' }],
            legend: { show: true, values: true, current: true, alignAsTable: true },
            thresholds: [{ value: 5, colorMode: 'critical', op: 'gt' }],
            targets: [{ expr: 'x' }],
          },
          {
            type: 'singlestat',
            span: 4,
            format: 'percent',
            valueName: 'current',
            thresholds: '50,80',
            colors: ['green', 'orange', 'red'],
            colorBackground: true,
            gauge: { show: false },
            valueMaps: [{ value: 'null', text: 'N/A' }],
            targets: [{ expr: 'y' }],
          },
        ],
      },
      {
        title: 'Two',
        collapse: true,
        panels: [{ type: 'singlestat', span: 12, gauge: { show: true, maxValue: 50 }, thresholds: '10' }],
      },
    ],
  });
  const [row, graph, stat, second, gauge] = dashboard.panels;
  assert.deepEqual(
    [row!.type, graph!.type, stat!.type, second!.collapsed, gauge!.type],
    ['row', 'timeseries', 'stat', true, 'gauge'],
  );
  assert.deepEqual(graph!.gridPos, { x: 0, y: 1, w: 16, h: 7 });
  assert.deepEqual(stat!.gridPos, { x: 16, y: 1, w: 8, h: 7 });
  const { unit, min, custom } = graph!.fieldConfig.defaults!;
  assert.deepEqual(
    [unit, min, custom!.fillOpacity, custom!.spanNulls, (custom!.stacking as { mode: string }).mode],
    ['bytes', 0, 20, true, 'normal'],
  );
  assert.deepEqual(
    graph!.fieldConfig.overrides![0]!.properties.map(({ id }) => id),
    ['color', 'custom.axisPlacement', 'custom.axisLabel', 'unit', 'min', 'max', 'decimals'],
  );
  assert.deepEqual(graph!.options.legend, {
    showLegend: true,
    displayMode: 'table',
    placement: 'bottom',
    calcs: ['lastNotNull'],
  });
  assert.deepEqual(
    stat!.fieldConfig.defaults!.thresholds!.steps!.map(({ value }) => value),
    [null, 50, 80],
  );
  assert.equal(stat!.options.colorMode, 'background');
  assert.equal(gauge!.fieldConfig.defaults!.max, 50);
});

test('the second schema', () => {
  const dashboard = readDashboard({
    apiVersion: 'dashboard.grafana.app/v2beta1',
    kind: 'Dashboard',
    metadata: { name: 'x' },
    spec: {
      title: 'V2',
      elements: {
        a: {
          kind: 'Panel',
          spec: {
            id: 3,
            title: 'A',
            data: {
              kind: 'QueryGroup',
              spec: {
                queries: [
                  {
                    kind: 'PanelQuery',
                    spec: { refId: 'A', query: { kind: 'DataQuery', group: 'prometheus', spec: { expr: 'up' } } },
                  },
                ],
                transformations: [],
                queryOptions: {},
              },
            },
            vizConfig: {
              kind: 'VizConfig',
              group: 'stat',
              spec: { options: { colorMode: 'value' }, fieldConfig: { defaults: { unit: 's' }, overrides: [] } },
            },
          },
        },
      },
      layout: {
        kind: 'RowsLayout',
        spec: {
          rows: [
            {
              kind: 'RowsLayoutRow',
              spec: {
                title: 'R',
                layout: {
                  kind: 'GridLayout',
                  spec: {
                    items: [
                      {
                        kind: 'GridLayoutItem',
                        spec: { x: 0, y: 0, width: 6, height: 4, element: { kind: 'ElementReference', name: 'a' } },
                      },
                    ],
                  },
                },
              },
            },
          ],
        },
      },
      variables: [{ kind: 'CustomVariable', spec: { name: 'v', query: 'a,b', hide: 'hideLabel' } }],
      timeSettings: { from: 'now-2h', to: 'now' },
    },
  });
  assert.deepEqual([dashboard.uid, dashboard.title, dashboard.time.from], ['x', 'V2', 'now-2h']);
  assert.deepEqual(
    dashboard.panels.map(({ type, gridPos }) => [type, gridPos.y]),
    [
      ['row', 0],
      ['stat', 1],
    ],
  );
  assert.equal(dashboard.panels[1]!.targets[0]!.expr, 'up');
  assert.deepEqual([dashboard.variables[0]!.kind, dashboard.variables[0]!.hide], ['custom', 1]);
});

test('hostile and broken ones', () => {
  for (const value of [
    null,
    5,
    'x',
    [],
    { panels: 'x' },
    { panels: [null, 5, 'x', { gridPos: 'y', targets: 5, options: [], fieldConfig: { overrides: {} } }] },
    { panels: [], templating: { list: 'x' } },
    { rows: [null, { panels: [5] }] },
    { spec: { spec: { spec: {} } } },
    { elements: {}, layout: {} },
  ]) {
    const dashboard = readDashboard(value, 'uid');
    assert.ok(Array.isArray(dashboard.panels));
    assert.equal(dashboard.uid, 'uid');
  }
  const many = readDashboard({ panels: Array.from({ length: 10_000 }, () => ({ type: 'text' })) });
  assert.equal(many.panels.length, PANELS_MAX);
  assert.match(many.problems[0]!, /more than 400/);
  const wide = readDashboard({ panels: [{ gridPos: { x: 1e9, y: -5, w: 99, h: 1e9 } }] }).panels[0]!.gridPos;
  assert.deepEqual(wide, { x: 0, y: 0, w: 24, h: 200 });
  assert.equal(readDashboard({ title: 'x'.repeat(1e6), panels: [] }).title.length, 500);
});

test('addresses that are followed', () => {
  for (const url of ['https://x.y', 'http://x', '/d/uid', 'd/uid?x=javascript:1', 'mailto:a@b', '#x', '?a=b'])
    assert.equal(safeUrl(url), url);
  for (const url of [
    'javascript:alert(1)',
    ' JaVaScRiPt:alert(1)',
    'java\nscript:x',
    'data:text/html,x',
    '//evil',
    'vbscript:x',
  ])
    assert.equal(safeUrl(url), undefined, url);
});

test('values of custom variables', () => {
  assert.deepEqual(customOptions('a, b : 2,c\\,d'), [
    { text: 'a', value: 'a' },
    { text: 'b', value: '2' },
    { text: 'c,d', value: 'c,d' },
  ]);
});

test('singlestats of long ago: which mappings count, and that none of them means everything', () => {
  const old = (more: object) =>
    readDashboard({
      panels: [
        {
          type: 'singlestat',
          valueMaps: [
            { op: '=', text: 'N/A', value: 'null' },
            { op: '=', text: 'OK', value: '0' },
          ],
          rangeMaps: [{ from: 'null', to: 'null', text: 'N/A' }],
          targets: [{ expr: 'x' }],
          ...more,
        },
      ],
    }).panels[0]!.fieldConfig.defaults!.mappings!;
  const none = { type: 'special', options: { match: 'null', result: { text: 'N/A' } } };
  assert.deepEqual(old({}), [none, { type: 'value', options: { '0': { text: 'OK' } } }, none]);
  assert.deepEqual(old({ mappingType: 1 }), [none, { type: 'value', options: { '0': { text: 'OK' } } }]);
  assert.deepEqual(old({ mappingType: 2, rangeMaps: [{ from: '1', to: 'null', text: 'up' }] }), [
    { type: 'range', options: { from: 1, to: null, result: { text: 'up' } } },
  ]);
});

test('graphs of long ago: order of the legend, the right axis, series that are not shown', () => {
  const { options, fieldConfig } = readDashboard({
    panels: [
      {
        type: 'graph',
        legend: { alignAsTable: true, values: true, current: true, sort: 'current', sortDesc: true },
        yaxes: [
          { format: 'percent', max: '100' },
          { format: 's', label: 'took', show: false, logBase: 10 },
        ],
        seriesOverrides: [
          { alias: 'b', yaxis: 2 },
          { alias: 'c', legend: false, fillBelowTo: 'd' },
        ],
      },
    ],
  }).panels[0]!;
  assert.deepEqual([options.legend.sortBy, options.legend.sortDesc], ['Last *', true]);
  const [right, hidden] = fieldConfig.overrides!.map(({ properties }) =>
    Object.fromEntries(properties.map(({ id, value }) => [id, value])),
  );
  assert.deepEqual(right, {
    'custom.axisPlacement': 'hidden',
    'custom.axisLabel': 'took',
    unit: 's',
    min: undefined,
    max: undefined, // not the left one's
    decimals: undefined,
    'custom.scaleDistribution': { type: 'log', log: 10 },
  });
  assert.deepEqual(hidden, {
    'custom.fillBelowTo': 'd',
    'custom.hideFrom': { legend: true, viz: false, tooltip: false },
  });
});

test('sources: what a variable or an input stands for; annotations that Prometheus is asked for', () => {
  const dashboard = readDashboard({
    __inputs: [{ name: 'DS_LOGS', type: 'datasource', pluginId: 'loki' }],
    panels: [],
    templating: { list: [{ type: 'datasource', name: 'ds', query: 'prometheus' }] },
    annotations: {
      list: [
        { builtIn: 1, enable: true, name: 'Annotations & Alerts' },
        { name: 'deploys', enable: true, expr: 'changes(v[1m])', iconColor: 'blue', useValueForTime: 'on' },
        { name: 'off', enable: false, expr: 'x' },
        { name: 'logs', enable: true, expr: '{a="b"}', datasource: { type: 'loki', uid: 'l' } },
      ],
    },
  });
  assert.deepEqual(
    [...dashboard.sourceKinds],
    [
      ['DS_LOGS', 'loki'],
      ['ds', 'prometheus'],
    ],
  );
  assert.deepEqual(
    dashboard.annotations.map(({ name, color, useValueForTime }) => [name, color, useValueForTime]),
    [['deploys', 'blue', true]],
  );
});

test('the second schema: kinds of sources, annotations', () => {
  const query = (inner: object) => ({ kind: 'PanelQuery', spec: { refId: 'A', query: inner } });
  const read = readDashboard({
    elements: {
      a: {
        kind: 'Panel',
        spec: {
          data: {
            spec: {
              queries: [
                query({ kind: 'DataQuery', group: 'loki', datasource: { name: 'l' }, spec: { expr: '{a="b"}' } }),
                query({ kind: 'prometheus', spec: { expr: 'up' } }),
              ],
            },
          },
          vizConfig: { kind: 'VizConfig', group: 'timeseries', spec: {} },
        },
      },
    },
    layout: { kind: 'GridLayout', spec: { items: [{ spec: { element: { name: 'a' }, width: 12, height: 8 } }] } },
    annotations: [
      {
        kind: 'AnnotationQuery',
        spec: { name: 'n', enable: true, iconColor: 'red', query: { spec: { expr: 'up == 0' } } },
      },
    ],
  });
  assert.deepEqual(
    read.panels[0]!.targets.map(({ datasource }) => datasource),
    [
      { name: 'l', type: 'loki', uid: 'l' },
      { type: 'prometheus', uid: undefined },
    ],
  );
  assert.deepEqual(
    read.annotations.map(({ name, expr }) => [name, expr]),
    [['n', 'up == 0']],
  );
});

test('mappings of Grafana 7, in the defaults and in overrides', () => {
  const { defaults, overrides } = readDashboard({
    panels: [
      {
        type: 'stat',
        fieldConfig: {
          defaults: { mappings: [{ id: 1, type: 1, value: '1', text: 'up' }] },
          overrides: [
            {
              matcher: { id: 'byName', options: 'a' },
              properties: [
                { id: 'mappings', value: [{ type: 2, from: '1', to: '5', text: 'few' }] },
                { id: 'unit', value: 's' },
              ],
            },
          ],
        },
      },
    ],
  }).panels[0]!.fieldConfig;
  assert.deepEqual(defaults!.mappings, [{ type: 'value', options: { '1': { text: 'up' } } }]);
  assert.deepEqual(overrides![0]!.properties, [
    { id: 'mappings', value: [{ type: 'range', options: { from: 1, to: 5, result: { text: 'few' } } }] },
    { id: 'unit', value: 's' },
  ]);
});

test('the second schema: grids that lay themselves out, switches, sources of variables', () => {
  const item = (name: string) => ({ spec: { element: { name } } });
  const element = (id: number) => ({ kind: 'Panel', spec: { id, vizConfig: { kind: 'stat', spec: {} } } });
  const { panels, variables } = readDashboard({
    elements: { a: element(1), b: element(2) },
    layout: {
      kind: 'AutoGridLayout',
      spec: { maxColumnCount: 4, rowHeightMode: 'short', items: [item('a'), item('b')] },
    },
    variables: [
      { kind: 'SwitchVariable', spec: { name: 's', current: 'no', enabledValue: 'yes', disabledValue: 'no' } },
      { kind: 'QueryVariable', spec: { name: 'q', query: { kind: 'DataQuery', group: 'loki', spec: { expr: 'x' } } } },
    ],
  });
  assert.deepEqual(
    panels.map(({ gridPos }) => gridPos),
    [
      { x: 0, y: 0, w: 12, h: 4 },
      { x: 12, y: 0, w: 12, h: 4 },
    ],
  );
  const [one, two] = variables;
  assert.deepEqual(
    [one!.kind, one!.options.map(({ value }) => value), one!.current!.value],
    ['custom', ['yes', 'no'], 'no'],
  );
  assert.equal(two!.sourceType, 'loki');
});
