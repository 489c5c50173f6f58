// The address is the state: path, range, variables. Links inside stay on the page.
import { useEffect, useState } from 'preact/hooks';

export interface Place {
  path: string;
  query: URLSearchParams;
}

const here = (): Place => ({ path: location.pathname, query: new URLSearchParams(location.search) });

const listeners = new Set<() => void>();

export function go(to: string, replace = false): void {
  if (to !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](null, '', to);
  for (const listener of listeners) listener();
}

/** Some parameters changed: undefined takes one away, a list sets several. */
export function withQuery(change: Record<string, string | string[] | undefined>): string {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(change)) {
    query.delete(name);
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, one);
  }
  const text = query.toString();
  return location.pathname + (text ? `?${text}` : '');
}

/** The parts of a path; one that is no encoded text stays as it is. */
export const partsOf = (path: string): string[] =>
  path.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const update = () => setPlace(here());
    const click = (event: MouseEvent) => {
      const link = (event.target as Element | null)?.closest?.('a');
      if (
        !link ||
        event.defaultPrevented ||
        event.button ||
        event.ctrlKey ||
        event.metaKey ||
        event.shiftKey ||
        link.target ||
        link.origin !== location.origin ||
        link.hasAttribute('download')
      )
        return;
      event.preventDefault();
      go(link.pathname + link.search + link.hash);
    };
    listeners.add(update);
    addEventListener('popstate', update);
    document.addEventListener('click', click);
    return () => {
      listeners.delete(update);
      removeEventListener('popstate', update);
      document.removeEventListener('click', click);
    };
  }, []);
  return place;
}
