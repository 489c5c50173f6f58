import assert from 'node:assert/strict';
import { test } from 'node:test';

import { choicesOf, parseQuestion, splitArguments } from '../src/data/prometheus';
import { layout } from '../src/data/repeat';
import { loadVariables, statesOf } from '../src/data/variables';
import { readDashboard } from '../src/model/dashboard';

test('questions of variables', () => {
  assert.deepEqual(parseQuestion('label_values(job)'), { kind: 'label_values', label: 'job', expr: undefined });
  assert.deepEqual(parseQuestion(' label_values(up{a="x,)y", b=~"(1|2)"}, instance) '), {
    kind: 'label_values',
    label: 'instance',
    expr: 'up{a="x,)y", b=~"(1|2)"}',
  });
  assert.deepEqual(parseQuestion('query_result(topk(5, sum by (a) (x)))'), {
    kind: 'query_result',
    expr: 'topk(5, sum by (a) (x))',
  });
  assert.deepEqual(parseQuestion('metrics(^cim_)'), { kind: 'metrics', expr: '^cim_' });
  assert.deepEqual(parseQuestion('up{x="1"}'), { kind: 'series', expr: 'up{x="1"}' });
  assert.deepEqual(splitArguments('a{b="\\",c"}, d'), ['a{b="\\",c"}', 'd']);
});

test('choices: expression, order, no repeats', () => {
  assert.deepEqual(
    choicesOf(['b:1', 'a:2', 'b:3'], '/(.*):.*/', 1).map(({ value }) => value),
    ['a', 'b'],
  );
  assert.deepEqual(choicesOf(['up{i="x"} 5 1'], '/(?<text>i="\\w+).*?(?<value>\\d+)/', 0), [
    { text: 'i="x', value: '5' },
  ]);
  assert.deepEqual(
    choicesOf(['n10', 'n9', 'n1'], '', 3).map(({ value }) => value),
    ['n1', 'n9', 'n10'],
  );
  assert.deepEqual(
    choicesOf(['a', 'B', 'c'], '', 6).map(({ value }) => value),
    ['c', 'B', 'a'],
  );
  assert.deepEqual(
    choicesOf(['z', 'a'], '', 0).map(({ value }) => value),
    ['z', 'a'],
  );
  assert.throws(() => choicesOf(['a'], '((', 0), /regular expression/);
});

const dashboard = readDashboard({
  title: 'T',
  panels: [
    { id: 1, type: 'stat', repeat: 'v', maxPerRow: 2, gridPos: { x: 0, y: 0, w: 24, h: 4 } },
    { id: 2, type: 'stat', gridPos: { x: 0, y: 4, w: 12, h: 4 } },
    {
      id: 3,
      type: 'row',
      title: '$v',
      repeat: 'v',
      collapsed: true,
      gridPos: { x: 0, y: 8, w: 24, h: 1 },
      panels: [{ id: 4, type: 'stat', gridPos: { x: 0, y: 9, w: 6, h: 4 } }],
    },
  ],
  templating: {
    list: [
      { type: 'custom', name: 'v', query: 'a,b,c', multi: true, includeAll: true },
      {
        type: 'interval',
        name: 'i',
        query: '1m,5m',
        auto: true,
        auto_count: 10,
        auto_min: '1m',
        current: { value: '$__auto', text: 'auto' },
      },
      { type: 'textbox', name: 't', query: 'x' },
      { type: 'constant', name: 'k', query: 'K' },
      { type: 'adhoc', name: 'f' },
    ],
  },
});
const span = { fromMs: 0, toMs: 3_600_000 };

test('variables: chosen by address, by the file, by default', async () => {
  const load = async (...address: [string, string[]][]) => {
    const variables = await loadVariables(dashboard, new Map(address), span);
    return { variables, states: statesOf(variables, span) };
  };
  const { variables, states } = await load();
  assert.deepEqual(
    [
      states.get('v')!.isAll,
      states.get('v')!.value,
      states.get('i')!.value,
      states.get('t')!.value,
      states.get('k')!.value,
    ],
    [true, ['a', 'b', 'c'], '6m', 'x', 'K'],
  );
  assert.match(variables.get('f')!.problem!, /not applied/);
  const other = await load(['v', ['b', 'x']], ['t', ['typed']]);
  assert.deepEqual([other.states.get('v')!.value, other.states.get('t')!.value], [['b', 'x'], 'typed']);
  assert.deepEqual((await load(['v', ['All']])).states.get('v')!.isAll, true);
});

test('repeats: panels get copies, what is below moves down, rows take their panels with them', async () => {
  const variables = await loadVariables(dashboard, new Map(), span);
  const [first, ...rows] = layout(dashboard.panels, variables);
  assert.deepEqual(
    first!.panels.map(({ gridPos, scope }) => [scope?.v?.value, gridPos.x, gridPos.y, gridPos.w]),
    [
      ['a', 0, 0, 12],
      ['b', 12, 0, 12],
      ['c', 0, 4, 12],
      [undefined, 0, 8, 12],
    ],
  );
  assert.deepEqual(
    rows.map(({ row, panels }) => [row!.scope!.v!.value, panels[0]!.scope!.v!.value, panels[0]!.gridPos.y]),
    [
      ['a', 'a', 0],
      ['b', 'b', 0],
      ['c', 'c', 0],
    ],
  );
  const ids = [...first!.panels, ...rows.flatMap(({ row, panels }) => [row!, ...panels])].map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});
