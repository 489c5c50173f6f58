// Annotations: moments and spans that a dashboard asks Prometheus for, and that its charts mark.
import type { Annotation } from '../model/dashboard';
import { legendText, promNumber, type PromSeries } from '../model/prometheus';
import { parseInterval, stepFor, type Span } from '../model/time';
import { interpolate, type StepContext, type Variables } from '../model/variables';
import { namedColor } from '../model/color';
import { queryRange } from './prometheus';

export interface Mark {
  fromMs: number;
  /** As `fromMs`: a moment. */
  toMs: number;
  color: string;
  title: string;
  text: string;
}

const MARKS_MAX = 1000;

/** Where the series is not zero; what follows within a step belongs together. */
export function marksOf(annotation: Annotation, series: PromSeries, stepMs: number, variables: Variables): Mark[] {
  const say = (format: string) => (format ? legendText(format, series.metric, undefined, variables) : '');
  const common = {
    color: namedColor(annotation.color),
    title: say(annotation.titleFormat) || annotation.name,
    text: say(annotation.textFormat),
  };
  const marks: Mark[] = [];
  for (const [at, value] of series.values ?? []) {
    const number = promNumber(value);
    if (!number || Number.isNaN(number)) continue;
    const ms = annotation.useValueForTime ? Math.floor(number) : at * 1000,
      last = marks.at(-1);
    if (last && ms - last.toMs <= stepMs) last.toMs = Math.max(ms, last.toMs);
    else marks.push({ ...common, fromMs: ms, toMs: ms });
  }
  return marks;
}

/** What cannot be had leaves no marks: the charts are no worse for it. */
export async function loadMarks(
  annotations: Annotation[],
  span: Span,
  variables: Variables,
  scrapeMs: number,
  signal?: AbortSignal,
): Promise<Mark[]> {
  const marks = await Promise.all(
    annotations.map(async (annotation) => {
      const least = parseInterval(interpolate(annotation.step, variables)) ?? 60_000,
        stepMs = stepFor(span, 1000, least);
      const step: StepContext = { ...span, stepMs, scrapeMs };
      try {
        const { data } = await queryRange(
          interpolate(annotation.expr, variables, { step, promql: true }),
          span,
          stepMs,
          signal,
        );
        if (data.resultType !== 'matrix') return [];
        return (data.result as PromSeries[]).flatMap((series) => marksOf(annotation, series, stepMs, variables));
      } catch {
        return [];
      }
    }),
  );
  return marks
    .flat()
    .filter(({ fromMs, toMs }) => toMs >= span.fromMs && fromMs <= span.toMs)
    .slice(0, MARKS_MAX);
}
