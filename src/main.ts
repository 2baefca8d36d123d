#!/usr/bin/env node
/** pfflowd: what a pf firewall says over pfsync(4), as NetFlow and IPFIX. */
import { join } from 'node:path';
import { compile, evaluate } from './code-cache.js';
import { likelyRun } from './likely-run.js';

/** The name of the program's file: the build puts it in place. */
declare const PROGRAM: string;

// Node.js opens a debugger on SIGUSR1 unless somebody listens: this comes before anything else.
process.on('SIGUSR1', () => {});

const file = join(import.meta.dirname, PROGRAM);
const argv = process.argv.slice(2);
const { run } = evaluate(compile(file, likelyRun(argv)), file, require) as typeof import('./program.js');
run(argv).then((status) => process.exit(status));
