// The variables of a dashboard: their choices and what is chosen, each behind those that it refers to.
import { customOptions, isPrometheusLike, type Dashboard, type VariableModel } from '../model/dashboard';
import { intervalText, parseInterval, type Span } from '../model/time';
import { inOrder, interpolate, references, type VariableState, type VariableValue } from '../model/variables';
import { answerQuestion, choicesOf, parseQuestion, type Choice } from './prometheus';

export const ALL = '$__all';

export interface Variable {
  model: VariableModel;
  choices: Choice[];
  /** Chosen values; [ALL] for all. */
  chosen: string[];
  problem?: string;
}

/** What the address says: var-name=value, perhaps several. */
export type Chosen = ReadonlyMap<string, string[]>;

const asList = (value: VariableValue | undefined): string[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

function wantedOf(model: VariableModel, address: Chosen): string[] {
  return address.get(model.name) ?? asList(model.current?.value);
}

function choose(model: VariableModel, choices: Choice[], address: Chosen): string[] {
  const wanted = wantedOf(model, address);
  const isAll = (value: string) => value === ALL || value === 'All' || value === '$__all';
  if (model.includeAll && wanted.some(isAll)) return [ALL];
  const known = new Set(choices.map(({ value }) => value));
  // By text, too: that is how people write addresses.
  const byText = new Map(choices.map(({ text, value }) => [text, value]));
  const found = [
    ...new Set(
      wanted
        .map((value) => (known.has(value) ? value : byText.get(value)))
        .filter((value): value is string => value !== undefined),
    ),
  ];
  // What the address asks for is asked for, even where it is not (or not yet) among the choices.
  const given = address.has(model.name) ? wanted.filter((value) => !isAll(value) && value !== '') : found;
  const use = given.length ? given : found;
  if (use.length) return model.multi ? use : use.slice(0, 1);
  if (model.includeAll && (model.multi || !choices.length)) return [ALL];
  return choices.length ? [choices[0]!.value] : [];
}

export function stateOf({ model, choices, chosen }: Variable): VariableState {
  if (chosen[0] === ALL) {
    return { value: choices.map(({ value }) => value), text: 'All', isAll: true, allValue: model.allValue };
  }
  const textOf = (value: string) => choices.find((choice) => choice.value === value)?.text ?? value;
  // What may be all is matched as a pattern, also where a single value is chosen.
  if (model.multi || (model.includeAll && chosen.length)) return { value: chosen, text: chosen.map(textOf) };
  return { value: chosen[0] ?? '', text: textOf(chosen[0] ?? '') };
}

function fixedChoices(model: VariableModel): Choice[] {
  switch (model.kind) {
    case 'custom':
      return model.query ? customOptions(model.query) : model.options.filter(({ value }) => value !== ALL);
    case 'interval': {
      const written = model.query
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean);
      return [
        ...(model.auto ? [{ text: 'auto', value: '$__auto' }] : []),
        ...written.map((value) => ({ text: value, value })),
      ];
    }
    case 'constant':
      return [{ text: model.query, value: model.query }];
    case 'textbox': {
      const value = asList(model.current?.value)[0] ?? model.query;
      return [{ text: value, value }];
    }
    case 'datasource':
      // Only Prometheus is here; what wants another kind says so.
      return isPrometheusLike(model.query)
        ? [{ text: 'Prometheus', value: 'prometheus' }]
        : [{ text: `no ${model.query.slice(0, 40)} here`, value: model.query }];
    default:
      return [];
  }
}

const othersOf = (names: string[], own: string) => names.filter((name) => name !== own).join(', ');

/** One after the other where they refer to each other. Never throws: a variable keeps its problem. */
export async function loadVariables(
  dashboard: Dashboard,
  address: Chosen,
  span: Span,
  signal?: AbortSignal,
): Promise<Map<string, Variable>> {
  const { order, cyclic } = inOrder(dashboard.variables, (model) => references(`${model.query} ${model.regex}`));
  const variables = new Map<string, Variable>(),
    states = new Map<string, VariableState>();
  const step = { fromMs: span.fromMs, toMs: span.toMs, stepMs: 15_000, scrapeMs: 15_000 };
  for (const model of order) {
    const variable: Variable = { model, choices: fixedChoices(model), chosen: [] };
    if (cyclic.includes(model.name))
      variable.problem = `it refers to itself by way of ${othersOf(cyclic, model.name) || 'its own query'}`;
    const isForeign = model.kind === 'query' && !isPrometheusLike(model.sourceType);
    if (isForeign) {
      variable.problem = `it asks a ${model.sourceType.slice(0, 40)} datasource; only Prometheus is asked here`;
      variable.choices = model.options.filter(({ value }) => value !== ALL);
    }
    if (model.kind === 'query' && model.query && !isForeign) {
      try {
        const query = interpolate(model.query, states, { step, promql: true });
        const found = await answerQuestion(parseQuestion(query), span, signal);
        variable.choices = choicesOf(found.slice(0, 20_000), interpolate(model.regex, states), model.sort);
      } catch (error) {
        if (signal?.aborted) throw error;
        variable.problem = (error as Error).message;
        variable.choices = model.options.filter(({ value }) => value !== ALL);
      }
    }
    if (model.kind === 'adhoc' || model.kind === 'unknown')
      variable.problem = 'variables of this kind are not applied here';
    variable.chosen =
      model.kind === 'textbox'
        ? [address.get(model.name)?.[0] ?? variable.choices[0]!.value]
        : choose(model, variable.choices, address);
    variables.set(model.name, variable);
    const state = stateOf(variable);
    if (state.value === '$__auto') {
      const auto = Math.max((span.toMs - span.fromMs) / model.autoCount, parseInterval(model.autoMin) ?? 10_000);
      state.value = intervalText(Math.ceil(auto / 1000) * 1000);
    }
    states.set(model.name, state);
  }
  // In the dashboard's own order.
  return new Map(dashboard.variables.map(({ name }) => [name, variables.get(name)!]));
}

export function statesOf(variables: ReadonlyMap<string, Variable>, span: Span): Map<string, VariableState> {
  const states = new Map<string, VariableState>();
  for (const [name, variable] of variables) {
    const state = stateOf(variable);
    if (state.value === '$__auto') {
      const auto = Math.max(
        (span.toMs - span.fromMs) / variable.model.autoCount,
        parseInterval(variable.model.autoMin) ?? 10_000,
      );
      state.value = intervalText(Math.ceil(auto / 1000) * 1000);
    }
    states.set(name, state);
  }
  return states;
}
