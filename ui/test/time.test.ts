import assert from 'node:assert/strict';
import { test } from 'node:test';

import { intervalText, panelSpan, parseInterval, parseTime, spanOf, stepFor } from '../src/model/time';

const NOW = new Date(2026, 10, 24, 13, 45, 30, 500).getTime();
const local = (...parts: [number, number, ...number[]]) => new Date(...parts).getTime();

test('times', () => {
  for (const [text, ms] of [
    ['now', NOW],
    ['now-6h', NOW - 6 * 3600e3],
    ['now-1d', local(2026, 10, 23, 13, 45, 30, 500)],
    ['now/d', local(2026, 10, 24)],
    ['now-1d/d', local(2026, 10, 23)],
    ['now/h', local(2026, 10, 24, 13)],
    ['now/w', local(2026, 10, 23)],
    ['now/M', local(2026, 10, 1)],
    ['now-1M/M', local(2026, 9, 1)],
    ['now/y', local(2026, 0, 1)],
    ['now+5m', NOW + 300e3],
    ['1700000000000', 1700000000000],
    ['2026-11-24T00:00:00Z', Date.UTC(2026, 10, 24)],
    ['2026-11-24 10:00:00', local(2026, 10, 24, 10)],
  ] as const) {
    assert.equal(parseTime(text, NOW), ms, text);
  }
  assert.equal(parseTime('now/d', NOW, true), local(2026, 10, 25) - 1);
  for (const text of ['', 'later', 'now-', 'now-6x', 'now//d', 'now 6h', 'now-99999999999999y']) {
    assert.equal(parseTime(text, NOW), undefined, text);
  }
});

test('ranges', () => {
  assert.deepEqual(spanOf({ from: 'now-1h', to: 'now' }, NOW), { fromMs: NOW - 3600e3, toMs: NOW });
  assert.equal(spanOf({ from: 'now', to: 'now-1h' }, NOW), undefined);
  assert.equal(spanOf({ from: 'x', to: 'now' }, NOW), undefined);
  assert.deepEqual(panelSpan({ fromMs: 0, toMs: 10 }, NOW, '1h', undefined), { fromMs: NOW - 3600e3, toMs: NOW });
  assert.deepEqual(panelSpan({ fromMs: 5000, toMs: 10_000 }, NOW, undefined, '2s'), { fromMs: 3000, toMs: 8000 });
});

test('intervals', () => {
  assert.equal(parseInterval('1m30s'), 90_000);
  assert.equal(parseInterval('1.5h'), 5_400_000);
  for (const text of ['', '5', 'm', '1x', '1h ago']) assert.equal(parseInterval(text), undefined, text);
  assert.equal(intervalText(90_000), '90s');
  assert.equal(intervalText(3_600_000), '1h');
  assert.equal(intervalText(250), '250ms');
});

test('steps are round, not below the least, and never too many points', () => {
  assert.equal(stepFor({ fromMs: 0, toMs: 3_600_000 }, 720, 0), 5000);
  assert.equal(stepFor({ fromMs: 0, toMs: 3_600_000 }, 10_000, 15_000), 15_000);
  for (const hours of [1, 24, 24 * 365, 24 * 3650]) {
    const span = { fromMs: 0, toMs: hours * 3600e3 };
    for (const points of [1, 500, 2000, 1e6])
      assert.ok(span.toMs / stepFor(span, points, 1000) <= 11_000, `${hours} h`);
  }
});
