// The viewer: what the pages are, and the frame around them.
import { render } from 'preact';
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import 'uplot/dist/uPlot.min.css';

import { getJson } from './data/client';
import './style.css';
import { AlertsPage, RunbookPage } from './view/alerts';
import { DashboardView } from './view/dashboard';
import { EventPage } from './view/event';
import { EventsPage } from './view/events';
import { OverviewPage } from './view/overview';
import { ReplaysPage } from './view/replays';
import { SourcesPage, StackPage } from './view/sources';
import { StreamPage, StreamsPage } from './view/streams';
import { Guard } from './view/guard';
import { partsOf, usePlace, type Place } from './view/route';

const PAGES: [string, string][] = [
  ['/', 'Overview'],
  ['/dashboards', 'Dashboards'],
  ['/events', 'Events'],
  ['/alerts', 'Alerts'],
  ['/streams', 'Streams'],
  ['/replays', 'Replays'],
  ['/sources', 'Sources'],
  ['/stack', 'Stack'],
];

type Theme = 'light' | 'dark';

function useTheme(): [Theme, () => void] {
  const system = matchMedia('(prefers-color-scheme: light)');
  const [theme, setTheme] = useState<Theme>(() => {
    const kept = localStorage.getItem('theme');
    return kept === 'light' || kept === 'dark' ? kept : system.matches ? 'light' : 'dark';
  });
  // Before the page is painted: nobody sees a flash of the other colours.
  useLayoutEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return [
    theme,
    () => {
      const next = theme === 'dark' ? 'light' : 'dark';
      localStorage.setItem('theme', next);
      setTheme(next);
    },
  ];
}

function Dashboards() {
  const [all, setAll] = useState<{ uid: string; title: string; tags: string[]; problem?: string }[]>(),
    [problem, setProblem] = useState('');
  useEffect(() => {
    getJson<typeof all & object>('/api/dashboards').then(setAll, (error: Error) => setProblem(error.message));
  }, []);
  return (
    <div class="page">
      <h1>Dashboards</h1>
      {problem && (
        <p class="wrong" role="alert">
          {problem}
        </p>
      )}
      <ul class="dashboard-list">
        {all?.map(({ uid, title, tags, problem: broken }) => (
          <li key={uid}>
            <a href={`/d/${encodeURIComponent(uid)}`}>{title}</a>
            {tags.map((tag) => (
              <span class="tag" key={tag}>
                {tag}
              </span>
            ))}
            {broken && <span class="wrong">{broken}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

const TITLES: Record<string, string> = {
  '': 'Overview',
  dashboards: 'Dashboards',
  events: 'Events',
  alerts: 'Alerts',
  streams: 'Streams',
  replays: 'Replays',
  sources: 'Sources',
  stack: 'Stack',
};

function Page({ place, theme }: { place: Place; theme: Theme }) {
  const [, first = '', second = '', third = ''] = partsOf(place.path);
  useEffect(() => {
    if (first !== 'd')
      document.title = `${[third, second, TITLES[first] ?? 'Not here'].filter(Boolean).join(' ')} · cim-ops`;
  }, [place.path]);
  if (first === 'd' && second) return <DashboardView key={second} uid={second} place={place} theme={theme} />;
  if (first === '') return <OverviewPage />;
  if (first === 'dashboards') return <Dashboards />;
  if (first === 'events')
    return second && third ? <EventPage stream={second} seq={third} /> : <EventsPage place={place} />;
  if (first === 'alerts') return second ? <RunbookPage name={second} /> : <AlertsPage />;
  if (first === 'streams') return second ? <StreamPage name={second} /> : <StreamsPage />;
  if (first === 'replays') return <ReplaysPage />;
  if (first === 'sources') return <SourcesPage />;
  if (first === 'stack') return <StackPage />;
  return (
    <div class="page">
      <h1>Not here</h1>
      <p>
        There is no page <code>{place.path}</code>.
      </p>
    </div>
  );
}

function App() {
  const place = usePlace(),
    [theme, switchTheme] = useTheme();
  const isHere = (path: string) =>
    place.path === path ||
    (path !== '/' && place.path.startsWith(`${path}/`)) ||
    (path === '/dashboards' && place.path.startsWith('/d/'));
  // On a narrow screen the bar scrolls: where one is, is in view.
  useEffect(() => {
    const here = document.querySelector<HTMLElement>('nav.top [aria-current]'),
      bar = here?.parentElement;
    if (here && bar) bar.scrollLeft = here.offsetLeft + (here.offsetWidth - bar.clientWidth) / 2;
  }, [place.path]);
  return (
    <>
      <a class="skip" href="#content">
        To the content
      </a>
      <nav class="top" aria-label="Pages">
        <a class="brand" href="/">
          cim-ops
        </a>
        {PAGES.map(([path, name]) => (
          <a key={path} href={path} aria-current={isHere(path) ? 'page' : undefined}>
            {name}
          </a>
        ))}
        <button
          type="button"
          class="icon theme"
          onClick={switchTheme}
          aria-label={theme === 'dark' ? 'Light colours' : 'Dark colours'}
          title={theme === 'dark' ? 'Light colours' : 'Dark colours'}
        >
          {theme === 'dark' ? '☀' : '☾'}
        </button>
      </nav>
      <main id="content">
        <Guard
          of={place}
          show={(problem) => (
            <div class="page">
              <h1>This page cannot be shown</h1>
              <p class="wrong" role="alert">
                {problem}
              </p>
            </div>
          )}
        >
          <Page place={place} theme={theme} />
        </Guard>
      </main>
    </>
  );
}

render(<App />, document.getElementById('app')!);
