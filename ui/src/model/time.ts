// Times of dashboards: "now-6h", "now/d", ISO, epoch milliseconds; intervals such as 1m30s.

export interface TimeRange {
  /** As written: what the address and the picker show. */
  from: string;
  to: string;
}

export interface Span {
  fromMs: number;
  toMs: number;
}

const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  M: 2_592_000_000,
  Q: 7_776_000_000,
  y: 31_536_000_000,
};

/** 90s, 1m30s, 1.5h: milliseconds; undefined: it is none. */
export function parseInterval(text: string): number | undefined {
  const whole = /^(?:\d+(?:\.\d+)?(?:ms|[smhdwMQy]))+$/;
  const trimmed = text.trim();
  if (!whole.test(trimmed)) return undefined;
  let sum = 0;
  for (const [, number, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdwMQy])/g))
    sum += Number(number) * UNIT_MS[unit!]!;
  return sum;
}

/** The largest unit that divides it: 90000 -> 90s, 3600000 -> 1h. Prometheus reads it. */
export function intervalText(ms: number): string {
  const rounded = Math.max(Math.round(ms), 1);
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (rounded % UNIT_MS[unit]! === 0) return `${rounded / UNIT_MS[unit]!}${unit}`;
  }
  return `${rounded}ms`;
}

function addCalendar(date: Date, amount: number, unit: string): void {
  switch (unit) {
    case 'M':
      date.setMonth(date.getMonth() + amount);
      break;
    case 'Q':
      date.setMonth(date.getMonth() + 3 * amount);
      break;
    case 'y':
      date.setFullYear(date.getFullYear() + amount);
      break;
    case 'd':
      date.setDate(date.getDate() + amount);
      break;
    case 'w':
      date.setDate(date.getDate() + 7 * amount);
      break;
    default:
      date.setTime(date.getTime() + amount * UNIT_MS[unit]!);
  }
}

/** To the beginning of the unit, or (for the end of a range) to its last millisecond. */
function snap(date: Date, unit: string, end: boolean): void {
  const month = date.getMonth();
  switch (unit) {
    case 'y':
      date.setMonth(0, 1);
      date.setHours(0, 0, 0, 0);
      break;
    case 'Q':
      date.setMonth(month - (month % 3), 1);
      date.setHours(0, 0, 0, 0);
      break;
    case 'M':
      date.setDate(1);
      date.setHours(0, 0, 0, 0);
      break;
    case 'w':
      date.setDate(date.getDate() - ((date.getDay() + 6) % 7));
      date.setHours(0, 0, 0, 0);
      break;
    case 'd':
      date.setHours(0, 0, 0, 0);
      break;
    case 'h':
      date.setMinutes(0, 0, 0);
      break;
    case 'm':
      date.setSeconds(0, 0);
      break;
    default:
      date.setMilliseconds(0);
  }
  if (end) {
    addCalendar(date, 1, unit);
    date.setTime(date.getTime() - 1);
  }
}

/** Milliseconds since 1970; undefined: it is no time. `end`: of a range, where now/d is the day's end. */
export function parseTime(text: string, nowMs: number, end = false): number | undefined {
  const trimmed = text.trim();
  if (/^-?\d{1,16}$/.test(trimmed)) return Number(trimmed);
  if (!trimmed.startsWith('now')) {
    const ms = Date.parse(trimmed.includes('T') || trimmed.length <= 10 ? trimmed : trimmed.replace(' ', 'T'));
    return Number.isNaN(ms) ? undefined : ms;
  }
  const date = new Date(nowMs);
  let rest = trimmed.slice(3);
  while (rest) {
    const match = /^\s*(?:([+-])\s*(\d{0,9})(fQ|[smhdwMQy])|\/(fQ|fy|[smhdwMQy]))/.exec(rest);
    if (!match) return undefined;
    const [all, sign, amount, unit, snapped] = match;
    if (snapped) snap(date, snapped.replace('f', ''), end);
    else addCalendar(date, (sign === '-' ? -1 : 1) * Number(amount || '1'), unit!.replace('f', ''));
    if (Number.isNaN(date.getTime())) return undefined;
    rest = rest.slice(all.length);
  }
  return date.getTime();
}

/** undefined: one of them is no time, or the range is empty. */
export function spanOf(range: TimeRange, nowMs: number): Span | undefined {
  const fromMs = parseTime(range.from, nowMs),
    toMs = parseTime(range.to, nowMs, true);
  return fromMs === undefined || toMs === undefined || toMs <= fromMs ? undefined : { fromMs, toMs };
}

/** For a panel: `timeFrom` replaces the start (and the end by now), `timeShift` moves both back. */
export function panelSpan(span: Span, nowMs: number, timeFrom?: string, timeShift?: string): Span {
  let { fromMs, toMs } = span;
  const from = timeFrom ? parseTime(timeFrom.startsWith('now') ? timeFrom : `now-${timeFrom}`, nowMs) : undefined;
  if (from !== undefined) [fromMs, toMs] = [from, nowMs];
  const shift = timeShift ? parseInterval(timeShift.replace(/^now-/, '')) : undefined;
  if (shift) [fromMs, toMs] = [fromMs - shift, toMs - shift];
  return { fromMs, toMs };
}

const NICE_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000,
  600_000, 900_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000,
  604_800_000, 2_592_000_000, 31_536_000_000,
];

/** The step of a panel's queries: one point a pixel at the most, not below `minMs`, a round number. */
export function stepFor(span: Span, maxPoints: number, minMs: number): number {
  const wanted = (span.toMs - span.fromMs) / Math.max(maxPoints, 1);
  // The nearest round number; Prometheus refuses more than 11,000 points.
  let nice = NICE_MS.find((ms, i) => wanted <= (ms + (NICE_MS[i + 1] ?? ms)) / 2) ?? NICE_MS.at(-1)!;
  nice = Math.max(nice, minMs, 1);
  const least = (span.toMs - span.fromMs) / 11_000;
  return nice < least ? Math.ceil(least / 1000) * 1000 : nice;
}
