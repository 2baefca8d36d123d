#!/usr/bin/env node
/** pfflowd: what a pf firewall says over pfsync(4), as NetFlow and IPFIX. */

import { setFlagsFromString } from 'node:v8';

// Node.js opens a debugger on SIGUSR1 unless somebody listens: this comes before anything else.
process.on('SIGUSR1', () => {});

/**
 * A state passes through many small functions. V8 stops inlining them where a sum of their sizes is reached, 920: with more
 * room it takes a third fewer instructions for each state.
 */
setFlagsFromString('--max-inlined-bytecode-size-cumulative=3000');

const { run } = await import('./program.js');
process.exit(await run(process.argv.slice(2)));
