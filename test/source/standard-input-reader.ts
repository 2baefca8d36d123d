/** A program: prints the number and length of each packet of the capture on standard input, then how the reading ended. */
import { readCapture } from '../../src/source/capture-file.js';

const end = readCapture('-', {
  packet: ({ number, start, end }) => console.log(`${number}:${end - start}`),
  isCongested: false,
  drained: async () => {},
});
console.log(JSON.stringify(await end.catch((error: Error) => error.message)));
