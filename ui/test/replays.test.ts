import assert from 'node:assert/strict';
import { test } from 'node:test';

import { shareOf, stateOf, type Replay } from '../src/view/replays';

const replay = (more: Partial<Replay>): Replay => ({
  id: 'r',
  state: 'running',
  target: '-',
  started_at: '2026-11-28T10:00:00Z',
  updated_at: '2026-11-28T10:01:00Z',
  ...more,
});

test('a replay that is not written to any more is broken off', () => {
  const at = Date.parse('2026-11-28T10:01:00Z');
  assert.equal(stateOf(replay({}), at + 10_000), 'running');
  assert.equal(stateOf(replay({}), at + 16_000), 'broken off');
  assert.equal(stateOf(replay({ state: 'done' }), at + 1e9), 'done');
});

test('the share of what was chosen', () => {
  const streams = [
    { name: 'A', first: 11, cut: 20 },
    { name: 'B', first: 1, cut: 30 },
  ];
  assert.equal(shareOf(replay({})), undefined);
  assert.equal(shareOf(replay({ selection: { streams } })), 0);
  assert.equal(shareOf(replay({ selection: { streams }, positions: { A: 21, B: 11 } })), 0.5);
  // Followed past the cut: all of it, not more.
  assert.equal(shareOf(replay({ selection: { streams }, positions: { A: 500, B: 500 } })), 1);
});
