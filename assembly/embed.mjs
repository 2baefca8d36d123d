/** Makes a module of JavaScript of a module of WebAssembly: node assembly/embed.mjs CORE.wasm CORE.js */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const [from, to] = process.argv.slice(2);
const text = readFileSync(from).toString('base64');
mkdirSync(dirname(to), { recursive: true });
writeFileSync(to, `export const MODULE = Buffer.from('${text}', 'base64');\n`);
