// The test tools themselves: real servers start, are killed and leave nothing behind.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { jetstream, jetstreamManager } from '@nats-io/jetstream';

import {
  Metrics, Scope, connectNats, pidAlive, run, startAlertmanager, startNats, startPrometheus,
  startReceiver, tempDir, until,
} from './lib/index.mjs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

test('an exposition is read back with labels, escapes and special values', () => {
  const metrics = new Metrics([
    '# HELP a_total What it is.', '# TYPE a_total counter',
    'a_total{x="1",y="q\\"uo\\\\te\\n, }"} 7', 'a_total{y="",x="2"} 1.5e3 1700000000000',
    'b +Inf', 'c_bucket{le="1"} 3 # {trace="t"} 0.5', '# EOF', '',
  ].join('\n'));
  assert.equal(metrics.get('a_total', { y: 'q"uo\\te\n, }', x: '1' }), 7);
  assert.equal(metrics.get('a_total', { x: '2' }), 1500, 'an empty label is an absent one');
  assert.equal(metrics.get('b'), Infinity);
  assert.equal(metrics.sum('a_total'), 1507);
  assert.equal(metrics.sum('a_total', { x: '3' }), undefined, 'absent is not zero');
  assert.equal(metrics.get('c_bucket', { le: '1' }), 3);
  assert.equal(metrics.types.get('a_total'), 'counter');
  assert.throws(() => new Metrics('a 1\na 2\n'), /repeats/);
  assert.throws(() => new Metrics('a{x=1} 1\n'), /bad labels/);
});

test('until names what it waited for and what it saw', async () => {
  await assert.rejects(until(() => { throw new Error('not there'); }, { deadline: 50, what: 'the sea' }),
    /the sea: not within .*not there/);
});

test('run gives exit code and output, and kills what takes too long', async () => {
  const done = await run('sh', ['-c', 'cat; echo no >&2; exit 3'], { input: 'in' });
  assert.deepEqual(done, { code: 3, signal: null, stdout: 'in', stderr: 'no\n' });
  await assert.rejects(run('sleep', ['100'], { deadline: 100 }), /killed after/);
  assert.equal((await run('/no/such/program')).code, 127);
});

test('nats-server keeps what it acknowledged over kill -9 and a restart', async (t) => {
  const nats = await startNats(t);
  const connection = await connectNats(t, nats.url);
  await (await jetstreamManager(connection)).streams.add({ name: 'S', subjects: ['s.>'] });
  await jetstream(connection).publish('s.a', '{}');
  const first = nats.child.pid;
  await nats.restart();
  assert.notEqual(nats.child.pid, first);
  const info = await until(async () => (await jetstreamManager(connection)).streams.info('S'));
  assert.equal(info.state.messages, 1);
});

test('what a scope started is gone when it closes', async () => {
  const scope = new Scope();
  const nats = await startNats(scope);
  nats.pause();
  assert.equal(await pidAlive(nats.child.pid), true);
  await scope.close();
  assert.equal(await pidAlive(nats.child.pid), false);
});

test('Prometheus scrapes, Alertmanager passes an alert on', async (t) => {
  const receiver = await startReceiver(t);
  const configFile = join(await tempDir(t), 'alertmanager.yml');
  await writeFile(configFile, JSON.stringify({
    route: { receiver: 'hook', group_wait: '0s' },
    receivers: [{ name: 'hook', webhook_configs: [{ url: receiver.url }] }],
  }));
  const alertmanager = await startAlertmanager(t, { configFile });
  const prometheus = await startPrometheus(t, { targets: { alertmanager: [alertmanager.address] } });
  await until(async () => (await prometheus.query('up')).some(({ value }) => value === 1));
  await alertmanager.post([{ labels: { alertname: 'Made' } }]);
  const { body } = await receiver.received(({ body: b }) => b?.alerts?.length);
  assert.equal(body.alerts[0].labels.alertname, 'Made');
});
