// Panels and rows that repeat by a variable: a copy for each chosen value, and a layout that has room for it.
import type { Panel } from '../model/dashboard';
import type { Variable } from './variables';
import { ALL } from './variables';

const COPIES_MAX = 60;

/** Text and value of each copy. */
function valuesOf(variable: Variable | undefined): { text: string; value: string }[] {
  if (!variable) return [];
  const chosen =
    variable.chosen[0] === ALL
      ? variable.choices
      : variable.chosen.map(
          (value) => variable.choices.find((choice) => choice.value === value) ?? { text: value, value },
        );
  return chosen.slice(0, COPIES_MAX);
}

function copyOf(panel: Panel, name: string, value: { text: string; value: string }, at: number): Panel {
  if (at === 0) return { ...panel, scope: { ...panel.scope, [name]: value } };
  return { ...panel, id: panel.id * 1000 + at + 0.5, copyOf: panel.id, scope: { ...panel.scope, [name]: value } };
}

/** The copies of one panel from its place on; how much lower what stands below comes. */
function repeatPanel(panel: Panel, variable: Variable | undefined): { panels: Panel[]; extra: number } {
  const values = valuesOf(variable);
  if (!values.length) return { panels: [panel], extra: 0 };
  const { x, y, h } = panel.gridPos;
  if (panel.repeatDirection === 'v') {
    const panels = values.map((value, i) => ({
      ...copyOf(panel, variable!.model.name, value, i),
      gridPos: { ...panel.gridPos, y: y + i * h },
    }));
    return { panels, extra: (values.length - 1) * h };
  }
  const perRow = Math.max(Math.min(panel.maxPerRow ?? 4, values.length), 1);
  const w = Math.max(Math.floor(24 / perRow), 1);
  const panels = values.map((value, i) => ({
    ...copyOf(panel, variable!.model.name, value, i),
    gridPos: { x: (perRow === 1 ? x : 0) + (i % perRow) * w, y: y + Math.floor(i / perRow) * h, w, h },
  }));
  return { panels, extra: (Math.ceil(values.length / perRow) - 1) * h };
}

export interface Section {
  /** Absent: what stands before the first row. */
  row?: Panel;
  panels: Panel[];
}

/** Rows with their panels; each section's places count from its own top. */
export function layout(all: readonly Panel[], variables: ReadonlyMap<string, Variable>): Section[] {
  const sections: Section[] = [{ panels: [] }];
  // Panels stand below the row that comes before them by place, not by their order in the file.
  const sorted = all
    .map((panel, i) => ({ panel, i }))
    .sort((a, b) => a.panel.gridPos.y - b.panel.gridPos.y || a.panel.gridPos.x - b.panel.gridPos.x || a.i - b.i);
  const inFile = all.some((panel) => panel.type === 'row' && panel.collapsed);
  for (const panel of inFile ? all : sorted.map((one) => one.panel)) {
    if (panel.type === 'row') sections.push({ row: panel, panels: [] });
    else sections.at(-1)!.panels.push(panel);
  }
  return sections
    .flatMap(({ row, panels }) => {
      const values = row?.repeat ? valuesOf(variables.get(row.repeat)) : [];
      const copies = values.length
        ? values.map((value, i) => ({ row: copyOf(row!, row!.repeat!, value, i), scope: { [row!.repeat!]: value }, i }))
        : [{ row, scope: undefined, i: 0 }];
      return copies.map(({ row: one, scope, i }) => ({
        row: one,
        panels: settle(
          panels.map((panel) =>
            scope
              ? {
                  ...panel,
                  id: i ? panel.id * 1000 + i + 0.25 : panel.id,
                  copyOf: i ? panel.id : undefined,
                  scope: { ...panel.scope, ...scope },
                }
              : panel,
          ),
          variables,
        ),
      }));
    })
    .filter(({ row, panels }) => row || panels.length);
}

function settle(panels: Panel[], variables: ReadonlyMap<string, Variable>): Panel[] {
  const sorted = [...panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  const top = sorted[0]?.gridPos.y ?? 0;
  const made: Panel[] = [];
  let lower = 0;
  for (const panel of sorted) {
    const moved = { ...panel, gridPos: { ...panel.gridPos, y: panel.gridPos.y - top + lower } };
    if (!panel.repeat || panel.scope?.[panel.repeat]) {
      made.push(moved);
      continue;
    }
    const { panels: copies, extra } = repeatPanel(moved, variables.get(panel.repeat));
    made.push(...copies);
    lower += extra;
  }
  return compact(made);
}

/** Panels fall up until they meet another, as in Grafana: no holes, no overlaps. */
export function compact(panels: Panel[]): Panel[] {
  const floor = new Array<number>(24).fill(0);
  return [...panels]
    .sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x)
    .map((panel) => {
      const { x, w, h } = panel.gridPos;
      const y = Math.max(...floor.slice(x, x + w));
      floor.fill(y + h, x, x + w);
      return { ...panel, gridPos: { x, y, w, h } };
    });
}
