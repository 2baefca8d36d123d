/** Captures that real kernels wrote, and the truth about their states, from the kernels' own counters. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const KERNELS = fileURLToPath(new URL('../../../captures/kernels/', import.meta.url));

export interface TrueEnds {
  readonly src: string;
  readonly sport: number;
  readonly dst: string;
  readonly dport: number;
}

export interface TrueState extends TrueEnds {
  readonly id: string;
  readonly creatorId: string;
  readonly direction: 'in' | 'out';
  readonly proto: number;
  readonly translated?: TrueEnds;
  readonly packets: readonly [number, number];
  readonly octets: readonly [number, number];
  readonly createdMs: number;
  readonly lastPacketMs?: number;
  readonly endedMs?: number;
  /** pf's number of the kind of routing, and the interface. */
  readonly route?: { readonly rt: number; readonly ifname: string };
  /** When it ended and when its time was up, in seconds since the kernel's boot. */
  readonly uptimeEnd?: number;
  readonly expiresUptime?: number;
  /** How it ended; absent where it is still open. */
  readonly ended?: string;
  readonly imported?: boolean;
  readonly noSync?: boolean;
  /** What of it pfsync announced, on either side of a pair. */
  readonly announced?: readonly string[];
}

export interface KernelCapture {
  /** `openbsd80/poll`, and what was captured. */
  readonly name: string;
  readonly kernel: string;
  readonly view: 'tap' | 'net' | 'sync';
  readonly file: string;
  readonly states: readonly TrueState[];
}

function textOf(file: string): string {
  const octets = readFileSync(file);
  return (file.endsWith('.gz') ? gunzipSync(octets) : octets).toString();
}

/** All of them, in the order of their names. */
export function kernelCaptures(): KernelCapture[] {
  const kernels = readdirSync(KERNELS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return kernels.flatMap(({ name: kernel }) => capturesOf(kernel));
}

function capturesOf(kernel: string): KernelCapture[] {
  const folder = `${KERNELS}${kernel}/`;
  const files = readdirSync(folder).sort();
  return files.flatMap((file) => {
    const [, name, view] = /^(.*)\.(tap|net|sync)\.pcap(?:\.gz)?$/.exec(file) ?? [];
    const truth = files.find((other) => other === `${name}.truth.json` || other === `${name}.truth.json.gz`);
    if (name === undefined || truth === undefined) return [];
    return [
      {
        name: `${kernel}/${name}`,
        kernel,
        view: view as KernelCapture['view'],
        file: `${folder}${file}`,
        states: JSON.parse(textOf(`${folder}${truth}`)) as TrueState[],
      },
    ];
  });
}
