import assert from 'node:assert/strict';
import { test } from 'node:test';

import { marksOf } from '../src/data/annotations';
import { loadVariables, statesOf } from '../src/data/variables';
import { readDashboard } from '../src/model/dashboard';
import { applyOptions, valueColor } from '../src/model/field';
import { makeField, makeFrame } from '../src/model/frames';
import { framesOf } from '../src/model/prometheus';
import { interpolate } from '../src/model/variables';
import { linkOf } from '../src/panels/links';
import { plotModel } from '../src/panels/series';
import { valuesOf } from '../src/panels/values';

const none = new Map();
const timed = (name: string, values: number[], labels?: Record<string, string>) =>
  makeFrame(
    'A',
    [
      makeField(
        'Time',
        'time',
        values.map((_value, i) => i * 1000),
      ),
      makeField(name, 'number', values, labels),
    ],
    name,
  );

test('single values: each calculation has its own; a field by its very name, or by a pattern', () => {
  const frames = applyOptions([timed('cpu', [1, 5, 3]), timed('cpu2', [7])], {}, none);
  assert.deepEqual(
    valuesOf(frames.slice(0, 1), { calcs: ['lastNotNull', 'max'] }).map(({ title, value }) => [title, value]),
    [
      ['Last *: cpu', 3],
      ['Max: cpu', 5],
    ],
  );
  assert.deepEqual(
    valuesOf(frames, { fields: 'cpu' }).map(({ title }) => title),
    ['cpu'],
  );
  assert.deepEqual(
    valuesOf(frames, { fields: '/^cpu/' }).map(({ title }) => title),
    ['cpu', 'cpu2'],
  );
});

test('links of values: rows, labels, columns; nothing that runs', () => {
  const table = makeFrame('A', [
    makeField('host name', 'string', ['a b', 'c']),
    makeField('v', 'number', [1.5, 2], { job: 'j' }),
  ]);
  const url = (text: string, row: number | undefined = 0) => {
    const field = { ...table.fields[1]!, config: { links: [{ title: 't', url: text }] } };
    return linkOf({ field, frame: table, row, value: field.values[row] ?? null }, (filled) => filled)?.href;
  };
  assert.equal(url('/d/x?h=${__data.fields["host name"]}&v=${__value.raw}'), '/d/x?h=a%20b&v=1.5');
  assert.equal(url('/d/x?h=${__data.fields[0]}&n=${__field.name}', 1), '/d/x?h=c&n=v');
  assert.equal(url('/d/x?j=${__field.labels.job}&t=${__value.text}'), '/d/x?j=j&t=1.5');
  assert.equal(url('javascript:alert(1)'), undefined);
});

test('annotations: runs of what is not zero, in words', () => {
  const annotation = {
    name: 'n',
    expr: 'x',
    color: 'red',
    step: '',
    titleFormat: 'of {{host}}',
    textFormat: '',
    useValueForTime: false,
  };
  const series = {
    metric: { host: 'a' },
    values: [1, 2, 3, 9].map((at): [number, string] => [at, at === 3 ? '0' : '1']),
  };
  assert.deepEqual(
    marksOf(annotation, series, 1000, none).map(({ fromMs, toMs, title }) => [fromMs, toMs, title]),
    [
      [1000, 2000, 'of a'],
      [9000, 9000, 'of a'],
    ],
  );
  const [at] = marksOf({ ...annotation, useValueForTime: true }, { metric: {}, values: [[5, '1234']] }, 1, none);
  assert.deepEqual([at!.fromMs, at!.title], [1234, 'of ']);
});

test('a series may fill down to another one', () => {
  const frames = applyOptions(
    [timed('high', [3]), timed('low', [1])],
    {
      overrides: [
        { matcher: { id: 'byName', options: 'high' }, properties: [{ id: 'custom.fillBelowTo', value: 'low' }] },
      ],
    },
    none,
  );
  assert.deepEqual(
    plotModel(frames, new Set()).series.map(({ below }) => below),
    [1, undefined],
  );
});

test('values of tables are told apart by their query', () => {
  const vector = { resultType: 'vector' as const, result: [{ metric: {}, value: [1, '5'] as [number, string] }] };
  const [frame] = framesOf({ refId: 'B', expr: 'x', format: 'table' }, vector, none, 0, 'Value #B');
  assert.deepEqual(
    frame!.fields.map(({ name }) => name),
    ['Time', 'Value #B'],
  );
});

test('what is no number has the colour of the least step', () => {
  const field = makeField('v', 'number', [null]);
  field.config = {
    color: { mode: 'thresholds' },
    thresholds: {
      steps: [
        { value: null, color: 'transparent' },
        { value: 1, color: 'red' },
      ],
    },
  };
  assert.equal(valueColor(field, null), 'transparent');
  assert.equal(valueColor(field, 'text'), 'transparent');
});

test('a variable that may be all is a pattern also with one value; sources of other kinds are not here', async () => {
  const dashboard = readDashboard({
    panels: [],
    templating: {
      list: [
        { type: 'custom', name: 'disk', query: 'sd(a),sdb', includeAll: true, current: { value: 'sd(a)' } },
        { type: 'datasource', name: 'logs', query: 'loki' },
      ],
    },
  });
  const span = { fromMs: 0, toMs: 1000 };
  const variables = await loadVariables(dashboard, new Map(), span);
  assert.equal(interpolate('x{d=~"$disk"}', statesOf(variables, span), { promql: true }), 'x{d=~"sd\\\\(a\\\\)"}');
  assert.equal(variables.get('logs')!.choices[0]!.text, 'no loki here');
});

test('legends: what has no labels is named by its question; a legend that comes out empty, by the labels', () => {
  const name = (metric: Record<string, string>, legendFormat?: string) =>
    framesOf(
      { refId: 'A', expr: 'sum(x)', legendFormat },
      { resultType: 'vector', result: [{ metric, value: [1, '2'] }] },
      none,
      0,
    )[0]!.name;
  assert.equal(name({}), 'sum(x)');
  assert.equal(name({}, '__auto'), 'sum(x)');
  assert.equal(name({ a: '1' }, '{{nope}}'), '{a="1"}');
  assert.equal(name({ a: '1' }, '{{a}}'), '1');
});
