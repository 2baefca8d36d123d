/** What a run stands in: where its log goes, and what becomes of its rights. A conversion needs no more than this. */
import { fstatSync } from 'node:fs';
import { isJournal, Log } from './log.js';
import type { Options } from '../cli/option-table.js';
import { STANDARD_ERROR } from './standard-streams.js';

export interface Surroundings {
  readonly log: Log;
  readonly isBackground: boolean;
  /** Whether rights are given up once all is open. */
  readonly rights: 'kept' | 'dropped';
  /** All is open. Throws a StartError. */
  ready(): void;
  /** Resolves when the log is out and nothing of us is left behind. */
  end(): Promise<void>;
}

/** A program that ends by itself, on a terminal or under a service manager. */
export function foreground(options: Options): Surroundings {
  const log = new Log({
    level: options.logLevel,
    format: options.logFormat,
    timestamps: false,
    priorities: isJournal(process.env, fstatSync(STANDARD_ERROR)),
    // Made by the first line: it takes Node.js a millisecond.
    get stream() {
      return process.stderr;
    },
    now: Date.now,
  });
  return { log, isBackground: false, rights: 'kept', ready: () => {}, end: () => log.close() };
}
