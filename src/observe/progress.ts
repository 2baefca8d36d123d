/** The progress of a long conversion: one line on a terminal, redrawn in place. */

export type ProgressChoice = 'auto' | 'always' | 'never';

export function wantsProgress(choice: ProgressChoice, isTerminal: boolean): boolean {
  return choice === 'always' || (choice === 'auto' && isTerminal);
}

/** How much has been read. */
export interface Progress {
  /** Octets read, and of the whole input; 0 when that is unknown, as for a pipe. */
  readonly octets: number;
  readonly total: number;
  readonly states: number;
}

export interface ProgressScreen {
  write(text: string): void;
  /** The width of the terminal now. */
  columns(): number;
  /** Milliseconds of a monotonic clock. */
  now(): number;
}

/** Milliseconds between two drawings. */
const INTERVAL = 200;
const WIDEST_BAR = 30;
const NARROWEST_BAR = 5;

export class ProgressBar {
  readonly #screen: ProgressScreen;
  readonly #started: number;
  #drawnAt: number;
  #drawn = 0;

  constructor(screen: ProgressScreen) {
    this.#screen = screen;
    this.#started = this.#drawnAt = screen.now();
  }

  /** Draws, if INTERVAL has passed: a short conversion shows no bar. */
  update(progress: Progress): void {
    const now = this.#screen.now();
    if (now - this.#drawnAt < INTERVAL) return;
    this.#drawnAt = now;
    // The last column stays free: some terminals wrap there.
    const columns = Math.max(0, this.#screen.columns() - 1);
    const line = progressLine(progress, now - this.#started, columns);
    this.#screen.write(`\r${line.padEnd(Math.min(this.#drawn, columns))}`);
    this.#drawn = line.length;
  }

  /** Erases the line: at the end, or before something else is written. */
  clear(): void {
    if (this.#drawn === 0) return;
    this.#screen.write(`\r${' '.repeat(Math.min(this.#drawn, this.#screen.columns() - 1))}\r`);
    this.#drawn = 0;
  }
}

/** The line after `elapsed` milliseconds. What does not fit is left out, the least needed first. */
export function progressLine(progress: Progress, elapsed: number, columns: number): string {
  const { octets, total, states } = progress;
  const speed = `${scaled(octets / elapsed / 1000)} MB/s`;
  const rate = `${scaled(states / elapsed)} k states/s`;
  if (total <= 0) return fitted([`${scaled(octets / 1e6)} MB`, speed, rate], columns);
  const done = Math.min(1, octets / total);
  const percent = `${Math.floor(100 * done)}%`.padStart(4);
  const left = `${clock((elapsed * (1 - done)) / done)} left`;
  const text = fitted([percent, left, speed, rate], columns);
  const room = Math.min(WIDEST_BAR, columns - text.length - 3);
  if (room < NARROWEST_BAR) return text;
  const full = Math.floor(room * done);
  return `${percent} [${'#'.repeat(full)}${'.'.repeat(room - full)}]${text.slice(percent.length)}`;
}

function fitted(parts: readonly string[], columns: number): string {
  let line = '';
  for (const part of parts) {
    const longer = line === '' ? part : `${line}  ${part}`;
    if (longer.length > columns) break;
    line = longer;
  }
  return line;
}

function scaled(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value.toFixed(value < 100 ? 1 : 0);
}

/** Minutes and seconds, and hours when there are any. */
function clock(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return '-:--';
  const seconds = Math.ceil(milliseconds / 1000);
  const two = (number: number) => `${number}`.padStart(2, '0');
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
