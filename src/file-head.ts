import { closeSync, openSync, readSync } from 'node:fs';

/** The first octets of a file, zeros where it has fewer. Throws what the system says when it cannot be read. */
export function headOf(file: string, octets: number): Buffer {
  const head = Buffer.alloc(octets);
  const descriptor = openSync(file, 'r');
  try {
    readSync(descriptor, head);
  } finally {
    closeSync(descriptor);
  }
  return head;
}
