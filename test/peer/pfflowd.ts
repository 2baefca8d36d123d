/** Runs the built program as its users do: another process, its command line and its standard streams. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The file that users run. */
export const PROGRAM = fileURLToPath(new URL('../../../dist/pfflowd.mjs', import.meta.url));
/** The Node.js that runs it: another than that of the tests when PFFLOWD_NODE names one. */
export const NODE = process.env.PFFLOWD_NODE ?? process.execPath;

export interface Summary {
  readonly packets: number;
  readonly pfsyncMessages: number;
  readonly damaged: Readonly<Record<string, number>>;
  readonly states: Readonly<Record<string, number>>;
  readonly joins: Readonly<Record<string, number>>;
  readonly skipped: Readonly<Record<string, number>>;
  readonly flows: number;
  readonly counters: Readonly<Record<string, number>>;
  readonly records: number;
  readonly datagrams: number;
  readonly collectors: readonly Readonly<Record<string, number | string>>[];
  readonly outputs: readonly Readonly<Record<string, number | string>>[];
  readonly relay?: Readonly<Record<string, number | string>>;
  /** Exact, whatever their size. */
  readonly octets: bigint;
  readonly packetsCounted: bigint;
}

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** From the last line of standard error; undefined when that is no summary. */
  readonly summary: Summary | undefined;
}

export interface RunOptions {
  /** Written to standard input, which is then closed; it is empty otherwise. */
  readonly stdin?: Uint8Array;
  /** Added to the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another copy of the program. */
  readonly program?: string;
  /** The working directory. */
  readonly cwd?: string;
  /** Kills the program. */
  readonly signal?: AbortSignal;
}

/** A program that is still running. */
export interface Running {
  readonly child: ChildProcess;
  /** What has come on standard error up to now. */
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when it has ended and its streams are read to the end. */
  wait(): Promise<Ended>;
}

/** Runs the program to its end, with `--summary json`. */
export function run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return start(args, options).wait();
}

export function start(args: readonly string[], options: RunOptions = {}): Running {
  const { program = PROGRAM, cwd } = options;
  const child = spawn(NODE, [program, '--summary', 'json', ...args], {
    env: { ...process.env, ...options.env },
    ...(cwd === undefined ? {} : { cwd }),
    ...(options.signal === undefined ? {} : { signal: options.signal, killSignal: 'SIGKILL' as const }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => stdout.push(part));
  child.stderr.on('data', (part: Buffer) => stderr.push(part));
  child.on('error', () => {}); // An abort: `close` follows.
  child.stdin.on('error', () => {}); // The program may end before it has read all: EPIPE.
  child.stdin.end(options.stdin);
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;

  return {
    child,
    stderr: () => Buffer.concat(stderr).toString(),
    kill: (signal) => {
      child.kill(signal);
    },
    wait: async () => {
      const [status, signal] = await closed;
      const text = Buffer.concat(stderr).toString();
      return { status, signal, stdout: Buffer.concat(stdout), stderr: text, summary: readSummary(text) };
    },
  };
}

function readSummary(stderr: string): Summary | undefined {
  const line = stderr.trimEnd().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) return undefined;
  const read = JSON.parse(quoteLargeNumbers(line)) as Omit<Summary, 'octets' | 'packetsCounted'> & {
    readonly octets: number | string;
    readonly packetsCounted: number | string;
  };
  return { ...read, octets: BigInt(read.octets), packetsCounted: BigInt(read.packetsCounted) };
}

/** JSON numbers of 16 digits or more become strings, so that JSON.parse does not round them. */
export function quoteLargeNumbers(json: string): string {
  return json.replace(/(:\s*)(-?\d{16,})(?=\s*[,}\]])/g, '$1"$2"');
}
