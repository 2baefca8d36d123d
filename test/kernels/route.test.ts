import { expect } from 'chai';
import { locatePfsync, Payload } from '../../protocol/capture/link.js';
import type { Packet } from '../../protocol/capture/packet.js';
import { ID, ROUTE, ROW } from '../../protocol/flow/row.js';
import { readCapture } from '../../src/source/capture-file.js';
import { StateConverter } from '../peer/state-converter.js';
import { kernelCaptures } from './truth.js';

/** A state's id as pfctl prints it: two words in wire order. */
function idOf(words: Int32Array, row: number): string {
  const octets = Buffer.from(words.buffer, words.byteOffset + 4 * (row * ROW + ID), 8);
  return octets.toString('hex');
}

describe('route-to and reply-to of a real kernel', () => {
  it('name the interfaces that the kernel had', async () => {
    const capture = kernelCaptures().find(
      ({ name, view }) => name === 'freebsd14/fields14' && view === 'sync',
    )!;
    const routes = new Map<string, string>();
    const converter = new StateConverter({
      stage: ({ rows, interfaces }, _statistics, next) => ({
        add(first, count) {
          for (let row = first; row < first + count; row++) {
            const route = rows.words[row * ROW + ROUTE]!;
            const text = route === 0 ? '' : `${route >>> 24} ${interfaces.names[route & 0xffffff]}`;
            routes.set(idOf(rows.words, row), text);
          }
          next.add(first, count);
        },
      }),
    });
    const payload = new Payload();
    await readCapture(capture.file, {
      packet(packet: Packet) {
        if (locatePfsync(packet, payload) !== 'pfsync') return;
        converter.time = packet.clock[0]! * 1000 + packet.clock[1]!;
        const { buffer } = packet.view;
        converter.read(Buffer.from(buffer, payload.start, payload.end - payload.start), 1);
      },
      isCongested: false,
      drained: () => Promise.resolve(),
    });
    converter.flush(Date.now());
    const routed = capture.states.filter(({ id }) => routes.has(id));
    // dup-to (3) sends a copy: the packets themselves go where they went.
    const expected = routed.map(({ id, route }) => [
      id,
      route === undefined || route.rt === 3 ? '' : `${route.rt} ${route.ifname}`,
    ]);
    expect(routed.map(({ id }) => [id, routes.get(id)])).to.deep.equal(expected);
    expect(expected.filter(([, text]) => text !== '').length).to.equal(5);
  });
});
