// Legends: a list, or a table with calculations.
import { reduce, reducerName } from '../model/reduce';
import { show } from '../model/field';
import type { Cell } from '../model/frames';
import { compare } from '../model/transform_steps';
import { shownText } from '../model/units';
import type { SeriesModel } from './series';

export interface LegendOptions {
  showLegend?: boolean;
  displayMode?: string;
  placement?: string;
  calcs?: string[];
  width?: number;
  /** The name of a column. */
  sortBy?: string;
  sortDesc?: boolean;
}

interface Props {
  series: SeriesModel[];
  options: LegendOptions;
  height: number;
  onToggle: (label: string, more: boolean) => void;
}

function Entry({ one, onToggle }: { one: SeriesModel; onToggle: Props['onToggle'] }) {
  return (
    <button
      type="button"
      class={one.hidden ? 'legend-name off' : 'legend-name'}
      aria-pressed={!one.hidden}
      title={one.label}
      onClick={(event) => onToggle(one.label, event.ctrlKey || event.metaKey)}
    >
      <span class="swatch" style={{ background: one.color }} />
      {one.label}
    </button>
  );
}

/** By the column that the panel names, as tables of legends are sorted. */
function inLegendOrder(series: SeriesModel[], { sortBy, sortDesc }: LegendOptions, calcs: string[]): SeriesModel[] {
  const calc = calcs.find((id) => reducerName(id) === sortBy);
  if (!calc && sortBy !== 'Name') return series;
  const keys = new Map(
    series.map((one): [SeriesModel, Cell] => [one, calc ? (reduce(one.field, calc) ?? null) : one.label]),
  );
  return [...series].sort((a, b) => compare(keys.get(a)!, keys.get(b)!) * (sortDesc ? -1 : 1));
}

export function Legend({ series, options, height, onToggle }: Props) {
  const calcs = Array.isArray(options.calcs) ? options.calcs : [];
  const visible = series.filter(({ custom }) => custom.hideFrom?.legend !== true);
  const shown = options.displayMode === 'table' ? inLegendOrder(visible, options, calcs) : visible;
  const value = (one: SeriesModel, calc: string) => shownText(show(one.field, reduce(one.field, calc) ?? null));
  if (options.displayMode !== 'table') {
    return (
      <div class="legend list" style={{ height: `${height}px` }}>
        {shown.map((one, i) => (
          <span class="legend-item" key={i}>
            <Entry one={one} onToggle={onToggle} />
            {calcs.map((calc) => (
              <span class="legend-value" key={calc}>
                {reducerName(calc)}: {value(one, calc)}
              </span>
            ))}
          </span>
        ))}
      </div>
    );
  }
  return (
    <div class="legend table" style={{ height: `${height}px` }}>
      <table>
        <thead>
          <tr>
            <th>Name</th>
            {calcs.map((calc) => (
              <th key={calc}>{reducerName(calc)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((one, i) => (
            <tr key={i}>
              <td>
                <Entry one={one} onToggle={onToggle} />
              </td>
              {calcs.map((calc) => (
                <td key={calc}>{value(one, calc)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
