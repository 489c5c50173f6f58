// Asking the server: a few requests at once, each with an end, errors in words.

export class Problem extends Error {
  constructor(
    message: string,
    readonly status = 0,
  ) {
    super(message);
  }
}

const AT_ONCE = 6;
const TIMEOUT_MS = 30_000;

let running = 0;
const waiting: (() => void)[] = [];

async function turn(signal?: AbortSignal): Promise<void> {
  if (running < AT_ONCE) {
    running++;
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const go = () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    };
    const stop = () => {
      const at = waiting.indexOf(go);
      if (at >= 0) waiting.splice(at, 1);
      reject(signal!.reason);
    };
    waiting.push(go);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** The place of the one that ends goes to the next. */
function done(): void {
  const next = waiting.shift();
  if (next) next();
  else running--;
}

export function wordsOf(status: number, body: string): string {
  try {
    const { error, message } = JSON.parse(body) as { error?: string; message?: string };
    if (error || message) return String(error ?? message);
  } catch {
    /* not JSON: its first line, then */
  }
  return body.trim().split('\n')[0]?.slice(0, 300) || `HTTP status ${status}`;
}

export async function getJson<T>(
  path: string,
  { signal, body }: { signal?: AbortSignal; body?: URLSearchParams } = {},
): Promise<T> {
  signal?.throwIfAborted();
  await turn(signal);
  try {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(path, {
      method: body ? 'POST' : 'GET',
      body,
      headers: { accept: 'application/json' },
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    const text = await response.text();
    if (!response.ok) throw new Problem(wordsOf(response.status, text), response.status);
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new Problem('the answer is no JSON');
    }
  } catch (error) {
    if (error instanceof Problem || signal?.aborted) throw error;
    if ((error as Error).name === 'TimeoutError') throw new Problem(`no answer within ${TIMEOUT_MS / 1000} s`);
    throw new Problem('the server cannot be reached');
  } finally {
    done();
  }
}
