/** Errors that nothing catches: exceptions in callbacks, and rejections that nobody awaits. */

/** From now on they go to `handle`, and to no earlier handler. Node.js would print a trace and exit. */
export function setFaultHandler(handle: (error: unknown) => void): void {
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', handle);
}
