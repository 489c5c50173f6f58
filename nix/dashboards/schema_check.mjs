#!/usr/bin/env node
// Holds dashboards against Grafana's own types: schema_check.mjs [--modules DIR] FILE...
//
// Each becomes a TypeScript file that says `satisfies` the types of @grafana/schema: the dashboard as a whole, and
// options and field options of each kind of panel. DIR is a node_modules with typescript and @grafana/schema.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const at = args.indexOf('--modules');
const modules = resolve(at < 0 ? join(here, '../../ui/node_modules') : args.splice(at, 2)[1]);

// A kind of panel, the file of its types (raw/composable/NAME/panelcfg), whether its field options are typed, too.
const PANELS = {
  timeseries: ['timeseries', true],
  stat: ['stat', false],
  gauge: ['gauge', false],
  bargauge: ['bargauge', false],
  piechart: ['piechart', false],
  table: ['table', true],
  'state-timeline': ['statetimeline', true],
  heatmap: ['heatmap', true],
};

/** The declarations of one kind of panel, without their ending. */
function typesOf(name) {
  const folder = join(modules, '@grafana/schema/dist/esm/raw/composable', name, 'panelcfg/x');
  const file = readdirSync(folder).find((one) => one.endsWith('PanelCfg_types.gen.d.ts'));
  return join(folder, file.replace(/\.d\.ts$/, ''));
}

// Enumerations of the schema are nominal types in TypeScript: a text that equals a member is what JSON holds.
const PLAIN = `
type Plain<T> = T extends string ? \`\${T}\` : T extends number ? number : T extends readonly (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Some<T> = T extends readonly (infer U)[] ? Some<U>[] : T extends object ? { [K in keyof T]?: Some<T[K]> } : T;
`;

function sourceOf(file, folders) {
  const board = JSON.parse(readFileSync(file, 'utf8'));
  const kinds = [...new Set(board.panels.map(({ type }) => type))].filter((type) => type !== 'row');
  const lines = [`import type { Dashboard, Panel } from '@grafana/schema';`, PLAIN];
  for (const kind of kinds) {
    if (!PANELS[kind]) throw new Error(`${file}: there is no type to hold a ${kind} panel against`);
    lines.push(`import type * as ${PANELS[kind][0]} from '${folders[kind]}';`);
  }
  lines.push(`({...${JSON.stringify({ ...board, panels: [] })}}) satisfies Some<Plain<Dashboard>>;`);
  for (const { options, fieldConfig, targets, ...panel } of board.panels) {
    if (panel.type === 'row') continue;
    const [name, hasFields] = PANELS[panel.type];
    const { custom, ...defaults } = fieldConfig.defaults;
    lines.push(
      `(${JSON.stringify({ ...panel, fieldConfig: { ...fieldConfig, defaults } })}) satisfies Some<Plain<Panel>>; ` +
        `// ${panel.title}`,
    );
    lines.push(`(${JSON.stringify(options)}) satisfies Some<Plain<${name}.Options>>; // ${panel.title}`);
    if (hasFields && custom)
      lines.push(`(${JSON.stringify(custom)}) satisfies Some<Plain<${name}.FieldConfig>>; // ${panel.title}`);
  }
  return lines.join('\n');
}

const files = args.length
  ? args
  : ['events', 'gpu', 'nats', 'domain', 'agents', 'system'].map((name) => join(here, `cim-${name}.json`));
const dir = mkdtempSync(join(tmpdir(), 'cim-schema-'));
try {
  symlinkSync(modules, join(dir, 'node_modules'));
  const folders = {};
  for (const [kind, [name]] of Object.entries(PANELS)) folders[kind] = typesOf(name);
  const names = files.map((file) => {
    const name = `${basename(file, '.json')}.ts`;
    writeFileSync(join(dir, name), sourceOf(file, folders));
    return name;
  });
  writeFileSync(
    join(dir, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        module: 'esnext',
        moduleResolution: 'bundler',
        target: 'es2022',
        types: [],
        lib: ['es2022', 'dom'],
      },
      files: names,
    }),
  );
  execFileSync(process.execPath, [join(modules, 'typescript/bin/tsc'), '-p', dir], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { version } = JSON.parse(readFileSync(join(modules, '@grafana/schema/package.json'), 'utf8'));
  console.log(`${files.length} dashboards fit the types of @grafana/schema ${version}`);
} catch (error) {
  console.error(error.stdout ?? error.message);
  process.exitCode = 1;
} finally {
  rmSync(dir, { recursive: true });
}
