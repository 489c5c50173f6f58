import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asText, namedColor, readableOn, scaleColor, schemeColors } from '../src/model/color';
import { applyOptions, fieldColor, patternOf, show, thresholdOf, valueColor } from '../src/model/field';
import { makeField, makeFrame, type Field } from '../src/model/frames';
import { framesOf, seriesText, type PromData } from '../src/model/prometheus';
import { reduce } from '../src/model/reduce';
import { shownText } from '../src/model/units';

const none = new Map();
const matrix = (...series: [Record<string, string>, [number, string][]][]): PromData => ({
  resultType: 'matrix',
  result: series.map(([metric, values]) => ({ metric, values })),
});

test('series become frames, with their legends; holes break a line', () => {
  const data = matrix(
    [
      { __name__: 'up', job: 'a' },
      [
        [1, '1'],
        [2, '0'],
        [5, '+Inf'],
      ],
    ],
    [{ __name__: 'up', job: 'b' }, [[1, 'NaN']]],
  );
  const frames = framesOf({ refId: 'A', expr: 'up', legendFormat: '{{job}} x{{nope}}' }, data, none, 1000);
  assert.equal(frames.length, 2);
  assert.equal(frames[0]!.name, 'a x');
  assert.deepEqual(frames[0]!.fields[0]!.values, [1000, 2000, 3000, 5000]);
  assert.deepEqual(frames[0]!.fields[1]!.values, [1, 0, null, Infinity]);
  assert.ok(Number.isNaN(frames[1]!.fields[1]!.values[0]));
  const auto = framesOf({ refId: 'A', expr: 'up', legendFormat: '__auto' }, data, none, 1000);
  assert.deepEqual(
    auto.map(({ name }) => name),
    ['a', 'b'],
  );
  assert.equal(framesOf({ refId: 'A', expr: 'up' }, data, none, 0)[0]!.name, 'up{job="a"}');
  assert.equal(seriesText({ __name__: 'up' }), 'up');
  assert.equal(seriesText({}), '{}');
});

test('tables and heatmaps', () => {
  const vector: PromData = {
    resultType: 'vector',
    result: [
      { metric: { a: '1' }, value: [1, '5'] },
      { metric: { b: '2' }, value: [1, '6'] },
    ],
  };
  const [table] = framesOf({ refId: 'A', expr: 'x', format: 'table' }, vector, none, 0);
  assert.deepEqual(
    table!.fields.map(({ name, values }) => [name, values]),
    [
      ['Time', [1000, 1000]],
      ['a', ['1', null]],
      ['b', [null, '2']],
      ['Value', [5, 6]],
    ],
  );
  const [heat] = framesOf(
    { refId: 'A', expr: 'x', format: 'heatmap' },
    matrix(
      [
        { le: '+Inf' },
        [
          [1, '10'],
          [2, '12'],
        ],
      ],
      [
        { le: '0.5' },
        [
          [1, '4'],
          [2, '4'],
        ],
      ],
      [{ le: '1' }, [[1, '9']]],
    ),
    none,
    0,
  );
  assert.deepEqual(
    heat!.fields.map(({ name, values }) => [name, values]),
    [
      ['Time', [1000, 2000]],
      ['0.5', [4, 4]],
      ['1', [5, null]],
      ['+Inf', [1, 8]],
    ],
  );
  assert.deepEqual(
    framesOf({ refId: 'A', expr: '1' }, { resultType: 'scalar', result: [1, '2'] }, none, 0)[0]!.fields[1]!.values,
    [2],
  );
});

test('calculations', () => {
  const field = { values: [3, null, 1, NaN, 5, 5, null] };
  for (const [id, value] of [
    ['last', null],
    ['lastNotNull', 5],
    ['first', 3],
    ['min', 1],
    ['max', 5],
    ['mean', 3.5],
    ['sum', 14],
    ['count', 7],
    ['range', 4],
    ['diff', 2],
    ['median', 4],
    ['p50', 3],
    ['p99', 5],
    ['avg', 3.5],
    ['current', 5],
    ['delta', 5],
    ['distinctCount', 5],
    ['allIsNull', false],
  ] as const)
    assert.equal(reduce(field, id), value, id);
  assert.equal(reduce({ values: [] }, 'mean'), null);
  assert.equal(reduce(field, 'nonsense'), undefined);
  assert.equal(reduce(field, 'constructor'), undefined);
  const large = { values: Array.from({ length: 300_000 }, (_, i) => i) };
  assert.equal(reduce(large, 'max'), 299_999);
  assert.equal(reduce({ values: [-3, 0, 2, 1] }, 'logmin'), 1);
});

const options = {
  defaults: { unit: 'bytes', decimals: 1, custom: { lineWidth: 2 } },
  overrides: [
    {
      matcher: { id: 'byName', options: 'a' },
      properties: [
        { id: 'unit', value: 's' },
        { id: 'custom.lineWidth', value: 5 },
      ],
    },
    {
      matcher: { id: 'byRegexp', options: '/^b/' },
      properties: [{ id: 'displayName', value: 'B ${__field.labels.x}' }],
    },
    {
      matcher: { id: 'byFrameRefID', options: 'C' },
      properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: 'red' } }],
    },
    { matcher: { id: 'byRegexp', options: '(((' }, properties: [{ id: 'unit', value: 'percent' }] },
    {
      matcher: { id: 'byName', options: 'a' },
      properties: [
        { id: '__proto__.polluted', value: 1 },
        { id: 'constructor', value: 1 },
      ],
    },
  ],
};

test('defaults and overrides; properties of objects are out of reach', () => {
  const plain = [
    makeFrame('A', [makeField('a', 'number', [1])]),
    makeFrame('B', [makeField('b', 'number', [1], { x: '7' })]),
    makeFrame('C', [makeField('c', 'number', [1])]),
  ];
  const frames = applyOptions(plain, options, none);
  const [a, b, c] = frames.map((frame) => frame.fields[0]!) as [Field, Field, Field];
  assert.equal(a.config.unit, 's');
  assert.deepEqual([a.config.custom!.lineWidth, b.config.custom!.lineWidth], [5, 2]);
  assert.equal(options.defaults.custom.lineWidth, 2);
  assert.equal(b.title, 'B 7');
  assert.equal(fieldColor(c, 0), '#F2495C');
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.deepEqual(plain[0]!.fields[0]!.config, {});
});

test('thresholds, mappings and texts', () => {
  const field = makeField('a', 'number', [0, 50, 100]);
  field.config = {
    unit: 'percent',
    noValue: 'none',
    color: { mode: 'thresholds' },
    thresholds: {
      mode: 'absolute',
      steps: [
        { value: null, color: 'green' },
        { value: 40, color: 'orange' },
        { value: 80, color: '#ff0000' },
      ],
    },
    mappings: [
      { type: 'value', options: { 0: { text: 'DOWN', color: 'red' } } },
      { type: 'range', options: { from: 90, to: null, result: { text: 'full' } } },
      { type: 'special', options: { match: 'null+nan', result: { text: 'N/A' } } },
      { type: 'regex', options: { pattern: '^v(\\d+)$', result: { text: 'version $1' } } },
    ],
  };
  assert.deepEqual(
    [0, 50, 95, null, NaN].map((value) => shownText(show(field, value))),
    ['DOWN', '50%', 'full', 'N/A', 'N/A'],
  );
  assert.equal(shownText(show(field, 'v12')), 'version 12');
  assert.equal(shownText(show({ ...field, config: { noValue: '-' } }, null)), '-');
  assert.deepEqual(
    [0, 39, 40, 80].map((value) => valueColor(field, value)),
    ['#F2495C', '#73BF69', '#FF9830', '#ff0000'],
  );
  const percent = {
    thresholds: {
      mode: 'percentage',
      steps: [
        { value: null, color: 'green' },
        { value: 50, color: 'red' },
      ],
    },
  };
  assert.equal(thresholdOf(percent, 5, { min: 0, max: 8 }).color, 'red');
  assert.equal(thresholdOf(percent, 3, { min: 0, max: 8 }).color, 'green');
});

test('colours from outside are checked', () => {
  for (const [name, color] of [
    ['red', '#F2495C'],
    ['dark-green', '#37872D'],
    ['#abc', '#abc'],
    ['rgb(1, 2, 3)', 'rgb(1, 2, 3)'],
    ['red;background:url(//x)', '#8e8e8e'],
    ['url(x)', '#8e8e8e'],
    ['constructor', '#8e8e8e'],
    [undefined, '#8e8e8e'],
  ] as const) {
    assert.equal(namedColor(name), color, String(name));
  }
  assert.equal(scaleColor('continuous-GrYlRd', 0), '#56a64b');
  assert.equal(scaleColor('continuous-GrYlRd', 2), '#e02f44');
  assert.equal(schemeColors('Spectral', 5, false).length, 5);
  assert.deepEqual(schemeColors('x', 2, true), [...schemeColors('Oranges', 2, false)].reverse());
  assert.equal(readableOn('#ffffff'), '#111217');
  assert.equal(readableOn('#000000'), '#ffffff');
  assert.equal(readableOn('#5794F2'), '#111217');
  assert.equal(readableOn('#1F60C4'), '#ffffff');
  // As text: kept where it can be read, else darker or lighter of the same hue.
  assert.equal(asText('#73BF69', 'dark'), '#73BF69');
  assert.match(asText('#73BF69', 'light'), /^#(?!73bf69)[0-9a-f]{6}$/);
  assert.match(asText('#1F60C4', 'dark'), /^#(?!1f60c4)[0-9a-f]{6}$/);
  assert.equal(asText('rgb(0, 0, 0)', 'light'), 'rgb(0, 0, 0)');
  assert.equal(asText('var(--text)', 'light'), 'var(--text)');
});

test('patterns never throw', () => {
  assert.equal(patternOf('('), undefined);
  assert.equal(patternOf('/(/'), undefined);
  assert.equal(patternOf('x'.repeat(5000)), undefined);
  assert.ok(patternOf('/A/i')!.test('a'));
});
