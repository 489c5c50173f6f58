// Bundles the viewer into ../build/ui (or $OUT): index.html, one script, one style sheet; with --tests the
// unit tests instead.
import { build } from 'esbuild';
import { copyFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = process.env.OUT ?? join(here, '..', 'build', 'ui');
const common = { absWorkingDir: here, bundle: true, logLevel: 'warning', jsx: 'automatic', jsxImportSource: 'preact' };

if (process.argv.includes('--tests')) {
  await build({
    ...common,
    entryPoints: readdirSync(join(here, 'test'))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `test/${name}`),
    outdir: join(out, 'tests'),
    outExtension: { '.js': '.mjs' },
    platform: 'node',
    format: 'esm',
    target: 'node18',
  });
} else {
  await build({
    ...common,
    entryPoints: { app: 'src/main.tsx' },
    outdir: out,
    minify: true,
    format: 'esm',
    target: 'es2022',
    entryNames: '[name]',
    sourcemap: false,
  });
  for (const name of ['index.html', 'icon.svg']) copyFileSync(join(here, name), join(out, name));
}
