// What several pages share: loading, times, problems in words.
import { useEffect, useState } from 'preact/hooks';

export interface Loaded<T> {
  value?: T;
  problem?: string;
}

/** Loads when `key` changes, and every `everyMs` while the page is seen; what was there stays until the new is. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>, key: string, everyMs?: number): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T> & { key?: string }>({});
  useEffect(() => {
    const stop = new AbortController();
    let isRunning = false; // one at a time, however slow the answers are
    const run = async () => {
      if (isRunning) return;
      isRunning = true;
      try {
        const value = await load(stop.signal);
        if (!stop.signal.aborted) setLoaded({ value, key });
      } catch (error) {
        if (!stop.signal.aborted) setLoaded((before) => ({ ...before, problem: (error as Error).message, key }));
      }
      isRunning = false;
    };
    void run();
    const timer = everyMs ? setInterval(() => !document.hidden && void run(), everyMs) : undefined;
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [key, everyMs]);
  return loaded.key === key ? loaded : { problem: undefined };
}

export function Problem({ text }: { text?: string }) {
  return text ? (
    <p class="wrong" role="alert">
      {text}
    </p>
  ) : null;
}

const two = (n: number) => String(n).padStart(2, '0');

/** 14:03:27.671, with the date when it is not today's. */
export function clock(text: string | undefined, withMs = true): string {
  const at = text ? new Date(text) : undefined;
  if (!at || Number.isNaN(at.getTime())) return text ?? '';
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const ms = withMs ? `.${String(at.getMilliseconds()).padStart(3, '0')}` : '';
  const isToday = at.toDateString() === new Date().toDateString();
  return (isToday ? '' : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `) + time + ms;
}

export function ago(text: string | undefined, nowMs = Date.now()): string {
  const at = text ? Date.parse(text) : NaN;
  if (Number.isNaN(at) || at <= 0) return 'never';
  const s = Math.max(0, (nowMs - at) / 1000);
  if (s < 1.5) return 'just now';
  if (s < 90) return `${Math.round(s)} s ago`;
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129_600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86_400)} days ago`;
}

/** 90 s, 15 min, 36 h, 30 days: as long as it is, in the largest unit that says it in whole numbers. */
export function duration(ns: number): string {
  const units: [number, string][] = [
    [86_400, 'days'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const s = ns / 1e9;
  const [size, unit] = units.find(([one]) => s >= 2 * one && s % one === 0) ?? [1, 's'];
  return `${Number((s / size).toFixed(3))} ${unit}`;
}

export const count = (n: number | undefined) => (n === undefined ? '–' : n.toLocaleString('en-US'));

export function bytes(n: number | undefined): string {
  if (n === undefined) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) {
    n /= 1024;
    at++;
  }
  return `${n >= 100 || at === 0 ? n.toFixed(0) : n.toFixed(1)} ${units[at]}`;
}

export type Health = 'good' | 'warning' | 'bad' | 'unknown';

/** A dot with a word: colour is never the only sign. */
export function State({ health, children }: { health: Health; children: preact.ComponentChildren }) {
  return (
    <span class={`state ${health}`}>
      <span class="dot" aria-hidden="true" />
      {children}
    </span>
  );
}
