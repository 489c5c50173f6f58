// Data links: of a value, a series or a row, to wherever the dashboard points.
import { safeUrl } from '../model/dashboard';
import { show } from '../model/field';
import type { Cell, Field, Frame, Link } from '../model/frames';
import { shownText } from '../model/units';

export interface Target {
  href: string;
  link: Link;
}

interface Of {
  field: Field;
  frame: Frame;
  /** Of a table; else the value is that of a whole series. */
  row?: number;
  value: Cell;
}

const REFERENCE =
  /\$\{__(value|data|field|series)(?:\.([\w.]+)|\.fields(?:\.([^}]+)|\[["']?([^\]"']+)["']?\]))?(?::\w+)?\}/g;

/** Another column of the row: by its name, or by its number. */
function neighbour({ frame, row }: Of, name: string): Cell {
  const field = frame.fields.find((one) => one.title === name || one.name === name) ?? frame.fields[Number(name)];
  return field?.values[row ?? field.values.length - 1] ?? null;
}

function partOf(of: Of, what: string, path: string | undefined, column: string | undefined): string {
  const { field, frame, row, value } = of;
  if (what === 'value') {
    if (path === 'time') return String(frame.fields.find(({ type }) => type === 'time')?.values[row ?? 0] ?? '');
    return path === 'text' ? shownText(show(field, value)) : String(value ?? '');
  }
  if (what === 'data' && column) return String(neighbour(of, column) ?? '');
  if (path?.startsWith('labels.')) return field.labels?.[path.slice(7)] ?? '';
  return field.title ?? field.name;
}

/** The first link that may be followed. `fill`: for the dashboard's own variables. */
export function linkOf(of: Of, fill: (text: string) => string): Target | undefined {
  const link = Array.isArray(of.field.config.links) ? of.field.config.links[0] : undefined;
  if (!link?.url) return undefined;
  const url = String(link.url).replace(REFERENCE, (_all, what, path, dotted, bracket) => {
    const column = dotted ?? bracket ?? (path?.startsWith('fields.') ? path.slice(7) : undefined);
    return encodeURIComponent(partOf(of, what, path, column));
  });
  const href = safeUrl(fill(url));
  return href === undefined ? undefined : { href, link };
}
