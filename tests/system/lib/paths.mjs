// Where things are.
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
/** The binary under test: $CIM_OPS, else the usual build. */
export const CIM_OPS = resolve(process.env.CIM_OPS ?? join(REPOSITORY, 'build/cim-ops'));
export const RULES = join(REPOSITORY, 'rules');
