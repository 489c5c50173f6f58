// One value of many: Grafana's "calculations".
import type { Cell, Field } from './frames';

const numbersOf = (values: readonly Cell[]): number[] => {
  const numbers: number[] = [];
  for (const value of values) {
    if (typeof value === 'number' && !Number.isNaN(value)) numbers.push(value);
  }
  return numbers;
};

const least = (numbers: number[]) => numbers.reduce((a, b) => (b < a ? b : a), numbers[0] as number);
const most = (numbers: number[]) => numbers.reduce((a, b) => (b > a ? b : a), numbers[0] as number);
const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

function quantile(numbers: number[], q: number): number | null {
  if (!numbers.length) return null;
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(Math.max(Math.ceil(sorted.length * q) - 1, 0), sorted.length - 1)]!;
}

function median(numbers: number[]): number | null {
  if (!numbers.length) return null;
  const sorted = [...numbers].sort((a, b) => a - b),
    half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function variance(numbers: number[]): number | null {
  if (!numbers.length) return null;
  const mean = sum(numbers) / numbers.length;
  return sum(numbers.map((value) => (value - mean) ** 2)) / numbers.length;
}

/** What has been added in all, a fall taken as a restart from 0. */
function delta(numbers: number[]): number {
  let added = 0;
  for (let i = 1; i < numbers.length; i++)
    added += numbers[i]! >= numbers[i - 1]! ? numbers[i]! - numbers[i - 1]! : numbers[i]!;
  return added;
}

function step(numbers: number[]): number | null {
  let smallest: number | null = null;
  for (let i = 1; i < numbers.length; i++) {
    const gap = numbers[i]! - numbers[i - 1]!;
    if (smallest === null || gap < smallest) smallest = gap;
  }
  return smallest;
}

type Reducer = (values: readonly Cell[]) => Cell;

const ofNumbers =
  (reduce: (numbers: number[]) => number | null): Reducer =>
  (values) => {
    const numbers = numbersOf(values);
    return numbers.length ? reduce(numbers) : null;
  };

const present = (value: Cell) => value !== null && value !== undefined && !Number.isNaN(value);

const REDUCERS: Record<string, { name: string; reduce: Reducer }> = {
  lastNotNull: { name: 'Last *', reduce: (values) => values.findLast(present) ?? null },
  last: { name: 'Last', reduce: (values) => values.at(-1) ?? null },
  firstNotNull: { name: 'First *', reduce: (values) => values.find(present) ?? null },
  first: { name: 'First', reduce: (values) => values[0] ?? null },
  min: { name: 'Min', reduce: ofNumbers(least) },
  max: { name: 'Max', reduce: ofNumbers(most) },
  mean: { name: 'Mean', reduce: ofNumbers((numbers) => sum(numbers) / numbers.length) },
  median: { name: 'Median', reduce: ofNumbers(median) },
  sum: { name: 'Total', reduce: ofNumbers(sum) },
  count: { name: 'Count', reduce: (values) => values.length },
  range: { name: 'Range', reduce: ofNumbers((numbers) => most(numbers) - least(numbers)) },
  delta: { name: 'Delta', reduce: ofNumbers(delta) },
  step: { name: 'Step', reduce: ofNumbers(step) },
  diff: { name: 'Difference', reduce: ofNumbers((numbers) => numbers.at(-1)! - numbers[0]!) },
  diffperc: {
    name: 'Difference percent',
    reduce: ofNumbers((numbers) => (numbers[0] ? (numbers.at(-1)! - numbers[0]) / numbers[0] : null)),
  },
  logmin: {
    name: 'Min (above zero)',
    reduce: ofNumbers((numbers) => least(numbers.filter((value) => value > 0)) ?? null),
  },
  allIsZero: { name: 'All zeros', reduce: (values) => values.every((value) => value === 0) },
  allIsNull: { name: 'All nulls', reduce: (values) => values.every((value) => !present(value)) },
  changeCount: {
    name: 'Change count',
    reduce: (values) => values.filter((value, i) => i > 0 && value !== values[i - 1]).length,
  },
  distinctCount: { name: 'Distinct count', reduce: (values) => new Set(values).size },
  stdDev: { name: 'StdDev', reduce: ofNumbers((numbers) => Math.sqrt(variance(numbers)!)) },
  variance: { name: 'Variance', reduce: ofNumbers(variance) },
  allValues: { name: 'All values', reduce: (values) => values.filter(present).join(', ') },
  uniqueValues: { name: 'All unique values', reduce: (values) => [...new Set(values.filter(present))].join(', ') },
};

/** Names of older dashboards. */
const ALIASES: Record<string, string> = { avg: 'mean', total: 'sum', current: 'lastNotNull', 'last*': 'lastNotNull' };

export function reducerName(id: string): string {
  const known = ALIASES[id] ?? id;
  if (Object.hasOwn(REDUCERS, known)) return REDUCERS[known]!.name;
  const percent = /^p(\d\d?)$/.exec(id);
  return percent ? `${Number(percent[1])}th %` : id;
}

/** undefined: no such calculation. */
export function reduce(field: Pick<Field, 'values'>, id: string): Cell | undefined {
  const known = ALIASES[id] ?? id;
  if (Object.hasOwn(REDUCERS, known)) return REDUCERS[known]!.reduce(field.values);
  const percent = /^p(\d\d?)$/.exec(id);
  return percent ? quantile(numbersOf(field.values), Number(percent[1]) / 100) : undefined;
}
