// Options as dashboards hold them, of whatever kind: what is not of the kind that drawing counts on is left out.
import type { FieldConfig, Mapping, MappingResult, Threshold } from './frames';

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const string = (value: unknown) =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined;
const number = (value: unknown) => {
  const found = typeof value === 'string' && value.trim() ? Number(value) : value;
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
};
const objects = (value: unknown): Json[] | undefined => (Array.isArray(value) ? value.filter(isObject) : undefined);

/** Without what is undefined. */
const there = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;

function soundResult(value: unknown): MappingResult | undefined {
  return isObject(value) ? there({ ...value, text: string(value.text), color: string(value.color) }) : undefined;
}

function soundMapping(mapping: Json): Mapping {
  const options = isObject(mapping.options) ? mapping.options : {};
  const type = string(mapping.type) ?? '';
  if (type === 'value')
    return { type, options: Object.fromEntries(Object.entries(options).map(([key, one]) => [key, soundResult(one)])) };
  return { type, options: there({ ...options, result: soundResult(options.result) }) };
}

const soundStep = (step: Json): Threshold => ({ value: number(step.value) ?? null, color: string(step.color) ?? '' });

/** Of one field, defaults and overrides together. */
export function soundConfig(config: FieldConfig): FieldConfig {
  const { color, thresholds, mappings, links, custom } = config as Json;
  const sound: FieldConfig = { ...config };
  for (const name of ['displayName', 'displayNameFromDS', 'description', 'unit', 'noValue'] as const)
    sound[name] = string(config[name]);
  for (const name of ['decimals', 'min', 'max'] as const) sound[name] = number(config[name]);
  sound.color = isObject(color)
    ? { mode: string(color.mode), fixedColor: string(color.fixedColor), seriesBy: string(color.seriesBy) }
    : undefined;
  sound.thresholds = isObject(thresholds)
    ? { mode: string(thresholds.mode), steps: objects(thresholds.steps)?.map(soundStep) }
    : undefined;
  sound.mappings = objects(mappings)?.map(soundMapping);
  sound.links = objects(links)?.map((one) => ({
    ...one,
    title: string(one.title) ?? '',
    url: string(one.url) ?? '',
    targetBlank: one.targetBlank === true,
  }));
  sound.custom = isObject(custom) ? custom : {};
  return there(sound);
}

/** null says no more than that nothing is there. */
export function withoutNulls(value: Json, depth = 6): Json {
  const kept: Json = {};
  for (const [name, one] of Object.entries(value)) {
    if (one === null) continue;
    kept[name] = isObject(one) && depth > 0 ? withoutNulls(one, depth - 1) : one;
  }
  return kept;
}
