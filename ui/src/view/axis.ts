// Axes: where the ticks of numbers and times go, and the room that their labels take.
import { dateText, isUtc, showNumber, shownText } from '../model/units';

/** Round steps by the unit: 1-2-5 of tens; of 1024 for bytes; of minutes and hours for durations. */
export function niceStep(range: number, count: number, unit: string | undefined): number {
  const raw = range / Math.max(count, 1);
  if (!(raw > 0) || !Number.isFinite(raw)) return 1;
  if (unit === 'bytes' || unit === 'bits' || unit === 'binBps' || unit === 'binbps') {
    const power = 2 ** Math.floor(Math.log2(raw));
    return raw > power ? power * 2 : power;
  }
  if (unit === 's' && raw > 1) {
    const steps = [
      1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
      2592000, 31536000,
    ];
    return steps.find((step) => step >= raw) ?? 31536000 * Math.ceil(raw / 31536000);
  }
  const power = 10 ** Math.floor(Math.log10(raw)),
    part = raw / power;
  return (part > 5 ? 10 : part > 2.5 ? 5 : part > 2 ? 2.5 : part > 1 ? 2 : 1) * power;
}

export interface Scale {
  min: number;
  max: number;
  ticks: number[];
}

/** Whole steps around the values; given ends are kept as they are. */
export function numberScale(
  low: number,
  high: number,
  {
    count = 5,
    unit,
    min,
    max,
    softMin,
    softMax,
  }: {
    count?: number;
    unit?: string;
    min?: number;
    max?: number;
    softMin?: number;
    softMax?: number;
  } = {},
): Scale {
  let from = Math.min(low, softMin ?? low),
    to = Math.max(high, softMax ?? high);
  if (!Number.isFinite(from) || !Number.isFinite(to)) [from, to] = [0, 1];
  if (from === to) [from, to] = from === 0 ? [0, 1] : from > 0 ? [0, to * 1.25] : [from * 1.25, 0];
  // From zero on, where zero is not far.
  if (from > 0 && from < (to - from) * 0.6) from = 0;
  if (to < 0 && -to < (to - from) * 0.6) to = 0;
  if (min !== undefined) from = min;
  if (max !== undefined) to = max;
  // All of it above a given end: down from there.
  if (to <= from && max !== undefined && min === undefined) from = Math.min(0, to - 1);
  if (to <= from) to = from + 1;
  const step = niceStep(to - from, count, unit);
  if (min === undefined) from = Math.floor(from / step + 1e-9) * step;
  if (max === undefined) to = Math.ceil(to / step - 1e-9) * step;
  const ticks: number[] = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9 && ticks.length < 100; i++)
    ticks.push(Number((i * step).toPrecision(12)));
  return { min: from, max: to, ticks };
}

const TIME_STEPS = [
  1, 5, 10, 50, 100, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3,
  10800e3, 21600e3, 43200e3, 86400e3, 172800e3, 604800e3, 1209600e3,
];

/** Ticks at round times of this place's clock. */
export function timeTicks(fromMs: number, toMs: number, count: number): { ticks: number[]; format: string } {
  const raw = (toMs - fromMs) / Math.max(count, 1);
  const step = TIME_STEPS.find((one) => one >= raw);
  const ticks: number[] = [];
  if (step === undefined) {
    const months = Math.max(1, Math.ceil(raw / 2592000e3)),
      nice = [1, 2, 3, 6, 12].find((one) => one >= months) ?? 12 * Math.ceil(months / 12);
    const at = new Date(fromMs);
    at.setDate(1);
    at.setHours(0, 0, 0, 0);
    at.setMonth(Math.floor(at.getMonth() / nice) * nice);
    for (; at.getTime() <= toMs && ticks.length < 100; at.setMonth(at.getMonth() + nice))
      if (at.getTime() >= fromMs) ticks.push(at.getTime());
    return { ticks, format: nice >= 12 ? 'YYYY' : 'YYYY-MM' };
  }
  // The clock's own zero: days begin at midnight here, not in Greenwich (unless all is told in UTC).
  const shift = isUtc() ? 0 : new Date(fromMs).getTimezoneOffset() * 60e3;
  for (let at = Math.ceil((fromMs - shift) / step) * step + shift; at <= toMs && ticks.length < 200; at += step)
    ticks.push(at);
  const format =
    step >= 86400e3
      ? 'MM/DD'
      : step >= 60e3
        ? toMs - fromMs > 86400e3
          ? 'MM/DD HH:mm'
          : 'HH:mm'
        : step >= 1e3
          ? 'HH:mm:ss'
          : 'HH:mm:ss.SSS';
  return { ticks, format };
}

export const timeLabels = (ticks: number[], format: string) => ticks.map((tick) => dateText(tick, format));

/** Ticks as texts, with as many decimals as tell them apart; what is alike all the same (True) stands once. */
export function numberLabels(ticks: number[], unit: string | undefined, decimals: number | undefined): string[] {
  const withPlaces = (places: number | undefined) => ticks.map((tick) => shownText(showNumber(tick, unit, places)));
  let texts = withPlaces(decimals);
  for (let places = (decimals ?? 0) + 1; places <= 6 && new Set(texts).size < new Set(ticks).size; places++)
    texts = withPlaces(places);
  return texts.map((text, i) => (text === texts[i - 1] ? '' : text));
}
