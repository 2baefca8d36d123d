/** A clock that nobody sets. */

/** Milliseconds since the program's start. */
export function monotonic(): number {
  return performance.now();
}
