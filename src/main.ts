#!/usr/bin/env node
/** pfflowd: what a pf firewall says over pfsync(4), as NetFlow and IPFIX. */

// Node.js opens a debugger on SIGUSR1 unless somebody listens: this comes before anything else.
process.on('SIGUSR1', () => {});

import('./program.js').then(({ run }) => run(process.argv.slice(2))).then((status) => process.exit(status));
