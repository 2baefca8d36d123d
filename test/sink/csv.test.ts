import { expect } from 'chai';
import { FROM_NOBODY, type NatView, NONE } from '../../protocol/flow/terms.js';
import { csvFormat } from '../../src/sink/csv.js';
import type { Sample } from '../peer/flow-sample.js';
import { FINISHED, flowOf, NATTED, PING, PING64, PLAIN, REDIRECTED } from './flow-sketch.js';
import { joinedFlow, TextLines, tagged } from './text-lines.js';

const HEADER = new TextLines(csvFormat).format.header.trimEnd().split(',');

function cellsOf(sample: Sample, nat: NatView = 'original'): Record<string, string> {
  const lines = new TextLines(csvFormat, nat);
  const line = lines.of(sample);
  expect(line).to.match(/^[\x20-\x7e]+$/);
  const values = line.split(',');
  expect(values).to.have.length(HEADER.length);
  return Object.fromEntries(HEADER.map((name, index) => [name, values[index]!]));
}

describe('CSV of a flow', () => {
  it('stands below the names of its columns', () => {
    const row = cellsOf({ ...REDIRECTED, reply: 1 });
    const expected = {
      flowStartMilliseconds: '1700000000373',
      flowEndMilliseconds: '1700000003623',
      sourceAddress: '198.51.100.1',
      destinationAddress: '203.0.113.77',
      sourceTransportPort: '8443',
      destinationTransportPort: '55555',
      protocolIdentifier: '6',
      octetDeltaCount: '1500',
      packetDeltaCount: '3',
      tcpControlBits: '',
      icmpType: '',
      icmpCode: '',
      flowDirection: '1',
      postNATSourceAddress: '10.0.0.8',
      postNATDestinationAddress: '203.0.113.77',
      postNAPTSourceTransportPort: '443',
      postNAPTDestinationTransportPort: '55555',
      interfaceName: 'em0',
      flowEndReason: '3',
      stateId: '5f00000000000101',
      creatorId: 'a1b2c3d4',
      direction: 'in',
      rule: '41',
      anchor: '',
      tag: '',
      counters: 'exact',
      countersFrom: 'delete',
      reply: 'true',
      otherStateId: '',
      ingressInterfaceName: '',
      egressInterfaceName: '',
    };
    expect(row).to.deep.equal(expected);
    expect(Object.keys(row)).to.deep.equal(Object.keys(expected));
  });

  it('has TCP flags, the ICMP type and code, and the anchor where they are known', () => {
    const anchored = flowOf({
      direction: 'out',
      original: ['192.0.2.10', 51000, '198.51.100.20', 443],
      anchor: 3,
    });
    expect(cellsOf(FINISHED).tcpControlBits).to.equal('19');
    expect(cellsOf(anchored).anchor).to.equal('3');
    const { icmpType, icmpCode } = cellsOf(PING);
    expect([icmpType, icmpCode]).to.deep.equal(['8', '0']);
    const after = cellsOf(PING64);
    expect([after.icmpType, after.icmpCode, after.postNATSourceAddress]).to.deep.equal([
      '128',
      '0',
      '198.51.100.1',
    ]);
  });

  it('has the tag of the state', () => {
    const [line] = new TextLines(csvFormat).all(PLAIN, tagged('=lan,1'));
    expect(line).to.contain(`,out,41,,"'=lan,1",exact,delete,false,`);
  });

  it('names both interfaces and the other state of a joined flow', () => {
    const [forward, reply] = new TextLines(csvFormat).all({ ...REDIRECTED, replyOctets: 5n }, joinedFlow);
    expect(forward).to.match(/,false,0102030405060708,em0,em7$/);
    expect(reply).to.match(/,true,0102030405060708,em7,em0$/);
    expect(forward?.split(',')).to.have.length(HEADER.length);
    expect(forward?.split(',')[HEADER.indexOf('interfaceName')]).to.equal('');
  });

  const translation = ['postNATSourceAddress', 'postNATDestinationAddress', 'postNAPTSourceTransportPort'];
  const empty: [claim: string, Sample, NatView, columns: readonly string[]][] = [
    ['an untranslated flow', PLAIN, 'original', translation],
    ['a flow in the inside view', NATTED, 'inside', translation],
    ['ICMP', PING, 'original', ['sourceTransportPort', 'destinationTransportPort']],
    ['an ICMP type that is not known', { ...PING, icmpType: -1 }, 'original', ['icmpType', 'icmpCode']],
    [
      'unknown counters',
      { ...PLAIN, counters: NONE, origin: FROM_NOBODY },
      'original',
      ['octetDeltaCount', 'packetDeltaCount', 'countersFrom'],
    ],
    [
      'a rule that is not known',
      { ...PLAIN, state: { ...PLAIN.state, rule: -1 } },
      'original',
      ['rule', 'anchor'],
    ],
  ];
  for (const [what, sample, nat, columns] of empty) {
    it(`leaves cells empty for ${what}`, () => {
      const row = cellsOf(sample, nat);
      for (const column of columns) expect(row[column], column).to.equal('');
      expect(row.sourceAddress).to.equal(sample.state?.originalSource?.address);
    });
  }

  it('leaves the ICMP type out where the family of the view is another', () => {
    const { icmpType, icmpCode, sourceAddress } = cellsOf(PING64, 'translated');
    expect([icmpType, icmpCode, sourceAddress]).to.deep.equal(['', '', '198.51.100.1']);
  });

  const names: [name: string, text: string][] = [
    ['', ''],
    ['vlan 7', 'vlan 7'],
    ['a,b', '"a,b"'],
    ['a"b', '"a""b"'],
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@a,"', '"\'@a,"""'],
    ['\r\n=1', '\\u000d\\u000a=1'],
    ['é\x7f', '\\u00e9\\u007f'],
    ['a\\b', 'a\\\\b'],
  ];
  for (const [name, text] of names) {
    it(`writes the interface name ${JSON.stringify(name)} as ${text || 'nothing'}`, () => {
      const line = new TextLines(csvFormat).of({ ...PLAIN, interfaceName: name });
      expect(line).to.contain(`,1,,,,,${text},3,5f00000000000101,`);
    });
  }
});
