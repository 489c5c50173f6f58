// A dashboard: its variables, its rows, its panels.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { loadMarks, type Mark } from '../data/annotations';
import { getJson } from '../data/client';
import { scrapeInterval } from '../data/prometheus';
import { layout } from '../data/repeat';
import { ALL, loadVariables, statesOf, type Variable } from '../data/variables';
import { readDashboard, safeUrl, type Dashboard, type Panel } from '../model/dashboard';
import { parseInterval, spanOf } from '../model/time';
import { useUtc } from '../model/units';
import { interpolate, references } from '../model/variables';
import { RangePicker, VariableBar } from './controls';
import { PanelFrame } from './panel_frame';
import { go, withQuery, type Place } from './route';

const ROW_PX = 38;

function chosenOf(query: URLSearchParams): Map<string, string[]> {
  const chosen = new Map<string, string[]>();
  for (const [key, value] of query)
    if (key.startsWith('var-')) chosen.set(key.slice(4), [...(chosen.get(key.slice(4)) ?? []), value]);
  return chosen;
}

/** The clock of a dashboard stands still between refreshes. */
export function DashboardView({ uid, place, theme }: { uid: string; place: Place; theme: string }) {
  const [dashboard, setDashboard] = useState<Dashboard>(),
    [problem, setProblem] = useState('');
  const [variables, setVariables] = useState<ReadonlyMap<string, Variable>>(),
    [turn, setTurn] = useState(0),
    [nowMs, setNowMs] = useState(Date.now);
  const [scrapeMs, setScrapeMs] = useState(15_000),
    [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  const from = place.query.get('from') ?? dashboard?.time.from ?? 'now-6h',
    to = place.query.get('to') ?? dashboard?.time.to ?? 'now';
  const busy = useRef(0);
  const refresh = place.query.get('refresh') ?? dashboard?.refresh ?? '';
  const span = useMemo(
    () => spanOf({ from, to }, nowMs) ?? spanOf({ from: 'now-6h', to: 'now' }, nowMs)!,
    [from, to, nowMs],
  );

  useEffect(() => {
    const stop = new AbortController();
    setDashboard(undefined);
    setVariables(undefined);
    setProblem('');
    Promise.all([
      getJson<unknown>(`/api/dashboards/${encodeURIComponent(uid)}`, { signal: stop.signal }),
      scrapeInterval(stop.signal),
    ])
      .then(([json, ms]) => {
        const read = readDashboard(json, uid);
        useUtc(/^(utc|etc\/utc|gmt)$/i.test(read.timezone));
        setScrapeMs(ms);
        setClosed(new Set(read.panels.filter((panel) => panel.type === 'row' && panel.collapsed).map(({ id }) => id)));
        setDashboard(read);
        document.title = `${read.title} · cim-ops`;
      })
      .catch((error: Error) => {
        if (!stop.signal.aborted) setProblem(error.message);
      });
    return () => {
      stop.abort();
      useUtc(false);
    };
  }, [uid]);

  // Choices are asked for anew when another variable is chosen; those that depend on the range, with it.
  const address = place.query.toString(),
    byRange = dashboard?.variables.some((model) => model.refresh === 2) ? `${span.fromMs}` : '';
  const wanted = JSON.stringify([...chosenOf(place.query)]);
  useEffect(() => {
    if (!dashboard) return undefined;
    const stop = new AbortController();
    busy.current++;
    loadVariables(dashboard, chosenOf(place.query), span, stop.signal)
      .then(setVariables, (error: Error) => !stop.signal.aborted && setProblem(error.message))
      .finally(() => busy.current--);
    return () => stop.abort();
  }, [dashboard, wanted, byRange]);

  useEffect(() => {
    const every = refresh ? parseInterval(refresh) : undefined;
    if (!every) return undefined;
    const timer = setInterval(
      () => {
        // An answer that takes longer than the refresh is waited for: another turn would end it.
        if (!document.hidden && !busy.current) {
          setNowMs(Date.now());
          setTurn((one) => one + 1);
        }
      },
      Math.max(every, 1000),
    );
    return () => clearInterval(timer);
  }, [refresh]);

  const states = useMemo(() => (variables ? statesOf(variables, span) : undefined), [variables, span]);
  const [marks, setMarks] = useState<Mark[]>();
  useEffect(() => {
    setMarks(undefined);
    if (!dashboard?.annotations.length || !states) return undefined;
    const stop = new AbortController();
    loadMarks(dashboard.annotations, span, states, scrapeMs, stop.signal).then(setMarks, () => {});
    return () => stop.abort();
  }, [dashboard, states]);
  const panels = useMemo(() => new Map(dashboard?.panels.map((panel) => [panel.id, panel]) ?? []), [dashboard]);
  const sections = useMemo(
    () => (dashboard && variables ? layout(dashboard.panels, variables) : []),
    [dashboard, variables],
  );
  const onlyPanel = Number(place.query.get('viewPanel')?.replace('panel-', '')) || undefined;
  const box = useRef<HTMLDivElement>(null);

  if (problem)
    return (
      <div class="page">
        <h1>{uid}</h1>
        <p class="wrong" role="alert">
          This dashboard cannot be shown: {problem}
        </p>
        <p>
          <a href="/dashboards">All dashboards</a>
        </p>
      </div>
    );
  if (!dashboard)
    return (
      <div class="page" aria-busy="true">
        <p class="nothing">Loading…</p>
      </div>
    );

  const setRange = (a: string, b: string) => {
    setNowMs(Date.now());
    go(withQuery({ from: a, to: b }));
  };
  const context = states && {
    span,
    nowMs,
    scrapeMs,
    variables: states,
    dashboard: dashboard.title,
    dashboardUid: dashboard.uid,
    panels,
    sourceKinds: dashboard.sourceKinds,
  };
  const frame = (panel: Panel) =>
    context && (
      <PanelFrame
        key={panel.id}
        panel={panel}
        context={context}
        turn={turn}
        busy={busy}
        theme={theme}
        marks={marks}
        sync={dashboard.graphTooltip ? dashboard.uid : undefined}
        onZoom={(a, b) => setRange(String(a), String(b))}
      />
    );
  const fill = (text: string) => (states ? interpolate(text, states) : text);
  void address;
  const only = onlyPanel ? sections.flatMap((section) => section.panels).find(({ id }) => id === onlyPanel) : undefined;
  return (
    <div class="dashboard">
      <div class="controls">
        <h1>{dashboard.title}</h1>
        <div class="dashboard-links">
          {dashboard.links.map((link, i) => (
            <DashboardAnchor key={i} link={link} fill={fill} />
          ))}
        </div>
        <RangePicker
          from={from}
          to={to}
          span={span}
          refresh={refresh}
          onRange={setRange}
          onRefresh={(one) => go(withQuery({ refresh: one }))}
          onNow={() => {
            setNowMs(Date.now());
            setTurn((one) => one + 1);
          }}
        />
      </div>
      {variables && (
        <VariableBar
          variables={variables}
          onChoose={(name, values) =>
            go(withQuery({ [`var-${name}`]: values.map((value) => (value === ALL ? '$__all' : value)) }))
          }
        />
      )}
      {dashboard.problems.map((one) => (
        <p class="wrong" role="alert" key={one}>
          {one}
        </p>
      ))}
      <div ref={box}>
        {only ? (
          <div class="grid single">{frame(only)}</div>
        ) : (
          sections.map(({ row, panels: inside }, i) => {
            const isClosed = row !== undefined && closed.has(row.copyOf ?? row.id);
            return (
              <div class="section" key={row?.id ?? `first${i}`}>
                {row && (
                  <button
                    type="button"
                    class="row-title"
                    aria-expanded={!isClosed}
                    onClick={() =>
                      setClosed((before) => {
                        const next = new Set(before),
                          id = row.copyOf ?? row.id;
                        if (!next.delete(id)) next.add(id);
                        return next;
                      })
                    }
                  >
                    <span aria-hidden="true">{isClosed ? '▸' : '▾'}</span>{' '}
                    {row.scope
                      ? interpolate(row.title, new Map([...(states ?? []), ...Object.entries(row.scope)]))
                      : fill(row.title) || 'Row'}{' '}
                    <span class="count">{inside.length}</span>
                  </button>
                )}
                {!isClosed && (
                  <div class="grid" style={{ gridAutoRows: `${ROW_PX - 8}px` }}>
                    {inside.map((panel) => (
                      <div
                        class="cell"
                        key={panel.id}
                        style={{
                          '--x': panel.gridPos.x + 1,
                          '--y': panel.gridPos.y + 1,
                          '--w': panel.gridPos.w,
                          '--h': panel.gridPos.h,
                        }}
                      >
                        {frame(panel)}
                      </div>
                    ))}
                  </div>
                )}
              </div>
            );
          })
        )}
      </div>
    </div>
  );
}

function DashboardAnchor({ link, fill }: { link: Dashboard['links'][number]; fill: (text: string) => string }) {
  const [found, setFound] = useState<{ uid: string; title: string }[]>([]);
  useEffect(() => {
    if (link.type !== 'dashboards') return;
    getJson<{ uid: string; title: string; tags: string[] }[]>('/api/dashboards').then(
      (all) => setFound(all.filter(({ tags }) => link.tags.every((tag) => tags.includes(tag)))),
      () => {},
    );
  }, [link]);
  const query = new URLSearchParams();
  for (const [key, value] of new URLSearchParams(location.search))
    if ((link.keepTime && (key === 'from' || key === 'to')) || (link.includeVars && key.startsWith('var-')))
      query.append(key, value);
  const suffix = query.size ? `?${query}` : '';
  if (link.type === 'dashboards')
    return (
      <>
        {found.map(({ uid, title }) => (
          <a key={uid} href={`/d/${encodeURIComponent(uid)}${suffix}`}>
            {title}
          </a>
        ))}
      </>
    );
  const href = safeUrl(fill(link.url));
  return href === undefined ? null : (
    <a
      href={href + (suffix && !href.includes('?') ? suffix : '')}
      target={link.targetBlank ? '_blank' : undefined}
      rel="noopener noreferrer"
      title={link.tooltip}
    >
      {link.title || href}
    </a>
  );
}

/** For tests and for what follows: which variables a panel depends on. */
export const panelReferences = (panel: Panel) => references(JSON.stringify(panel.targets));
