// A viewer under test: `cim-ops web` on a free port.
import { startCimOps } from './monitor.mjs';
import { until } from './wait.mjs';

/** `web.get(path)` gives the response; `web.json(path)` its JSON, whatever the status. */
export async function startWeb(
  t,
  { nats = 'nats://127.0.0.1:1', prometheus = 'http://127.0.0.1:1', args = [], env } = {},
) {
  const child = startCimOps(t, ['web', '--port', '0', '--nats', nats, '--prometheus', prometheus, ...args], { env });
  const url = await until(() => /(https?:\/\/\S+)/.exec(child.stdout)?.[1], {
    alive: child,
    what: 'the address of cim-ops web',
  });
  const get = (path, options) => fetch(url + path, options);
  return { child, url, get, json: async (path, options) => (await get(path, options)).json() };
}

/** Server-sent events of a path, as {event, data}, until `stop()`. */
export async function listen(url) {
  const stopping = new AbortController();
  const response = await fetch(url, { signal: stopping.signal });
  const events = [];
  const done = (async () => {
    let text = '';
    for await (const chunk of response.body) {
      text += Buffer.from(chunk).toString();
      const parts = text.split('\n\n');
      text = parts.pop();
      for (const part of parts) {
        const fields = Object.fromEntries(
          part
            .split('\n')
            .filter((line) => line[0] !== ':' && line)
            .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
        );
        if (fields.data !== undefined) events.push({ event: fields.event ?? 'message', data: fields.data });
      }
    }
  })().catch(() => {});
  return { response, events, stop: () => (stopping.abort(), done) };
}
