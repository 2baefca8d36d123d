import { expect } from 'chai';
import fc from 'fast-check';
import { InterfaceTable } from '../../protocol/flow/interface.js';
import { FlowRows, RowRange } from '../../protocol/flow/rows.js';
import { TagTable } from '../../protocol/flow/tags.js';
import { type PfsyncHandler, PfsyncReader } from '../../protocol/pfsync/message.js';
import {
  hasRequests,
  MOST_REQUESTS,
  RequestMessage,
  type RequestVersion,
} from '../../protocol/pfsync/request.js';
import { encodeMessage, encodeUpdateRequest } from '../peer/pfsync-writer.js';

/** A key in hexadecimal, as the octets on the wire, and its words as rows have them. */
function wordsOf(key: string): [number, number, number] {
  const octets = Buffer.from(key, 'hex');
  return [octets.readInt32LE(0), octets.readInt32LE(4), octets.readInt32LE(8)];
}

function requestFor(
  version: RequestVersion,
  keys: readonly string[],
  message = new RequestMessage(),
): string {
  for (const key of keys) message.add(...wordsOf(key));
  return Buffer.from(message.finish(version)).toString('hex');
}

describe('pfsync update requests', () => {
  // Messages that the kernels of these systems accepted and answered.
  const accepted: [kernel: string, version: RequestVersion, keys: string[], message: string][] = [
    [
      'FreeBSD 13 and 14, version 5',
      5,
      ['00000000692cda95a1b2c3d4', '00000000692cda96a1b2c3d4'],
      '05000034000000000000000000000000000000000500000200000000692cda95a1b2c3d400000000692cda96a1b2c3d40c000001',
    ],
    [
      'OpenBSD 8.0, version 6',
      6,
      ['692cda810000000ba1b2c3d4', '692cda810000000ca1b2c3d4'],
      '060000300000000000000000000000000000000005030002692cda810000000ba1b2c3d4692cda810000000ca1b2c3d4',
    ],
  ];
  for (const [kernel, version, keys, message] of accepted) {
    it(`are octet for octet what ${kernel} takes`, () => {
      expect(requestFor(version, keys)).to.equal(message);
    });
  }

  it('ask for all states as OpenBSD 8.0 itself does after a start', () => {
    const message = new RequestMessage();
    message.addBulk();
    const octets = Buffer.from(message.finish(6)).toString('hex');
    expect(octets).to.equal('060000240000000000000000000000000000000005030001000000000000000000000000');
  });

  it('fill an Ethernet frame and no more: 121 over IPv4, 119 over IPv6', () => {
    expect(MOST_REQUESTS).to.deep.equal({ 4: 121, 6: 119 });
    for (const [family, header] of [
      [4, 20],
      [6, 40],
    ] as const) {
      for (const version of [5, 6] as const) {
        const keys = Array.from({ length: MOST_REQUESTS[family] }, () => 'ffffffffffffffffffffffff');
        expect(requestFor(version, keys).length / 2 + header).to.be.within(1500 - 12, 1500);
      }
    }
  });

  it('are what another writer makes of the same keys, also when the message is used again', () => {
    const key = fc.record({
      id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      creatorId: fc.nat(2 ** 32 - 1),
    });
    const message = new RequestMessage();
    fc.assert(
      fc.property(fc.array(key, { minLength: 1, maxLength: 121 }), fc.constantFrom(5, 6), (keys, version) => {
        const name = version === 5 ? 'v5-1400' : 'v6';
        const records = keys.map((one) => encodeUpdateRequest(name, one));
        const expected = encodeMessage(name, [{ action: 'updateRequest', records }]).toString('hex');
        const hexadecimal = records.map((record) => record.toString('hex'));
        expect(requestFor(version as RequestVersion, hexadecimal, message)).to.equal(expected);
      }),
    );
  });

  it('are whole messages to the reader', () => {
    const memory = { rows: new FlowRows(4), interfaces: new InterfaceTable(), tags: new TagTable() };
    let requests = 0;
    const handler = { source() {}, otherRecord: () => requests++ } as unknown as PfsyncHandler;
    const reader = new PfsyncReader(memory, new RowRange(memory.rows, 0, 4), handler);
    for (const version of [5, 6] as const) {
      const octets = Buffer.from(requestFor(version, ['01'.repeat(12), '02'.repeat(12)]), 'hex');
      const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
      expect(reader.read(view, 0, octets.length, octets.length, 1)).to.equal('whole');
    }
    expect(requests).to.equal(4);
  });

  it('exist for versions 5 and 6', () => {
    expect([1, 2, 3, 4, 5, 6, 7].filter(hasRequests)).to.deep.equal([5, 6]);
  });
});
