/** The descriptors that every program starts with. */
import { isatty } from 'node:tty';

export const STANDARD_INPUT = 0;
export const STANDARD_OUTPUT = 1;
export const STANDARD_ERROR = 2;

export const isTerminal: (descriptor: number) => boolean = isatty;

/** Resolves when the text is written. Rejects with the system's error: nobody reads, or the device is full. */
export function print(stream: NodeJS.WritableStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // A stream emits its error as well, which without a listener ends the program.
    stream.on('error', reject);
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
