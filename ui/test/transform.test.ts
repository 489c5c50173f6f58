import assert from 'node:assert/strict';
import { test } from 'node:test';

import { makeField, makeFrame, type Cell, type Frame } from '../src/model/frames';
import { transform } from '../src/model/transform';
import { compare } from '../src/model/transform_steps';

const series = (refId: string, labels: Record<string, string>, points: [number, Cell][]) => {
  const value = makeField(
    'Value',
    'number',
    points.map(([, one]) => one),
    labels,
  );
  value.config.displayNameFromDS = Object.values(labels).join('-');
  return makeFrame(
    refId,
    [
      makeField(
        'Time',
        'time',
        points.map(([at]) => at),
      ),
      value,
    ],
    value.config.displayNameFromDS,
  );
};
const table = (refId: string, columns: Record<string, Cell[]>) =>
  makeFrame(
    refId,
    Object.entries(columns).map(([name, values]) =>
      makeField(
        name,
        name === 'Time' ? 'time' : typeof values.find((one) => one !== null) === 'number' ? 'number' : 'string',
        values,
      ),
    ),
  );
const shape = (frames: Frame[]) =>
  frames.map((frame) =>
    Object.fromEntries(frame.fields.map((field) => [field.config.displayName ?? field.name, field.values])),
  );
const run = (frames: Frame[], ...all: { id: string; options?: Record<string, unknown> }[]) => {
  const { frames: made, problems } = transform(frames, all);
  assert.deepEqual(problems, []);
  return shape(made);
};

test('columns: organize, filter, rename, convert, calculate', () => {
  const frame = table('A', { Time: [1, 2], a: [1, 2], b: [10, 20], c: ['x', 'y'] });
  assert.deepEqual(
    run([frame], {
      id: 'organize',
      options: { excludeByName: { Time: true }, indexByName: { c: 0, a: 1 }, renameByName: { a: 'A' } },
    }),
    [{ c: ['x', 'y'], A: [1, 2], b: [10, 20] }],
  );
  assert.deepEqual(run([frame], { id: 'filterFieldsByName', options: { include: { pattern: '/^[ab]$/' } } }), [
    { a: [1, 2], b: [10, 20] },
  ]);
  assert.deepEqual(
    run(
      [frame],
      { id: 'filterFieldsByName', options: { include: { names: ['c'] } } },
      { id: 'renameByRegex', options: { regex: '(.)', renamePattern: '$1$1' } },
    ),
    [{ cc: ['x', 'y'] }],
  );
  assert.deepEqual(
    run([table('A', { n: ['1', 'two'] })], {
      id: 'convertFieldType',
      options: { conversions: [{ targetField: 'n', destinationType: 'number' }] },
    }),
    [{ n: [1, null] }],
  );
  assert.deepEqual(
    run([frame], {
      id: 'calculateField',
      options: { mode: 'binary', binary: { left: 'b', operator: '/', right: 'a' }, alias: 'q', replaceFields: true },
    }),
    [{ Time: [1, 2], q: [10, 10] }],
  );
  assert.deepEqual(
    run([frame], {
      id: 'calculateField',
      options: { mode: 'reduceRow', reduce: { reducer: 'sum' }, replaceFields: true },
    }),
    [{ Time: [1, 2], Total: [11, 22] }],
  );
  assert.deepEqual(
    run([frame], {
      id: 'calculateField',
      options: {
        mode: 'binary',
        binary: { left: { matcher: { id: 'byName', options: 'a' } }, operator: '*', right: { fixed: '3' } },
        alias: 'x3',
        replaceFields: true,
      },
    }),
    [{ Time: [1, 2], x3: [3, 6] }],
  );
});

test('rows: sort, limit, filter', () => {
  const frame = table('A', { name: ['b', 'a', 'c10', 'c9'], n: [2, null, 1, 3] });
  assert.deepEqual(run([frame], { id: 'sortBy', options: { sort: [{ field: 'name' }] } }), [
    { name: ['a', 'b', 'c9', 'c10'], n: [null, 2, 3, 1] },
  ]);
  assert.deepEqual(
    run([frame], { id: 'sortBy', options: { sort: [{ field: 'n' }] } }, { id: 'limit', options: { limitField: 2 } }),
    [{ name: ['c10', 'b'], n: [1, 2] }],
  );
  const filter = (id: string, options: object, rest = {}) =>
    run([frame], {
      id: 'filterByValue',
      options: { type: 'include', match: 'all', filters: [{ fieldName: 'n', config: { id, options } }], ...rest },
    })[0]!.name;
  assert.deepEqual(filter('greater', { value: 1 }), ['b', 'c9']);
  assert.deepEqual(filter('greater', { value: 1 }, { type: 'exclude' }), ['a', 'c10']);
  assert.deepEqual(filter('between', { from: 1, to: 2 }), ['b', 'c10']);
  assert.deepEqual(filter('isNull', {}), ['a']);
  assert.ok(compare(null, 1) > 0 && compare(1, 2) < 0 && compare('a2', 'a10') < 0);
});

test('several frames: merge, join, concatenate, rows', () => {
  const cpu = table('A', { host: ['x', 'y'], Value: [1, 2] }),
    memory = table('B', { host: ['y', 'z'], Value: [20, 30] });
  assert.deepEqual(run([cpu, memory], { id: 'merge' }), [
    { host: ['x', 'y', 'z'], 'Value #A': [1, 2, null], 'Value #B': [null, 20, 30] },
  ]);
  const a = series('A', { i: 'a' }, [
      [1, 1],
      [2, 2],
    ]),
    b = series('B', { i: 'b' }, [
      [2, 20],
      [3, 30],
    ]);
  const [joined] = transform([a, b], [{ id: 'joinByField', options: { byField: 'Time' } }]).frames;
  assert.deepEqual(
    joined!.fields.map(({ values }) => values),
    [
      [1, 2, 3],
      [1, 2, null],
      [null, 20, 30],
    ],
  );
  const [inner] = transform([a, b], [{ id: 'joinByField', options: { mode: 'inner' } }]).frames;
  assert.deepEqual(inner!.fields[0]!.values, [2]);
  assert.deepEqual(run([a, b], { id: 'seriesToRows' }), [
    { Time: [3, 2, 2, 1], Metric: ['b', 'a', 'b', 'a'], Value: [30, 2, 20, 1] },
  ]);
  assert.deepEqual(
    run(
      [a, b],
      { id: 'filterByRefId', options: { include: 'B' } },
      { id: 'reduce', options: { reducers: ['max', 'mean'] } },
    ),
    [{ Field: ['b'], Max: [30], Mean: [25] }],
  );
  assert.equal(transform([cpu, memory], [{ id: 'concatenate' }]).frames[0]!.fields.length, 4);
});

test('groups: groupBy, labels, partitions, matrix', () => {
  const frame = table('A', { host: ['x', 'y', 'x'], kind: ['p', 'p', 'q'], v: [1, 2, 3] });
  assert.deepEqual(
    run([frame], {
      id: 'groupBy',
      options: {
        fields: { host: { operation: 'groupby' }, v: { operation: 'aggregate', aggregations: ['sum', 'count'] } },
      },
    }),
    [{ host: ['x', 'y'], 'v (sum)': [4, 2], 'v (count)': [2, 1] }],
  );
  assert.deepEqual(
    run([frame], { id: 'groupingToMatrix', options: { rowField: 'host', columnField: 'kind', valueField: 'v' } }),
    [{ 'host\\kind': ['x', 'y'], p: [1, 2], q: [3, null] }],
  );
  const parts = transform([frame], [{ id: 'partitionByValues', options: { fields: ['host'] } }]).frames;
  assert.deepEqual(
    parts.map(({ name, length }) => [name, length]),
    [
      ['x', 2],
      ['y', 1],
    ],
  );
  const labelled = [series('A', { i: 'a' }, [[1, 1]]), series('A', { i: 'b' }, [[1, 2]])];
  const [flat] = transform(labelled, [{ id: 'labelsToFields' }]).frames;
  assert.deepEqual(
    flat!.fields.map(({ name, values }) => [name, values]),
    [
      ['Time', [1, 1]],
      ['i', ['a', 'b']],
      ['Value', [1, 2]],
    ],
  );
});

test('what is not known is said, and the rest is done; frames of others are not touched', () => {
  const frame = table('A', { a: [1, 2] });
  const { frames, problems } = transform(
    [frame],
    [{ id: 'toString' }, { id: 'limit', options: { limitField: 1 } }, { id: 'sortBy', options: { sort: 5 } as never }],
  );
  assert.equal(frames[0]!.length, 1);
  assert.match(problems[0]!, /"toString" is not known/);
  assert.equal(frame.length, 2);
  assert.deepEqual(transform([], [{ id: 'merge' }, { id: 'reduce' }, { id: 'joinByField' }]).problems, []);
  assert.deepEqual(transform([frame], [null as never, { id: 'organize', disabled: true }]).problems, []);
});

test('histograms have a bounded number of buckets', () => {
  const [made] = transform([table('A', { v: [0, 1e12, 5] })], [{ id: 'histogram', options: { bucketSize: 1 } }]).frames;
  assert.ok(made!.length <= 1001);
  assert.equal(
    (made!.fields[2]!.values as number[]).reduce((a, b) => a + b),
    3,
  );
});

test('formatTime: times become text, in UTC when asked', () => {
  const { frames } = transform(
    [series('A', { job: 'x' }, [[Date.UTC(2026, 6, 11, 12, 0, 5), 1]])],
    [{ id: 'formatTime', options: { timeField: 'Time', outputFormat: 'YYYY-MM-DD HH:mm', timezone: 'utc' } }],
  );
  assert.deepEqual(frames[0]!.fields[0]!.values, ['2026-07-11 12:00']);
  assert.equal(frames[0]!.fields[0]!.type, 'string');
});

test('joined columns of one name are numbered, each of them, as other steps refer to them', () => {
  const frames = [
    table('A', { Time: [1], host: ['a'], 'Value #A': [5] }),
    table('B', { Time: [2], host: ['a'], 'Value #B': [6] }),
  ];
  assert.deepEqual(
    run(
      frames,
      { id: 'joinByField', options: { byField: 'host' } },
      {
        id: 'organize',
        options: { excludeByName: { 'Time 1': true }, renameByName: { 'Value #A': 'a', 'Value #B': 'b' } },
      },
    ),
    [{ host: ['a'], a: [5], 'Time 2': [2], b: [6] }],
  );
});

test('tables side by side: columns of one name are numbered, but for the times', () => {
  const frames = [
    table('A', { Time: [1], peer: ['n1'], 'Value #A': [5] }),
    table('B', { Time: [1], peer: ['n1'], 'Value #B': [6] }),
  ];
  assert.deepEqual(
    run(
      frames,
      { id: 'concatenate' },
      {
        id: 'organize',
        options: {
          excludeByName: { Time: true, 'peer 2': true },
          renameByName: { 'peer 1': 'Peer', 'Value #A': 'Online' },
        },
      },
    ),
    [{ Peer: ['n1'], Online: [5], 'Value #B': [6] }],
  );
});

test('texts and labels taken apart', () => {
  const logs = table('A', { line: ['{"a":{"b":1},"c":"x"}', 'no'], n: [1, 2] });
  assert.deepEqual(
    run([logs], {
      id: 'extractFields',
      options: {
        source: 'line',
        format: 'json',
        replace: true,
        jsonPaths: [{ path: 'a.b', alias: 'B' }, { path: 'c' }],
      },
    }),
    [{ B: [1, null], c: ['x', null] }],
  );
  assert.deepEqual(
    run([table('A', { line: ['a=1 b="two words"'] })], {
      id: 'extractFields',
      options: { source: 'line', format: 'kvp' },
    }),
    [{ line: ['a=1 b="two words"'], a: ['1'], b: ['two words'] }],
  );
  const frames = [
    series('A', { host: 'x', mode: 'user' }, [[1, 5]]),
    series('A', { host: 'x', mode: 'idle' }, [[1, 6]]),
    series('A', { host: 'y', mode: 'idle' }, [[1, 7]]),
  ];
  assert.deepEqual(run(frames, { id: 'joinByLabels', options: { value: 'mode', join: ['host'] } }), [
    { host: ['x', 'y'], user: [5, null], idle: [6, 7] },
  ]);
  assert.deepEqual(run(frames.slice(1), { id: 'prepareTimeSeries', options: { format: 'long' } }), [
    { Time: [1, 1], host: ['x', 'y'], mode: ['idle', 'idle'], Value: [6, 7] },
  ]);
});

test('settings from what a query gave', () => {
  const { frames } = transform(
    [table('A', { v: [1] }), table('config', { limit: [10], colour: ['red'] })],
    [
      {
        id: 'configFromData',
        options: {
          configRefId: 'config',
          mappings: [
            { fieldName: 'limit', handlerKey: 'max' },
            { fieldName: 'colour', handlerKey: 'color' },
          ],
        },
      },
    ],
  );
  assert.equal(frames.length, 1);
  assert.deepEqual(frames[0]!.fields[0]!.config, { max: 10, color: { mode: 'fixed', fixedColor: 'red' } });
});

test('sums and means along a column; variables in options', () => {
  const frame = table('A', { v: [1, 2, 3, 4] });
  const one = (options: object) => run([frame], { id: 'calculateField', options: { alias: 'n', ...options } })[0]!.n;
  assert.deepEqual(one({ mode: 'cumulativeFunctions', cumulative: { field: 'v', reducer: 'sum' } }), [1, 3, 6, 10]);
  assert.deepEqual(
    one({
      mode: 'windowFunctions',
      window: { field: 'v', windowSize: 2, reducer: 'mean', windowAlignment: 'trailing' },
    }),
    [1, 1.5, 2.5, 3.5],
  );
  const { frames } = transform(
    [frame],
    [
      {
        id: 'filterByValue',
        options: {
          type: 'include',
          filters: [{ fieldName: 'v', config: { id: 'greater', options: { value: '$least' } } }],
        },
      },
    ],
    (text) => text.replace('$least', '2'),
  );
  assert.deepEqual(frames[0]!.fields[0]!.values, [3, 4]);
});

test('histograms may take all series together', () => {
  const frames = [
    series('A', { a: '1' }, [
      [1, 1],
      [2, 1],
    ]),
    series('A', { a: '2' }, [[1, 3]]),
  ];
  const [made] = run(frames, { id: 'histogram', options: { bucketSize: 1, combine: true } });
  assert.deepEqual(made, { xMin: [1, 2, 3], xMax: [2, 3, 4], Count: [2, 0, 1] });
});
