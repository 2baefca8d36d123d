/** What the process around a run provides: its log, and its rights. A conversion needs no more than `foreground`. */
import { fstatSync } from 'node:fs';
import type { Options } from '../cli/option-table.js';
import { isJournal, Log } from './log.js';
import { STANDARD_ERROR } from './standard-streams.js';

export interface Surroundings {
  readonly log: Log;
  readonly isBackground: boolean;
  /** Whether rights are given up once everything is open. */
  readonly rights: 'kept' | 'dropped';
  /** Everything is open: gives up rights, and lets the user's command return. Throws a StartError. */
  ready(): void;
  /** Resolves when the log is written and the pid file removed. */
  end(): Promise<void>;
}

/** For a program that ends by itself, on a terminal or under a service manager. */
export function foreground(options: Options): Surroundings {
  const log = new Log({
    level: options.logLevel,
    format: options.logFormat,
    timestamps: false,
    priorities: isJournal(process.env, fstatSync(STANDARD_ERROR)),
    stream: process.stderr,
    now: Date.now,
  });
  return { log, isBackground: false, rights: 'kept', ready: () => {}, end: () => log.close() };
}
