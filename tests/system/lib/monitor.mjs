// The program under test.
import { CIM_OPS, RULES } from './paths.mjs';
import { freePort } from './ports.mjs';
import { run, start } from './process.mjs';
import { scrape } from './exposition.mjs';
import { tempDir } from './scope.mjs';
import { until } from './wait.mjs';

/** Runs a verb to its end: `await cimOps(['rules', 'check'])` -> {code, signal, stdout, stderr}. */
export function cimOps(args, options) {
  return run(CIM_OPS, args, options);
}

/** Starts a verb that goes on; killed when the test ends. */
export function startCimOps(t, args, options) {
  return start(t, CIM_OPS, args, { name: `cim-ops ${args[0]}`, ...options });
}

/**
 * Starts `cim-ops monitor` and waits until it answers /healthz; with `caughtUp` until it has read all.
 *
 * @param {object} options
 * @param {string} options.nats URL of its server
 * @param {string} [options.dir] its state folder; default: a temporary one. Kept over restart()
 * @param {number} [options.port] default: a free one
 * @param {string[]} [options.args] more options, e.g. ['--first-zero', '0s']
 * @returns {Promise<Monitor>}
 */
export async function startMonitor(t, { caughtUp = true, ...options }) {
  const monitor = new Monitor(t, {
    ...options, dir: options.dir ?? await tempDir(t, 'state'), port: options.port ?? await freePort(),
  });
  await monitor.start({ caughtUp });
  return monitor;
}

export class Monitor {
  #t;
  #options;

  constructor(t, options) {
    this.#t = t;
    this.#options = options;
    this.url = `http://127.0.0.1:${options.port}`;
    this.dir = options.dir;
    this.port = options.port;
  }

  get address() {
    return `127.0.0.1:${this.port}`;
  }

  async start({ caughtUp = true } = {}) {
    this.launch();
    await until(async () => (await this.get('/healthz')).status === 200,
      { deadline: 20_000, alive: this.child, what: 'the monitor answers /healthz' });
    if (caughtUp) await this.caughtUp();
  }

  /** Starts the process and waits for nothing: for tests that kill it at a bad moment. */
  launch() {
    const { nats, rules = RULES, args = [], env } = this.#options;
    this.child = startCimOps(this.#t, ['monitor', '--nats', nats, '--state', this.dir,
      '--metrics-port', String(this.port), '--rules', rules, ...args], { env });
    return this.child;
  }

  async kill() {
    await this.child.kill();
  }

  /** kill -9 and start again on the same state and port. */
  async restart(options) {
    await this.kill();
    await this.start(options);
  }

  async get(path, headers) {
    const response = await fetch(this.url + path, { headers, signal: AbortSignal.timeout(10_000) });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  metrics(options) {
    return scrape(`${this.url}/metrics`, options);
  }

  /** Until /readyz says ready, and that nothing waits: every stream has been read to its end. */
  async caughtUp({ deadline = 30_000 } = {}) {
    let answer;
    await until(async () => (answer = await this.get('/readyz')).status === 200 &&
      JSON.parse(answer.text).behind === 0, {
      deadline, alive: this.child, what: () => `the monitor is ready; /readyz said: ${answer?.text}`,
    });
  }

  /** Until `condition(metrics)` holds; returns the metrics that met it. */
  async until(condition, { deadline = 10_000, what } = {}) {
    let seen;
    await until(async () => condition(seen = await this.metrics()),
      { deadline, every: 100, alive: this.child, what: what ?? `metrics fit ${condition}` });
    return seen;
  }
}
