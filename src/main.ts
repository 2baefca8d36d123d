#!/usr/bin/env node
/** pfflowd: turns what a pf firewall says over pfsync(4) into NetFlow and IPFIX. */

// Node.js opens a debugger on SIGUSR1 unless there is a listener: this comes before everything else.
process.on('SIGUSR1', () => {});

// The status should nothing be left to wait for before the run has ended, which would be a fault.
process.exitCode = 3;

const { run } = await import('./program.js');
run(process.argv.slice(2)).then((status) => process.exit(status));
