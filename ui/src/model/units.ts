// Numbers as people read them: the unit ids of Grafana's field options (grafana.com/docs, "Standard
// options", Unit) -> text. A unit that is not known shows the plain number with its id behind it, as
// Grafana does for units of the user's own.

export interface Shown {
  prefix: string;
  text: string;
  suffix: string;
}

type Format = (value: number, decimals: number | undefined) => Shown;

/** As many decimals as give about three digits; zeros at the end go. */
export function plainNumber(value: number, decimals?: number): string {
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : value < 0 ? '-Inf' : 'NaN';
  if (decimals !== undefined) return value.toFixed(Math.min(Math.max(decimals, 0), 20));
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e21 || size < 1e-6) return trimmed(value.toExponential(2));
  const places = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 2 - Math.floor(Math.log10(size));
  const text = value.toFixed(Math.min(places, 20));
  return text.includes('.') ? trimmed(text) : text;
}

function trimmed(text: string): string {
  return text.replace(/\.?0+(e|$)/, '$1');
}

const plain =
  (suffix: string, prefix = ''): Format =>
  (value, decimals) => ({ prefix, text: plainNumber(value, decimals), suffix });

/** Steps of `factor`: the largest name that leaves at least one. */
function scaled(factor: number, names: string[], unit: string, first = 0): Format {
  return (value, decimals) => {
    let size = Math.abs(value),
      at = first,
      shown = value;
    while (size >= factor && at < names.length - 1) {
      size /= factor;
      shown /= factor;
      at++;
    }
    return { prefix: '', text: plainNumber(shown, decimals), suffix: ` ${names[at]}${unit}`.trimEnd() };
  };
}

const IEC = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];
const METRIC = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const COUNT = ['', 'K', 'Mil', 'Bil', 'Tri', 'Quadr', 'Quint', 'Sext', 'Sept'];

const binary = (unit: string, first = 0) => scaled(1024, IEC, unit, first);
const metric = (unit: string, first = 0) => scaled(1000, METRIC, unit, first);
const count =
  (unit = ''): Format =>
  (value, decimals) => {
    const shown = scaled(1000, COUNT, '')(value, decimals);
    return unit ? { ...shown, suffix: `${shown.suffix} ${unit}` } : shown;
  };

/** With small prefixes, too: 0.002 V is 2 mV. */
function si(unit: string, power = 0): Format {
  const names = ['f', 'p', 'n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
  return (value, decimals) => {
    const base = value * 10 ** power;
    const size = Math.abs(base);
    let step = size === 0 || !Number.isFinite(size) ? 0 : Math.floor(Math.log10(size) / 3 + 1e-9);
    step = Math.min(Math.max(step, -5), 8);
    return { prefix: '', text: plainNumber(base / 10 ** (3 * step), decimals), suffix: ` ${names[step + 5]}${unit}` };
  };
}

// --- time -------------------------------------------------------------------------------------------

const SPANS: [number, string][] = [
  [1e-9, 'ns'],
  [1e-6, 'µs'],
  [1e-3, 'ms'],
  [1, 's'],
  [60, 'min'],
  [3600, 'hour'],
  [86400, 'day'],
  [604800, 'week'],
  [31536000, 'year'],
];

function span(inSeconds: number): Format {
  return (value, decimals) => {
    const seconds = value * inSeconds,
      size = Math.abs(seconds);
    if (size === 0)
      return {
        prefix: '',
        text: plainNumber(0, decimals),
        suffix: ` ${SPANS.find(([s]) => s >= inSeconds)?.[1] ?? 's'}`,
      };
    let [unit, name] = SPANS[0]!;
    for (const [at, word] of SPANS) {
      if (size >= at * 0.9999999999) [unit, name] = [at, word];
    }
    const text = plainNumber(seconds / unit, decimals);
    const many = unit >= 3600 && Number(text) !== 1;
    return { prefix: '', text, suffix: ` ${name}${many ? 's' : ''}` };
  };
}

function clock(toMs: number): Format {
  return (value) => {
    let ms = Math.round(Math.abs(value) * toMs);
    const parts: string[] = [];
    for (const [size, name] of [
      [3600000, 'h'],
      [60000, 'm'],
      [1000, 's'],
      [1, 'ms'],
    ] as const) {
      const whole = Math.floor(ms / size);
      ms -= whole * size;
      if (whole || parts.length) parts.push(`${String(whole).padStart(2, '0')}${name}`);
    }
    return { prefix: value < 0 ? '-' : '', text: parts.join(':') || '0ms', suffix: '' };
  };
}

/** 1 day 2 hours: the two largest parts; with decimals given, one more than those. */
function duration(toSeconds: number): Format {
  return (value, decimals = 1) => {
    let rest = Math.abs(value) * toSeconds;
    const parts: string[] = [];
    for (const [size, name] of [
      [31536000, 'year'],
      [2592000, 'month'],
      [604800, 'week'],
      [86400, 'day'],
      [3600, 'hour'],
      [60, 'minute'],
      [1, 'second'],
      [1e-3, 'millisecond'],
    ] as const) {
      const whole = Math.floor(rest / size + 1e-9);
      rest -= whole * size;
      if (whole && parts.length <= decimals) parts.push(`${whole} ${name}${whole === 1 ? '' : 's'}`);
      else if (parts.length) break;
    }
    return { prefix: value < 0 ? '-' : '', text: parts.join(' ') || '0', suffix: '' };
  };
}

/** 26:03:09, or 1 d 02:03:09. */
function hms(days: boolean): Format {
  return (value) => {
    const all = Math.floor(Math.abs(value));
    const day = days ? Math.floor(all / 86400) : 0;
    const rest = all - day * 86400;
    const text = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60]
      .map((part) => String(part).padStart(2, '0'))
      .join(':');
    return { prefix: value < 0 ? '-' : '', text: days ? `${day} d ${text}` : text, suffix: '' };
  };
}

const two = (value: number) => String(value).padStart(2, '0');

let inUtc = false;

/** For a dashboard in UTC: all times, and the ticks of the axes. */
export function useUtc(utc: boolean): void {
  inUtc = utc;
}

export const isUtc = () => inUtc;

/** moment.js tokens, as far as dashboards use them. */
export function dateText(ms: number, format: string, utc = inUtc): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return 'Invalid date';
  const part = utc
    ? {
        Y: date.getUTCFullYear(),
        M: date.getUTCMonth() + 1,
        D: date.getUTCDate(),
        H: date.getUTCHours(),
        m: date.getUTCMinutes(),
        s: date.getUTCSeconds(),
      }
    : {
        Y: date.getFullYear(),
        M: date.getMonth() + 1,
        D: date.getDate(),
        H: date.getHours(),
        m: date.getMinutes(),
        s: date.getSeconds(),
      };
  const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
  const hour12 = part.H % 12 || 12;
  return format.replace(/\[([^\]]*)\]|YYYY|YY|MMM|MM|M|DD|D|HH|H|hh|h|mm|m|ss|s|SSS|A|a|X|x/g, (token, literal) => {
    if (literal !== undefined) return literal;
    switch (token) {
      case 'YYYY':
        return String(part.Y);
      case 'YY':
        return two(part.Y % 100);
      case 'MMM':
        return months[part.M - 1]!;
      case 'MM':
        return two(part.M);
      case 'M':
        return String(part.M);
      case 'DD':
        return two(part.D);
      case 'D':
        return String(part.D);
      case 'HH':
        return two(part.H);
      case 'H':
        return String(part.H);
      case 'hh':
        return two(hour12);
      case 'h':
        return String(hour12);
      case 'mm':
        return two(part.m);
      case 'm':
        return String(part.m);
      case 'ss':
        return two(part.s);
      case 's':
        return String(part.s);
      case 'SSS':
        return String(date.getMilliseconds()).padStart(3, '0');
      case 'A':
        return part.H < 12 ? 'AM' : 'PM';
      case 'a':
        return part.H < 12 ? 'am' : 'pm';
      case 'X':
        return String(Math.floor(ms / 1000));
      default:
        return String(ms);
    }
  });
}

const date =
  (format: string, hidesToday = false): Format =>
  (value) => {
    const today = new Date().toDateString() === new Date(value).toDateString();
    return { prefix: '', text: dateText(value, hidesToday && today ? 'HH:mm:ss' : format), suffix: '' };
  };

export function ago(ms: number, now = Date.now()): string {
  const seconds = (now - ms) / 1000,
    size = Math.abs(seconds);
  const steps: [number, number, string][] = [
    [45, 1, ''],
    [2700, 60, 'minute'],
    [79200, 3600, 'hour'],
    [2246400, 86400, 'day'],
    [27648000, 2592000, 'month'],
    [Infinity, 31536000, 'year'],
  ];
  const [, unit, name] = steps.find(([below]) => size < below)!;
  if (!name) return seconds >= 0 ? 'a few seconds ago' : 'in a few seconds';
  const number = Math.max(Math.round(size / unit), 1);
  const text = `${number} ${name}${number === 1 ? '' : 's'}`;
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

// --- all of them ------------------------------------------------------------------------------------

const bool =
  (yes: string, no: string): Format =>
  (value) => ({ prefix: '', text: value ? yes : no, suffix: '' });

const currency =
  (symbol: string, behind = false): Format =>
  (value, decimals) => {
    const shown = count()(value, decimals);
    return behind
      ? { ...shown, suffix: `${shown.suffix.trim()} ${symbol}` }
      : { prefix: symbol, text: shown.text, suffix: shown.suffix.trim() };
  };

const SYMBOLS = {
  USD: '$',
  EUR: '€',
  GBP: '£',
  JPY: '¥',
  RUB: '₽',
  UAH: '₴',
  BRL: 'R$',
  INR: '₹',
  KRW: '₩',
  IDR: 'Rp',
  PHP: 'PHP',
  VND: 'đ',
  TRY: '₺',
  MYR: 'RM',
  XPF: 'XPF',
  BGN: 'BGN',
  PYG: '₲',
  UYU: 'UYU',
  ILS: '₪',
  ZAR: 'R',
  CNY: '¥',
  BTC: '฿',
  mBTC: 'mBTC',
  μBTC: 'μBTC',
};
const SYMBOLS_BEHIND = { CHF: 'CHF', SEK: 'kr', NOK: 'kr', DKK: 'kr', ISK: 'kr', CZK: 'czk', PLN: 'zł', HUF: 'HUF' };

/** One unit under several ids: megaflops is "mflops", and counts from the second step on. */
const powersOf = (id: string, unit: string, letters: string[], steps: number[]): Record<string, Format> =>
  Object.fromEntries(letters.map((letter, i) => [letter + id, metric(unit, steps[i])]));

const FORMATS: Record<string, Format> = {
  none: plain(''),
  short: count(),
  percent: plain('%'),
  percentunit: (value, decimals) => ({ prefix: '', text: plainNumber(value * 100, decimals), suffix: '%' }),
  humidity: plain(' %H'),
  dB: plain(' dB'),
  candela: si('cd'),
  pixel: plain(' px'),
  locale: (value, decimals) => ({
    prefix: '',
    suffix: '',
    text: value.toLocaleString('en', { maximumFractionDigits: decimals ?? 20 }),
  }),
  hex0x: (value) => ({ prefix: '0x', text: Math.trunc(value).toString(16).toUpperCase(), suffix: '' }),
  hex: (value) => ({ prefix: '', text: Math.trunc(value).toString(16).toUpperCase(), suffix: '' }),
  sci: (value, decimals) => ({ prefix: '', text: value.toExponential(decimals), suffix: '' }),
  bool: bool('True', 'False'),
  bool_yes_no: bool('Yes', 'No'),
  bool_on_off: bool('On', 'Off'),

  bytes: binary('B'),
  decbytes: metric('B'),
  bits: binary('b'),
  decbits: metric('b'),
  kbytes: binary('B', 1),
  mbytes: binary('B', 2),
  gbytes: binary('B', 3),
  tbytes: binary('B', 4),
  pbytes: binary('B', 5),
  deckbytes: metric('B', 1),
  decmbytes: metric('B', 2),
  decgbytes: metric('B', 3),
  dectbytes: metric('B', 4),
  decpbytes: metric('B', 5),
  binBps: binary('B/s'),
  Bps: metric('B/s'),
  binbps: binary('b/s'),
  bps: metric('b/s'),
  pps: metric('p/s'),
  KiBs: binary('B/s', 1),
  MiBs: binary('B/s', 2),
  GiBs: binary('B/s', 3),
  TiBs: binary('B/s', 4),
  KBs: metric('B/s', 1),
  MBs: metric('B/s', 2),
  GBs: metric('B/s', 3),
  TBs: metric('B/s', 4),
  PiBs: binary('B/s', 5),
  PBs: metric('B/s', 5),
  Kibits: binary('b/s', 1),
  Mibits: binary('b/s', 2),
  Gibits: binary('b/s', 3),
  Kbits: metric('b/s', 1),
  Mbits: metric('b/s', 2),
  Gbits: metric('b/s', 3),
  Tibits: binary('b/s', 4),
  Tbits: metric('b/s', 4),
  Pibits: binary('b/s', 5),
  Pbits: metric('b/s', 5),

  ns: span(1e-9),
  µs: span(1e-6),
  us: span(1e-6),
  ms: span(1e-3),
  s: span(1),
  m: span(60),
  h: span(3600),
  d: span(86400),
  clockms: clock(1),
  clocks: clock(1000),
  dtdurationms: duration(1e-3),
  dtdurations: duration(1),
  dthms: hms(false),
  dtdhms: hms(true),
  timeticks: (value, decimals) => span(0.01)(value, decimals),
  dateTimeAsIso: date('YYYY-MM-DD HH:mm:ss'),
  dateTimeAsIsoNoDateIfToday: date('YYYY-MM-DD HH:mm:ss', true),
  dateTimeAsUS: date('MM/DD/YYYY h:mm:ss a'),
  dateTimeAsUSNoDateIfToday: date('MM/DD/YYYY h:mm:ss a', true),
  dateTimeAsLocal: date('YYYY-MM-DD HH:mm:ss'),
  dateTimeAsLocalNoDateIfToday: date('YYYY-MM-DD HH:mm:ss', true),
  dateTimeAsSystem: date('YYYY-MM-DD HH:mm:ss'),
  dateTimeFromNow: (value) => ({ prefix: '', text: ago(value), suffix: '' }),

  cps: count('c/s'),
  ops: count('ops/s'),
  reqps: count('req/s'),
  rps: count('rd/s'),
  wps: count('wr/s'),
  iops: count('io/s'),
  eps: count('evt/s'),
  mps: count('msg/s'),
  recps: count('rec/s'),
  rowsps: count('rows/s'),
  cpm: count('c/m'),
  opm: count('ops/m'),
  reqpm: count('req/m'),
  rpm: count('rd/m'),
  wpm: count('wr/m'),
  epm: count('evts/m'),
  mpm: count('msgs/m'),

  celsius: plain(' °C'),
  fahrenheit: plain(' °F'),
  kelvin: plain(' K'),
  watt: si('W'),
  mwatt: si('W', -3),
  kwatt: si('W', 3),
  megwatt: si('W', 6),
  gwatt: si('W', 9),
  Wm2: plain(' W/m²'),
  kvoltamp: si('VA', 3),
  voltampreact: si('VAr'),
  kvoltampreact: si('VAr', 3),
  mwatth: si('Wh', -3),
  watthperkg: si('Wh/kg'),
  kwattm: plain(' kW-Min'),
  kamph: si('Ah', 3),
  mamph: si('Ah', -3),
  ev: si('eV'),
  dBm: plain(' dBm'),
  mohm: si('Ω', -3),
  Mohm: si('Ω', 6),
  µfarad: si('F', -6),
  nfarad: si('F', -9),
  pfarad: si('F', -12),
  ffarad: si('F', -15),
  mhenry: si('H', -3),
  µhenry: si('H', -6),
  lumens: si('Lm'),
  lux: si('lux'),
  watth: si('Wh'),
  kwatth: si('Wh', 3),
  voltamp: si('VA'),
  joule: si('J'),
  volt: si('V'),
  mvolt: si('V', -3),
  kvolt: si('V', 3),
  amp: si('A'),
  mamp: si('A', -3),
  kamp: si('A', 3),
  ohm: si('Ω'),
  kohm: si('Ω', 3),
  farad: si('F'),
  henry: si('H'),
  amph: si('Ah'),
  hertz: si('Hz'),
  rothz: si('Hz'),
  rotrpm: plain(' rpm'),
  rotrads: plain(' rad/s'),
  rotdegs: plain(' °/s'),
  lengthmm: si('m', -3),
  lengthm: si('m'),
  lengthkm: si('m', 3),
  lengthin: plain(' in'),
  lengthft: plain(' ft'),
  lengthmi: plain(' mi'),
  massmg: si('g', -3),
  massg: si('g'),
  masskg: si('g', 3),
  masslb: plain(' lb'),
  masst: plain(' t'),
  velocityms: plain(' m/s'),
  velocitykmh: plain(' km/h'),
  velocitymph: plain(' mph'),
  velocityknot: plain(' kn'),
  pressurembar: si('bar', -3),
  pressurebar: si('bar'),
  pressurepa: si('Pa'),
  pressurekbar: si('bar', 3),
  pressurehpa: plain(' hPa'),
  pressurekpa: plain(' kPa'),
  pressurehg: plain(' "Hg'),
  pressurepsi: scaled(1000, ['psi', 'ksi', 'Mpsi'], ''),
  forceNm: si('Nm'),
  forcekNm: si('Nm', 3),
  forceN: si('N'),
  forcekN: si('N', 3),
  flowgpm: plain(' gpm'),
  flowcms: plain(' cms'),
  flowcfs: plain(' cfs'),
  flowcfm: plain(' cfm'),
  litreh: plain(' L/h'),
  flowlpm: plain(' L/min'),
  flowmlpm: plain(' mL/min'),
  degree: plain('°'),
  radian: plain(' rad'),
  grad: plain(' grad'),
  arcmin: plain(' arcmin'),
  arcsec: plain(' arcsec'),
  areaM2: plain(' m²'),
  areaF2: plain(' ft²'),
  areaMI2: plain(' mi²'),
  acres: plain(' ac'),
  hectares: plain(' ha'),
  mlitre: si('L', -3),
  litre: si('L'),
  m3: plain(' m³'),
  Nm3: plain(' Nm³'),
  dm3: plain(' dm³'),
  gallons: plain(' gal'),
  ppm: plain(' ppm'),
  conppm: plain(' ppm'),
  conppb: plain(' ppb'),
  conngm3: plain(' ng/m³'),
  conngNm3: plain(' ng/Nm³'),
  conμgm3: plain(' μg/m³'),
  conμgNm3: plain(' μg/Nm³'),
  conmgm3: plain(' mg/m³'),
  conmgNm3: plain(' mg/Nm³'),
  congm3: plain(' g/m³'),
  congNm3: plain(' g/Nm³'),
  conmgdL: plain(' mg/dL'),
  conmmolL: plain(' mmol/L'),
  radbq: si('Bq'),
  radci: si('Ci'),
  radgy: si('Gy'),
  radrad: si('rad'),
  radsv: si('Sv'),
  radmsv: si('Sv', -3),
  radusv: si('Sv', -6),
  radrem: si('rem'),
  radexpckg: si('C/kg'),
  radr: si('R'),
  radsvh: si('Sv/h'),
  radmsvh: si('Sv/h', -3),
  radusvh: si('Sv/h', -6),
  accMS2: plain(' m/s²'),
  accFS2: plain(' f/s²'),
  accG: plain(' g'),
  ...powersOf('flops', 'FLOPS', ['', 'm', 'g', 't', 'p', 'e', 'z', 'y'], [0, 2, 3, 4, 5, 6, 7, 8]),
  ...powersOf('Hs', 'H/s', ['', 'K', 'M', 'G', 'T', 'P', 'E'], [0, 1, 2, 3, 4, 5, 6]),
};
for (const [id, symbol] of Object.entries(SYMBOLS)) FORMATS[`currency${id}`] = currency(symbol);
for (const [id, symbol] of Object.entries(SYMBOLS_BEHIND)) FORMATS[`currency${id}`] = currency(symbol, true);
FORMATS.sishort = (value, decimals) => {
  const shown = si('')(value, decimals);
  return { ...shown, suffix: shown.suffix.trimEnd() };
};

/** Units such as "suffix:things", "si:mm/s", "time:HH:mm", "currency:kr", "count:events". */
function custom(unit: string): Format {
  const colon = unit.indexOf(':');
  const [kind, rest] = colon < 0 ? ['', unit] : [unit.slice(0, colon), unit.slice(colon + 1)];
  switch (kind) {
    case 'prefix':
      return plain('', rest);
    case 'suffix':
      return plain(rest);
    case 'time':
      return date(rest);
    case 'si': {
      const power: Record<string, number> = { n: -9, µ: -6, u: -6, m: -3, k: 3, M: 6, G: 9 };
      const has = rest.length > 1 && rest[0]! in power;
      return has ? si(rest.slice(1), power[rest[0]!]!) : si(rest);
    }
    case 'count':
      return count(rest);
    case 'currency':
      return currency(rest);
    case 'bool': {
      const [yes = 'True', no = 'False'] = rest.split('/');
      return bool(yes, no);
    }
    default:
      return plain(unit ? ` ${unit}` : '');
  }
}

const made = new Map<string, Format>();

export function formatOf(unit: string | undefined): Format {
  const id = unit ?? 'none';
  const known = Object.hasOwn(FORMATS, id) ? FORMATS[id] : made.get(id);
  if (known) return known;
  const format = custom(id);
  if (made.size < 500) made.set(id, format);
  return format;
}

export function showNumber(value: number, unit?: string, decimals?: number): Shown {
  if (!Number.isFinite(value)) return { prefix: '', text: plainNumber(value), suffix: '' };
  return formatOf(unit)(value, decimals);
}

export function shownText(shown: Shown): string {
  return shown.prefix + shown.text + shown.suffix;
}
