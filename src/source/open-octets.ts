/** Opens what `-r` names: a regular file, a device, a named pipe, or `-` for standard input. */
import { createReadStream, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { STANDARD_INPUT } from '../service/standard-streams.js';
import {
  FileSource,
  InheritedFileSource,
  type OctetSource,
  RememberedSource,
  type RewindableSource,
  StreamSource,
} from './octet-source.js';

export interface OpenOctets {
  readonly source: RewindableSource;
  /** Octets of a regular file. */
  readonly size: number | undefined;
}

/** Throws the system's error, and an Error of one line for a directory. */
export function openOctets(path: string): OpenOctets {
  const stats = statsOf(path);
  if (stats.isDirectory()) throw new Error('is a directory');
  const size = stats.isFile() ? stats.size : undefined;
  if (path !== '-' && stats.isFile()) return { source: new FileSource(openSync(path, 'r')), size };
  return { source: new RememberedSource(openUnseekable(path, stats)), size };
}

/** Whether the path is that of a regular file: all that it will ever give is there already. */
export function isRegularFile(path: string): boolean {
  try {
    return statsOf(path).isFile();
  } catch {
    return false;
  }
}

function openUnseekable(path: string, stats: Stats): OctetSource {
  // The stream opens a named pipe in the background: its writer may not be there yet.
  if (path !== '-') return new StreamSource(createReadStream(path));
  return stats.isFile() ? new InheritedFileSource(STANDARD_INPUT) : new StreamSource(process.stdin);
}

function statsOf(path: string): Stats {
  return path === '-' ? fstatSync(STANDARD_INPUT) : statSync(path);
}
