import { expect } from 'chai';
import fc from 'fast-check';
import { FACTS, INTERFACE_FROM_RECORD } from '../../protocol/flow/row.js';
import {
  EXACT,
  FROM_INSERT,
  FROM_NOBODY,
  FROM_PFCTL,
  FROM_SEQUENCE,
  FROM_UPDATE,
  type NatView,
  NONE,
  PARTIAL,
  TCPSEQ,
} from '../../protocol/flow/terms.js';
import { jsonFormat } from '../../src/sink/json.js';
import type { Sample } from '../peer/flow-sample.js';
import { FINISHED, flowOf, NAT64, NATTED, PING, PING64, PLAIN, REDIRECTED } from './flow-sketch.js';
import { joinedFlow, TextLines, tagged } from './text-lines.js';

function lineOf(sample: Sample, nat: NatView = 'original'): string {
  const line = new TextLines(jsonFormat, nat).of(sample);
  expect(line).to.match(/^[\x20-\x7e]+$/);
  return line;
}

describe('JSON of a flow', () => {
  const pf = {
    stateId: '5f00000000000101',
    creatorId: 'a1b2c3d4',
    direction: 'out',
    rule: 41,
    counters: 'exact',
    countersFrom: 'delete',
    reply: false,
  };
  const times = { flowStartMilliseconds: 1700000000373, flowEndMilliseconds: 1700000003623 };
  const counted = { octetDeltaCount: 1500, packetDeltaCount: 3 };
  const natted = {
    postNATSourceIPv4Address: '198.51.100.1',
    postNATDestinationIPv4Address: '203.0.113.5',
    postNAPTSourceTransportPort: 61234,
    postNAPTDestinationTransportPort: 80,
  };
  const rest = { interfaceName: 'em0', flowEndReason: 3 };
  /** Of an af-to state, in which pf counts both directions as one. */
  const both = {
    stateId: pf.stateId,
    creatorId: pf.creatorId,
    direction: 'in',
    rule: 41,
    bothDirections: true,
    counters: 'exact',
    countersFrom: 'delete',
    reply: false,
  };
  const six = { sourceIPv6Address: '2001:db8::64', destinationIPv6Address: '64:ff9b::c000:221' };
  const four = { sourceIPv4Address: '198.51.100.1', destinationIPv4Address: '192.0.2.33' };
  function ends(source: string, sourcePort: number, destination: string, destinationPort: number) {
    return {
      sourceIPv4Address: source,
      destinationIPv4Address: destination,
      sourceTransportPort: sourcePort,
      destinationTransportPort: destinationPort,
    };
  }
  const plain = { ...times, ...ends('192.0.2.10', 51000, '198.51.100.20', 443), protocolIdentifier: 6 };
  const ping = { ...times, sourceIPv4Address: '192.0.2.10', destinationIPv4Address: '198.51.100.20' };

  const cases: [claim: string, Sample, NatView, object][] = [
    [
      'has the elements of a plain TCP flow',
      PLAIN,
      'original',
      { ...plain, ...counted, flowDirection: 1, ...rest, pf },
    ],
    [
      'adds the post-NAT elements to a translated flow',
      NATTED,
      'original',
      {
        ...times,
        ...ends('192.168.1.50', 40000, '203.0.113.5', 80),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 1,
        ...natted,
        ...rest,
        pf,
      },
    ],
    [
      'reverses both views in a reply',
      { ...REDIRECTED, reply: 1 },
      'original',
      {
        ...times,
        ...ends('198.51.100.1', 8443, '203.0.113.77', 55555),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 1,
        postNATSourceIPv4Address: '10.0.0.8',
        postNATDestinationIPv4Address: '203.0.113.77',
        postNAPTSourceTransportPort: 443,
        postNAPTDestinationTransportPort: 55555,
        ...rest,
        pf: { ...pf, direction: 'in', reply: true },
      },
    ],
    [
      'shows the inside view alone',
      REDIRECTED,
      'inside',
      {
        ...times,
        ...ends('203.0.113.77', 55555, '10.0.0.8', 443),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 0,
        ...rest,
        pf: { ...pf, direction: 'in' },
      },
    ],
    [
      'shows what an outbound flow was before translation as its inside view',
      NATTED,
      'inside',
      {
        ...times,
        ...ends('192.168.1.50', 40000, '203.0.113.5', 80),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 1,
        ...rest,
        pf,
      },
    ],
    [
      'shows the translated view alone',
      NATTED,
      'translated',
      {
        ...times,
        ...ends('198.51.100.1', 61234, '203.0.113.5', 80),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 1,
        ...rest,
        pf,
      },
    ],
    [
      'has another family after NAT64',
      NAT64,
      'original',
      {
        ...times,
        ...six,
        sourceTransportPort: 40000,
        destinationTransportPort: 80,
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 0,
        postNATSourceIPv4Address: '198.51.100.1',
        postNATDestinationIPv4Address: '192.0.2.33',
        postNAPTSourceTransportPort: 50001,
        postNAPTDestinationTransportPort: 80,
        ...rest,
        pf: both,
      },
    ],
    [
      'has no ports for ICMP, and nothing of what is not known',
      {
        ...PING,
        state: { ...PING.state, rule: -1 },
        interfaceName: '',
        icmpType: -1,
        counters: NONE,
        origin: FROM_NOBODY,
      },
      'original',
      {
        ...ping,
        protocolIdentifier: 1,
        flowDirection: 1,
        flowEndReason: 3,
        pf: {
          stateId: pf.stateId,
          creatorId: pf.creatorId,
          direction: 'out',
          counters: 'none',
          reply: false,
        },
      },
    ],
    [
      'has type and code of ICMP where they are known',
      PING,
      'original',
      {
        ...ping,
        protocolIdentifier: 1,
        ...counted,
        icmpTypeIPv4: 8,
        icmpCodeIPv4: 0,
        flowDirection: 1,
        ...rest,
        pf,
      },
    ],
    [
      'has type and code of ICMPv6 where they are known',
      PING64,
      'original',
      {
        ...times,
        ...six,
        protocolIdentifier: 58,
        ...counted,
        icmpTypeIPv6: 128,
        icmpCodeIPv6: 0,
        flowDirection: 0,
        postNATSourceIPv4Address: four.sourceIPv4Address,
        postNATDestinationIPv4Address: four.destinationIPv4Address,
        ...rest,
        pf: both,
      },
    ],
    [
      'has neither in the reply record: the type is that of what the initiator sent',
      { ...PING64, reply: 1 },
      'original',
      {
        ...times,
        sourceIPv6Address: six.destinationIPv6Address,
        destinationIPv6Address: six.sourceIPv6Address,
        protocolIdentifier: 58,
        ...counted,
        flowDirection: 1,
        postNATSourceIPv4Address: four.destinationIPv4Address,
        postNATDestinationIPv4Address: four.sourceIPv4Address,
        ...rest,
        pf: { ...both, reply: true },
      },
    ],
    [
      'leaves the type out where the family of the view is another',
      PING64,
      'translated',
      {
        ...times,
        ...four,
        protocolIdentifier: 1,
        ...counted,
        flowDirection: 0,
        ...rest,
        pf: both,
      },
    ],
    [
      'has the TCP flags that are known to have been sent',
      FINISHED,
      'original',
      { ...plain, ...counted, tcpControlBits: 19, flowDirection: 1, ...rest, pf },
    ],
    [
      'has the number of the anchor where there is one',
      flowOf({
        direction: 'out',
        original: ['192.0.2.10', 51000, '198.51.100.20', 443],
        rule: 0,
        anchor: 0,
      }),
      'original',
      {
        ...plain,
        ...counted,
        flowDirection: 1,
        ...rest,
        pf: {
          stateId: pf.stateId,
          creatorId: pf.creatorId,
          direction: 'out',
          rule: 0,
          anchor: 0,
          counters: 'exact',
          countersFrom: 'delete',
          reply: false,
        },
      },
    ],
    [
      'tells the age of counters that are not final',
      { ...PLAIN, counters: PARTIAL, origin: FROM_UPDATE, countersAge: 70 },
      'original',
      {
        ...plain,
        ...counted,
        flowDirection: 1,
        ...rest,
        pf: { ...pf, counters: 'partial', countersFrom: 'update', countersAge: 70 },
      },
    ],
    [
      'has a lower bound from sequence numbers in the ordinary counters',
      { ...PLAIN, reply: 1, counters: TCPSEQ, origin: FROM_SEQUENCE, countersAge: 0 },
      'original',
      {
        ...times,
        ...ends('198.51.100.20', 443, '192.0.2.10', 51000),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 0,
        ...rest,
        pf: { ...pf, counters: 'tcpseq', countersFrom: 'sequence', reply: true, countersAge: 0 },
      },
    ],
  ];
  for (const [claim, sample, nat, expected] of cases) {
    it(claim, () => {
      const line = lineOf(sample, nat);
      expect(JSON.parse(line)).to.deep.equal(expected);
      // Key order too: it is a contract with those who read lines by eye or by regular expression.
      expect(line).to.equal(JSON.stringify(expected));
    });
  }

  for (const [origin, name] of [
    [FROM_UPDATE, 'update'],
    [FROM_INSERT, 'insert'],
    [FROM_PFCTL, 'pfctl'],
  ] as const) {
    it(`says that counters come from ${name}`, () => {
      expect(lineOf({ ...PLAIN, counters: EXACT, origin })).to.contain(
        `,"counters":"exact","countersFrom":"${name}","reply":false}}`,
      );
    });
  }

  it('has the tag of the state, whatever is in it', () => {
    const lines = new TextLines(jsonFormat);
    for (const tag of ['lan', 'a"b\\c', '\x01'.repeat(64)]) {
      const [line = ''] = lines.all(PLAIN, tagged(tag));
      expect(JSON.parse(line).pf.tag).to.equal(tag);
      const { tag: _, ...others } = JSON.parse(line).pf;
      expect(others).to.deep.equal(pf);
    }
    const [line] = lines.all(PLAIN, tagged('lan'));
    expect(line).to.contain(',"rule":41,"tag":"lan","counters":"exact",');
  });

  it('says when the record names the interface of a floating state', () => {
    const [line] = new TextLines(jsonFormat).all(PLAIN, (_, words) => {
      words[FACTS]! |= INTERFACE_FROM_RECORD;
    });
    expect(line).to.contain(',"interfaceName":"em0",');
    expect(line).to.contain(',"rule":41,"interfaceFrom":"record","counters":"exact",');
  });

  it('names both interfaces and the other state of a joined flow', () => {
    const lines = new TextLines(jsonFormat).all({ ...REDIRECTED, replyOctets: 5n }, joinedFlow);
    const [forward, reply] = lines.map((line) => JSON.parse(line));
    const other = { joined: true, otherStateId: '0102030405060708' };
    const inbound = { ...pf, direction: 'in' };
    expect(forward.pf).to.deep.equal({
      ...inbound,
      ...other,
      ingressInterfaceName: 'em0',
      egressInterfaceName: 'em7',
    });
    expect(reply.pf).to.deep.equal({
      ...inbound,
      reply: true,
      ...other,
      ingressInterfaceName: 'em7',
      egressInterfaceName: 'em0',
    });
    expect(forward).not.to.have.property('interfaceName');
    expect(lines[0]).to.contain(
      ',"reply":false,"joined":true,"otherStateId":"0102030405060708","ingressInterfaceName":"em0",',
    );
  });

  it('keeps all 64 bits of a counter', () => {
    const counters = { octets: 2n ** 64n - 1n, packets: 2n ** 53n + 1n, counters: PARTIAL };
    const line = lineOf({ ...PLAIN, ...counters });
    expect(line).to.contain(',"octetDeltaCount":18446744073709551615,"packetDeltaCount":9007199254740993,');
    expect(line).to.contain('"counters":"partial"');
  });

  it('has both records of a flow, the reply behind the forward one', () => {
    const lines = new TextLines(jsonFormat);
    for (const sample of [PLAIN, NATTED, NAT64, PING64, FINISHED]) {
      const forward = lines.of(sample);
      const reply = lines.of({ ...sample, reply: 1, octets: 77n, packets: 10n });
      expect(lines.all({ ...sample, replyOctets: 77n })).to.deep.equal([forward, reply]);
    }
  });

  it('gives back any interface name, in ASCII', () => {
    const latin = fc.string({
      unit: fc.integer({ min: 1, max: 255 }).map((unit) => String.fromCharCode(unit)),
      maxLength: 16,
    });
    fc.assert(
      fc.property(
        latin.filter((name) => name !== '' && name !== 'all'),
        (name) => {
          expect(JSON.parse(lineOf({ ...PLAIN, interfaceName: name })).interfaceName).to.equal(name);
        },
      ),
      { seed: 8259 },
    );
  });

  it('stays JSON with times that no clock shows', () => {
    const line = lineOf({ ...PLAIN, start: -2594967295627, end: 2 ** 74 });
    expect(line).to.contain('"flowStartMilliseconds":0,"flowEndMilliseconds":18889465931478580854784,');
  });
});
