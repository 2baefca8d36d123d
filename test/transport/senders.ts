/** The kinds of datagram senders, for tests of what they have in common. */
import { createRequire } from 'node:module';
import type { OpenSender } from '../../src/transport/datagram-sender.js';
import { openBatch } from '../../src/transport/udp-batch.js';
import { openDgram } from '../../src/transport/udp-dgram.js';

const KINDS: readonly { name: string; open: OpenSender; isHere: boolean }[] = [
  { name: 'node:dgram', open: openDgram, isHere: true },
  { name: 'koffi', open: openBatch, isHere: process.platform === 'linux' && hasKoffi() },
];

/** A group of tests for each kind of sender. */
export function describeSenders(what: string, tests: (open: OpenSender) => void): void {
  for (const { name, open, isHere } of KINDS) {
    const title = `${what} through ${name}`;
    if (isHere) describe(title, () => tests(open));
    else it.skip(`${title} (left out: needs koffi on Linux)`);
  }
}

function hasKoffi(): boolean {
  try {
    createRequire(import.meta.url)('koffi');
    return true;
  } catch {
    return false;
  }
}
