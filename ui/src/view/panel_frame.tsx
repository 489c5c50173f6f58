// A panel in its frame: title, links, what is wrong, and the picture; asks for its data when it is seen.
import type { ComponentType } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Mark } from '../data/annotations';
import { loadPanel, type PanelContext, type PanelData } from '../data/panel';
import { safeUrl, type Panel } from '../model/dashboard';
import { interpolate } from '../model/variables';
import { TimeSeries } from '../panels/chart';
import type { PanelProps } from '../panels/panel';
import { BarChart, Pie } from '../panels/shares';
import { BarGauge, Gauge, Stat } from '../panels/stat';
import { Table } from '../panels/table';
import { Text } from '../panels/text';
import { Heatmap, StateTimeline } from '../panels/timeline';
import { transform } from '../model/transform';
import { Guard } from './guard';

const KINDS: Record<string, ComponentType<PanelProps>> = {
  timeseries: TimeSeries,
  trend: TimeSeries,
  stat: Stat,
  gauge: Gauge,
  bargauge: BarGauge,
  barchart: BarChart,
  histogram: BarChart,
  piechart: Pie,
  table: Table,
  heatmap: Heatmap,
  'state-timeline': StateTimeline,
  'status-history': StateTimeline,
  text: Text,
};

/** Kinds that are drawn as their nearest relative. */
const NEAR: Record<string, string> = {
  'heatmap-new': 'heatmap',
  candlestick: 'timeseries',
  'natel-discrete-panel': 'state-timeline',
  'flant-statusmap-panel': 'status-history',
  'grafana-polystat-panel': 'stat',
  'vonage-status-panel': 'stat',
  'michaeldmoore-multistat-panel': 'bargauge',
};

interface Props {
  panel: Panel;
  context: Omit<PanelContext, 'width' | 'panels'> & { panels: PanelContext['panels'] };
  /** Another number: ask again. */
  turn: number;
  marks?: Mark[];
  sync?: string;
  theme: string;
  onZoom: (fromMs: number, toMs: number) => void;
  /** How many loads are under way on this dashboard. */
  busy: { current: number };
}

/** Who scrolls past and back is not asked for twice: a query given up goes on in Prometheus all the same. */
const OUT_OF_SIGHT_MS = 3000;

/** Seen, or nearly so: then data is asked for. */
function useSeen(ref: { current: HTMLElement | null }): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (!ref.current) return undefined;
    const observer = new IntersectionObserver((entries) => setSeen(entries.some((entry) => entry.isIntersecting)), {
      rootMargin: '300px',
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return seen;
}

function useSize(ref: { current: HTMLElement | null }): { width: number; height: number } {
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    if (!ref.current) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      const { width, height } = entry!.contentRect;
      setSize((before) =>
        Math.abs(before.width - width) < 1 && Math.abs(before.height - height) < 1
          ? before
          : { width: Math.floor(width), height: Math.floor(height) },
      );
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return size;
}

function Notes({ failures, notes }: { failures: string[]; notes: string[] }) {
  if (!failures.length && !notes.length) return null;
  const all = [...failures, ...notes].join('\n');
  return (
    <details class={failures.length ? 'notes failed' : 'notes'}>
      <summary title={all} aria-label={failures.length ? `Failed: ${all}` : `Note: ${all}`}>
        {failures.length ? '✕' : 'i'}
      </summary>
      <pre>{all}</pre>
    </details>
  );
}

export function PanelFrame({ panel, context, turn, marks, sync, theme, onZoom, busy }: Props) {
  const frame = useRef<HTMLElement>(null),
    body = useRef<HTMLDivElement>(null);
  const seen = useSeen(frame),
    size = useSize(body);
  const [data, setData] = useState<PanelData>(),
    [loading, setLoading] = useState(false),
    [undrawn, setUndrawn] = useState<{ data?: PanelData; problem: string }>(),
    asked = useRef(''),
    asking = useRef<{ wants: string; stop: AbortController } | undefined>(undefined);
  const states = useMemo(() => {
    const all = new Map(context.variables);
    for (const [name, { text, value }] of Object.entries(panel.scope ?? {})) all.set(name, { value, text });
    return all;
  }, [context.variables, panel.scope]);
  const fill = useMemo(
    () => (text: string) =>
      interpolate(text, states, {
        step: {
          fromMs: context.span.fromMs,
          toMs: context.span.toMs,
          stepMs: 15_000,
          scrapeMs: context.scrapeMs,
          dashboard: context.dashboard,
          dashboardUid: context.dashboardUid,
        },
      }),
    [states, context.span],
  );
  // What the answer depends on, but for the exact width.
  const wide = Math.ceil(size.width / 200) * 200,
    wants = `${turn}/${context.span.fromMs}/${context.span.toMs}/${wide}/${JSON.stringify([...states])}/${panel.id}`;
  useEffect(() => {
    const giveUp = () => {
      asking.current?.stop.abort();
      asking.current = undefined;
    };
    if (asking.current && asking.current.wants !== wants) giveUp();
    if (!seen) {
      const timer = setTimeout(() => {
        giveUp();
        setLoading(false);
      }, OUT_OF_SIGHT_MS);
      return () => clearTimeout(timer);
    }
    if (!size.width || asked.current === wants || asking.current) return undefined;
    const stop = new AbortController();
    asking.current = { wants, stop };
    setLoading(true);
    const ended = () => {
      if (stop.signal.aborted) return false;
      asking.current = undefined;
      setLoading(false);
      return true;
    };
    busy.current++;
    loadPanel(panel, { ...context, width: size.width }, stop.signal)
      .catch(
        (error: Error): PanelData => ({
          ...{ frames: [], span: context.span, stepMs: 0 },
          failures: [error.message],
          notes: panel.problems,
        }),
      )
      .then((loaded) => {
        busy.current--;
        if (!ended()) return; // not wanted any more
        asked.current = wants;
        setData(loaded);
      });
    return undefined;
  }, [seen, wants, size.width > 0]);
  useEffect(() => () => asking.current?.stop.abort(), []);

  const near = Object.hasOwn(NEAR, panel.type) ? NEAR[panel.type]! : undefined,
    kind = near ?? panel.type,
    known = Object.hasOwn(KINDS, kind);
  const Kind = known ? KINDS[kind]! : Table;
  const shown = useMemo(
    () =>
      data && panel.type === 'histogram' && !data.frames.some((one) => one.fields[0]?.name === 'xMin')
        ? { ...data, frames: transform(data.frames, [{ id: 'histogram', options: panel.options }]).frames }
        : data,
    [data],
  );
  const failures = [
    ...(data?.failures ?? []),
    ...(undrawn && undrawn.data === data ? [`it cannot be drawn: ${undrawn.problem}`] : []),
  ];
  const notes = [
    ...(data?.notes ?? panel.problems),
    ...(near ? [`panels of the kind "${panel.type}" are not drawn here; it is shown as a ${near}`] : []),
    ...(known ? [] : [`panels of the kind "${panel.type}" are not drawn here; this is its data as a table`]),
  ];
  const isText = panel.type === 'text',
    nothing = data && !isText && !data.frames.some((one) => one.length);
  const title = fill(panel.title),
    shift =
      data && (panel.timeFrom || panel.timeShift) && !panel.hideTimeOverride
        ? [panel.timeFrom && `last ${panel.timeFrom}`, panel.timeShift && `${panel.timeShift} earlier`]
            .filter(Boolean)
            .join(', ')
        : '';
  return (
    <section
      class={`panel${panel.transparent ? ' transparent' : ''}${loading ? ' loading' : ''}`}
      ref={frame}
      data-panel={panel.id}
      data-type={panel.type}
      data-state={!data && !isText ? 'waiting' : failures.length ? 'failed' : nothing ? 'empty' : 'shown'}
      aria-label={title || panel.type}
    >
      {(title || panel.description || notes.length > 0 || failures.length > 0 || panel.links.length > 0) && (
        <header>
          <h3 title={title}>{title}</h3>
          {shift && <span class="shift">{shift}</span>}
          {panel.description && (
            <details class="notes">
              <summary title={fill(panel.description)} aria-label="About this panel">
                ?
              </summary>
              <pre>{fill(panel.description)}</pre>
            </details>
          )}
          {panel.links.map((link, i) => {
            const href = safeUrl(fill(link.url));
            return href === undefined ? null : (
              <a
                key={i}
                href={href}
                target={link.targetBlank ? '_blank' : undefined}
                rel="noopener noreferrer"
                title={link.title}
              >
                ↗
              </a>
            );
          })}
          <Notes failures={failures} notes={notes} />
        </header>
      )}
      <div class="panel-body" ref={body}>
        <Guard
          of={data}
          onProblem={(problem) => setUndrawn({ data, problem })}
          show={(problem) => <div class="nothing">it cannot be drawn: {problem}</div>}
        >
          {isText && size.width > 0 && (
            <Text
              panel={panel}
              data={{ frames: [], span: context.span, stepMs: 0, failures: [], notes: [] }}
              width={size.width}
              height={size.height}
              theme={theme}
              fill={fill}
            />
          )}
          {!isText && shown && !nothing && size.width > 20 && size.height > 10 && (
            <Kind
              panel={panel}
              data={shown}
              marks={panel.timeFrom || panel.timeShift ? undefined : marks}
              width={size.width}
              height={size.height}
              sync={sync}
              theme={theme}
              onZoom={onZoom}
              fill={fill}
            />
          )}
        </Guard>
        {!isText && nothing && (
          <div class="nothing">
            {failures.length ? failures.join('\n') : panel.fieldConfig.defaults?.noValue || 'No data'}
          </div>
        )}
        {!isText && !data && <div class="nothing">{seen ? '…' : ''}</div>}
      </div>
    </section>
  );
}
