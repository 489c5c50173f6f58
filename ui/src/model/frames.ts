// Frames: what a query gave, as columns of equal length. Time is in milliseconds.

export type FieldType = 'time' | 'number' | 'string' | 'boolean' | 'other';

export type Cell = number | string | boolean | null;

export interface Field {
  name: string;
  type: FieldType;
  values: Cell[];
  labels?: Record<string, string>;
  /** Grafana's field config, defaults and overrides applied (field.ts). */
  config: FieldConfig;
  /** What is shown for the name: set with the config. */
  title?: string;
  /** The least and the greatest number of the whole panel, for bounds that the config leaves open. */
  range?: { min: number; max: number };
}

export interface Frame {
  name?: string;
  refId: string;
  fields: Field[];
  length: number;
}

export interface Threshold {
  value: number | null;
  color: string;
}

export interface Link {
  title: string;
  url: string;
  targetBlank?: boolean;
}

export interface MappingResult {
  text?: string;
  color?: string;
  icon?: string;
}

export interface Mapping {
  type: string;
  options: Record<string, unknown>;
}

export interface FieldConfig {
  fieldMinMax?: boolean;
  displayName?: string;
  displayNameFromDS?: string;
  description?: string;
  unit?: string;
  decimals?: number;
  min?: number;
  max?: number;
  noValue?: string;
  color?: { mode?: string; fixedColor?: string; seriesBy?: string };
  thresholds?: { mode?: string; steps?: Threshold[] };
  mappings?: Mapping[];
  links?: Link[];
  custom?: Record<string, unknown>;
}

export function makeField(name: string, type: FieldType, values: Cell[], labels?: Record<string, string>): Field {
  return { name, type, values, labels, config: {} };
}

export function makeFrame(refId: string, fields: Field[], name?: string): Frame {
  return { refId, fields, name, length: fields[0]?.values.length ?? 0 };
}

export function timeField(frame: Frame): Field | undefined {
  return frame.fields.find((field) => field.type === 'time');
}

export function numberFields(frame: Frame): Field[] {
  return frame.fields.filter((field) => field.type === 'number');
}

/** A copy whose columns may be replaced without touching the first. */
export function copyFrame(frame: Frame): Frame {
  return { ...frame, fields: frame.fields.map((field) => ({ ...field, config: { ...field.config } })) };
}

/** The type that most of the values have. */
export function guessType(values: readonly Cell[]): FieldType {
  const first = values.find((value) => value !== null && value !== undefined);
  switch (typeof first) {
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'string';
    default:
      return 'other';
  }
}
