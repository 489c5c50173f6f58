// Tables: any frame, sorted by a click, with coloured cells, bars and links. Long ones are drawn in part.
import { useMemo, useRef, useState } from 'preact/hooks';

import { asText, readableOn } from '../model/color';
import { boundsOf, show, valueColor } from '../model/field';
import type { Field, Frame } from '../model/frames';
import { reduce, reducerName } from '../model/reduce';
import { compare } from '../model/transform_steps';
import { shownText } from '../model/units';
import { linkOf } from './links';
import type { PanelProps } from './panel';

const ROW = 28;

interface CellOptions {
  type?: string;
  mode?: string;
}

const customOf = (field: Field) =>
  (field.config.custom ?? {}) as {
    cellOptions?: CellOptions;
    displayMode?: string;
    width?: number;
    minWidth?: number;
    align?: string;
    hidden?: boolean;
    hideFrom?: { viz?: boolean };
  };

function kindOf(field: Field): string {
  const { cellOptions, displayMode } = customOf(field);
  return cellOptions?.type ?? displayMode ?? 'auto';
}

function Cell({
  field,
  frame,
  row,
  index,
  theme,
  fill,
}: {
  field: Field;
  frame: Frame;
  row: number;
  index: number;
  theme: string;
  fill: (text: string) => string;
}) {
  const value = field.values[row] ?? null,
    kind = kindOf(field),
    text = shownText(show(field, value));
  const isNumber = field.type === 'number',
    align = customOf(field).align ?? 'auto';
  const color = kind === 'auto' ? undefined : valueColor(field, value, index);
  const style: Record<string, string> = { textAlign: align === 'auto' ? (isNumber ? 'right' : 'left') : align };
  if (kind.startsWith('color-background')) Object.assign(style, { background: color!, color: readableOn(color!) });
  if (kind === 'color-text') style.color = asText(color!, theme);
  let content = <>{text}</>;
  if ((kind === 'gauge' || kind.endsWith('-gauge')) && typeof value === 'number') {
    const bounds = boundsOf(field),
      share = Math.min(Math.max((value - bounds.min) / (bounds.max - bounds.min || 1), 0), 1);
    content = (
      <span class="cell-gauge">
        <span class="cell-bar">
          <span style={{ width: `${share * 100}%`, background: color }} />
        </span>
        {text}
      </span>
    );
  }
  const found = linkOf({ field, frame, row, value }, fill);
  return (
    <td style={style} title={text}>
      {found ? (
        <a href={found.href} target={found.link.targetBlank ? '_blank' : undefined} rel="noopener noreferrer">
          {content}
        </a>
      ) : (
        content
      )}
    </td>
  );
}

export function Table({ panel, data, height, theme, fill }: PanelProps) {
  const [chosen, setChosen] = useState(0);
  const [order, setOrder] = useState<{ column: number; desc: boolean } | undefined>();
  const [top, setTop] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  // Series stand one below the other when a table is asked of them.
  const frames = useMemo(() => tablesOf(data.frames), [data]);
  const frame = frames[Math.min(chosen, frames.length - 1)];
  const fields = useMemo(
    () => frame?.fields.filter((field) => !customOf(field).hidden && !customOf(field).hideFrom?.viz) ?? [],
    [frame],
  );
  const rows = useMemo(() => {
    if (!frame) return [];
    const all = Array.from({ length: frame.length }, (_, i) => i);
    const given = Array.isArray(panel.options.sortBy) ? panel.options.sortBy[0] : undefined;
    const column =
      order?.column ??
      (given
        ? fields.findIndex((field) => (field.title ?? field.name) === given.displayName)
        : (panel.options.sortColumn ?? -1));
    const desc = order?.desc ?? given?.desc ?? panel.options.sortDesc;
    const by = fields[column];
    return by ? all.sort((a, b) => compare(by.values[a] ?? null, by.values[b] ?? null) * (desc ? -1 : 1)) : all;
  }, [frame, fields, order, panel.options]);
  const footer = useMemo(() => frame && footerOf(fields, frame.length, panel.options.footer), [frame, fields, panel]);
  if (!frame || !fields.length) return <div class="nothing">No data</div>;
  const room = Math.ceil(height / ROW) + 12,
    first = Math.max(Math.floor(top / ROW) - 6, 0),
    shown = rows.slice(first, first + room);
  return (
    <div class="table-box">
      <div
        class="table-scroll"
        ref={box}
        style={{ height: `${height - (frames.length > 1 ? 30 : 0)}px` }}
        onScroll={() => setTop(box.current?.scrollTop ?? 0)}
        tabIndex={0}
      >
        <table class="data">
          {panel.options.showHeader !== false && (
            <thead>
              <tr>
                {fields.map((field, i) => (
                  <th
                    key={i}
                    style={{
                      width: customOf(field).width ? `${customOf(field).width}px` : undefined,
                      textAlign: field.type === 'number' ? 'right' : 'left',
                    }}
                    aria-sort={order?.column === i ? (order.desc ? 'descending' : 'ascending') : 'none'}
                  >
                    <button
                      type="button"
                      onClick={() =>
                        setOrder({ column: i, desc: order?.column === i ? !order.desc : field.type === 'number' })
                      }
                    >
                      {field.title ?? field.name}
                      {order?.column === i ? (order.desc ? ' ▼' : ' ▲') : ''}
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
          )}
          <tbody>
            {first > 0 && <tr style={{ height: `${first * ROW}px` }} />}
            {shown.map((row) => (
              <tr key={row}>
                {fields.map((field, i) => (
                  <Cell key={i} field={field} frame={frame} row={row} index={i} theme={theme} fill={fill} />
                ))}
              </tr>
            ))}
            {first + room < rows.length && <tr style={{ height: `${(rows.length - first - room) * ROW}px` }} />}
          </tbody>
          {footer && (
            <tfoot>
              <tr>
                {fields.map((field, i) => (
                  <td key={i} style={{ textAlign: field.type === 'number' ? 'right' : 'left' }}>
                    {footer[i]}
                  </td>
                ))}
              </tr>
            </tfoot>
          )}
        </table>
      </div>
      {frames.length > 1 && (
        <select
          class="table-choice"
          value={chosen}
          aria-label="Which table"
          onChange={(event) => setChosen(Number(event.currentTarget.value))}
        >
          {frames.map((one, i) => (
            <option key={i} value={i}>
              {one.name ?? one.refId}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

interface Footer {
  show?: boolean;
  reducer?: unknown;
  fields?: unknown;
  countRows?: boolean;
}

/** A text below each column: what the footer makes of its numbers. Since 12.2 each column has its own. */
function footerOf(fields: Field[], length: number, footer: Footer | undefined): string[] | undefined {
  const own = (field: Field) => (field.config.custom?.footer as { reducers?: unknown } | undefined)?.reducers;
  const idsOf = (field: Field): string[] => {
    const wanted = Array.isArray(footer?.fields) && footer.fields.length ? footer.fields.map(String) : undefined;
    const fits = !wanted || [field.title, field.name].some((name) => name !== undefined && wanted.includes(name));
    const given = own(field) ?? (footer?.show && fits ? footer.reducer : undefined);
    return Array.isArray(given) && field.type === 'number' ? given.map(String) : [];
  };
  if (footer?.show && footer.countRows) return fields.map((_field, i) => (i ? '' : `Count: ${length}`));
  if (!fields.some((field) => idsOf(field).length)) return undefined;
  return fields.map((field, i) => {
    const ids = idsOf(field);
    const words = ids.map((id) => {
      const text = shownText(show(field, reduce(field, id) ?? null));
      return ids.length > 1 ? `${reducerName(id)}: ${text}` : text;
    });
    return words.join(', ') || (i ? '' : [...new Set(fields.flatMap(idsOf))].map(reducerName).join(', '));
  });
}

function tablesOf(frames: Frame[]): Frame[] {
  return frames.filter((frame) => frame.fields.length);
}
