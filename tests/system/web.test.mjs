// cim-ops web over HTTP: what pages get, what is refused, what a fault shows. The pages themselves: tests/ui.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, get as httpGet } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';

import { jetstream, jetstreamManager } from '@nats-io/jetstream';

import {
  cimOps,
  connectNats,
  freePort,
  listen,
  run,
  startNats,
  startPrometheus,
  startWeb,
  tempDir,
  until,
} from './lib/index.mjs';

const ID = (n) => `019f510c-7cb9-7884-9d79-${String(n).padStart(12, '0')}`;

/** An event of an agent: `n` of its id, what caused it, which request. */
const agent = (n, type, { aggregate = 1, cause, correlation = 8, ...extra } = {}) => [
  `agent.events.agent.${ID(aggregate)}.${type.toLowerCase()}`,
  {
    event_id: ID(n),
    aggregate_id: ID(aggregate),
    sequence: 1,
    event: { type, ...extra },
    timestamp: new Date().toISOString(),
    correlation_id: ID(correlation),
    causation_id: cause ? ID(cause) : null,
  },
];

/** One of a policy: these carry their ids. */
const policy = (n, type, { aggregate = 1, cause, correlation = 8 } = {}) => [
  `events.policy.${ID(aggregate)}.${type.toLowerCase()}`,
  {
    event_type: type,
    event_id: ID(n),
    policy_id: ID(aggregate),
    occurred_at: '2026-07-11T12:00:00Z',
    identity: { correlation_id: { kind: 'Single', value: ID(correlation) }, causation_id: cause ? ID(cause) : null },
  },
];

async function setUp(t, args = []) {
  const nats = await startNats(t);
  const connection = await connectNats(t, nats.url);
  const manager = await jetstreamManager(connection),
    js = jetstream(connection);
  await manager.streams.add({ name: 'AGENT', subjects: ['agent.events.>', 'events.policy.>'] });
  const publish = ([subject, body]) => js.publish(subject, typeof body === 'string' ? body : JSON.stringify(body));
  const web = await startWeb(t, { nats: nats.url, args });
  return { nats, manager, js, publish, web };
}

test('stored events: filtered, counted over time, and one of them in full', async (t) => {
  const { publish, web } = await setUp(t);
  for (let n = 1; n <= 30; n++) await publish(agent(n, n % 3 ? 'AgentDeployed' : 'AgentFailed', { attempt: n }));
  await publish(['agent.events.agent.x.y', 'no JSON']);
  const all = await web.json('/api/events?since=5m&limit=10');
  assert.equal(all.matched, 31);
  assert.equal(all.rows.length, 10);
  assert.equal(all.whole, true);
  assert.equal(
    all.buckets.reduce((sum, [n]) => sum + n, 0),
    31,
  );
  assert.equal(all.buckets.reduce((sum, [, failed]) => sum + failed, 0) >= 1, true);
  assert.equal(all.rows[0].malformed !== undefined, true, 'the newest is first');
  assert.deepEqual(
    all.rows.map(({ seq }) => seq),
    [31, 30, 29, 28, 27, 26, 25, 24, 23, 22],
  );

  const where = encodeURIComponent('$event_type ~ Failed and $payload.event.attempt > 20');
  const few = await web.json(`/api/events?where=${where}&domain=agent`);
  assert.deepEqual(
    few.rows.map(({ seq }) => seq),
    [30, 27, 24, 21],
  );
  assert.equal((await web.json('/api/events?domain=person')).matched, 0);

  const one = await web.json('/api/events/one?stream=AGENT&seq=30');
  assert.equal(one.event_type, 'AgentFailed');
  assert.equal(one.payload.event.attempt, 30);
  assert.equal(one.aggregate_id, ID(1));
  const broken = await web.json('/api/events/one?stream=AGENT&seq=31');
  assert.equal(broken.payload_text, 'no JSON');

  for (const [path, status, words] of [
    ['/api/events?where=%24domain%20%3D%3D', 400, /--where/],
    ['/api/events?since=yesterday', 400, /--since/],
    ['/api/events?limit=5000', 400, /limit: a number from 1 to 1000/],
    ['/api/events?limit=x', 400, /limit: a number/],
    ['/api/events/one?stream=AGENT&seq=18446744073709551615', 400, /stream and seq/],
    ['/api/events?stream=NONE', 404, /no stream 'NONE'; there is AGENT/],
    ['/api/events/one?stream=AGENT&seq=99', 404, /./],
    ['/api/events/one?stream=A.B%3E&seq=1', 400, /stream and seq/],
    ['/api/events/one', 400, /stream and seq/],
    ['/api/events/other', 404, /./],
    ['/api/streams/NONE', 404, /stream not found/],
  ]) {
    const response = await web.get(path);
    assert.equal(response.status, status, path);
    assert.match((await response.json()).error, words, path);
  }
});

test('what has to do with an event: its aggregate, its causes, its effects', async (t) => {
  const { publish, web } = await setUp(t);
  await publish(policy(1, 'PolicyCreated', { aggregate: 1, correlation: 50 }));
  await publish(policy(2, 'PolicyUpdated', { aggregate: 1, cause: 1, correlation: 51 }));
  await publish(policy(3, 'PolicyEvaluated', { aggregate: 2, cause: 2, correlation: 51 }));
  await publish(policy(4, 'PolicyEvaluated', { aggregate: 3, cause: 9, correlation: 52 }));
  const { rows, whole, all } = await web.json('/api/events/related?stream=AGENT&seq=2&span=1h');
  assert.deepEqual([whole, all], [true, true]);
  assert.deepEqual(
    rows.map(({ seq, relations }) => [seq, relations]),
    [
      [1, ['aggregate', 'cause']],
      [2, ['self', 'aggregate', 'correlation']],
      [3, ['correlation', 'effect']],
    ],
  );
});

test('a published event is at the listener within a second, and filters hold', async (t) => {
  const { publish, web } = await setUp(t);
  const all = await listen(`${web.url}/api/events/tail`);
  const failed = await listen(`${web.url}/api/events/tail?type=AgentFailed`);
  t.after(() => Promise.all([all.stop(), failed.stop()]));
  assert.equal(all.response.headers.get('content-type'), 'text/event-stream');
  const isLive = ({ events }) => events.some(({ event, data }) => event === 'state' && JSON.parse(data).connected);
  await until(() => isLive(all) && isLive(failed), { what: 'both are live' });
  // The first one may come before the stream's reader is there: it begins with what is new to it.
  await until(
    async () => {
      await publish(agent(1, 'AgentDeployed'));
      return all.events.some(({ event }) => event === 'message');
    },
    { every: 100 },
  );
  const began = performance.now();
  await publish(agent(2, 'AgentFailed'));
  await until(() => failed.events.some(({ data }) => data.includes('AgentFailed')));
  t.diagnostic(`published to listener: ${(performance.now() - began).toFixed(0)} ms`);
  assert.equal(failed.events.filter(({ event }) => event === 'message').length, 1);
  assert.equal((await web.get('/api/events/tail?where=%29')).status, 400);
  assert.equal((await web.get('/api/events/tail?where=%29').then((r) => r.json())).status, 'error');
});

test('the tail is filtered by subject, too', async (t) => {
  const { publish, web } = await setUp(t);
  const tail = await listen(`${web.url}/api/events/tail?subject=agent.events.agent.*.agentfailed`);
  t.after(() => tail.stop());
  let n = 0;
  await until(
    async () => {
      await publish(agent(++n, 'AgentDeployed'));
      await publish(agent(++n, 'AgentFailed'));
      return tail.events.some(({ event }) => event === 'message');
    },
    { every: 100 },
  );
  const shown = tail.events.filter(({ event }) => event === 'message').map(({ data }) => JSON.parse(data).event_type);
  assert.deepEqual([...new Set(shown)], ['AgentFailed']);
});

test('a stream that is deleted and made anew while it is followed: its events come, from the first on', async (t) => {
  const { manager, publish, web } = await setUp(t);
  for (let n = 1; n <= 20; n++) await publish(agent(n, 'AgentDeployed'));
  const tail = await listen(`${web.url}/api/events/tail`);
  t.after(() => tail.stop());
  const rows = () => tail.events.filter(({ event }) => event === 'message').map(({ data }) => JSON.parse(data));
  await until(
    async () => {
      await publish(agent(1, 'AgentDeployed'));
      return rows().length > 0;
    },
    { every: 100 },
  );
  await manager.streams.delete('AGENT');
  await manager.streams.add({ name: 'AGENT', subjects: ['agent.events.>'] });
  for (let n = 1; n <= 3; n++) await publish(agent(n, 'AgentActivated'));
  const anew = () => rows().filter(({ event_type }) => event_type === 'AgentActivated');
  await until(() => anew().length === 3, { deadline: 20_000, what: 'the events of the new stream' });
  assert.deepEqual(
    anew().map(({ seq }) => seq),
    [1, 2, 3],
  );
});

test('streams with odd names; one that nobody can read keeps no other from being read', async (t) => {
  const { manager, web, js } = await setUp(t);
  const names = ['q"uote', "a'b", '日本', 'x&y=z', 'a+b', 'a#b?c'];
  for (const [i, name] of ['A%20B', ...names].entries()) {
    await manager.streams.add({ name, subjects: [`events.person.${i}.>`] });
    await js.publish(`events.person.${i}.born`, '{}');
  }
  const { rows, whole } = await web.json('/api/events');
  assert.equal(whole, true);
  assert.deepEqual(rows.map(({ stream }) => stream).sort(), [...names].sort());
  for (const name of names.map(encodeURIComponent)) {
    for (const path of ['events?', 'events/one?seq=1&', 'events/related?seq=1&', 'events/payload?seq=1&'])
      assert.equal((await web.get(`/api/${path}stream=${name}`)).status, 200, `${path}${name}`);
    assert.equal((await web.get(`/api/streams/${name}`)).status, 200, name);
  }
  const named = await web.get(`/api/events/payload?seq=1&stream=${encodeURIComponent('q"uote')}`);
  assert.match(named.headers.get('content-disposition'), /^attachment; filename="[\w-]+\.json"$/);
  assert.match((await web.json(`/api/events?stream=${encodeURIComponent('A%20B')}`)).error, /'%' in its name/);
  const tail = await listen(`${web.url}/api/events/tail`);
  t.after(() => tail.stop());
  await until(
    async () => {
      await js.publish('events.person.0.born', '{}');
      await js.publish('events.person.3.born', '{}');
      return tail.events.some(({ data }) => data.includes('日本'));
    },
    { every: 100 },
  );
});

test('NATS goes and comes back: said, and the tail goes on', async (t) => {
  const { nats, publish, web } = await setUp(t);
  const tail = await listen(`${web.url}/api/events/tail`);
  t.after(() => tail.stop());
  const states = () =>
    tail.events.filter(({ event }) => event === 'state').map(({ data }) => JSON.parse(data).connected);
  await until(() => states().at(-1) === true);
  await nats.kill();
  await until(() => states().at(-1) === false, { what: 'the tail says that NATS is away' });
  assert.equal((await web.get('/healthz')).status, 200);
  const response = await web.get('/api/streams');
  assert.equal(response.status, 502);
  assert.match((await response.json()).error, /NATS|server|connection/i);
  await nats.start();
  await until(() => states().at(-1) === true, { deadline: 30_000, what: 'the tail is live again' });
  const before = tail.events.length;
  await until(
    async () => {
      await publish(agent(7, 'AgentDeployed')).catch(() => {});
      return tail.events.slice(before).some(({ data }) => data.includes('AgentDeployed'));
    },
    { every: 200, deadline: 30_000 },
  );
});

test('a payload of 5 MB and one of HTML', async (t) => {
  const nats = await startNats(t, { config: 'max_payload: 8MB' });
  const connection = await connectNats(t, nats.url),
    js = jetstream(connection);
  await (await jetstreamManager(connection)).streams.add({ name: 'AGENT', subjects: ['agent.events.>'] });
  const web = await startWeb(t, { nats: nats.url });
  const [subject, body] = agent(1, 'AgentDeployed', { note: '<script>x</script>', blob: 'x'.repeat(5_000_000) });
  await js.publish(subject, JSON.stringify(body));
  const one = await web.json('/api/events/one?stream=AGENT&seq=1');
  assert.equal(one.payload_cut, true);
  assert.equal(one.payload_text.length, 256 * 1024);
  assert.equal(one.payload_bytes, JSON.stringify(body).length);
  const whole = await web.get('/api/events/payload?stream=AGENT&seq=1');
  assert.match(whole.headers.get('content-disposition'), /^attachment/);
  assert.equal(await whole.text(), JSON.stringify(body));
});

test('Prometheus: only what reads, within limits, as it answers', async (t) => {
  const prometheus = await startPrometheus(t, {});
  const web = await startWeb(t, { prometheus: prometheus.url });
  const ask = async (path, options) => {
    const response = await web.get(`/api/prometheus/api/v1/${path}`, options);
    return [response.status, await response.json()];
  };
  const [status, answer] = await ask('query?query=1%2B1');
  assert.equal(status, 200);
  assert.equal(answer.data.result[1], '2');
  const now = Date.now() / 1000;
  const range = (from, step) =>
    ask('query_range', {
      method: 'POST',
      body: new URLSearchParams({ query: 'vector(1)', start: now - from, end: now, step }),
    });
  assert.equal((await range(60, 5))[1].data.result[0].values.length, 13);
  for (const [[code, { error }], wanted, words] of [
    [await range(11_001, 1), 400, /more than 11000 points/],
    [await range(60, 0), 400, /step above 0/],
    [await range(-60, 1), 400, /behind the start/],
    [await range(6 * 366 * 86400, 86400), 400, /longer than 5 years/],
    [await ask('query_range?query=1&start=x&end=1&step=1'), 400, /numbers of seconds/],
    [await ask(`query?query=${'1'.repeat(17000)}`, {}), 400, /longer than 16 KiB/],
    [await ask('query?query=1&evil=1'), 400, /'evil' is not handed on/],
    [await ask('query?query=1%2B'), 400, /parse error/],
    [await ask('admin/tsdb/delete_series?match[]=up'), 403, /not among/],
    [await ask('status/config'), 403, /not among/],
    [await ask('label/a%2F..%2Fb/values'), 403, /not among/],
  ]) {
    assert.equal(code, wanted, error);
    assert.match(error, words);
  }
  assert.equal((await web.get('/api/prometheus/api/v1/query', { method: 'PUT' })).status, 405);
  const about = await web.json('/api/about');
  assert.deepEqual(about.prometheus, { url: prometheus.url, reached: true, scrape_interval: '1s' });
});

test('Prometheus away: said in words, with its address and without its password', async (t) => {
  const port = await freePort();
  const web = await startWeb(t, { prometheus: `http://user:hunter2@127.0.0.1:${port}/` });
  const response = await web.get('/api/prometheus/api/v1/query?query=1');
  assert.equal(response.status, 502);
  const text = await response.text();
  assert.match(text, new RegExp(`127\\.0\\.0\\.1:${port}: it does not answer`));
  const about = await (await web.get('/api/about')).text();
  for (const shown of [text, about, web.child.stdout, web.child.stderr]) assert.doesNotMatch(shown, /hunter2/);
});

test('what is no Prometheus, or answers never: said; the end is not waited for', async (t) => {
  let answer = () => {};
  const server = createServer((request, response) => answer(response)).listen(0, '127.0.0.1');
  t.after(() => (server.closeAllConnections(), server.close()));
  await until(() => server.address());
  const web = await startWeb(t, { prometheus: `http://127.0.0.1:${server.address().port}` });
  const ask = () => web.get('/api/prometheus/api/v1/query?query=1', { redirect: 'manual' });
  for (const [status, headers, body] of [
    [200, {}, 'garbage'],
    [200, { 'content-type': 'text/html' }, '<html>'],
    [302, { location: 'http://elsewhere.example/' }, ''],
    [204, {}, ''],
    [503, { 'content-type': 'text/plain' }, 'Service Unavailable'],
  ]) {
    answer = (response) => response.writeHead(status, headers).end(body);
    const got = await ask();
    assert.equal(got.status, 502);
    assert.match((await got.json()).error, new RegExp(`status ${status}\\).*--prometheus`));
    assert.equal((await web.json('/api/about')).prometheus.reached, false);
  }
  const asked = new Promise((resolve) => (answer = resolve));
  const waiting = ask().catch(() => {});
  const tail = await listen(`${web.url}/api/events/tail`);
  await asked;
  const began = performance.now();
  const { code } = await web.child.stop();
  t.diagnostic(`ended within ${(performance.now() - began).toFixed(0)} ms`);
  assert.equal(code, 0);
  await Promise.all([waiting, tail.stop()]);
});

test('dashboards of the site: listed, read anew, broken ones with what is wrong', async (t) => {
  const dir = await tempDir(t, 'boards');
  await mkdir(join(dir, 'below'));
  await writeFile(join(dir, 'a.json'), JSON.stringify({ uid: 'mine', title: 'Mine', tags: ['x'] }));
  await writeFile(join(dir, 'below/b.json'), JSON.stringify({ title: 'No uid' }));
  await writeFile(join(dir, 'broken.json'), '{\n"title": oops}');
  await writeFile(join(dir, 'list.json'), '[]');
  await writeFile(join(dir, 'notes.txt'), 'no dashboard');
  const web = await startWeb(t, { args: ['--dashboards', dir] });
  const own = async () => (await web.json('/api/dashboards')).filter(({ shipped }) => !shipped);
  assert.deepEqual((await own()).map(({ uid }) => uid).sort(), ['b', 'broken', 'list', 'mine']);
  assert.match((await own()).find(({ uid }) => uid === 'broken').problem, /broken\.json line 2/);
  assert.match((await own()).find(({ uid }) => uid === 'list').problem, /object was expected/);
  assert.equal((await web.get('/api/dashboards/broken')).status, 422);
  assert.equal((await web.get('/api/dashboards/none')).status, 404);
  assert.equal((await web.json('/api/dashboards/mine')).title, 'Mine');
  await writeFile(join(dir, 'a.json'), JSON.stringify({ uid: 'mine', title: 'Changed' }));
  assert.equal((await web.json('/api/dashboards/mine')).title, 'Changed');
});

const raw = (url, headers) =>
  new Promise((resolve, reject) => {
    httpGet(url, { headers }, (response) => resolve(response.resume())).on('error', reject);
  });

test('safe by default: policy, loopback, foreign names and sites', async (t) => {
  const web = await startWeb(t);
  const page = await web.get('/d/anything');
  assert.equal(page.status, 200);
  const policy = page.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self';/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.doesNotMatch(await page.text(), /<script>|style=|onload/);
  assert.equal((await raw(web.url, { Host: 'rebound.example' })).statusCode, 403);
  assert.equal((await raw(web.url, { Host: `localhost:${new URL(web.url).port}` })).statusCode, 200);
  assert.equal((await raw(web.url, { Host: 'LocalHost' })).statusCode, 200);
  for (const [site, status] of [
    ['cross-site', 403],
    ['same-site', 403],
    ['same-origin', 200],
    ['none', 200],
  ])
    assert.equal((await raw(`${web.url}/api/about`, { 'Sec-Fetch-Site': site })).statusCode, status, site);
  const known = { accept: 'text/html', 'If-None-Match': page.headers.get('etag') };
  const mistyped = await web.get('/dashbords', { headers: known });
  assert.match(await mistyped.clone().text(), /<div id="app">/);
  assert.deepEqual([mistyped.status, mistyped.headers.get('content-type')], [404, 'text/html; charset=utf-8']);
  for (const path of [
    '/../etc/passwd',
    '/ui/app.js',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/api/runbooks/..%2fui%2findex.html',
  ]) {
    assert.equal((await raw(web.url + path)).statusCode, 404, path);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    assert.equal((await web.get('/api/dashboards', { method })).status, 405, method);
  }
  const script = await web.get('/app.js');
  assert.equal((await web.get('/app.js', { headers: { 'If-None-Match': script.headers.get('etag') } })).status, 304);
  assert.match(await web.get('/api/runbooks/MonitorDown').then((r) => r.text()), /^# /);
});

test('wrong options: in words, with the exit code of usage', async (t) => {
  const key = join(await tempDir(t, 'key'), 'key.pem');
  await writeFile(key, '-', { mode: 0o644 });
  for (const [args, code, words] of [
    [['--prometheus', 'nowhere'], 2, /--prometheus: an address such as/],
    [['--dashboards', '/nowhere'], 2, /\/nowhere: a folder/],
    [['--rules', '/nowhere'], 2, /\/nowhere/],
    [['--web-cert', '/nowhere', '--web-key', '/nowhere'], 2, /\/nowhere: cannot open/],
    [['--web-cert', key, '--web-key', key], 2, /key\.pem: everybody on this machine may read it/],
    [['--web-cert', key], 2, /belong together/],
    [['--bind', 'here'], 2, /'here' is no IP address/],
    [['--bind', 'localhost'], 2, /'localhost' is no IP address/],
  ]) {
    const { code: got, stderr } = await cimOps(['web', '--port', '0', ...args]);
    assert.equal(got, code, stderr);
    assert.match(stderr, words);
  }
});

test('other machines: only with TLS and users; a wrong password is none, and too many end', async (t) => {
  const dir = await tempDir(t, 'users');
  const [users, tokens, cert, key] = ['users', 'tokens', 'cert.pem', 'key.pem'].map((name) => join(dir, name));
  const made = await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
  ]);
  assert.equal(made.code, 0, made.stderr);
  for (const [args, words] of [
    [[], /takes TLS .* and users/],
    [['--web-cert', cert, '--web-key', key], /takes TLS .* and users/],
    [['--users', users], /takes TLS .* and users/],
  ]) {
    const { code, stderr } = await cimOps(['web', '--port', '0', '--bind', '0.0.0.0', ...args]);
    assert.equal(code, 4, stderr);
    assert.match(stderr, words);
  }
  const short = await cimOps(['web', '--users', users, '--add-user', 'ann'], { input: 'short\n' });
  assert.equal(short.code, 2);
  assert.match(short.stderr, /5 characters: 12 to 1024/);
  const added = await cimOps(['web', '--users', users, '--add-user', 'ann'], { input: 'correct horse battery\n' });
  assert.equal(added.code, 0, added.stderr);
  const { stdout: token } = await cimOps(['web', '--tokens', tokens, '--add-token']);
  assert.match(token, /^[\w-]{43}\n$/);
  const wrongKey = await cimOps(['web', '--port', '0', '--web-cert', cert, '--web-key', users, '--users', users]);
  assert.equal(wrongKey.code, 2);
  assert.match(wrongKey.stderr, /certificate and its key/);

  const web = await startWeb(t, {
    args: ['--bind', '0.0.0.0', '--web-cert', cert, '--web-key', key, '--users', users, '--tokens', tokens],
  });
  const { port, protocol } = new URL(web.url);
  assert.equal(protocol, 'https:');
  const ask = async (...args) => {
    const { code, stdout, stderr } = await run('curl', [
      '-s',
      '--cacert',
      cert,
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      ...args,
      `https://localhost:${port}/api/dashboards`,
    ]);
    assert.equal(code, 0, stderr);
    return Number(stdout);
  };
  assert.equal(await ask(), 401);
  assert.equal(await ask('-u', 'ann:correct horse battery'), 200);
  assert.equal(await ask('-H', `Authorization: Bearer ${token.trim()}`), 200);
  assert.equal(await ask('-u', 'ann:correct horse batter'), 401);
  // Who may not come in is told before the body is read.
  const early = await run('curl', [
    ...['-s', '--cacert', cert, '-m', '5', '-w', '%{http_code}', '-o', '/dev/null', '-X', 'POST'],
    ...['-H', 'Content-Length: 4000000', '-H', 'Expect:'],
    `https://localhost:${port}/api/prometheus/api/v1/query`,
  ]);
  assert.equal(early.stdout, '401', 'without its body');
  const plain = await run('curl', ['-s', `http://localhost:${port}/`]);
  assert.notEqual(plain.code, 0, 'plain HTTP is not spoken');
  // One address has half of the connections at most.
  const held = Array.from({ length: 140 }, () => connect(Number(port), '127.0.0.1').on('error', () => {}));
  t.after(() => held.forEach((one) => one.destroy()));
  await until(() => held.filter((one) => one.closed).length >= 12, { what: 'those above half are turned away' });
  assert.ok(held.filter((one) => !one.closed).length >= 100);
  held.forEach((one) => one.destroy());
  let last = 401;
  for (let i = 0; i < 12 && last === 401; i++) last = await ask('-H', 'Authorization: Bearer guess');
  assert.equal(last, 429);
  assert.equal(await ask('-u', 'ann:correct horse battery'), 200, 'who was right before still is');
  for (const text of [web.child.stdout, web.child.stderr]) assert.doesNotMatch(text, /correct horse|guess/);
});
