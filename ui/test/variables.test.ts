import assert from 'node:assert/strict';
import { test } from 'node:test';

import { inOrder, interpolate, references, type VariableState } from '../src/model/variables';

const variables = new Map<string, VariableState>([
  ['job', { value: 'node.a' }],
  ['many', { value: ['a.b', 'c/d'] }],
  ['one', { value: ['a.b'] }],
  ['all', { value: ['a', 'b'], isAll: true, allValue: '.+', text: 'All' }],
  ['named', { value: '1', text: 'First' }],
]);
const step = { fromMs: 0, toMs: 3_600_000, stepMs: 15_000, scrapeMs: 15_000, dashboard: 'D' };
const promql = (text: string) => interpolate(text, variables, { step, promql: true });

test('in PromQL one value stands as it is, several as a regular expression', () => {
  assert.equal(promql('up{job="$job"}'), 'up{job="node.a"}');
  assert.equal(promql('up{job=~"$many"}'), 'up{job=~"(a\\\\.b|c/d)"}');
  assert.equal(promql('up{job=~"${one}"}'), 'up{job=~"a\\\\.b"}');
  assert.equal(promql('up{job=~"[[all]]"}'), 'up{job=~".+"}');
  assert.equal(promql('x$nope ${nope:csv}'), 'x$nope ${nope:csv}');
});

test('a hostile value cannot leave its string', () => {
  const hostile = new Map([
    ['x', { value: '"} or vector(1) #' }],
    ['y', { value: ['"}', '\\"'] }],
  ]);
  assert.equal(interpolate('a{b="$x"}', hostile, { promql: true }), 'a{b="\\"} or vector(1) #"}');
  assert.doesNotMatch(interpolate('$y', hostile, { promql: true }), /(?<!\\)"/);
});

test('time and step', () => {
  assert.equal(promql('rate(x[$__rate_interval])'), 'rate(x[1m])');
  assert.equal(
    promql('rate(x[$__interval]) $__interval_ms $__range $__range_s $__range_ms'),
    'rate(x[15s]) 15000 3600s 3600 3600000',
  );
  assert.equal(
    promql('$__from ${__to:date:seconds} ${__from:date:iso} ${__from:date}'),
    '0 3600 1970-01-01T00:00:00.000Z 1970-01-01T00:00:00.000Z',
  );
});

test('formats', () => {
  for (const [format, text] of [
    ['csv', 'a.b,c/d'],
    ['pipe', 'a.b|c/d'],
    ['glob', '{a.b,c/d}'],
    ['regex', '(a\\.b|c\\/d)'],
    ['json', '["a.b","c/d"]'],
    ['raw', 'a.b,c/d'],
    ['singlequote', "'a.b','c/d'"],
    ['doublequote', '"a.b","c/d"'],
    ['queryparam', 'var-many=a.b&var-many=c%2Fd'],
    ['percentencode', '%7Ba.b%2Cc%2Fd%7D'],
    ['text', 'a.b + c/d'],
    ['join:;', 'a.b;c/d'],
    ['constructor', 'a.b + c/d'],
  ] as const) {
    assert.equal(interpolate(`\${many:${format}}`, variables), text, format);
  }
  assert.equal(interpolate('$named ${named:text} ${named.text} ${named:raw}', variables), 'First First First 1');
  assert.equal(interpolate('$all', variables), '.+');
  assert.equal(
    interpolate('${__field.name}', variables, { more: (name, path) => (name === '__field' ? `<${path}>` : undefined) }),
    '<name>',
  );
});

test('order of chained variables, and cycles', () => {
  assert.deepEqual([...references('label_values(up{a="$a", b="${b:regex}"}, [[c]])')], ['a', 'b', 'c']);
  const item = (name: string, ...needs: string[]) => ({ name, needs });
  const order = (...items: { name: string; needs: string[] }[]) => {
    const found = inOrder(items, (one) => one.needs);
    return [found.order.map(({ name }) => name).join(''), found.cyclic.sort().join('')];
  };
  assert.deepEqual(order(item('c', 'b'), item('b', 'a'), item('a')), ['abc', '']);
  assert.deepEqual(order(item('a', 'b'), item('b', 'a'), item('c', 'c'), item('d', 'x')), ['bacd', 'abc']);
  const deep = Array.from({ length: 20_000 }, (_, i) => item(`v${i}`, `v${i + 1}`));
  assert.equal(inOrder(deep, (one) => one.needs).order.length, 20_000);
});

test('addresses carry the time and the variables on', () => {
  const step = { fromMs: 1000, toMs: 2000, stepMs: 1, scrapeMs: 1 };
  const states = new Map([
    ['host', { value: ['a', 'b c'] }],
    ['all', { value: ['x', 'y'], isAll: true, allValue: '.*' }],
  ]);
  assert.equal(
    interpolate('/d/x?${__url_time_range}&${__all_variables}', states, { step }),
    '/d/x?from=1000&to=2000&var-host=a&var-host=b%20c&var-all=%24__all',
  );
});

test('what a text says of the dashboard; texts for HTML', () => {
  const step = { fromMs: 0, toMs: 1, stepMs: 1, scrapeMs: 1, dashboard: 'T', dashboardUid: 'u' };
  assert.equal(interpolate('${__dashboard} ${__dashboard.uid} ${__user.login}.', new Map(), { step }), 'T u .');
  assert.equal(interpolate('${v:html}', new Map([['v', { value: ['<b>', 'c'] }]])), '&lt;b&gt;, c');
});
