// Above a dashboard: time range, refresh, variables.
import { useEffect, useRef, useState } from 'preact/hooks';

import { ALL, type Variable } from '../data/variables';
import { parseTime, type Span } from '../model/time';
import { dateText } from '../model/units';

const QUICK: [string, string][] = [
  ['5m', '5 minutes'],
  ['15m', '15 minutes'],
  ['30m', '30 minutes'],
  ['1h', '1 hour'],
  ['3h', '3 hours'],
  ['6h', '6 hours'],
  ['12h', '12 hours'],
  ['24h', '24 hours'],
  ['2d', '2 days'],
  ['7d', '7 days'],
  ['30d', '30 days'],
  ['90d', '90 days'],
  ['1y', '1 year'],
];
const REFRESH = ['', '1s', '5s', '10s', '30s', '1m', '5m', '15m', '1h'];

export function rangeText(from: string, to: string): string {
  const quick = to === 'now' && QUICK.find(([short]) => from === `now-${short}`);
  if (quick) return `Last ${quick[1]}`;
  const shown = (text: string) => (/^\d+$/.test(text) ? dateText(Number(text), 'YYYY-MM-DD HH:mm:ss') : text);
  return `${shown(from)} to ${shown(to)}`;
}

/** Closes on Escape and on a press elsewhere. */
export function useClosing(open: boolean, close: () => void) {
  const box = useRef<HTMLDivElement>(null);
  const latest = useRef(close); // of the last drawing: it knows what has been chosen since
  latest.current = close;
  useEffect(() => {
    if (!open) return undefined;
    const key = (event: KeyboardEvent) => {
      if (event.key === 'Escape') latest.current();
    };
    const press = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) latest.current();
    };
    addEventListener('keydown', key);
    addEventListener('pointerdown', press);
    return () => {
      removeEventListener('keydown', key);
      removeEventListener('pointerdown', press);
    };
  }, [open]);
  return box;
}

interface RangeProps {
  from: string;
  to: string;
  span: Span;
  refresh: string;
  onRange: (from: string, to: string) => void;
  onRefresh: (refresh: string) => void;
  onNow: () => void;
}

export function RangePicker({ from, to, span, refresh, onRange, onRefresh, onNow }: RangeProps) {
  const [open, setOpen] = useState(false),
    [own, setOwn] = useState({ from, to }),
    [wrong, setWrong] = useState('');
  const box = useClosing(open, () => setOpen(false));
  useEffect(() => {
    setOwn({ from, to });
    setWrong('');
  }, [from, to, open]);
  const width = span.toMs - span.fromMs;
  const apply = (event: Event) => {
    event.preventDefault();
    const now = Date.now(),
      [a, b] = [parseTime(own.from, now), parseTime(own.to, now, true)];
    if (a === undefined || b === undefined)
      return setWrong(`"${a === undefined ? own.from : own.to}" is no time: now-6h or 2026-11-24 13:00:00 would be`);
    if (b <= a) return setWrong('The end is not behind the beginning.');
    setOpen(false);
    return onRange(own.from, own.to);
  };
  return (
    <div class="controls-time">
      <button
        type="button"
        class="icon"
        title="Earlier"
        aria-label="Earlier"
        onClick={() => onRange(String(Math.round(span.fromMs - width / 2)), String(Math.round(span.toMs - width / 2)))}
      >
        ‹
      </button>
      <div class="menu" ref={box}>
        <button type="button" aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)}>
          {rangeText(from, to)}
        </button>
        {open && (
          <div class="popup range" role="dialog" aria-label="Time range">
            <form onSubmit={apply}>
              <label>
                From
                <input value={own.from} onInput={(event) => setOwn({ ...own, from: event.currentTarget.value })} />
              </label>
              <label>
                To
                <input value={own.to} onInput={(event) => setOwn({ ...own, to: event.currentTarget.value })} />
              </label>
              {wrong && (
                <p class="wrong" role="alert">
                  {wrong}
                </p>
              )}
              <button type="submit" class="primary">
                Apply
              </button>
            </form>
            <div class="quick">
              {QUICK.map(([short, words]) => (
                <button
                  type="button"
                  key={short}
                  onClick={() => {
                    setOpen(false);
                    onRange(`now-${short}`, 'now');
                  }}
                >
                  Last {words}
                </button>
              ))}
            </div>
          </div>
        )}
      </div>
      <button
        type="button"
        class="icon"
        title="Later"
        aria-label="Later"
        onClick={() => onRange(String(Math.round(span.fromMs + width / 2)), String(Math.round(span.toMs + width / 2)))}
      >
        ›
      </button>
      <button
        type="button"
        class="icon"
        title="Zoom out"
        aria-label="Zoom out"
        onClick={() => onRange(String(Math.round(span.fromMs - width / 2)), String(Math.round(span.toMs + width / 2)))}
      >
        −
      </button>
      <button type="button" class="icon" title="Refresh now" aria-label="Refresh now" onClick={onNow}>
        ⟳
      </button>
      <select
        aria-label="Refresh"
        value={REFRESH.includes(refresh) ? refresh : ''}
        onChange={(event) => onRefresh(event.currentTarget.value)}
      >
        {REFRESH.map((one) => (
          <option key={one} value={one}>
            {one || 'Off'}
          </option>
        ))}
      </select>
    </div>
  );
}

const SHOWN_MAX = 500;

function Choices({ variable, onChoose }: { variable: Variable; onChoose: (values: string[]) => void }) {
  const { model, choices, chosen } = variable;
  const [open, setOpen] = useState(false),
    [search, setSearch] = useState(''),
    [own, setOwn] = useState(chosen);
  const done = () => {
    setOpen(false);
    if (own.join('\u0001') !== chosen.join('\u0001')) onChoose(own);
  };
  const box = useClosing(open, done);
  useEffect(() => {
    setOwn(chosen);
    setSearch('');
  }, [open, chosen.join('\u0001')]);
  const all = model.includeAll ? [{ text: 'All', value: ALL }, ...choices] : choices;
  const found = all.filter(({ text }) => text.toLowerCase().includes(search.toLowerCase()));
  const label =
    chosen[0] === ALL
      ? 'All'
      : chosen.map((value) => choices.find((choice) => choice.value === value)?.text ?? value).join(' + ') || 'None';
  const pick = (value: string) => {
    if (!model.multi) {
      setOpen(false);
      return onChoose([value]);
    }
    if (value === ALL) return setOwn([ALL]);
    const rest = own.filter((one) => one !== ALL);
    const next = rest.includes(value) ? rest.filter((one) => one !== value) : [...rest, value];
    return setOwn(next.length ? next : model.includeAll ? [ALL] : own);
  };
  const keys = (event: KeyboardEvent) => {
    const items = [...(box.current?.querySelectorAll<HTMLElement>('[role=option]') ?? [])],
      at = items.indexOf(document.activeElement as HTMLElement);
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      items[Math.min(Math.max(at + (event.key === 'ArrowDown' ? 1 : -1), 0), items.length - 1)]?.focus();
    } else if (event.key === 'Enter' && at < 0 && found[0]) pick(found[0].value);
  };
  return (
    <div class="menu" ref={box}>
      <button
        type="button"
        class="choice"
        aria-expanded={open}
        aria-haspopup="listbox"
        title={label}
        onClick={() => (open ? done() : setOpen(true))}
      >
        {label.length > 40 ? `${label.slice(0, 39)}…` : label}
      </button>
      {open && (
        <div class="popup choices" onKeyDown={keys}>
          {all.length > 8 && (
            <input
              aria-label={`Search ${model.label}`}
              placeholder="Search"
              value={search}
              onInput={(event) => setSearch(event.currentTarget.value)}
              ref={(input) => {
                input?.focus();
              }}
            />
          )}
          <div role="listbox" aria-multiselectable={model.multi} aria-label={model.label}>
            {found.slice(0, SHOWN_MAX).map(({ text, value }) => (
              <button
                type="button"
                role="option"
                key={value}
                aria-selected={own.includes(value)}
                onClick={() => pick(value)}
              >
                {model.multi && (
                  <span class="tick-box" aria-hidden="true">
                    {own.includes(value) ? '☑' : '☐'}
                  </span>
                )}
                {text}
              </button>
            ))}
            {found.length > SHOWN_MAX && <p class="more">and {found.length - SHOWN_MAX} more: search for them</p>}
            {!found.length && <p class="more">None</p>}
          </div>
        </div>
      )}
    </div>
  );
}

export function VariableBar({
  variables,
  onChoose,
}: {
  variables: ReadonlyMap<string, Variable>;
  onChoose: (name: string, values: string[]) => void;
}) {
  const shown = [...variables.values()].filter(
    ({ model }) => model.hide !== 2 && model.kind !== 'constant' && model.kind !== 'adhoc',
  );
  if (!shown.length) return null;
  return (
    <div class="variables">
      {shown.map((variable) => (
        <div class="variable" key={variable.model.name}>
          {variable.model.hide !== 1 && (
            <span class="variable-name" title={variable.model.description}>
              {variable.model.label}
            </span>
          )}
          {variable.model.kind === 'textbox' ? (
            <input
              aria-label={variable.model.label}
              value={variable.chosen[0] ?? ''}
              onChange={(event) => onChoose(variable.model.name, [event.currentTarget.value])}
            />
          ) : (
            <Choices variable={variable} onChoose={(values) => onChoose(variable.model.name, values)} />
          )}
          {variable.problem && (
            <span class="warn" role="img" aria-label={variable.problem} title={variable.problem}>
              ⚠
            </span>
          )}
        </div>
      ))}
    </div>
  );
}
