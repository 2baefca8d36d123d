/** A log that keeps its lines for the test to read, and holds none back. */
import type { Log } from '../../src/service/log.js';

export class LineLog implements Pick<Log, 'error' | 'warn' | 'info' | 'debug' | 'limited' | 'isDebug'> {
  isDebug = false;
  readonly lines: string[] = [];

  error(message: string): void {
    this.lines.push(message);
  }

  warn(message: string): void {
    this.lines.push(message);
  }

  info(message: string): void {
    this.lines.push(message);
  }

  debug(message: string): void {
    this.lines.push(message);
  }

  limited(_key: string, message: string | (() => string)): void {
    this.lines.push(typeof message === 'string' ? message : message());
  }

  /** As the program's own parts want it. */
  get log(): Log {
    return this as unknown as Log;
  }
}
