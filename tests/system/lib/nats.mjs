// A real nats-server of the test's own, and the official client to talk to it.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { connect } from '@nats-io/transport-node';

import { REPOSITORY } from './paths.mjs';
import { freePort } from './ports.mjs';
import { start } from './process.mjs';
import { scopeOf, tempDir } from './scope.mjs';
import { until } from './wait.mjs';

const NEWEST = join(REPOSITORY, '.deps/bin/nats-server');

/**
 * The server program. `version` is 'newest' (what scripts/newest_nats.sh built), a path, or undefined:
 * $NATS_SERVER when set, else the one in PATH (Debian's).
 */
export function natsProgram(version) {
  if (version === 'newest') return NEWEST;
  return version ?? process.env.NATS_SERVER ?? 'nats-server';
}

/** For `{ skip: !hasNewestNats() && 'make newest-nats first' }`. */
export function hasNewestNats() {
  return existsSync(NEWEST);
}

export function natsVersion(version) {
  return execFileSync(natsProgram(version), ['--version'], { encoding: 'utf8' }).match(/v(\S+)/)[1];
}

/**
 * Starts a server on loopback and waits until it answers.
 *
 * @param {object} [options]
 * @param {number} [options.port] default: a free one; kept over restart()
 * @param {string} [options.dir] its folder; default: a temporary one
 * @param {boolean} [options.jetstream] default true
 * @param {string} [options.version] see natsProgram()
 * @param {string} [options.config] more lines for its configuration file, e.g. 'max_payload: 16MB'
 * @returns {{url, port, dir, httpUrl, child, kill, stop, restart, pause, resume}}
 */
export async function startNats(t, { port, dir, jetstream = true, version, config = '' } = {}) {
  dir ??= await tempDir(t, 'nats');
  const server = new NatsServer(t, { dir, jetstream, program: natsProgram(version), config });
  for (let tries = 1; ; tries++) {
    server.port = port ?? await freePort();
    server.httpPort = await freePort();
    try {
      await server.start();
      return server;
    } catch (error) {
      // Another process may have taken the port between our look and the server's.
      if (port || tries === 3 || !/address already in use/.test(error.message)) throw error;
    }
  }
}

class NatsServer {
  #t;
  #options;

  constructor(t, options) {
    this.#t = t;
    this.#options = options;
    this.dir = options.dir;
  }

  get url() {
    return `nats://127.0.0.1:${this.port}`;
  }

  get httpUrl() {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  async start() {
    const { dir, jetstream, program, config } = this.#options;
    await mkdir(dir, { recursive: true });
    const file = join(dir, 'nats-server.conf');
    await writeFile(file, `listen: "127.0.0.1:${this.port}"\nhttp: "127.0.0.1:${this.httpPort}"\n` +
      (jetstream ? `jetstream { store_dir: "${dir}/store" }\n` : '') + `${config}\n`);
    this.child = start(this.#t, program, ['-c', file], { name: 'nats-server' });
    // In a cluster it is well once there is a meta leader, which takes several elections now and then.
    await until(async () => (await fetch(`${this.httpUrl}/healthz`)).ok,
      { deadline: 60_000, every: 50, alive: this.child, what: 'nats-server answers' });
  }

  /** kill -9: what it had not written is gone, as after a crash of the process. */
  async kill() {
    await this.child.kill();
  }

  async stop() {
    await this.child.stop();
  }

  /** On the same port and folder; kills it first when it still runs. */
  async restart() {
    await this.kill();
    await this.start();
  }

  pause() {
    this.child.signal('SIGSTOP');
  }

  resume() {
    this.child.signal('SIGCONT');
  }

  /** The server's own view, e.g. monitorz('jsz', 'streams=true'). */
  async monitorz(endpoint, query = '') {
    return (await fetch(`${this.httpUrl}/${endpoint}?${query}`)).json();
  }
}

/** An official client, closed when the test ends. */
export async function connectNats(t, url, options = {}) {
  const connection = await connect({
    servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 100, ...options,
  });
  scopeOf(t).after(() => connection.close().catch(() => {}));
  return connection;
}
