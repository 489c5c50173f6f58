// Child processes that cannot be left behind: killed and awaited when the test ends, and killed by the
// kernel (parent death signal) when the test runner itself dies.
import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

import { scopeOf } from './scope.mjs';
import { slowness, until } from './wait.mjs';

const OUTPUT_MAX = 4 << 20; // characters kept of each stream; the oldest go first

export class Child {
  #child;
  #ended;
  stdout = '';
  stderr = '';
  /** null while it runs, then {code, signal} */
  exit = null;

  constructor(program, args, { name, cwd, env, stdin, onStdout } = {}) {
    this.name = name ?? program.split('/').at(-1);
    this.command = [program, ...args];
    // setpriv executes the program in its own place: pid and streams are the program's.
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
      cwd, env: { ...process.env, ...env }, stdio: [stdin ?? 'ignore', 'pipe', 'pipe'],
    });
    this.#collect('stdout', onStdout);
    this.#collect('stderr');
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.stderr += `${error.message}\n`;
        this.exit ??= { code: 127, signal: null };
        resolve(this.exit);
      });
      this.#child.once('close', (code, signal) => {
        this.exit ??= { code, signal };
        resolve(this.exit);
      });
    });
  }

  #collect(stream, listener = () => {}) {
    const decoder = new StringDecoder('utf8');
    this.#child[stream].on('data', (bytes) => {
      const text = decoder.write(bytes);
      this[stream] = (this[stream] + text).slice(-OUTPUT_MAX);
      listener(text);
    });
  }

  get pid() {
    return this.#child.pid;
  }

  get stdin() {
    return this.#child.stdin;
  }

  get output() {
    return this.stdout + this.stderr;
  }

  get running() {
    return this.exit === null;
  }

  /** For failure texts: the command, how it ended, the end of what it printed. */
  describe() {
    const state = this.exit
      ? `ended with ${this.exit.signal ?? `exit code ${this.exit.code}`}` : `running (pid ${this.pid})`;
    return `${this.name} ${state}: ${this.command.join(' ')}\n${this.output.slice(-4000)}`;
  }

  /** Sends a signal; does nothing once the process has ended. */
  signal(name) {
    if (this.running) this.#child.kill(name);
  }

  /** Resolves with {code, signal} when the process has ended and its output is complete. */
  ended() {
    return this.#ended;
  }

  /** Resolves with {code, signal}; fails when it has not ended by the deadline. */
  async wait({ deadline = 10_000 } = {}) {
    await until(() => this.exit, { deadline, what: () => `end of ${this.describe()}` });
    return this.#ended;
  }

  /** kill -9, and gone when this resolves. */
  async kill() {
    this.signal('SIGKILL');
    return this.#ended;
  }

  /** Asks it to end, fails (and kills it) when it does not within the deadline. */
  async stop({ signal = 'SIGTERM', deadline = 10_000 } = {}) {
    this.signal(signal);
    try {
      return await this.wait({ deadline });
    } finally {
      await this.kill();
    }
  }

  /** The match of `pattern` in what it printed so far, waiting for it. */
  async printed(pattern, { deadline } = {}) {
    return until(() => this.output.match(pattern),
      { deadline, alive: this, what: `${this.name} prints ${pattern}` });
  }
}

/** Starts a program that is killed, at the latest, when the test ends. */
export function start(t, program, args = [], options = {}) {
  const child = new Child(program, args, options);
  scopeOf(t).after(() => child.kill());
  return child;
}

/**
 * Runs a program to its end: {code, signal, stdout, stderr}. `input` is written to its standard input.
 * Never throws for an exit code; throws when the deadline passes (the program is killed then).
 */
export async function run(program, args = [], { deadline = 30_000, input, ...options } = {}) {
  const child = new Child(program, args, { ...options, stdin: input === undefined ? 'ignore' : 'pipe' });
  if (input !== undefined) {
    child.stdin.on('error', () => {}); // a program may end without reading all of it
    child.stdin.end(input);
  }
  const timer = setTimeout(() => child.signal('SIGKILL'), deadline * slowness());
  const { code, signal } = await child.ended();
  clearTimeout(timer);
  if (signal === 'SIGKILL') throw new Error(`killed after ${deadline} ms: ${child.describe()}`);
  return { code, signal, stdout: child.stdout, stderr: child.stderr };
}

/** Is there a process with this pid (zombies do not count)? */
export async function pidAlive(pid) {
  const { readFile } = await import('node:fs/promises');
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return !['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2)[0]);
  } catch {
    return false;
  }
}
