/** koffi, an optional package: it calls functions of the C library, and those that Node.js itself exports. */
import { join } from 'node:path';
import { loadModule } from '../module-loader.js';
import { headOf } from '../source/file-head.js';

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
  return nativePart(arch) ?? wholePackage();
}

/** Where npm puts packages, as seen from the built program: beneath its own, or with its own in them. */
const PACKAGES = ['../node_modules', '../../../node_modules'];

/**
 * Of the 6 ms that koffi takes to load, more than 3 go to the search for the package and for its native part. On a system with the
 * GNU C library that part is opened where it is expected.
 */
function nativePart(arch: string): Koffi | undefined {
  if (!usesGlibc()) return undefined;
  const file = `@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`;
  for (const packages of PACKAGES) {
    const part = { exports: {} };
    try {
      process.dlopen(part, join(import.meta.dirname, packages, file));
      return part.exports as Koffi;
    } catch {
      // Packed in another way: koffi knows more.
    }
  }
  return undefined;
}

/** The interpreter that the head of Node.js's own ELF file names: musl's would take some libraries of the other and fail later. */
function usesGlibc(): boolean {
  try {
    return headOf(process.execPath, 4096).includes('/ld-linux');
  } catch {
    // Replaced while it runs, or out of reach: then nobody knows.
    return false;
  }
}

function wholePackage(): Koffi | undefined {
  try {
    return loadModule('koffi') as Koffi;
  } catch {
    return undefined;
  }
}
