import assert from 'node:assert/strict';
import { test } from 'node:test';

import { niceStep, numberLabels, numberScale, timeTicks } from '../src/view/axis';

test('steps are round in their unit', () => {
  assert.equal(niceStep(100, 5, undefined), 20);
  assert.equal(niceStep(7, 5, undefined), 2);
  assert.equal(niceStep(5000, 5, 'bytes'), 1024);
  assert.equal(niceStep(7000, 5, 's'), 1800);
  assert.equal(niceStep(0, 5, undefined), 1);
});

test('scales hold all values, and have few ticks', () => {
  for (const [low, high] of [
    [0, 1],
    [5, 5],
    [0, 0],
    [-3, -3],
    [-5, 12],
    [100, 101],
    [1e-9, 3e-9],
    [0, 1e15],
    [NaN, NaN],
    [Infinity, -Infinity],
  ] as const) {
    const { min, max, ticks } = numberScale(low, high);
    assert.ok(min < max, `${low} ${high}`);
    if (Number.isFinite(low)) assert.ok(min <= low && max >= high, `${low} ${high}: ${min} ${max}`);
    assert.ok(ticks.length >= 2 && ticks.length <= 12, `${low} ${high}: ${ticks}`);
  }
  assert.deepEqual(numberScale(3, 9).min, 0);
  assert.deepEqual(numberScale(0.2, 0.9, { min: 0, max: 1 }), { min: 0, max: 1, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] });
  assert.ok(numberScale(5, 6, { min: 10 }).max > 10);
});

test('times have round ticks at any range', () => {
  for (const range of [50, 1e3, 60e3, 3600e3, 86400e3, 86400e3 * 30, 86400e3 * 365, 86400e3 * 3650]) {
    const { ticks, format } = timeTicks(1.7e12, 1.7e12 + range, 8);
    assert.ok(ticks.length >= 1 && ticks.length <= 13, `${range}: ${ticks.length} ${format}`);
    assert.ok(ticks.every((tick) => tick >= 1.7e12 && tick <= 1.7e12 + range));
  }
  assert.equal(timeTicks(0, 3600e3, 6).format, 'HH:mm');
});

test('labels of ticks differ', () => {
  assert.deepEqual(numberLabels([99.95, 99.955, 99.96], 'percent', undefined), ['99.950%', '99.955%', '99.960%']);
  assert.deepEqual(numberLabels([0, 1, 2], 'bool', undefined), ['False', 'True', '']);
  assert.deepEqual(numberLabels([0, 50, 100], 'percent', undefined), ['0%', '50%', '100%']);
});

test('all of it above the greatest that is shown', () => {
  const { min, max } = numberScale(1331, 1332, { max: 100 });
  assert.deepEqual([min <= 0, max], [true, 100]);
});
