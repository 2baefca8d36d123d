/** The core as it was compiled: the build puts both beside each other, and beside the modules that load it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const MODULE = readFileSync(join(import.meta.dirname, 'core.wasm'));
