// Colours: the names and palettes that dashboards refer to. Every colour that comes out is safe in a style:
// one of our own, or a hexadecimal or rgb() text that was checked.

/** Grafana's named hues, five shades each (grafana/ui, "visualization palette"). */
const HUES: Record<string, [string, string, string, string, string]> = {
  // super-light, light, plain, semi-dark, dark
  red: ['#FFA6B0', '#FF7383', '#F2495C', '#E02F44', '#C4162A'],
  orange: ['#FFCB7D', '#FFB357', '#FF9830', '#FF780A', '#FA6400'],
  yellow: ['#FFF899', '#FFEE52', '#FADE2A', '#F2CC0C', '#E0B400'],
  green: ['#C8F2C2', '#96D98D', '#73BF69', '#56A64B', '#37872D'],
  blue: ['#C0D8FF', '#8AB8FF', '#5794F2', '#3274D9', '#1F60C4'],
  purple: ['#DEB6F2', '#CA95E5', '#B877D9', '#A352CC', '#8F3BB8'],
};

const SHADES = ['super-light-', 'light-', '', 'semi-dark-', 'dark-'];

const NAMED: Record<string, string> = {
  transparent: 'transparent',
  white: '#ffffff',
  black: '#000000',
  gray: '#9a9a9a',
  grey: '#9a9a9a',
  text: 'var(--text)',
  panel: 'var(--panel)',
};
for (const [hue, shades] of Object.entries(HUES))
  SHADES.forEach((shade, i) => {
    NAMED[shade + hue] = shades[i]!;
  });

const SAFE = /^(#[0-9a-f]{3,8}|rgba?\(\s*[\d.%\s,/]+\))$/i;
/** CSS names that public dashboards use. */
const CSS_NAMES = new Set([
  'brown',
  'cyan',
  'magenta',
  'pink',
  'lime',
  'teal',
  'navy',
  'maroon',
  'olive',
  'silver',
  'gold',
  'indigo',
  'violet',
  'darkred',
  'darkgreen',
  'darkblue',
  'lightgreen',
  'lightblue',
  'salmon',
  'crimson',
]);

export const FALLBACK_COLOR = '#8e8e8e';

export function namedColor(name: string | undefined): string {
  if (!name) return FALLBACK_COLOR;
  if (Object.hasOwn(NAMED, name)) return NAMED[name]!;
  const plain = name.trim().toLowerCase();
  return SAFE.test(plain) || CSS_NAMES.has(plain) ? plain : FALLBACK_COLOR;
}

/** One behind the other for series; told apart also with the usual colour blindnesses for the first eight. */
const CLASSIC = [
  '#73BF69',
  '#F2CC0C',
  '#5794F2',
  '#FF780A',
  '#E02F44',
  '#1F60C4',
  '#B877D9',
  '#37872D',
  '#FADE2A',
  '#8AB8FF',
  '#FFB357',
  '#FF7383',
  '#A352CC',
  '#96D98D',
  '#E0B400',
  '#3274D9',
  '#FA6400',
  '#C4162A',
  '#8F3BB8',
  '#56A64B',
];

export function seriesColor(index: number): string {
  return CLASSIC[index % CLASSIC.length]!;
}

/** The same name, the same colour. */
export function colorOfName(name: string): string {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  return seriesColor(Math.abs(hash));
}

const SCALES: Record<string, string[]> = {
  'continuous-GrYlRd': ['#56A64B', '#F2CC0C', '#E02F44'],
  'continuous-RdYlGr': ['#E02F44', '#F2CC0C', '#56A64B'],
  'continuous-BlYlRd': ['#3274D9', '#F2CC0C', '#E02F44'],
  'continuous-YlRd': ['#F2CC0C', '#E02F44'],
  'continuous-BlPu': ['#3274D9', '#A352CC'],
  'continuous-YlBl': ['#F2CC0C', '#3274D9'],
  'continuous-blues': ['#0b1a33', '#8AB8FF'],
  'continuous-reds': ['#33070d', '#FF7383'],
  'continuous-greens': ['#0b2a10', '#96D98D'],
  'continuous-purples': ['#240b33', '#CA95E5'],
  'continuous-viridis': ['#440154', '#3b528b', '#21918c', '#5ec962', '#fde725'],
  'continuous-magma': ['#000004', '#51127c', '#b73779', '#fc8961', '#fcfdbf'],
  'continuous-plasma': ['#0d0887', '#7e03a8', '#cc4778', '#f89540', '#f0f921'],
  'continuous-inferno': ['#000004', '#57106e', '#bc3754', '#f98e09', '#fcffa4'],
  'continuous-cividis': ['#00224e', '#414d6b', '#7d7c78', '#bcaf6f', '#fee838'],
};

export const isScale = (mode: string | undefined) => mode !== undefined && Object.hasOwn(SCALES, mode);

function channels(hex: string): [number, number, number] {
  const digits = hex.length < 7 ? [...hex.slice(1, 4)].map((c) => c + c).join('') : hex.slice(1, 7);
  const value = Number.parseInt(digits, 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** 0 to 1 on the scale. */
export function scaleColor(mode: string, share: number): string {
  const stops = SCALES[mode] ?? SCALES['continuous-GrYlRd']!;
  const place = Math.min(Math.max(Number.isFinite(share) ? share : 0, 0), 1) * (stops.length - 1);
  const at = Math.min(Math.floor(place), stops.length - 2),
    part = place - at;
  const from = channels(stops[at]!),
    to = channels(stops[at + 1]!);
  return `#${from
    .map((c, i) =>
      Math.round(c + (to[i]! - c) * part)
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`;
}

/** Heatmaps name their scheme without the prefix: Oranges, Spectral, ... */
export function schemeColors(scheme: string | undefined, steps: number, reverse: boolean): string[] {
  const ends: Record<string, string[]> = {
    Oranges: ['#2a1606', '#FF9830', '#ffe3c2'],
    Blues: ['#0b1a33', '#5794F2', '#dbe9ff'],
    Greens: ['#0b2a10', '#73BF69', '#e2f7de'],
    Reds: ['#33070d', '#F2495C', '#ffdce0'],
    Purples: ['#240b33', '#B877D9', '#f1e0fa'],
    Greys: ['#1c1c1c', '#8e8e8e', '#f2f2f2'],
    Spectral: ['#5e4fa2', '#66c2a5', '#ffffbf', '#fdae61', '#9e0142'],
    RdYlGn: ['#1a9850', '#ffffbf', '#d73027'],
    RdYlBu: ['#4575b4', '#ffffbf', '#d73027'],
    Turbo: ['#30123b', '#28bceb', '#a4fc3c', '#fb7e21', '#7a0403'],
    Viridis: SCALES['continuous-viridis']!,
    Magma: SCALES['continuous-magma']!,
    Plasma: SCALES['continuous-plasma']!,
    Inferno: SCALES['continuous-inferno']!,
    Cividis: SCALES['continuous-cividis']!,
  };
  const stops = (scheme && Object.hasOwn(ends, scheme) && ends[scheme]) || ends.Oranges!;
  SCALES['scheme-now'] = stops;
  const colors = Array.from({ length: steps }, (_, i) => scaleColor('scheme-now', steps > 1 ? i / (steps - 1) : 1));
  delete SCALES['scheme-now'];
  return reverse ? colors.reverse() : colors;
}

/** Of light, 0 to 1 (WCAG 2, "relative luminance"). */
function luminance(rgb: readonly number[]): number {
  const [r, g, b] = rgb.map((c) => {
    const part = c / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const contrast = (a: number, b: number) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);

function parse(color: string): readonly number[] | undefined {
  if (/^#[0-9a-f]{3,8}$/i.test(color)) return channels(color);
  const match = /^rgba?\(\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)/.exec(color);
  return match ? match.slice(1).map(Number) : undefined;
}

const DARK = '#111217',
  LIGHT = '#ffffff';

/** Dark or light text, whichever is easier to read on it. */
export function readableOn(color: string): string {
  const rgb = parse(color);
  if (!rgb) return LIGHT;
  const ground = luminance(rgb);
  return contrast(ground, luminance(channels(DARK))) > contrast(ground, 1) ? DARK : LIGHT;
}

/** The colour as text on a panel: darker, or lighter, until it can be read (WCAG 2: 4.5, for large text 3). */
export function asText(color: string, theme: string, fontPx = 14): string {
  const rgb = parse(color);
  if (!rgb) return color;
  const isLight = theme === 'light',
    ground = luminance(channels(isLight ? '#ffffff' : '#181b1f')),
    least = fontPx >= 24 ? 3 : 4.5;
  for (let part = 0; part < 1; part += 0.05) {
    const mixed = rgb.map((c) => Math.round(c + ((isLight ? 0 : 255) - c) * part));
    if (contrast(luminance(mixed), ground) >= least)
      return part ? `#${mixed.map((c) => c.toString(16).padStart(2, '0')).join('')}` : color;
  }
  return 'var(--text)';
}
