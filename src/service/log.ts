/** The log: one line for each message, through winston. */
import type { Writable } from 'node:stream';
import winston from 'winston';
import type { LogFormat, LogLevel } from '../cli/option-values.js';
import { printable } from '../cli/printable.js';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Text lines start with the time. JSON lines always have it. */
  readonly timestamps: boolean;
  /** Lines start with a syslog priority, as in `<4>`; see sd-daemon(3). */
  readonly priorities: boolean;
  readonly stream: Writable;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Severities of winston's npm levels, and of syslog. */
const RANK = { error: 0, warn: 1, info: 2, debug: 3 } as const;
const PRIORITY = { error: 3, warn: 4, info: 6, debug: 7 } as const;

/** How many warnings of one key are logged at once, and the milliseconds between two later ones. */
const BURST = 5;
const INTERVAL = 10_000;
/** Keys beyond these share one bucket, so that no input makes the table grow. */
const MOST_KEYS = 256;

interface Bucket {
  tokens: number;
  /** When the tokens were counted. */
  time: number;
  suppressed: number;
  latest: string | (() => string);
}

export class Log {
  /** To be checked before a debug message is made, which costs time even when it is not logged. */
  isDebug: boolean;
  #rank: number;
  #logger: winston.Logger | undefined;
  readonly #options: LogOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: LogOptions) {
    this.#options = options;
    this.#rank = RANK[options.level];
    this.isDebug = options.level === 'debug';
  }

  setLevel(level: LogLevel): void {
    this.#rank = RANK[level];
    this.isDebug = level === 'debug';
  }

  error(message: string): void {
    this.#write('error', message);
  }

  warn(message: string): void {
    this.#write('warn', message);
  }

  info(message: string): void {
    this.#write('info', message);
  }

  debug(message: string): void {
    this.#write('debug', message);
  }

  /**
   * A warning that input can provoke without end: BURST of one key are logged at once, then one for each INTERVAL with the
   * number of those left out. A message that is a function is called only when it is logged.
   */
  limited(key: string, message: string | (() => string)): void {
    if (this.#rank < RANK.warn) return;
    const bucket = this.#bucket(key);
    const now = this.#options.now();
    bucket.tokens = Math.min(BURST, bucket.tokens + Math.max(0, now - bucket.time) / INTERVAL);
    bucket.time = now;
    if (bucket.tokens < 1) {
      bucket.suppressed++;
      bucket.latest = message;
      return;
    }
    bucket.tokens--;
    this.#warnCounted(bucket, message, bucket.suppressed);
  }

  /** Logs the counts that `limited` still holds. Resolves when the stream has all lines; it stays open. */
  async close(): Promise<void> {
    for (const bucket of this.#buckets.values()) {
      if (bucket.suppressed > 0) this.#warnCounted(bucket, bucket.latest, bucket.suppressed - 1);
    }
    const logger = this.#logger;
    if (logger === undefined) return;
    this.#logger = undefined;
    await new Promise<void>((resolve) => {
      logger.once('finish', resolve);
      logger.end();
    });
    const { stream } = this.#options;
    await new Promise<void>((resolve) => {
      stream.write('', () => resolve());
    });
  }

  #bucket(key: string): Bucket {
    const name = this.#buckets.has(key) || this.#buckets.size < MOST_KEYS ? key : '';
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      bucket = { tokens: BURST, time: this.#options.now(), suppressed: 0, latest: '' };
      this.#buckets.set(name, bucket);
    }
    return bucket;
  }

  #warnCounted(bucket: Bucket, message: string | (() => string), more: number): void {
    const text = typeof message === 'string' ? message : message();
    bucket.suppressed = 0;
    bucket.latest = '';
    this.#write('warn', more === 0 ? text : `${text} (and ${more} more)`);
  }

  #write(level: LogLevel, message: string): void {
    if (RANK[level] > this.#rank) return;
    this.#logger ??= createLogger(this.#options);
    const timestamp = new Date(this.#options.now()).toISOString();
    this.#logger.log({ level, message: printable(message), timestamp });
  }
}

/**
 * True when `stream`, described by fstat(2), is the journal's. JOURNAL_STREAM names its device and inode: programs whose
 * output goes elsewhere inherit that variable too. See systemd.exec(5).
 */
export function isJournal(
  environment: Readonly<Record<string, string | undefined>>,
  stream: { readonly dev: number | bigint; readonly ino: number | bigint },
): boolean {
  return environment.JOURNAL_STREAM === `${stream.dev}:${stream.ino}`;
}

function createLogger(options: LogOptions): winston.Logger {
  const { stream, format, timestamps, priorities } = options;
  const line = winston.format.printf(({ level, message, timestamp }) => {
    const priority = priorities ? `<${PRIORITY[level as LogLevel]}>` : '';
    if (format === 'json') return `${priority}${JSON.stringify({ timestamp, level, message })}`;
    return `${priority}${timestamps ? `${timestamp} ` : ''}pfflowd: ${message}`;
  });
  // A log that cannot be written must not end the program.
  if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore);
  return winston.createLogger({
    level: 'debug',
    format: line,
    transports: [new winston.transports.Stream({ stream, eol: '\n' })],
  });
}

function ignore(): void {}
