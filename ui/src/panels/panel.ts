// What every kind of panel is given.
import type { Mark } from '../data/annotations';
import type { PanelData } from '../data/panel';
import type { Panel } from '../model/dashboard';

export interface PanelProps {
  /** Annotations, for what has time on its axis. */
  marks?: Mark[];
  panel: Panel;
  data: PanelData;
  width: number;
  height: number;
  /** Panels with the same word show their crosshairs together. */
  sync?: string;
  theme: string;
  onZoom?: (fromMs: number, toMs: number) => void;
  /** Variables in links and texts. */
  fill: (text: string) => string;
}
