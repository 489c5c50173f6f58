// One panel's data: its queries asked, transformed, and given their field options.
import { isPrometheusLike, type Panel, type Target } from '../model/dashboard';
import { applyOptions } from '../model/field';
import type { Frame } from '../model/frames';
import { framesOf } from '../model/prometheus';
import { panelSpan, parseInterval, stepFor, type Span } from '../model/time';
import { transform } from '../model/transform';
import { interpolate, type StepContext, type Variables, type VariableState } from '../model/variables';
import { Problem } from './client';
import { queryInstant, queryRange } from './prometheus';

export interface PanelContext {
  span: Span;
  nowMs: number;
  scrapeMs: number;
  variables: ReadonlyMap<string, VariableState>;
  dashboard: string;
  dashboardUid: string;
  /** Pixels that the panel is wide: about as many points are asked for. */
  width: number;
  /** Panels by id, for those that show what another one asks. */
  panels: ReadonlyMap<number, Panel>;
  /** What kind of source the names in ${…} stand for, where the dashboard says. */
  sourceKinds?: ReadonlyMap<string, string>;
}

export interface PanelData {
  frames: Frame[];
  span: Span;
  stepMs: number;
  /** Nothing could be had of these queries. */
  failures: string[];
  /** What the panel wants and does not get here, and what Prometheus warns of. */
  notes: string[];
}

const typeOf = (datasource: unknown): { type: string; uid: string } => {
  if (typeof datasource === 'string') return { type: '', uid: datasource };
  const { type, uid } = (datasource ?? {}) as { type?: unknown; uid?: unknown };
  return { type: typeof type === 'string' ? type : '', uid: typeof uid === 'string' ? uid : '' };
};

const NO_VARIABLES: Variables = new Map();
const NO_KINDS: ReadonlyMap<string, string> = new Map();

/** A source that a variable names is of the kind that the variable offers. */
function kindOf({ type, uid }: { type: string; uid: string }, kinds: ReadonlyMap<string, string>): string {
  const name = /^\$\{?(\w[\w-]*)/.exec(uid)?.[1] ?? /^\[\[(\w+)/.exec(uid)?.[1];
  return type || ((name && kinds.get(name)) ?? '');
}

/** Why a target is not asked; undefined: it is. */
function refusal(target: Target, panel: Panel, kinds: ReadonlyMap<string, string>): string | undefined {
  const source = typeOf(target.datasource ?? panel.datasource),
    type = kindOf(source, kinds),
    { uid } = source;
  if (type === '__expr__' || uid === '__expr__')
    return `${target.refId}: expressions of the server are not computed here`;
  if (uid === '-- Grafana --' || uid === 'grafana') return `${target.refId}: Grafana's own data is not there`;
  return isPrometheusLike(type)
    ? undefined
    : `${target.refId}: asks a ${type.slice(0, 40)} datasource; only Prometheus is asked here`;
}

function stepContext(panel: Panel, context: PanelContext): { step: StepContext; span: Span } {
  const { nowMs, scrapeMs, variables } = context;
  const resolve = (text: string | undefined) => (text ? interpolate(text, variables) : undefined);
  const span = panelSpan(context.span, nowMs, resolve(panel.timeFrom), resolve(panel.timeShift));
  const least = parseInterval((resolve(panel.interval) ?? '').replace(/^[>=]+/, '')) ?? scrapeMs;
  const stepMs = stepFor(span, panel.maxDataPoints ?? context.width, least);
  return {
    span,
    step: {
      fromMs: span.fromMs,
      toMs: span.toMs,
      stepMs,
      scrapeMs,
      dashboard: context.dashboard,
      dashboardUid: context.dashboardUid,
    },
  };
}

async function askTarget(
  target: Target,
  variables: ReadonlyMap<string, VariableState>,
  span: Span,
  step: StepContext,
  signal: AbortSignal | undefined,
  notes: string[],
  valueName: string,
): Promise<Frame[]> {
  const own = target.interval
    ? parseInterval(interpolate(target.interval, variables, { step }).replace(/^[>=]+/, ''))
    : undefined;
  const stepMs = Math.max(step.stepMs, own ?? 0) * Math.max(Math.round(target.intervalFactor ?? 1), 1);
  const exact = { ...step, stepMs };
  // Twice: a variable's value may be a query that asks for $__rate_interval, too.
  const expr = interpolate(interpolate(target.expr, variables, { step: exact, promql: true }), NO_VARIABLES, {
    step: exact,
  });
  const isInstant = target.instant === true && target.range !== true;
  const asked = isInstant ? ['instant'] : target.instant ? ['range', 'instant'] : ['range'];
  const frames: Frame[] = [];
  for (const kind of asked) {
    const { data, warnings } =
      kind === 'instant' ? await queryInstant(expr, span.toMs, signal) : await queryRange(expr, span, stepMs, signal);
    notes.push(...warnings.map((warning) => `${target.refId}: ${warning}`));
    frames.push(...framesOf({ ...target, expr }, data, variables, kind === 'instant' ? 0 : stepMs, valueName));
  }
  return frames;
}

export async function loadPanel(panel: Panel, context: PanelContext, signal?: AbortSignal): Promise<PanelData> {
  const { span, step } = stepContext(panel, context);
  const failures: string[] = [],
    notes: string[] = [...panel.problems];
  const variables = new Map(context.variables);
  // One of several is matched as a pattern, as several would be.
  for (const [name, { text, value }] of Object.entries(panel.scope ?? {}))
    variables.set(name, { value: [value], text: [text] });
  let targets = panel.targets;
  // "-- Dashboard --": what another panel of this dashboard asks.
  const other = (panel.targets[0] as { panelId?: unknown } | undefined)?.panelId;
  if (
    typeOf(panel.datasource).uid === '-- Dashboard --' ||
    typeOf(panel.targets[0]?.datasource).uid === '-- Dashboard --'
  ) {
    targets = typeof other === 'number' ? (context.panels.get(other)?.targets ?? []) : [];
    if (!targets.length) notes.push('it shows what another panel asks, and there is no such panel');
  }
  const used = targets.filter((target) => !target.hide && target.expr.trim());
  const tables = used.filter(({ format }) => format === 'table').length;
  const answers = await Promise.all(
    used.map(async (target) => {
      const refused = refusal(target, panel, context.sourceKinds ?? NO_KINDS);
      if (refused) {
        notes.push(refused);
        return [];
      }
      try {
        const valueName = tables > 1 ? `Value #${target.refId}` : 'Value';
        return await askTarget(target, variables, span, step, signal, notes, valueName);
      } catch (error) {
        if (signal?.aborted) throw error;
        failures.push(`${target.refId}: ${error instanceof Problem ? error.message : String(error)}`);
        return [];
      }
    }),
  );
  const { frames, problems } = transform(answers.flat(), panel.transformations, (text) =>
    interpolate(text, variables, { step }),
  );
  return {
    frames: applyOptions(frames, panel.fieldConfig, variables),
    span,
    stepMs: step.stepMs,
    failures,
    notes: [...new Set([...notes, ...problems])],
  };
}
