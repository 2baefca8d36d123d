import { expect } from 'chai';
import { ROW } from '../../protocol/flow/row.js';
import type { FlowRows } from '../../protocol/flow/rows.js';
import { type FilterOptions, StateFilter } from '../../src/flow/filter.js';
import { SelfFilter } from '../../src/flow/self.js';
import type { SimEnd, SimState, WireVersion } from '../peer/pfsync-writer.js';
import { StateConverter } from '../peer/state-converter.js';
import { insertOf } from '../peer/state-messages.js';

const CLIENT = { address: '10.1.2.3', port: 40000 };
const COLLECTOR = { address: '192.0.2.9', port: 2055 };
const CLIENT6 = { address: '2001:db8::3', port: 40000 };
const COLLECTOR6 = { address: '2001:db8:1::9', port: 4739 };

const ALL: readonly WireVersion[] = ['v3', 'v5-1301', 'v6'];

interface Ends {
  from: SimEnd;
  to: SimEnd;
  /** The same after translation, when it differs. */
  fromAfter?: SimEnd;
  toAfter?: SimEnd;
  proto?: number;
}

function state({ from, to, fromAfter = from, toAfter = to, proto = 17 }: Ends): SimState {
  const familyOf = ({ address }: SimEnd) => (address.includes(':') ? 6 : 4);
  return {
    id: 0x5f00000000000001n,
    creatorId: 7,
    ifname: 'em0',
    direction: 'out',
    af: familyOf(from),
    afAfter: familyOf(fromAfter),
    proto,
    protoAfter: proto,
    originalSource: from,
    originalDestination: to,
    translatedSource: fromAfter,
    translatedDestination: toAfter,
    packets: [1n, 0n],
    bytes: [60n, 0n],
    creation: 1,
    expire: 0,
    timeout: 0,
    rule: 1,
    peers: [
      { seqlo: 0, state: 0 },
      { seqlo: 0, state: 0 },
    ],
  };
}

/** Asks `look` about the row of a state, as a message of this version shows it. */
function seen<T>(version: WireVersion, sim: SimState, look: (rows: FlowRows, row: number) => T): T {
  const found: T[] = [];
  const converter = new StateConverter({
    observer: ({ rows }) => ({
      appeared: (row) => found.push(look(rows, row)),
      ended: () => {},
    }),
  });
  converter.message(insertOf(sim, version), 1_700_000_000_000);
  expect(found).to.have.length(1);
  return found[0]!;
}

function filter(): SelfFilter {
  const self = new SelfFilter();
  self.add('192.0.2.9', 2055);
  self.add('2001:db8:1::9', 4739);
  self.add('::ffff:198.51.100.7', 9995);
  self.add('fe80::1:2%em0', 2055);
  return self;
}

describe('the filter of our own exports', () => {
  const CASES: { name: string; ends: Ends; expected: boolean; versions?: readonly WireVersion[] }[] = [
    { name: 'an export', ends: { from: CLIENT, to: COLLECTOR }, expected: true },
    { name: 'an export over TCP', ends: { from: CLIENT, to: COLLECTOR, proto: 6 }, expected: true },
    { name: 'an export in IPv6', ends: { from: CLIENT6, to: COLLECTOR6 }, expected: true },
    { name: 'what comes from the collector', ends: { from: COLLECTOR, to: CLIENT }, expected: true },
    {
      name: 'an export behind NAT',
      ends: { from: CLIENT, to: COLLECTOR, fromAfter: { address: '203.0.113.1', port: 50001 } },
      expected: true,
    },
    {
      name: 'an export that is redirected to the collector',
      ends: { from: CLIENT, to: { address: '10.0.0.1', port: 999 }, toAfter: COLLECTOR },
      expected: true,
      // Older ones have three addresses only.
      versions: ['v5-1301', 'v6'],
    },
    {
      name: 'an export to a mapped address',
      ends: { from: CLIENT, to: { address: '198.51.100.7', port: 9995 } },
      expected: true,
    },
    {
      name: 'an export to a link-local address',
      ends: { from: CLIENT6, to: { address: 'fe80::1:2', port: 2055 } },
      expected: true,
    },
    {
      name: 'an export through NAT64',
      ends: {
        from: CLIENT6,
        to: { address: '64:ff9b::c000:209', port: 2055 },
        fromAfter: CLIENT,
        toAfter: COLLECTOR,
      },
      expected: true,
      versions: ['v6', 'v5-1400'],
    },
    { name: 'another port', ends: { from: CLIENT, to: { ...COLLECTOR, port: 2056 } }, expected: false },
    {
      name: 'another address',
      ends: { from: CLIENT, to: { ...COLLECTOR, address: '192.0.2.10' } },
      expected: false,
    },
    {
      name: 'an IPv6 address with the same first word',
      ends: { from: CLIENT6, to: { address: '2001:db8:1::8', port: 4739 } },
      expected: false,
    },
    {
      name: "one collector's address with another's port",
      ends: { from: CLIENT, to: { ...COLLECTOR, port: 9995 } },
      expected: false,
    },
    { name: 'ICMP to the collector', ends: { from: CLIENT, to: COLLECTOR, proto: 1 }, expected: false },
  ];

  for (const { name, ends, expected, versions = ALL } of CASES) {
    for (const version of versions) {
      it(`${expected ? 'knows' : 'does not take for ours'} ${name} (${version})`, () => {
        const matches = (rows: FlowRows, row: number) => filter().matches(rows.words, row * ROW);
        expect(seen(version, state(ends), matches)).to.equal(expected);
      });
    }
  }

  it('gives the state filter its reason', () => {
    const rules = { direction: 'any', noUncounted: false } as const;
    const ours = state({ from: CLIENT, to: COLLECTOR });
    const reason = (options: FilterOptions) =>
      seen('v6', ours, (rows, row) => new StateFilter(rows, options).reasonToSkip(row, 0));
    expect(reason({ ...rules, self: filter() })).to.equal('self');
    expect(reason({ ...rules, self: new SelfFilter() })).to.equal(undefined);
    expect(reason(rules)).to.equal(undefined);
  });
});
