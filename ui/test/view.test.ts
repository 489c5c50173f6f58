import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readDashboard } from '../src/model/dashboard';
import { applyOptions, fieldColor, show, valueColor } from '../src/model/field';
import { makeField, makeFrame } from '../src/model/frames';
import { duration } from '../src/view/common';
import { partsOf } from '../src/view/route';

test('parts of an address; what is no encoded text stays as it is', () => {
  assert.deepEqual(partsOf('/events/a%20b/1'), ['', 'events', 'a b', '1']);
  assert.deepEqual(partsOf('/d/%zz/100%/%C3%28'), ['', 'd', '%zz', '100%', '%C3%28']);
});

test('how long a stream keeps its messages', () => {
  const S = 1e9;
  assert.equal(duration(600 * S), '10 min');
  assert.equal(duration(90 * S), '90 s');
  assert.equal(duration(5400 * S), '90 min');
  assert.equal(duration(36 * 3600 * S), '36 h');
  assert.equal(duration(30 * 86_400 * S), '30 days');
  assert.equal(duration(0.5 * S), '0.5 s');
});

test('numbers of panels that cannot be counted on from are not taken, and each panel has its own', () => {
  const { panels } = readDashboard({ panels: [1e300, 1e300, 1.5, '7', 7, null].map((id) => ({ id, type: 'stat' })) });
  assert.equal(new Set(panels.map(({ id }) => id)).size, 6);
  assert.ok(panels.every(({ id }) => Number.isSafeInteger(id)));
});

test('options of a wrong kind are left out, of defaults and of overrides', () => {
  for (const bad of [null, 5, 'x', [], {}, [null], { a: null }, true, -1, 1e308]) {
    const { panels } = readDashboard({
      panels: [
        {
          type: 'stat',
          options: { reduceOptions: bad, legend: { calcs: bad } },
          fieldConfig: {
            defaults: {
              ...{ unit: bad, decimals: bad, min: bad, displayName: bad, noValue: bad, mappings: [bad], links: [bad] },
              color: { mode: 'fixed', fixedColor: bad },
              thresholds: { mode: 'percentage', steps: [bad, { value: bad, color: bad }] },
              custom: bad,
            },
            overrides: [
              {
                matcher: { id: 'byType', options: 'number' },
                properties: ['unit', 'displayName', 'color', 'thresholds', 'mappings', 'links', 'custom'].map((id) => ({
                  id,
                  value: bad,
                })),
              },
            ],
          },
        },
      ],
    });
    assert.notEqual(panels[0]!.options.reduceOptions, null);
    const frames = [makeFrame('A', [makeField('v', 'number', [1, 2, null])])];
    const [field] = applyOptions(frames, panels[0]!.fieldConfig, new Map())[0]!.fields;
    for (const value of [1, null, NaN, 'text']) {
      assert.equal(typeof show(field!, value).text, 'string');
      assert.match(valueColor(field!, value), /./);
    }
    assert.match(fieldColor(field!, 0), /./);
  }
});

test('a mapping of null says nothing, and keeps no other from it', () => {
  const mappings = [
    { type: 'value', options: { 1: null } },
    { type: 'value', options: { 1: { text: 'one', color: {} } } },
  ];
  const frames = [makeFrame('A', [makeField('v', 'number', [1])])];
  const config = { defaults: { mappings } } as unknown as Parameters<typeof applyOptions>[1];
  assert.equal(show(applyOptions(frames, config, new Map())[0]!.fields[0]!, 1).text, 'one');
});
