/** A clock that nobody sets. */

/** Milliseconds, from any beginning. `performance` is a part of Node.js that would be loaded for this alone: a millisecond of a start. */
export function monotonic(): number {
  return process.uptime() * 1000;
}
