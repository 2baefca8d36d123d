/**
 * Starts a command again after the program has dropped its rights: tcpdump, when the interface went away and came back.
 *
 * A shell with a short script keeps the rights. It knows one command with fixed arguments, quoted here once, and reads
 * words that cannot change them: `start`, names of signals, and anything else, which it echoes. When its standard input
 * ends, because the program has ended in whatever way, the shell ends the command and itself. An attacker who takes over
 * the program can start that command, and no other.
 *
 * All runs share one standard output. When the shell has reported on a separate descriptor that a run has ended, the
 * program has it echo a random word: every octet before that word is of this run, and none follows.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { constants } from 'node:os';
import { Readable } from 'node:stream';

/** A started process: the part of ChildProcess that is needed. */
export interface CommandRun extends EventEmitter {
  readonly pid?: number | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exitCode: number | null;
  readonly signalCode: NodeJS.Signals | null;
  /** False when it has ended. */
  kill(signal?: NodeJS.Signals): boolean;
  unref(): void;
}

/** Starts a command, as spawn(2) does: standard output and error are pipes. */
export type SpawnCommand = (
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
) => CommandRun;

const STATUS = 3;
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;
const SIGNALLED = 128;

/** Signals that the shell passes on, each with the one that it sends to the subshell of the run for it. */
const SIGNALS = { TERM: 'TERM', KILL: 'HUP', USR1: 'USR1', INFO: 'USR2' } as const;

/**
 * The script for sh(1). It ignores signals: a service manager may signal all processes at once, and the capture must not
 * end before it is drained. A signal also ends `wait`, with a status like that of a command that it killed: so the shell
 * waits until no process is left. It forgets the number of a run before the system can use that again.
 */
export function shellScript(program: string, args: readonly string[]): string {
  const signals = Object.entries(SIGNALS);
  return `trap '' HUP INT TERM USR1 USR2
run() {
  child=
${signals.map(([name, asked]) => `  trap '[ -z "$child" ] || kill -s ${name} "$child"' ${asked}`).join('\n')}
  ${[program, ...args].map(quoted).join(' ')} </dev/null 3>&- &
  child=$!
  exec 2>/dev/null
  wait "$child"; status=$?
  while [ "$status" -gt ${SIGNALLED} ]; do
    wait "$child"; again=$?
    [ "$again" -ne ${NOT_FOUND} ] || break
    [ "$again" -ne "$status" ] || kill -s 0 "$child" || break
    status=$again
  done
  echo "ended $status" >&${STATUS}
}
job=
while read -r word; do
  case $word in
  start) [ -n "$job" ] || { run & job=$!; } ;;
${signals.map(([name, asked]) => `  ${name}) [ -z "$job" ] || kill -s ${asked} "$job" ;;`).join('\n')}
  *) [ -z "$job" ] || wait "$job"; job=; echo "$word"; echo "$word" >&2 ;;
  esac
done
exec 2>/dev/null
ask=${SIGNALS.TERM}
while [ -n "$job" ] && kill -s "$ask" "$job"; do sleep 1; ask=${SIGNALS.KILL}; done
`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * Keeps one shell for each command, with the rights and the environment of the first start. The same program with the same
 * arguments is the same command; it may be started again after its last run has emitted `close`.
 */
export class PrivilegedShells {
  readonly #shells = new Map<string, PrivilegedShell>();

  readonly spawn: SpawnCommand = (program, args, environment) => {
    const key = JSON.stringify([program, ...args]);
    let shell = this.#shells.get(key);
    // A shell that was killed is replaced by one with the rights that are left.
    if (shell === undefined || shell.hasEnded) {
      shell = new PrivilegedShell(program, args, environment);
      this.#shells.set(key, shell);
    }
    return shell.start();
  };

  /** Ends the shells and their commands. */
  close(): void {
    for (const shell of this.#shells.values()) shell.close();
  }
}

class PrivilegedShell {
  hasEnded = false;
  readonly #shell: ChildProcess;
  readonly #program: string;
  #run: Run | undefined;

  constructor(program: string, args: readonly string[], environment: NodeJS.ProcessEnv) {
    this.#program = program;
    this.#shell = spawn('/bin/sh', ['-c', shellScript(program, args), 'pfflowd: capture'], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: environment,
      cwd: '/',
      // It must not get signals for the terminal's process group.
      detached: true,
    });
    this.#shell.on('error', (error) => this.#end(error));
    this.#shell.once('exit', () => this.#end());
    // Without descriptors there is no process, and no pipes: the error follows.
    if (this.#shell.pid === undefined) return;
    const { stdin, stdout, stderr, stdio } = this.#shell;
    stdin!.on('error', () => {});
    stdout!.on('data', (octets: Buffer) => this.#run?.output.add(octets));
    stderr!.on('data', (octets: Buffer) => this.#run?.errors.add(octets));
    let rest = '';
    (stdio[STATUS] as Readable).on('data', (octets: Buffer) => {
      const lines = (rest + octets.toString('latin1')).split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.#reported(line);
    });
  }

  start(): Run {
    const run = new Run({
      write: (word) => this.#write(word),
      flow: (isWanted) => {
        if (isWanted) this.#shell.stdout?.resume();
        else this.#shell.stdout?.pause();
      },
      unref: () => this.#shell.unref(),
    });
    this.#run = run;
    this.#write('start');
    return run;
  }

  close(): void {
    this.#shell.stdin?.end();
  }

  #write(word: string): void {
    this.#shell.stdin?.write(`${word}\n`);
  }

  #reported(line: string): void {
    const [, digits] = /^ended (\d+)$/.exec(line) ?? [];
    if (digits !== undefined) this.#run?.ended(Number(digits), this.#program);
  }

  #end(error?: Error): void {
    this.hasEnded = true;
    if (error) this.#run?.emit('error', error);
    this.#run?.lost();
    for (const stream of this.#shell.stdio ?? []) stream?.destroy();
  }
}

/** What a run needs of its shell. */
interface ShellAccess {
  write(word: string): void;
  /** Continues or pauses reading of standard output. */
  flow(isWanted: boolean): void;
  unref(): void;
}

class Run extends EventEmitter implements CommandRun {
  exitCode: number | null = null;
  signalCode: NodeJS.Signals | null = null;
  readonly output: Channel;
  readonly errors: Channel;
  readonly #shell: ShellAccess;
  #open = 2;

  constructor(shell: ShellAccess) {
    super();
    this.#shell = shell;
    const closed = () => {
      this.#open--;
      if (this.#open === 0) this.emit('close', this.exitCode, this.signalCode);
    };
    this.output = new Channel((isWanted) => shell.flow(isWanted), closed);
    this.errors = new Channel(() => {}, closed);
  }

  get stdout(): Readable {
    return this.output.stream;
  }

  get stderr(): Readable {
    return this.errors.stream;
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): boolean {
    const name = signal.slice('SIG'.length);
    if (!(name in SIGNALS)) throw new TypeError(`${signal} is not passed on`);
    if (this.#hasEnded) return false;
    this.#shell.write(name);
    return true;
  }

  unref(): void {
    this.#shell.unref();
  }

  /** The shell reported its end. `status` is as in `$?`. */
  ended(status: number, program: string): void {
    if (this.#hasEnded) return;
    const signal = Object.entries(constants.signals).find(([, number]) => number === status - SIGNALLED);
    if (signal) this.signalCode = signal[0] as NodeJS.Signals;
    else this.exitCode = status;
    const end = randomBytes(16).toString('hex');
    this.output.endAt(end);
    this.errors.endAt(end);
    this.#shell.write(end);
    if (status === NOT_FOUND) this.emit('error', failure('ENOENT', program));
    else if (status === NOT_EXECUTABLE) this.emit('error', failure('EACCES', program));
    this.emit('exit', this.exitCode, this.signalCode);
  }

  /** The shell has ended. */
  lost(): void {
    if (!this.#hasEnded) {
      this.signalCode = 'SIGKILL';
      this.emit('exit', null, this.signalCode);
    }
    this.output.end();
    this.errors.end();
  }

  get #hasEnded(): boolean {
    return this.exitCode !== null || this.signalCode !== null;
  }
}

/** Standard output or error of one run. */
class Channel {
  readonly stream: Readable;
  readonly #flow: (isWanted: boolean) => void;
  #isOver = false;
  /** The line that ends the channel, once it is known. */
  #end: Buffer | undefined;
  /** Octets that may be the beginning of that line. */
  #held: Buffer = Buffer.alloc(0);

  constructor(flow: (isWanted: boolean) => void, closed: () => void) {
    this.#flow = flow;
    this.stream = new Readable({
      read: () => flow(true),
      destroy: (error, done) => {
        // Nobody reads any more: the rest is dropped.
        flow(true);
        done(error);
      },
    });
    this.stream.once('close', closed);
  }

  add(octets: Buffer): void {
    if (this.#end === undefined) {
      this.#push(octets);
      return;
    }
    const all = Buffer.concat([this.#held, octets]);
    const isEnd = all.subarray(-this.#end.length).equals(this.#end);
    const most = this.#end.length;
    this.#held = isEnd ? Buffer.alloc(0) : Buffer.from(all.subarray(-most));
    this.#push(all.subarray(0, Math.max(0, all.length - most)));
    if (isEnd) this.end();
  }

  endAt(word: string): void {
    this.#end = Buffer.from(`${word}\n`);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.stream.push(null);
  }

  #push(octets: Buffer): void {
    if (octets.length === 0 || this.#isOver || this.stream.destroyed) return;
    if (!this.stream.push(octets)) this.#flow(false);
  }
}

function failure(code: 'ENOENT' | 'EACCES', program: string): NodeJS.ErrnoException {
  const what = code === 'ENOENT' ? 'not found' : 'cannot be run';
  return Object.assign(new Error(`${program}: ${what}`), { code });
}
