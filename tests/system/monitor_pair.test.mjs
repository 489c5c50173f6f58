// Two monitors on one stream agree to the byte: the checksums of their states, at equal sequences.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startMonitor, until } from './lib/index.mjs';
import { publish, withServer } from './monitor_tools.mjs';

const STREAM = 'CIM-EVENTS';
const ARGS = ['--first-zero', '0s', '--snapshot-interval', '200ms', '--checksum-interval', '1s'];

/** Collects what a monitor shows: sequence -> checksum. One sequence has one checksum. */
class Checksums {
  seen = new Map();

  async look(monitor) {
    const metrics = await monitor.metrics();
    const sequence = metrics.get('cim_monitor_state_checksum_sequence', { stream: STREAM });
    if (sequence === undefined) return undefined;
    const checksum = metrics.get('cim_monitor_state_checksum', { stream: STREAM });
    assert.ok(Number.isSafeInteger(checksum), `${checksum}`);
    assert.equal(this.seen.get(sequence) ?? checksum, checksum, `two checksums of sequence ${sequence}`);
    this.seen.set(sequence, checksum);
    return sequence;
  }
}

describe('pair', () => {
  test('checksums agree at each sequence, over a kill -9; one that missed an event differs', async (t) => {
    const { nats, js, manager } = await withServer(t, { [STREAM]: ['infrastructure.>'] });
    const first = await startMonitor(t, { nats: nats.url, args: ARGS });
    const second = await startMonitor(t, { nats: nats.url, args: ARGS });
    const one = new Checksums(), two = new Checksums();
    let published = 0;
    const send = async (count) => {
      await publish(js, count, 'server', `Type${published}`);
      published += count;
    };
    for (let round = 0; round < 4; round++) {
      if (round === 1) await second.kill();
      if (round === 2) await second.start();
      await send(700);
      // The window ends, nothing comes: the sum is that of the head.
      await until(async () => await one.look(first) === published, { deadline: 20_000 });
      if (round !== 1) await until(async () => await two.look(second) === published, { deadline: 20_000 });
    }
    // And while messages keep coming, at sequences that neither of the two chose.
    let stop = false;
    const traffic = (async () => { while (!stop) await send(20); })();
    const common = () => [...one.seen.keys()].filter((sequence) => two.seen.has(sequence));
    const idle = common().length;
    await until(async () => {
      await Promise.all([one.look(first), two.look(second)]);
      return common().length >= idle + 2;
    }, { deadline: 30_000 });
    stop = true;
    await traffic;
    for (const sequence of common()) assert.equal(one.seen.get(sequence), two.seen.get(sequence), `${sequence}`);
    assert.ok(new Set(one.seen.values()).size > 5, 'another state has another checksum');

    await manager.streams.deleteMessage(STREAM, 5);
    const third = await startMonitor(t, { nats: nats.url, args: ARGS });
    const three = new Checksums();
    await until(async () => await three.look(third) === published, { deadline: 20_000 });
    await until(async () => await one.look(first) === published, { deadline: 20_000 });
    assert.notEqual(three.seen.get(published), one.seen.get(published));
  });
});
