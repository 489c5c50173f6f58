// Projections that are killed at bad moments, or do not fit.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { Kvm } from '@nats-io/kv';

import { until } from './lib/index.mjs';
import { EVENTS, setUp, publishEvents, refusedWith, editRecord, projectionRules } from './replay_tools.mjs';

for (const moment of ['before anything is switched', 'in the middle of the switch', 'when the switch is done']) {
  test(`kv: killed ${moment}`, async (t) => {
    const { js, connection, manager, replay, start, last, dir } = await setUp(t);
    const rules = await projectionRules(dir);
    const keys = 3000;
    await publishEvents(js, keys, keys);
    const kv = await new Kvm(connection).create('CIM_PROJECTIONS', { history: 1 });
    for (let i = 0; i < 40; i++) await kv.put(`workflow.w${i * 70}`, `old ${i * 70}`);
    await kv.put('workflow.gone', 'old');
    const child = start('--rules', rules, '--domain', 'workflow', '--target', 'kv:', '--keep-old');
    // Seen by somebody who watches, and killed there and then.
    const watched = moment.startsWith('before')
      ? 'ops.replay.>'
      : moment.startsWith('in')
        ? '$KV.CIM_PROJECTIONS.>'
        : '$KV.CIM_REPLAYS.>';
    const wanted = (message) =>
      moment.startsWith('before')
        ? message.subject.endsWith('ProjectionVerified')
        : moment.startsWith('in') || message.string().includes('"switched":true');
    let seen = false;
    connection.subscribe(watched, {
      callback: (_, message) => {
        if (!seen && wanted(message)) {
          seen = true;
          child.signal('SIGKILL');
        }
      },
    });
    await until(() => child.exit, { deadline: 60_000 });
    assert.ok(seen, child.describe());
    const { id } = await last();
    const resumed = await replay('--resume', id, '--rules', rules);
    // It may have been done before the kill came through.
    assert.ok(resumed.code === 0 || (child.exit.code === 0 && resumed.code === 4), resumed.stderr + child.describe());
    assert.equal((await last()).state, 'done');
    for (let i = 0; i < keys; i += 97) assert.deepEqual((await kv.get(`workflow.w${i}`)).json().value, { seen: 1 });
    assert.equal((await manager.streams.info('KV_CIM_PROJECTIONS')).state.num_subjects, keys + 1);
    assert.equal((await kv.get('workflow.gone')).operation, 'DEL');
    // The copy is of what was there before the switch began, not of what was half switched.
    const old = await new Kvm(connection).open(`CIM_PROJECTIONS_OLD_${id}`);
    for (let i = 0; i < 40; i++) assert.equal((await old.get(`workflow.w${i * 70}`)).string(), `old ${i * 70}`);
    assert.equal((await manager.streams.info(`KV_CIM_PROJECTIONS_OLD_${id}`)).state.num_subjects, 41);
    const names = (await manager.streams.list().next()).map(({ config }) => config.name);
    assert.ok(!names.some((name) => name.includes('_NEW_')), names.join());
    assert.equal((await replay('verify', id, '--rules', rules)).code, 0);
  });
}

test('kv: what was built is gone, other rules, too little room, too large a document', async (t) => {
  const { js, connection, manager, replay, start, last, dir } = await setUp(t, EVENTS, { config: 'max_payload: 64KB' });
  const rules = await projectionRules(dir);
  await publishEvents(js, 600, 200);
  const target = ['--rules', rules, '--domain', 'workflow', '--target'];
  const child = start(...target, 'kv:ONE', '--rate', '50');
  // Its first checkpoint, after 5 of 12 s.
  await until(async () => (await last())?.figures?.replayed > 100, { alive: child, deadline: 20_000 });
  await child.kill();
  const { id } = await last();
  const others = await projectionRules(
    join(dir, 'others'),
    'projections:\n  - name: other\n    fold:\n      count: other\n',
  ).catch(async () => {
    await mkdir(join(dir, 'others'));
    return projectionRules(join(dir, 'others'), 'projections:\n  - name: other\n    fold:\n      count: other\n');
  });
  refusedWith(await replay('--resume', id, '--rules', others), 4, /are not those that replay .* began with/);
  await manager.streams.delete(`KV_ONE_NEW_${id}`);
  await editRecord(connection, id, (record) => {
    record.options.rate = 0;
  });
  const again = await replay('--resume', id, '--rules', rules);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /verified 200 documents/);
  refusedWith(await replay('verify', id, '--rules', others), 4, /are not those/);

  // What is of others takes room, too, and either all is switched or nothing.
  const small = await new Kvm(connection).create('SMALL', { history: 1, max_bytes: 60_000 });
  for (let i = 0; i < 4; i++) await small.put(`other.${i}`, 'x'.repeat(9000));
  refusedWith(
    await replay(...target, 'kv:SMALL'),
    4,
    /bucket SMALL holds 60000 bytes at most.*raise its max_bytes; nothing in it was changed/,
  );
  assert.equal((await manager.streams.info('KV_SMALL')).state.messages, 4);
  await manager.streams.update('KV_SMALL', { max_bytes: 200_000 });
  assert.equal((await replay('--resume', (await last()).id, '--rules', rules)).code, 0);
  await new Kvm(connection).create('NARROW', { history: 1, maxValueSize: 100 });
  refusedWith(await replay(...target, 'kv:NARROW'), 4, /takes values of 100 bytes at most.*nothing in it was changed/);

  await writeFile(
    join(rules, 'projections.yaml'),
    'projections:\n  - name: all\n    fold:\n      append: {all: $payload.*.pad}\n      limit: 10000\n',
  );
  await publishEvents(js, 10, 1, { prefix: 'large', pad: 'y'.repeat(9000) });
  refusedWith(
    await replay('--rules', rules, '--aggregate', 'large0', '--target', 'kv:LARGE'),
    5,
    /document workflow\.large0 has \d+ bytes.*raise its max_payload/,
  );
});

// --- who goes on ---------------------------------------------------------------------------------
