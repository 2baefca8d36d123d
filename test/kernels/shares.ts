/**
 * Prints which share of the flows of each kernel is exact, and how much the lower bounds of the others hold: the figures in the
 * README. `npm run kernels` runs it.
 */
import { convert, type Flow } from './flows.js';
import { convertPolled } from './polled.js';
import { type KernelCapture, kernelCaptures } from './truth.js';

/** As `--pfctl` polls unless told otherwise. Milliseconds. */
const POLL = 10_000;

const LISTENING = [
  'netbsd7/linux.tap',
  'freebsd13/taponly.tap',
  'freebsd14/taponly.tap',
  'openbsd73/v73-basic.tap',
  'openbsd80/basic.sync',
];
const ASKED = [
  'freebsd13/poll.sync',
  'freebsd14/poll.sync',
  'openbsd73/v73-poll.sync',
  'openbsd80/poll.sync',
];

function captureNamed(name: string): KernelCapture {
  const found = kernelCaptures().find((capture) => `${capture.name}.${capture.view}` === name);
  if (found === undefined) throw new Error(`no capture ${name}`);
  return found;
}

const isNatural = ({ state }: Flow) => state.ended === 'expired';

function line(name: string, way: string, flows: readonly Flow[]): string {
  const exact = flows.filter(({ counters }) => counters === 'exact').length;
  const natural = flows.filter(isNatural);
  const exactNatural = natural.filter(({ counters }) => counters === 'exact').length;
  const bounded = flows.filter(
    ({ state, counters }) => state.proto === 6 && (counters === 'partial' || counters === 'tcpseq'),
  );
  const share = (part: number, whole: number) =>
    whole === 0 ? '-' : `${Math.floor((1000 * part) / whole) / 10} %`;
  const known = bounded.reduce((sum, { octets }) => sum + Number(octets[0] + octets[1]), 0);
  const passed = bounded.reduce((sum, { state }) => sum + state.octets[0] + state.octets[1], 0);
  const cells = [
    name,
    way,
    `${flows.length}`,
    share(exact, flows.length),
    share(exactNatural, natural.length),
  ];
  return [...cells, share(known, passed)]
    .map((cell, n) => cell.padEnd(n < 2 ? 26 : 12))
    .join('')
    .trimEnd();
}

const head = [
  'capture',
  'way',
  'flows',
  'exact',
  'exact, ended by itself',
  'octets in the lower bounds of TCP',
];
console.log(
  head
    .map((cell, n) => cell.padEnd(n < 2 ? 26 : 12))
    .join(' ')
    .trimEnd(),
);
for (const name of LISTENING) console.log(line(name, 'listening', (await convert(captureNamed(name))).flows));
for (const name of ASKED) console.log(line(name, 'asked', (await convert(captureNamed(name))).flows));
for (const name of LISTENING.filter((name) => !name.startsWith('netbsd'))) {
  console.log(line(name, 'pfctl every 10 s', await convertPolled(captureNamed(name), POLL)));
}
