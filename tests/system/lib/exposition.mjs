// Reads what /metrics says: Prometheus text and OpenMetrics.

const SAMPLE = new RegExp([
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)/, // name
  /(?:\{((?:[^"}]|"(?:\\.|[^"\\])*")*)\})?/, // {labels}
  /[ \t]+(\S+)(?:[ \t]+(-?[\d.]+))?/, // value, timestamp
  /(?:[ \t]+#.*)?$/, // OpenMetrics exemplar
].map((part) => part.source).join(''));
const LABEL = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:\\.|[^"\\])*)"\s*(?:,|$)/y;

/** The samples of one exposition. Labels are matched as a subset where a method says so. */
export class Metrics {
  /** "name{a=\"1\",b=\"2\"}" with the labels sorted -> value; plain names without braces. */
  samples = new Map();
  types = new Map();
  help = new Map();
  #byName = new Map();

  constructor(text) {
    let number = 0;
    for (const line of text.split('\n')) {
      number++;
      if (!line) continue;
      if (line.startsWith('#')) this.#comment(line);
      else this.#sample(line, number);
    }
  }

  #comment(line) {
    const [, kind, name, rest] = line.match(/^# (TYPE|HELP) (\S+) ?(.*)$/) ?? [];
    if (kind === 'TYPE') this.types.set(name, rest);
    if (kind === 'HELP') this.help.set(name, rest);
  }

  #sample(line, number) {
    const match = line.match(SAMPLE);
    if (!match) throw new Error(`line ${number} is no sample: ${line}`);
    const [, name, labelText = '', valueText] = match;
    const labels = parseLabels(labelText, line);
    const value = parseValue(valueText, line);
    const key = seriesKey(name, labels);
    if (this.samples.has(key)) throw new Error(`line ${number} repeats the series ${key}`);
    this.samples.set(key, value);
    if (!this.#byName.has(name)) this.#byName.set(name, []);
    this.#byName.get(name).push({ labels, value });
  }

  /** The value of exactly this series, or undefined when it is absent. */
  get(name, labels = {}) {
    return this.samples.get(seriesKey(name, labels));
  }

  /** All series of a name whose labels contain `labels`: [{labels, value}]. */
  series(name, labels = {}) {
    return (this.#byName.get(name) ?? []).filter(({ labels: own }) =>
      Object.entries(labels).every(([key, value]) => own[key] === value));
  }

  /** Their sum; undefined when there is none (absent is not zero). */
  sum(name, labels = {}) {
    const found = this.series(name, labels);
    return found.length ? found.reduce((total, { value }) => total + value, 0) : undefined;
  }

  has(name) {
    return this.#byName.has(name);
  }

  names() {
    return [...this.#byName.keys()];
  }
}

/** The canonical form of a series: labels sorted, empty ones left out (empty means absent). */
export function seriesKey(name, labels = {}) {
  const parts = Object.keys(labels).filter((key) => labels[key] !== '' && labels[key] !== undefined)
    .sort().map((key) => `${key}=${JSON.stringify(String(labels[key]))}`);
  return parts.length ? `${name}{${parts.join(',')}}` : name;
}

/** Scrapes `url` and parses the answer; throws when it is not 200. */
export async function scrape(url, { accept } = {}) {
  const { text } = await scrapeText(url, { accept });
  return new Metrics(text);
}

export async function scrapeText(url, { accept, headers } = {}) {
  const response = await fetch(url, {
    headers: { ...(accept ? { accept } : {}), ...headers }, signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}: ${text.slice(0, 500)}`);
  return { text, response };
}

function parseLabels(text, line) {
  const labels = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex;
    const match = LABEL.exec(text);
    if (!match) throw new Error(`bad labels at column ${at}: ${line}`);
    if (match[1] in labels) throw new Error(`label ${match[1]} twice: ${line}`);
    labels[match[1]] = match[2].replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
  }
  return labels;
}

function parseValue(text, line) {
  const special = { '+Inf': Infinity, Inf: Infinity, '-Inf': -Infinity, NaN }[text];
  const value = special ?? Number(text);
  if (special === undefined && Number.isNaN(value)) throw new Error(`bad value: ${line}`);
  return value;
}
