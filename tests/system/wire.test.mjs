// The reading connection: TLS, credentials and clusters, as every client of NATS has them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { credsAuthenticator } from '@nats-io/transport-node';
import { createAccount, createOperator, createUser } from '@nats-io/nkeys';

import { connectNats, freePort, startMonitor, startNats, tempDir, until } from './lib/index.mjs';
import { counted, publish } from './monitor_tools.mjs';

const QUICK = ['--first-zero', '0s'];

async function streams(connection, config = {}) {
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: 'CIM-OPS', subjects: ['ops.>'], ...config });
  await manager.streams.add({ name: 'CIM-EVENTS', subjects: ['infrastructure.>'], ...config });
  return jetstream(connection);
}

/** An authority, and a certificate of it for 127.0.0.1, in a folder of the test's own. */
async function certificates(t) {
  const dir = await tempDir(t, 'tls');
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const authority = (name) => openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.pem`);
  authority('ca');
  authority('stranger');
  const issue = async (name, names) => {
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`,
      '-keyout', `${name}.key`, '-out', `${name}.csr`);
    await writeFile(join(dir, `${name}.ext`), `subjectAltName=${names}\n`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days',
      '2', '-extfile', `${name}.ext`, '-out', `${name}.pem`);
  };
  await issue('server', 'IP:127.0.0.1,DNS:localhost');
  await issue('client', 'DNS:client');
  return (name) => join(dir, name);
}

// --- JSON web tokens of a NATS operator, as nsc makes them -------------------------------------------

function token(issuer, subject, name, nats) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = { jti: `${name}-${process.pid}`, iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(), name, sub: subject.getPublicKey(), nats: { version: 2, ...nats } };
  const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(body)}`;
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
}

async function operatorMode(t) {
  const dir = await tempDir(t, 'creds');
  const operator = createOperator(), account = createAccount(), system = createAccount(), user = createUser();
  const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const store = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const operatorToken = token(operator, operator, 'O', { type: 'operator', system_account: system.getPublicKey() });
  const accounts = {
    [account.getPublicKey()]: token(operator, account, 'A', { type: 'account', limits: { ...limits, ...store } }),
    [system.getPublicKey()]: token(operator, system, 'SYS', { type: 'account', limits }),
  };
  const config = `operator: ${operatorToken}\nsystem_account: ${system.getPublicKey()}\nresolver: MEMORY\n` +
    `resolver_preload: {\n${Object.entries(accounts).map(([key, value]) => `${key}: ${value}`).join('\n')}\n}`;
  const userToken = token(account, user, 'U', { type: 'user', subs: -1, data: -1, payload: -1 });
  const seed = Buffer.from(user.getSeed()).toString();
  const file = join(dir, 'user.creds');
  await writeFile(file, `-----BEGIN NATS USER JWT-----\n${userToken}\n------END NATS USER JWT------\n\n` +
    `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`);
  return { config, file, userToken, seed };
}

describe('wire', { concurrency: 3 }, () => {
  test('TLS with certificates on both sides and a password', async (t) => {
    const at = await certificates(t);
    const nats = await startNats(t, { config: `authorization { user: u, password: "p@ss" }
      tls { cert_file: "${at('server.pem')}", key_file: "${at('server.key')}", ca_file: "${at('ca.pem')}",
        verify: true }` });
    const tls = { caFile: at('ca.pem'), certFile: at('client.pem'), keyFile: at('client.key') };
    const js = await streams(await connectNats(t, nats.url, { user: 'u', pass: 'p@ss', tls }));
    await publish(js, 500);
    const mine = ['--tls-cert', at('client.pem'), '--tls-key', at('client.key')];
    const url = `nats://u:p%40ss@127.0.0.1:${nats.port}`;
    const monitor = await startMonitor(t, { nats: url, args: [...QUICK, '--tls-ca', at('ca.pem'), ...mine] });
    await monitor.until((m) => counted(m) === 500);
    // An authority that did not sign the server's certificate: no link, no event, and no word of the password.
    const stranger = await startMonitor(t, { nats: url, caughtUp: false,
      args: [...QUICK, '--tls-ca', at('stranger.pem'), ...mine] }).catch((error) => ({ error }));
    if (!stranger.error) assert.equal((await stranger.child.wait()).code, 3);
    assert.doesNotMatch(stranger.error?.message ?? stranger.child.stderr, /p@ss/);
  });

  test('credentials of an operator: a token and a signed nonce', async (t) => {
    const { config, file } = await operatorMode(t);
    const nats = await startNats(t, { config });
    const js = await streams(await connectNats(t, nats.url,
      { authenticator: credsAuthenticator(await readFile(file)) }));
    await publish(js, 300);
    const monitor = await startMonitor(t, { nats: nats.url, args: [...QUICK, '--creds', file] });
    await monitor.until((m) => counted(m) === 300);
    await nats.restart(); // a new nonce
    await until(() => publish(js, 1).then(() => true), { every: 200, deadline: 20_000 });
    await monitor.until((m) => counted(m) >= 301, { deadline: 20_000 });
  });

  test('a cluster: only one server is named, it goes, and reading goes on by another', async (t) => {
    const ports = await Promise.all([1, 2, 3].map(() => freePort()));
    const routes = ports.map((port) => `nats-route://127.0.0.1:${port}`).join(', ');
    const servers = await Promise.all(ports.map((port, i) => startNats(t, { config: `server_name: n${i}
      cluster { name: C, listen: "127.0.0.1:${port}", routes: [${routes}] }` })));
    const connection = await connectNats(t, servers.map((s) => s.url));
    const js = await until(() => streams(connection, { num_replicas: 3 }).catch(() => undefined),
      { every: 300, deadline: 40_000 });
    await publish(js, 200);
    const monitor = await startMonitor(t, { nats: servers[0].url, args: QUICK });
    await monitor.until((m) => counted(m) === 200);
    await servers[0].kill();
    await until(() => publish(js, 1).then(() => true), { every: 300, deadline: 30_000 });
    await publish(js, 99);
    const stored = async () => (await (await jetstreamManager(connection)).streams.info('CIM-EVENTS')).state.messages;
    const all = await until(stored, { every: 300, deadline: 30_000 }); // its leader may be new, too
    await monitor.until((m) => counted(m) >= all, { deadline: 30_000 });
    await monitor.caughtUp();
    assert.equal(counted(await monitor.metrics()), all);
  });
});
