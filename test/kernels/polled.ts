/**
 * What `--pfctl` makes of a kernel's capture. A poll is made up from the truth: of each state that has no more packets to come,
 * its counters and the time that it has left to live, as pfctl would print them at that moment. The others are left out.
 */
import type { Packet } from '../../protocol/capture/packet.js';
import { Statistics } from '../../src/observe/statistics.js';
import { openMemory, Pipeline } from '../../src/pipeline.js';
import { jsonFormat } from '../../src/sink/json.js';
import { linesOf } from '../../src/sink/text-format.js';
import { readCapture } from '../../src/source/capture-file.js';
import type { StateCounters } from '../../src/source/pfctl-text.js';
import { LineLog } from '../peer/line-log.js';
import { type Flow, flowsOf, type JsonRecord } from './flows.js';
import type { KernelCapture, TrueState } from './truth.js';

/** Converts the capture, with a poll every so many milliseconds. */
export async function convertPolled({ file, states }: KernelCapture, interval: number): Promise<Flow[]> {
  const { log } = new LineLog();
  const memory = openMemory(new Map(), log);
  const records: JsonRecord[] = [];
  const format = jsonFormat(memory, 'original');
  const sink = {
    add(first: number, count: number) {
      for (let row = first; row < first + count; row++) {
        records.push(...linesOf(format, row).map((line) => JSON.parse(line) as JsonRecord));
      }
    },
    flush: () => {},
    isCongested: false,
    drained: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const options = {
    direction: 'any',
    noUncounted: false,
    maxStates: 1e6,
    stateTimeout: 0,
    activeTimeout: 0,
  } as const;
  const pipeline = new Pipeline(options, memory, [sink], log, new Statistics());
  let next = Number.NaN;
  await readCapture(file, {
    packet(packet: Packet) {
      const now = packet.clock[0]! * 1000 + packet.clock[1]!;
      if (Number.isNaN(next)) next = now;
      for (; next <= now; next += interval) {
        for (const state of states) report(pipeline, state, next);
      }
      pipeline.packet(packet);
    },
    get isCongested() {
      return pipeline.isCongested;
    },
    drained: () => pipeline.drained(),
  });
  await pipeline.close('count');
  return flowsOf(records, states);
}

function report(pipeline: Pipeline, state: TrueState, now: number): void {
  const { id, creatorId, createdMs, lastPacketMs = createdMs, endedMs = Number.POSITIVE_INFINITY } = state;
  if (now < lastPacketMs || now >= endedMs) return;
  const counters: StateCounters = {
    idHigh: Number.parseInt(id.slice(0, 8), 16),
    idLow: Number.parseInt(id.slice(8), 16),
    creatorId: Number.parseInt(creatorId, 16),
    age: Math.floor((now - createdMs) / 1000),
    expire: Math.max(0, Math.floor((expiryOf(state) - now) / 1000)),
    packets: halvesOf(state.packets),
    octets: halvesOf(state.octets),
  };
  pipeline.reportCounters(counters, now);
}

/** When the state's time was up, on the clock of the capture: the kernel noted it in seconds since its boot. */
function expiryOf({ endedMs = 0, uptimeEnd = 0, expiresUptime = 0 }: TrueState): number {
  return endedMs - 1000 * (uptimeEnd - expiresUptime);
}

function halvesOf(counters: readonly [number, number]): Uint32Array {
  return Uint32Array.from(counters.flatMap((counter) => [Math.floor(counter / 2 ** 32), counter % 2 ** 32]));
}
