/**
 * Times as milliseconds since a virtual boot (NetFlow v1, v5 and v9). Each message chooses its boot anew, as far back as
 * 32 bits reach: a state's start is never clipped to the start of the program, and nothing wraps at 49.7 days of running.
 */
import { END, START } from '../protocol/flow-row';
import { pair, swapPair } from './byte-order';

/** In the order in which `protocol/uptime` looks at it. Times are milliseconds since the epoch. */
@unmanaged
export class UptimeClock {
  /** When uptime is 0, and the last moment that has a place in the message. */
  boot: f64;
  holdsUntil: f64;
  /** The latest end in the message: its header's time will not be before it. */
  latest: f64;
  /** Records whose start lay before the boot. */
  clipped: f64;
  /** Of the flow at hand: uptimes of its start and behind it of its end, in wire order, and whether the start lay before the boot. */
  times: u64;
  isClipped: u32;
}

const REACH: f64 = 0xffff_ffff;
/** How long the data's clock may run on while one message is filled. */
const MESSAGE_SPAN: f64 = 3_600_000;
/** Room for a header whose time is rounded up to a second. */
const ROUNDING: f64 = 1000;

/** Opens a message: what happens until MESSAGE_SPAN after `now` has a place in it. */
export function openClock(clock: UptimeClock, now: f64): void {
  clock.boot = now + MESSAGE_SPAN + ROUNDING - REACH;
  clock.holdsUntil = now + MESSAGE_SPAN;
  clock.latest = now;
}

/** The time for the message's header: `now`, or the latest end in the message where the clock was set back. */
export function headerTime(clock: UptimeClock, now: f64): f64 {
  return now > clock.latest && now <= clock.holdsUntil ? now : clock.latest;
}

/** Takes up the times of the flow to be written. */
export function setTimes(clock: UptimeClock, row: usize): void {
  const boot = clock.boot;
  const start = load<f64>(row, START);
  const end = load<f64>(row, END);
  if (end > clock.latest) clock.latest = min(end, clock.holdsUntil);
  clock.isClipped = start < boot ? 1 : 0;
  clock.times = swapPair(pair(uptime(start - boot), uptime(end - boot)));
}

/** A record is written with the times that were taken up last. */
export function countClipped(clock: UptimeClock): void {
  if (clock.isClipped !== 0) clock.clipped++;
}

/** By way of 64 bits: to unsigned numbers the compiler knows only a long way, which made decoding with NetFlow v5 3 % slower. */
function uptime(time: f64): u32 {
  return <u32>min<i64>(max<i64>(<i64>time, 0), 0xffff_ffff);
}
