#!/usr/bin/env node
// Writes the dashboards that ship with cim-ops from their descriptions in src/; --check only compares.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const isCheck = process.argv.includes('--check');
let stale = 0;

for (const name of readdirSync(join(here, 'src'))
  .filter((one) => one.endsWith('.mjs'))
  .sort()) {
  const { default: board } = await import(join(here, 'src', name));
  const path = join(here, `${board.uid}.json`),
    text = `${JSON.stringify(board, null, 1)}\n`;
  let before;
  try {
    before = readFileSync(path, 'utf8');
  } catch {
    /* there is none yet */
  }
  if (before === text) continue;
  if (isCheck) {
    stale++;
    console.error(`${path} is not what src/${name} says: run node nix/dashboards/build.mjs`);
  } else {
    writeFileSync(path, text);
    console.log(`wrote ${path}`);
  }
}
process.exit(stale ? 1 : 0);
