// Whatever a test starts is undone when it ends, passed or failed: last started, first undone.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * The owner of started things where there is no test context: in `before`/`after` hooks of a suite, or
 * in a script. Everything here that takes `t` takes a Scope as well.
 *
 *     const scope = new Scope();
 *     after(() => scope.close());
 */
export class Scope {
  #undo = [];

  after(fn) {
    this.#undo.push(fn);
  }

  async close() {
    const errors = [];
    for (let fn = this.#undo.pop(); fn; fn = this.#undo.pop()) {
      try {
        await fn();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length) throw new AggregateError(errors, errors.map((e) => e.message).join('; '));
  }
}

const scopes = new WeakMap();

/** The scope of a test context. Node runs `t.after` in the order of registration; we need the reverse. */
export function scopeOf(t) {
  if (t instanceof Scope) return t;
  if (!scopes.has(t)) {
    const scope = new Scope();
    scopes.set(t, scope);
    t.after(() => scope.close());
  }
  return scopes.get(t);
}

/** A fresh folder, removed when the test ends (kept, and named, with CIM_OPS_KEEP=1). */
export async function tempDir(t, name = 'test') {
  const dir = await mkdtemp(join(tmpdir(), `cim-ops-${name}-`));
  scopeOf(t).after(async () => {
    if (process.env.CIM_OPS_KEEP) console.error(`kept: ${dir}`);
    else await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  });
  return dir;
}
