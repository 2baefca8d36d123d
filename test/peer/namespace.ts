/** A network for one test: a Linux network namespace, which is removed with all its interfaces at the end. */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { areRequired } from './programs.js';

const TOOLS = ['ip', 'tcpdump', 'socat'];

let made = 0;

export class Namespace {
  readonly name: string;

  /** With a loopback interface that is up. */
  constructor() {
    this.name = `pfflowd-${process.pid}-${++made}`;
    execFileSync('ip', ['netns', 'add', this.name]);
    this.ip('link', 'set', 'lo', 'up');
  }

  /** The words in front of a command that is to run inside. */
  get prefix(): string[] {
    return ['ip', 'netns', 'exec', this.name];
  }

  ip(...words: string[]): string {
    return execFileSync('ip', ['-netns', this.name, ...words], { encoding: 'utf8' });
  }

  spawn(command: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [program, ...args] = [...this.prefix, ...command];
    return spawn(program!, args, options);
  }

  /** A cable with an interface at each end, both up. */
  addCable(one: string, other: string): void {
    this.ip('link', 'add', one, 'type', 'veth', 'peer', 'name', other);
    for (const end of [one, other]) this.setUp(end);
  }

  /** Without an address, so that the system sends nothing (router solicitations) that the test would count. */
  setUp(interfaceName: string): void {
    this.ip('link', 'set', interfaceName, 'addrgenmode', 'none');
    this.ip('link', 'set', interfaceName, 'up');
  }

  /** Packets that came in on an interface. */
  receivedOn(interfaceName: string): number {
    const [link] = JSON.parse(this.ip('-s', '-j', 'link', 'show', interfaceName)) as [
      { stats64: { rx: { packets: number } } },
    ];
    return link.stats64.rx.packets;
  }

  remove(): void {
    execFileSync('ip', ['netns', 'del', this.name]);
  }
}

/** A test that needs namespaces: skipped, by name, where there can be none, and failed where no test may be skipped. */
export function itInNamespace(
  claim: string,
  test: (this: Mocha.Context) => Promise<void>,
  tools: readonly string[] = TOOLS,
): void {
  const missing = whatIsMissing(tools);
  if (missing === undefined) {
    it(claim, test);
    return;
  }
  it(`${claim} (left out: ${missing})`, function () {
    if (areRequired()) throw new Error(missing);
    this.skip();
  });
}

function whatIsMissing(tools: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  const missing = tools.filter((tool) => !isInstalled(tool));
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  try {
    new Namespace().remove();
    return undefined;
  } catch {
    return 'this machine allows no network namespaces';
  }
}

function isInstalled(tool: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
