/** The files that the options name: none may be written that is also read, or that is written as something else. */
import { fstatSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UsageError } from './errors.js';
import type { Options } from './option-table.js';
import { printable } from './printable.js';

interface NamedFile {
  /** The option, as in `-o flows.json`. */
  readonly option: string;
  /** The same text for the same file; undefined for what may have several roles, as a terminal or /dev/null. */
  readonly identity: string | undefined;
}

type FileOptions = Pick<
  Options,
  'reads' | 'config' | 'tlsCa' | 'tlsCert' | 'tlsKey' | 'format' | 'output' | 'pidFile'
>;

/** Looks at the files, by device and inode, and opens none. Throws a UsageError. */
export function checkFileRoles(options: FileOptions): void {
  const { reads, config, tlsCa, tlsCert, tlsKey, format, output, pidFile } = options;
  const others = [
    ...reads.map((path) => named('-r', path, 0)),
    ...(config === undefined ? [] : [named('-c', config)]),
    ...(tlsCa === undefined ? [] : [named('--tls-ca', tlsCa)]),
    ...(tlsCert === undefined ? [] : [named('--tls-cert', tlsCert)]),
    ...(tlsKey === undefined ? [] : [named('--tls-key', tlsKey)]),
  ];
  const written = [
    ...(format === undefined ? [] : [named('-o', output, 1)]),
    ...(pidFile === undefined ? [] : [named('--pid-file', pidFile)]),
  ];
  for (const file of written) {
    const other = others.find(({ identity }) => identity !== undefined && identity === file.identity);
    if (other !== undefined) throw new UsageError(`${file.option}: the same file as ${other.option}`);
    others.push(file);
  }
}

/** `descriptor` is the one that `-` stands for. */
function named(option: string, path: string, descriptor?: number): NamedFile {
  const isDescriptor = path === '-' && descriptor !== undefined;
  return { option: `${option} ${printable(path)}`, identity: identityOf(isDescriptor ? descriptor : path) };
}

function identityOf(file: number | string): string | undefined {
  try {
    const stats = typeof file === 'number' ? fstatSync(file) : statSync(file);
    return stats.isFile() ? `${stats.dev}:${stats.ino}` : undefined;
  } catch {
    return typeof file === 'string' ? placeOf(file) : undefined;
  }
}

/** Where a file will be that does not exist yet. */
function placeOf(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}
