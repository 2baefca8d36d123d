import { expect } from 'chai';
import { FlowView } from '../../protocol/flow/flow-view.js';
import { encodeClear, encodeMessage, encodeState } from '../peer/pfsync-writer.js';
import { StateConverter } from '../peer/state-converter.js';
import {
  CREATOR,
  clearOf,
  compressedUpdateOf,
  counted,
  deleteOf,
  insertOf,
  simState,
  updateOf,
} from '../peer/state-messages.js';

const T0 = 1_700_000_000_000;
const STATES = 1000;
const BATCH = 16;

/** A firewall with many open states, of which every second one has a second creator, and every fourth is on em1. */
function open(stateTimeout = 0): StateConverter {
  const converter = new StateConverter({ batch: BATCH, stateTimeout });
  for (let n = 0; n < STATES; n += 5) {
    const records = [0, 1, 2, 3, 4].map((more) => encodeState('v6', stateOf(n + more)));
    converter.message(encodeMessage('v6', [{ action: 'insert', records }]), T0);
  }
  expect(converter.tracker.table.size).to.equal(STATES);
  return converter;
}

function stateOf(n: number) {
  return simState(n, {
    ...counted(1, 60),
    creatorId: n % 2 === 0 ? CREATOR : 7,
    ifname: n % 4 === 0 ? 'em1' : 'em0',
    expire: 3600,
  });
}

function idsOf({ records }: StateConverter): number[] {
  return records.filter(({ pf }) => !pf.reply).map(({ pf }) => Number.parseInt(pf.stateId, 16));
}

const numbers = (isMeant: (n: number) => boolean) =>
  Array.from({ length: STATES }, (_, n) => n).filter(isMeant);
const sorted = (ids: readonly number[]) => [...ids].sort((a, b) => a - b);

describe('a clear of many states', () => {
  it('ends a batch at once, and the others in as many slices as are asked for', () => {
    const converter = open();
    const { tracker } = converter;
    converter.message(clearOf(), T0 + 1000);
    expect(tracker.isEnding).to.equal(true);
    for (let slices = 1; tracker.isEnding; slices++) {
      expect(idsOf(converter).length).to.be.at.most(slices * BATCH);
      tracker.endSome();
    }
    expect(sorted(idsOf(converter))).to.deep.equal(numbers((n) => n % 2 === 0));
    expect(tracker.table.size).to.equal(STATES / 2);
    expect(converter.records.every(({ flowEndReason }) => flowEndReason === 4)).to.equal(true);
    converter.expectSums();
  });

  it('is over before the next record is read: that finds the table as the firewall has it', () => {
    const next: [string, (converter: StateConverter) => void][] = [
      ['insert', (converter) => converter.message(insertOf(stateOf(800)), T0 + 5000)],
      ['update', (converter) => converter.message(updateOf(stateOf(801)), T0 + 5000)],
      ['compressed update', (converter) => converter.message(compressedUpdateOf(stateOf(800)), T0 + 5000)],
      ['delete', (converter) => converter.message(deleteOf(stateOf(800)), T0 + 5000)],
      ['clear', (converter) => converter.message(clearOf('', 'v6', 99), T0 + 5000)],
      ['counters of pfctl', (converter) => converter.tracker.reportCounters(PRINTED, T0 + 5000)],
      ['flush', (converter) => converter.tracker.beginFlush(T0 + 5000)],
    ];
    for (const [name, record] of next) {
      const converter = open();
      converter.message(clearOf(), T0 + 1000);
      record(converter);
      expect(converter.tracker.isEnding, name).to.equal(name === 'flush');
      const cleared = idsOf(converter).filter((n) => n % 2 === 0);
      expect(sorted(cleared), name).to.deep.equal(numbers((n) => n % 2 === 0));
      const isNew = name === 'insert';
      expect(converter.tracker.table.size, name).to.equal(STATES / 2 + (isNew ? 1 : 0));
      expect(converter.statistics.states.unknownUpdates, name).to.equal(name === 'compressed update' ? 1 : 0);
      expect(converter.statistics.states.lateRecords, name).to.equal(name === 'delete' ? 1 : 0);
    }
  });

  it('ends all its states at its own time, whenever they are ended', () => {
    for (const late of [
      (converter: StateConverter) => converter.message(compressedUpdateOf(stateOf(801)), T0 + 3_600_500),
      (converter: StateConverter) => converter.message(deleteOf(stateOf(801)), T0 + 3_600_500),
      (converter: StateConverter) => converter.message(clearOf('', 'v6', 99), T0 + 3_600_500),
      (converter: StateConverter) => converter.tracker.expire(T0 + 3_600_500),
    ]) {
      const observed: number[] = [];
      const converter = open(7_200_000);
      const view = new FlowView(converter.memory.rows);
      const { tracker, records } = converter;
      converter.message(clearOf(), T0 + 1000);
      late(converter);
      tracker.finishEnding();
      for (let row = BATCH; row < 2 * BATCH; row++) {
        if (view.at(row).creatorId === CREATOR) observed.push(view.observed);
      }
      expect(new Set(observed)).to.deep.equal(new Set([T0 + 1000]));
      // With the time of the record behind the clear they would seem to have died of age.
      const cleared = records.filter(({ pf }) => pf.creatorId === 'a1b2c3d4');
      expect(new Set(cleared.map(({ pf }) => pf.counters))).to.deep.equal(new Set(['partial']));
    }
  });

  it('of an interface ends its states only, whatever old memory stands behind the name', () => {
    for (const [name, expected] of [
      ['em1', (n: number) => n % 4 === 0],
      ['em0', (n: number) => n % 4 === 2],
      ['em10', () => false],
      ['', (n: number) => n % 2 === 0],
    ] as const) {
      const record = encodeClear('v6', { creatorId: CREATOR, ifname: '' });
      record.write('old memory of 16', 0, 16, 'latin1');
      record.write(`${name}\0`, 0, 'latin1');
      const converter = open().message(
        encodeMessage('v6', [{ action: 'clear', records: [record] }]),
        T0 + 1000,
      );
      converter.tracker.finishEnding();
      expect(sorted(idsOf(converter)), name).to.deep.equal(numbers(expected));
    }
  });

  it('of a creator that has no states, or of an interface that no state has named, ends none', () => {
    for (const message of [clearOf('', 'v6', 99), clearOf('em9')]) {
      const converter = open().message(message, T0 + 1000);
      converter.tracker.finishEnding();
      expect(converter.records).to.deep.equal([]);
      expect(converter.tracker.table.size).to.equal(STATES);
    }
  });
});

describe('the end of the input', () => {
  it('ends every open state in slices, as forced ends', () => {
    const converter = open();
    const { tracker } = converter;
    tracker.beginFlush(T0 + 2000);
    let slices = 0;
    for (; tracker.isEnding; slices++) tracker.endSome();
    expect(slices).to.be.at.least(STATES / BATCH);
    expect(sorted(idsOf(converter))).to.deep.equal(numbers(() => true));
    expect(converter.records.every(({ flowEndReason }) => flowEndReason === 4)).to.equal(true);
    expect(tracker.table.size).to.equal(0);
    converter.expectSums();
  });

  it('does not make states seem gone that the firewall still has', () => {
    const converter = open().flush(T0 + 2000);
    converter.message(updateOf(stateOf(0)), T0 + 3000);
    expect(converter.tracker.table.size).to.equal(1);
  });
});

const PRINTED = {
  idFirst: 0,
  idSecond: 0,
  creatorId: 0,
  age: 1,
  remaining: 1,
  view: new DataView(new ArrayBuffer(32)),
};
