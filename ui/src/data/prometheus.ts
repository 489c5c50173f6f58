// Prometheus through the server's proxy: queries, and the questions that variables ask.
import type { PromData } from '../model/prometheus';
import { parseInterval, type Span } from '../model/time';
import { getJson, Problem } from './client';

const BASE = '/api/prometheus/api/v1/';

interface Answer<T> {
  status: string;
  data: T;
  error?: string;
  warnings?: string[];
}

export async function askPrometheus<T>(
  path: string,
  parameters: Record<string, string>,
  signal?: AbortSignal,
  post = false,
): Promise<{ data: T; warnings: string[] }> {
  const words = new URLSearchParams(parameters);
  const answer = await getJson<Answer<T>>(post ? BASE + path : `${BASE}${path}?${words}`, {
    signal,
    body: post ? words : undefined,
  });
  if (answer?.status !== 'success' || typeof answer.data !== 'object' || !answer.data)
    throw new Problem(answer?.error ?? 'this is no answer of Prometheus');
  return { data: answer.data, warnings: answer.warnings ?? [] };
}

const seconds = (ms: number) => (ms / 1000).toFixed(3);

/** Both ends on the step's grid, so that points stay where they are from one refresh to the next. */
export function queryRange(expr: string, span: Span, stepMs: number, signal?: AbortSignal) {
  const start = Math.floor(span.fromMs / stepMs) * stepMs,
    end = Math.floor(span.toMs / stepMs) * stepMs;
  return askPrometheus<PromData>(
    'query_range',
    { query: expr, start: seconds(start), end: seconds(end), step: seconds(stepMs) },
    signal,
    true,
  );
}

export function queryInstant(expr: string, atMs: number, signal?: AbortSignal) {
  return askPrometheus<PromData>('query', { query: expr, time: seconds(atMs) }, signal, true);
}

// --- what variables ask -----------------------------------------------------------------------------

/** Splits at commas that stand in no bracket and no string. */
export function splitArguments(text: string): string[] {
  const parts: string[] = [];
  let depth = 0,
    quote = '',
    start = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === '\\') i++;
      else if (c === quote) quote = '';
    } else if (c === '"' || c === "'" || c === '`') quote = c;
    else if ('([{'.includes(c)) depth++;
    else if (')]}'.includes(c)) depth--;
    else if (c === ',' && depth === 0) {
      parts.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  parts.push(text.slice(start).trim());
  return parts;
}

export interface Question {
  kind: 'label_values' | 'label_names' | 'metrics' | 'query_result' | 'series';
  label?: string;
  expr?: string;
}

/** What a variable's query asks for: label_values(metric, label), metrics(regex), query_result(expr), ... */
export function parseQuestion(query: string): Question {
  const match = /^\s*(label_values|label_names|metrics|query_result)\s*\(([\s\S]*)\)\s*$/.exec(query);
  if (!match) return { kind: 'series', expr: query.trim() };
  const [, kind, inside] = match as unknown as [string, Question['kind'], string];
  if (kind === 'query_result' || kind === 'metrics' || kind === 'label_names') return { kind, expr: inside.trim() };
  const parts = splitArguments(inside);
  return {
    kind,
    label: parts.at(-1)!.replace(/^["']|["']$/g, ''),
    expr: parts.length > 1 ? parts.slice(0, -1).join(', ') : undefined,
  };
}

export interface Choice {
  text: string;
  value: string;
}

export async function answerQuestion(question: Question, span: Span, signal?: AbortSignal): Promise<string[]> {
  const range = { start: seconds(span.fromMs), end: seconds(span.toMs) };
  switch (question.kind) {
    case 'label_values': {
      const { data } = await askPrometheus<string[]>(
        `label/${encodeURIComponent(question.label!)}/values`,
        { ...range, ...(question.expr ? { 'match[]': question.expr } : {}) },
        signal,
      );
      return data;
    }
    case 'label_names': {
      const { data } = await askPrometheus<string[]>(
        'labels',
        { ...range, ...(question.expr ? { 'match[]': question.expr } : {}) },
        signal,
      );
      return data;
    }
    case 'metrics': {
      const { data } = await askPrometheus<string[]>('label/__name__/values', range, signal);
      try {
        const pattern = new RegExp(question.expr ?? '');
        return data.filter((name) => pattern.test(name));
      } catch {
        throw new Problem(`metrics(${question.expr}): not a regular expression`);
      }
    }
    case 'query_result': {
      const { data } = await queryInstant(question.expr!, span.toMs, signal);
      if (data.resultType === 'scalar' || data.resultType === 'string')
        return [String((data.result as [number, string])[1])];
      return (data.result as { metric: Record<string, string>; value?: [number, string] }[]).map(
        ({ metric, value }) => {
          const { __name__: name = '', ...rest } = metric;
          return `${name}{${Object.entries(rest)
            .map(([key, one]) => `${key}="${one}"`)
            .join(',')}} ${value?.[1] ?? ''} ${value ? value[0] * 1000 : ''}`;
        },
      );
    }
    case 'series': {
      if (!question.expr) return [];
      const asked = { ...range, 'match[]': question.expr };
      const { data } = await askPrometheus<Record<string, string>[]>('series', asked, signal);
      return data.map(
        ({ __name__: name = '', ...rest }) =>
          `${name}{${Object.entries(rest)
            .map(([key, one]) => `${key}="${one}"`)
            .join(',')}}`,
      );
    }
  }
}

/** The variable's regular expression (groups `text` and `value`, or the first), its order, without repeats. */
export function choicesOf(found: string[], regex: string, sort: number): Choice[] {
  let pattern: RegExp | undefined;
  if (regex) {
    const match = /^\/(.*)\/([gimsu]*)$/s.exec(regex);
    try {
      pattern = new RegExp(match?.[1] ?? regex, `${(match?.[2] ?? '').replace('g', '')}g`);
    } catch {
      throw new Problem(`not a regular expression: ${regex.slice(0, 100)}`);
    }
  }
  const choices = new Map<string, Choice>();
  for (const one of found) {
    if (!pattern) {
      choices.set(one, { text: one, value: one });
      continue;
    }
    for (const hit of one.matchAll(pattern)) {
      const value = hit.groups?.value ?? hit.groups?.text ?? hit[1] ?? hit[0];
      const text = hit.groups?.text ?? value;
      if (value !== '' && !choices.has(value)) choices.set(value, { text, value });
      if (!hit.groups?.value && !hit.groups?.text) break;
    }
  }
  return sorted([...choices.values()], sort);
}

function sorted(choices: Choice[], sort: number): Choice[] {
  const by: Record<number, (a: Choice, b: Choice) => number> = {
    1: (a, b) => (a.text < b.text ? -1 : 1),
    3: (a, b) => numberIn(a.text) - numberIn(b.text) || (a.text < b.text ? -1 : 1),
    5: (a, b) => a.text.localeCompare(b.text, undefined, { sensitivity: 'base' }),
    7: (a, b) => a.text.localeCompare(b.text, undefined, { numeric: true }),
  };
  const order = by[sort % 2 ? sort : sort - 1];
  if (!order || sort <= 0) return choices;
  choices.sort(order);
  return sort % 2 ? choices : choices.reverse();
}

const numberIn = (text: string) => Number(/-?\d+(?:\.\d+)?/.exec(text)?.[0] ?? -1);

/** How often Prometheus scrapes; 15 s when that cannot be told. */
export async function scrapeInterval(signal?: AbortSignal): Promise<number> {
  try {
    const { prometheus } = await getJson<{ prometheus: { scrape_interval?: string } }>('/api/about', { signal });
    return parseInterval(prometheus.scrape_interval ?? '') || 15_000;
  } catch {
    return 15_000;
  }
}
