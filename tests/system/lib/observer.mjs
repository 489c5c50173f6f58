// The observing agent, `cim-ops observe --print`, and the events that it tells.
import { startCimOps } from './monitor.mjs';
import { until } from './wait.mjs';

/**
 * Starts the agent; `sources` such as ['nats'].
 *
 * @param {object} [options] interval, args, env, node
 */
export function startObserver(t, sources, { interval = '300ms', args = [], env, node = 'here' } = {}) {
  return new Observer(t, ['observe', ...sources, '--print', '--interval', interval, '--node', node, ...args], env);
}

class Observer {
  /** {subject, type, id, data}, in the order in which they were told. */
  events = [];
  #rest = '';

  constructor(t, args, env) {
    this.child = startCimOps(t, args, { env, onStdout: (text) => this.#take(text) });
  }

  #take(text) {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop();
    for (const line of lines) {
      const { subject, payload } = JSON.parse(line);
      this.events.push({ subject, type: payload.event_type, id: payload.aggregate_id, data: payload.data });
    }
  }

  /** All of a type, from the `from`th event on. */
  of(type, fits = () => true, from = 0) {
    return this.events.slice(from).filter((event) => event.type === type && fits(event.data, event));
  }

  /** The first event of this type that fits, from now on or from mark() on; waits for it. */
  async told(type, fits, { from = 0, deadline = 30_000 } = {}) {
    return until(() => this.of(type, fits, from)[0], {
      deadline, alive: this.child,
      what: () => `${type}; told were ${JSON.stringify(this.#transitions(from).slice(-20))}`,
    });
  }

  #transitions(from) {
    return this.events.slice(from).filter((event) => !event.type.endsWith('Sampled'));
  }

  mark() {
    return this.events.length;
  }

  /** Until one more whole look has been told, begun after this call. */
  async look() {
    const sampled = (from) => this.of('SourceSampled', undefined, from);
    const from = this.mark();
    await until(() => sampled(from).length >= 2, { deadline: 30_000, alive: this.child, what: 'two more looks' });
  }
}
