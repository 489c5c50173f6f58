// Key-value buckets (src/bus/kv.h), driven through kv_tool, beside the official client: what one writes the
// other reads. No verb of cim-ops is needed for it.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';

import { jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';

import { CIM_OPS, connectNats, start, startNats, until } from './lib/index.mjs';

const PROBLEM = 1, USAGE = 2, UNREACHABLE = 3, REFUSED = 4;
const KV_TOOL = join(dirname(CIM_OPS), 'tests/system/kv_tool');

/** Our code, one call after the other on one connection. */
class Tool {
  #waiting = [];
  #partial = '';

  constructor(t, url, bucket) {
    this.bucket = bucket;
    this.child = start(t, KV_TOOL, [url], { stdin: 'pipe', name: 'kv_tool', onStdout: (text) => this.#read(text) });
    this.child.stdin.on('error', () => {});
    this.child.ended().then(() => this.#waiting.splice(0).forEach(({ reject }) =>
      reject(new Error(this.child.describe()))));
  }

  #read(text) {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop();
    for (const line of lines) this.#waiting.shift().resolve(JSON.parse(line));
  }

  call(op, request = {}) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.child.stdin.write(`${JSON.stringify({ op, bucket: this.bucket, ...request })}\n`);
    });
  }

  async ok(op, request) {
    const answer = await this.call(op, request);
    assert.equal(answer.ok, true, `${op} ${JSON.stringify(request)}: ${answer.error}`);
    return answer;
  }

  async fails(code, op, request) {
    const answer = await this.call(op, request);
    assert.equal(answer.ok, false, `${op} ${JSON.stringify(request)} should fail`);
    assert.equal(answer.code, code, answer.error);
    return answer;
  }
}

/** A server, our code, and the official client on one bucket that our code made. */
async function both(t, config = {}, nats = {}) {
  const server = await startNats(t, nats);
  const connection = await connectNats(t, server.url);
  const tool = new Tool(t, server.url, 'B');
  await tool.ok('ensure', config);
  const manager = await jetstreamManager(connection);
  return { server, tool, connection, manager, kv: await new Kvm(connection).open('B') };
}

describe('buckets', () => {
  test('are made as the official client makes them', async (t) => {
    const server = await startNats(t);
    const connection = await connectNats(t, server.url);
    const tool = new Tool(t, server.url, 'OURS');
    const made = await tool.ok('ensure', { history: 5, max_bytes: 1 << 20, description: 'for a test' });
    assert.equal(made.created, true);
    await new Kvm(connection).create('THEIRS', { history: 5, max_bytes: 1 << 20, description: 'for a test' });
    const manager = await jetstreamManager(connection);
    const { config: ours } = await manager.streams.info('KV_OURS');
    const { config: theirs } = await manager.streams.info('KV_THEIRS');
    assert.deepEqual(ours.subjects, ['$KV.OURS.>']);
    assert.equal(ours.deny_delete, true); // ADR-8; this client leaves it out
    for (const config of [ours, theirs]) {
      for (const key of ['name', 'subjects', 'deny_delete']) delete config[key];
    }
    assert.deepEqual(ours, theirs);
  });

  test('stay as they are when they are there, tell about themselves, and go', async (t) => {
    const { tool, kv } = await both(t, { history: 3 });
    assert.equal((await tool.ok('ensure', { history: 7 })).created, false);
    const began = Date.now();
    for (let i = 0; i < 5; i++) await kv.put('a', `${i}`);
    await kv.put('b.c', 'x');
    await kv.delete('b.c');
    const info = await tool.ok('info');
    const status = await kv.status();
    assert.deepEqual({ keys: info.keys, values: info.values, history: info.history, last_seq: info.last_seq },
      { keys: 2, values: 5, history: 3, last_seq: 7 });
    assert.equal(info.values, status.values);
    assert.equal(info.bytes, status.size);
    assert.deepEqual([info.max_bytes, info.max_value_size], [-1, -1]);
    assert.ok(Math.abs(info.created_ns / 1e6 - began) < 60_000);
    await tool.ok('drop');
    await tool.fails(PROBLEM, 'drop');
    await tool.fails(PROBLEM, 'info');
  });

  test('that are not there', async (t) => {
    const server = await startNats(t);
    const tool = new Tool(t, server.url, 'NONE');
    for (const op of ['info', 'get', 'put', 'update', 'delete', 'purge', 'each', 'drop']) {
      const { error } = await tool.fails(PROBLEM, op, { key: 'a', value: 'v' });
      assert.match(error, /there is no bucket NONE/);
    }
    await tool.fails(USAGE, 'ensure', { history: 65 });
    for (const bucket of ['', 'a.b', 'a b', '*', 'é', 'x'.repeat(201)]) {
      await tool.fails(USAGE, 'ensure', { bucket });
      await tool.fails(USAGE, 'get', { bucket, key: 'a' });
    }
  });
});

describe('keys', () => {
  test('what we write the official client reads, and the other way round', async (t) => {
    const { tool, kv } = await both(t, { history: 4 });
    const keys = ['a', 'workflow.0197f0c4-aa7b', '-/_=.x', 'x=20y', 'k'.repeat(500)];
    for (const key of keys) {
      const value = `value of ${key} \u00e9\u{1f600}\n"quoted"`;
      const { revision } = await tool.ok('put', { key, value });
      const entry = await kv.get(key);
      assert.deepEqual([entry.string(), entry.revision, entry.operation], [value, revision, 'PUT']);
      const theirs = await kv.put(key, `${value} again`);
      const got = await tool.ok('get', { key });
      assert.deepEqual([got.value, got.revision], [`${value} again`, theirs]);
    }
    await tool.ok('put', { key: 'empty', value: '' });
    assert.equal((await tool.ok('get', { key: 'empty' })).value, '');
    assert.equal((await kv.get('empty')).operation, 'PUT');
    assert.equal((await tool.fails(PROBLEM, 'get', { key: 'other' })).revision, 0);
    for (const key of ['', '.', 'a..b', '.a', 'a.', 'a b', '*', 'a.>', 'é', 'x'.repeat(2049)]) {
      for (const op of ['get', 'put', 'update', 'delete', 'purge']) await tool.fails(USAGE, op, { key });
    }
  });

  test('markers: deleted and purged, by us and by them', async (t) => {
    const { tool, kv, manager } = await both(t, { history: 4 });
    for (const key of ['d', 'p', 'their-d', 'their-p']) {
      await tool.ok('put', { key, value: '1' });
      await tool.ok('put', { key, value: '2' });
    }
    await tool.ok('delete', { key: 'd' });
    await tool.ok('purge', { key: 'p' });
    await kv.delete('their-d');
    await kv.purge('their-p');
    assert.equal((await kv.get('d')).operation, 'DEL');
    assert.equal((await kv.get('p')).operation, 'PURGE');
    for (const [key, kept] of [['d', 3], ['p', 1], ['their-d', 3], ['their-p', 1]]) {
      const { revision, error } = await tool.fails(PROBLEM, 'get', { key });
      assert.match(error, /was deleted/);
      assert.equal(revision, (await kv.get(key)).revision);
      const info = await manager.streams.info('KV_B', { subjects_filter: `$KV.B.${key}` });
      assert.equal(info.state.subjects[`$KV.B.${key}`], kept, key);
    }
    const { entries } = await tool.ok('each');
    assert.deepEqual(entries.map((e) => [e.key, e.deleted, e.value]),
      [['d', true, ''], ['p', true, ''], ['their-d', true, ''], ['their-p', true, '']]);
    const keys = [];
    for await (const key of await kv.keys()) keys.push(key);
    assert.deepEqual(keys, []);
    await tool.ok('delete', { key: 'never' });
  });

  test('compare and set', async (t) => {
    const { tool, kv } = await both(t);
    const { revision } = await tool.ok('update', { key: 'a', value: '1', revision: 0 });
    await tool.fails(REFUSED, 'update', { key: 'a', value: 'x', revision: 0 });
    const second = await tool.ok('update', { key: 'a', value: '2', revision });
    const { error } = await tool.fails(REFUSED, 'update', { key: 'a', value: 'x', revision });
    assert.match(error, /has another revision by now/);
    await tool.fails(REFUSED, 'update', { key: 'nothing', value: 'x', revision: 9 });
    const theirs = await kv.update('a', '3', second.revision);
    await tool.fails(REFUSED, 'update', { key: 'a', value: 'x', revision: second.revision });
    await tool.ok('update', { key: 'a', value: '4', revision: theirs });
    assert.equal((await kv.get('a')).string(), '4');
    // A marker does not stand in the way of a new beginning, whoever left it.
    for (const gone of [() => tool.ok('delete', { key: 'a' }), () => tool.ok('purge', { key: 'a' }),
      () => kv.delete('a'), () => kv.purge('a')]) {
      await gone();
      await tool.ok('update', { key: 'a', value: 'anew', revision: 0 });
      await tool.fails(REFUSED, 'update', { key: 'a', value: 'x', revision: 0 });
    }
    await tool.ok('delete', { key: 'a' });
    assert.ok(await kv.create('a', 'theirs'));
    await assert.rejects(kv.create('a', 'again'), /wrong last sequence/);
  });

  test('nobody loses an update to another', async (t) => {
    const { server, tool, kv } = await both(t);
    const other = new Tool(t, server.url, 'B');
    let refused = 0;
    const add = async (read, write) => {
      for (let done = 0; done < 40;) {
        const { value, revision } = await read();
        if (await write(`${Number(value) + 1}`, revision)) done++;
        else refused++;
      }
    };
    const by = (one) => add(() => one.ok('get', { key: 'n' }), async (value, revision) => {
      const answer = await one.call('update', { key: 'n', value, revision });
      if (!answer.ok) assert.equal(answer.code, REFUSED, answer.error);
      return answer.ok;
    });
    await tool.ok('put', { key: 'n', value: '0' });
    await Promise.all([by(tool), by(other), add(
      async () => {
        const entry = await kv.get('n');
        return { value: entry.string(), revision: entry.revision };
      },
      (value, revision) => kv.update('n', value, revision).then(() => true, () => false))]);
    assert.equal((await tool.ok('get', { key: 'n' })).value, '120');
    assert.ok(refused > 0, 'they got in each other\'s way');
  });

  test('a bucket that is full, a value that is too large', async (t) => {
    const { tool, kv } = await both(t, { max_bytes: 100_000 }, { config: 'max_payload: 64KB' });
    const value = 'v'.repeat(40_000);
    await tool.ok('put', { key: 'a', value });
    await tool.ok('put', { key: 'b', value });
    const { error } = await tool.fails(PROBLEM, 'put', { key: 'c', value });
    assert.match(error, /maximum bytes exceeded/);
    assert.equal(await kv.get('c'), null);
    assert.equal((await tool.ok('get', { key: 'a' })).value, value);
    const large = await tool.fails(PROBLEM, 'put', { key: 'c', value: 'v'.repeat(65_000) });
    assert.match(large.error, /the server takes messages of 65536/);
  });
});

describe('all keys', () => {
  test('the newest value of each, in the order of revisions; filters', async (t) => {
    const { tool, kv } = await both(t, { history: 3 });
    assert.deepEqual((await tool.ok('each')).entries, []);
    for (let i = 0; i < 4; i++) {
      for (const key of ['a.1', 'a.2', 'a.2.x', 'b.1']) await kv.put(key, `${key} ${i}`);
    }
    await kv.put('a.1', 'last');
    const { entries } = await tool.ok('each');
    assert.deepEqual(entries.map((e) => [e.key, e.value, e.revision]),
      [['a.2', 'a.2 3', 14], ['a.2.x', 'a.2.x 3', 15], ['b.1', 'b.1 3', 16], ['a.1', 'last', 17]]);
    for (const e of entries) assert.equal(Math.floor(e.stored_at_ns / 1e6), (await kv.get(e.key)).created.getTime());
    const keysOf = async (request) => (await tool.ok('each', request)).entries.map((e) => e.key);
    assert.deepEqual(await keysOf({ filter: 'a.*' }), ['a.2', 'a.1']);
    assert.deepEqual(await keysOf({ filter: 'a.>' }), ['a.2', 'a.2.x', 'a.1']);
    assert.deepEqual(await keysOf({ filter: 'b.1' }), ['b.1']);
    assert.deepEqual(await keysOf({ filter: 'c.>' }), []);
    assert.deepEqual(await keysOf({ most: 2 }), ['a.2', 'a.2.x']);
  });

  test('many, while one is written to', async (t) => {
    for (const history of [1, 3]) {
      const { tool, kv } = await both(t, { history });
      await Promise.all(Array.from({ length: 3000 }, (_, i) => kv.put(`k.${i}`, `v${i}`)));
      const { entries } = await tool.ok('each', { meanwhile: { put: 'k.2999' } });
      assert.equal(entries.length, 3000);
      assert.equal(new Set(entries.map((e) => e.key)).size, 3000);
      assert.ok(entries.every((e, i) => !i || e.revision > entries[i - 1].revision));
      assert.ok(['v2999', 'meanwhile'].includes(entries.at(-1).value));
      assert.equal((await tool.ok('each', { filter: 'k.2999' })).entries[0].value, 'meanwhile');
    }
  });

  /** Lists 500 keys, and calls `deed` once the first has come. */
  async function interrupted(t, deed) {
    const all = await both(t);
    for (let i = 0; i < 500; i++) await all.tool.ok('put', { key: `k.${i}`, value: `v${i}` });
    const listing = all.tool.ok('each', { meanwhile: { pause_ms: 2500 } });
    await until(() => all.tool.child.stderr.includes('paused'), { what: 'the first key came' });
    await deed(all);
    return (await listing).entries;
  }

  test('a consumer that is lost on the way', async (t) => {
    const entries = await interrupted(t, async ({ manager, kv }) => {
      await kv.put('k.0', 'again');
      await kv.put('k.499', 'new');
      for await (const { name } of manager.consumers.list('KV_B')) await manager.consumers.delete('KV_B', name);
    });
    assert.deepEqual(entries.filter((e) => e.key === 'k.0').map((e) => e.value), ['v0', 'again']);
    assert.deepEqual(entries.filter((e) => e.key === 'k.499').map((e) => e.value), ['new']);
    assert.equal(entries.length, 501);
    assert.ok(entries.every((e, i) => !i || e.revision > entries[i - 1].revision));
  });

  test('a server that is killed on the way', async (t) => {
    const entries = await interrupted(t, ({ server }) => server.restart());
    assert.deepEqual(entries.map((e) => e.key), Array.from({ length: 500 }, (_, i) => `k.${i}`));
  });

  test('keys that go on the way', async (t) => {
    const entries = await interrupted(t, ({ manager }) => manager.streams.purge('KV_B', { seq: 490 }));
    assert.ok(entries.length < 500);
    assert.deepEqual(entries.slice(-11).map((e) => e.key), Array.from({ length: 11 }, (_, i) => `k.${489 + i}`));
  });

  test('all keys go on the way', async (t) => {
    const entries = await interrupted(t, ({ manager }) => manager.streams.purge('KV_B'));
    assert.ok(entries.length > 0 && entries.length < 500);
  });
});

test('without a server it is unreachable, and works again when it is back', async (t) => {
  const { server, tool } = await both(t);
  await tool.ok('put', { key: 'a', value: '1' });
  await server.kill();
  for (const op of ['get', 'put', 'info', 'each', 'ensure', 'drop']) await tool.fails(UNREACHABLE, op, { key: 'a' });
  await server.start();
  await until(async () => (await tool.call('get', { key: 'a' })).value === '1', { what: 'the value is there' });
});

test('without JetStream it is unreachable', async (t) => {
  const server = await startNats(t, { jetstream: false });
  const tool = new Tool(t, server.url, 'B');
  for (const op of ['ensure', 'get', 'put', 'each']) await tool.fails(UNREACHABLE, op, { key: 'a' });
});
