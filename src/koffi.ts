/** koffi, an optional package: it calls functions of the C library, and those that Node.js itself exports. */
import { closeSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';

export type Koffi = typeof import('koffi');

/** Those on which Linux's structures and constants are as those who call it have them: 64 bits, little-endian. */
const ARCHITECTURES = ['x64', 'arm64', 'riscv64', 'loong64'];

let answer: { readonly koffi: Koffi | undefined } | undefined;

/** Undefined where koffi is not there, and on systems other than the Linux that its callers are written for. */
export function loadKoffi(): Koffi | undefined {
  answer ??= { koffi: load() };
  return answer.koffi;
}

function load(): Koffi | undefined {
  const { arch, platform } = process;
  if (platform !== 'linux' || !ARCHITECTURES.includes(arch)) return undefined;
  const require = createRequire(import.meta.url);
  return nativePart(require, arch) ?? wholePackage(require);
}

/**
 * Most of the time that koffi takes to load goes to its search for its native part: 5 of 6 ms. On a system with the GNU C
 * library that part is tried first where the package for this processor has it.
 */
function nativePart(require: NodeJS.Require, arch: string): Koffi | undefined {
  try {
    if (!usesGlibc()) return undefined;
    return require(`@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`);
  } catch {
    // Packed in another way: koffi knows more.
    return undefined;
  }
}

/** The interpreter that the head of Node.js's own ELF file names: musl's would take some libraries of the other and fail later. */
function usesGlibc(): boolean {
  const head = Buffer.alloc(4096);
  const file = openSync(process.execPath, 'r');
  readSync(file, head);
  closeSync(file);
  return head.includes('/ld-linux');
}

function wholePackage(require: NodeJS.Require): Koffi | undefined {
  try {
    return require('koffi');
  } catch {
    return undefined;
  }
}
