// Waiting for a condition instead of sleeping: poll until it holds, or fail with what was seen last.
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Calls `condition` until it returns something truthy, and returns that. A condition that throws counts
 * as "not yet"; its last error is named when the deadline passes.
 *
 * @param {() => any} condition may be async
 * @param {object} [options]
 * @param {number} [options.deadline] milliseconds from now, default 10 s (x5 under a sanitizer)
 * @param {number} [options.every] milliseconds between tries
 * @param {string|(() => any)} [options.what] what is awaited; a function is called for the failure text
 * @param {{exit: any, describe: () => string}} [options.alive] a Child: fail at once when it has ended
 */
export async function until(condition, { deadline = 10_000, every = 20, what, alive } = {}) {
  const ends = performance.now() + deadline * slowness();
  let last;
  for (;;) {
    try {
      last = await condition();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (alive?.exit) throw new Error(`${label(what, condition)}: ${alive.describe()}`);
    if (performance.now() >= ends) {
      throw new Error(`${label(what, condition)}: not within ${deadline * slowness()} ms; ` +
        `last: ${last instanceof Error ? last.message : JSON.stringify(last)}` +
        (alive ? `\n${alive.describe()}` : ''));
    }
    await pause(every);
  }
}

/** Rejects when `promise` has not settled in time; for things that cannot be polled. */
export async function within(promise, deadline, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadline} ms`)), deadline);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Deadlines are stretched by this factor: CIM_OPS_SLOW=5 is what test.sh sets for sanitizer builds. */
export function slowness() {
  return Number(process.env.CIM_OPS_SLOW ?? 1);
}

function label(what, condition) {
  if (typeof what !== 'function') return what ?? String(condition);
  try {
    return String(what());
  } catch (error) {
    return `${condition} (${error.message})`;
  }
}
