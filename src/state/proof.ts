/**
 * When counters are final though no delete tells them. Every packet that pf passes for a state is followed by a message about
 * that state within about a second, so silence is proof: counters that were reported at T, with R seconds left to live, and
 * without a sign of traffic after T are final when the state then ends at T + R, of age.
 */
import { BEGINNING_SEEN, SHOWED_TRAFFIC, UNPROVABLE } from './hot-row.js';
import type { PeerReport, StateTable } from './table.js';

/** Milliseconds. A kill hides its last second; a state that ends earlier than its time was killed. */
const KILL_HIDES = 1000;
/** An expired state waits for pf's next purge. */
const LONGEST_PURGE = 25_000;

/**
 * How a state ends that is deleted now. `final`: of age, with the counters that were reported. `killed`: before its time, which
 * is known without traffic and losses since the report. Else nothing is proven.
 */
export type Ending = 'final' | 'killed' | 'unproven';

/** How the state in `slot` ends now. `lastLoss` is when messages were last lost. */
export function endingOf(table: StateTable, slot: number, lastLoss: number): Ending {
  const flags = table.flags(slot);
  if ((flags & UNPROVABLE) !== 0) return 'unproven';
  const peer = table.peer(slot);
  if (peer !== undefined) return areFinalWith(peer, table, slot, lastLoss) ? 'final' : 'unproven';
  const countedAt = table.countedAt(slot);
  const remaining = table.remaining(slot);
  // Unknown where who reported does not say.
  if (remaining < 0 || !isSilent(countedAt, table.lastSign(slot), lastLoss)) return 'unproven';
  if (table.now[0]! < countedAt + 1000 * remaining - KILL_HIDES) return 'killed';
  // What the other one of a pair has forwarded before the first message about the state, its counters alone tell.
  const isOtherKnown = !table.mayHavePair || (flags & BEGINNING_SEEN) !== 0;
  return isOtherKnown && isOfAge(table, countedAt, remaining) ? 'final' : 'unproven';
}

/** Whether the counters of both firewalls are final. */
function areFinalWith(peer: PeerReport, table: StateTable, slot: number, lastLoss: number): boolean {
  const flags = table.flags(slot);
  const isOtherKnown = !table.mayHavePair || (flags & BEGINNING_SEEN) !== 0 || peer.countedAt > 0;
  if (!isOtherKnown) return false;
  const countedAt = table.countedAt(slot);
  const isSilentSince = isSilent(countedAt, peer.ownTraffic, lastLoss);
  const needsOwn = (flags & SHOWED_TRAFFIC) !== 0 || table.isCounted(slot);
  const needsPeer = peer.showedTraffic || peer.isCounted;
  const isPeerSilent = peer.isCounted && isSilent(peer.countedAt, peer.traffic, lastLoss);
  if ((needsOwn && !isSilentSince) || (needsPeer && !isPeerSilent)) return false;
  // Traffic through one firewall keeps the state alive in both: the later report knows when it dies.
  const isPeerLater = needsPeer && (!needsOwn || peer.countedAt > countedAt);
  if (isPeerLater) return isOfAge(table, peer.countedAt, peer.remaining);
  return isSilentSince && isOfAge(table, countedAt, table.remaining(slot));
}

const NOBODY: readonly number[] = [];

/** Numbers of the firewalls that have shown traffic of the state in `slot` since they reported its counters. */
export function unreportedBy(table: StateTable, slot: number): readonly number[] {
  const peer = table.peer(slot);
  const traffic = peer === undefined ? table.lastSign(slot) : peer.ownTraffic;
  const isReported = traffic <= table.countedAt(slot);
  const isPeerReported = peer === undefined || !peer.showedTraffic || peer.traffic <= peer.countedAt;
  if (isReported && isPeerReported) return NOBODY;
  if (isPeerReported) return [table.senderOf(slot)];
  return isReported ? [peer.sender] : [table.senderOf(slot), peer.sender];
}

function isSilent(countedAt: number, traffic: number, lastLoss: number): boolean {
  return countedAt > lastLoss && traffic <= countedAt;
}

function isOfAge({ now }: StateTable, countedAt: number, remaining: number): boolean {
  if (remaining < 0) return false;
  const expiresAt = countedAt + 1000 * remaining;
  return now[0]! >= expiresAt - KILL_HIDES && now[0]! <= expiresAt + LONGEST_PURGE;
}
