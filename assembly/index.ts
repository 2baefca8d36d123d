/**
 * The core: what every state passes through, compiled to one WebAssembly module. State records become flow rows
 * (`protocol/flow-row`), rows become flows, and flows become records of NetFlow and IPFIX or lines of text. It has no state
 * of its own: everything lies in memory that its callers asked for and name. `protocol/core` is the way in.
 */
export { writeCsv, writeCsvRecord } from './csv';
export { isOwn, reasonToSkip } from './filter';
export { addFixed, closeFixed } from './fixed-record';
export { countFlows, describeDeleted, endDeleted, endStates, tellLiving } from './flow';
export { halfDetectorLength, noteHalves } from './halves';
export { nameInterfaces, recentNamesLength } from './interface';
export { writeJson, writeJsonRecord } from './json';
export { allocate, copy, release } from './memory';
export { readStates } from './state-record';
export { writeTable, writeTableRecord } from './table';
export { addTemplated, writeEvent } from './template-record';
export { findInterfaceText, interfaceTextsLength, textFormatLength } from './text-format';
export { headerTime, openClock } from './uptime';
