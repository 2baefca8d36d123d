/** Reads captures as tests compare them. */
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import type { Packet } from '../../protocol/capture/packet.js';
import {
  type CaptureEnd,
  CaptureOpenError,
  readCapture,
  readCaptureStream,
} from '../../src/source/capture-file.js';
import type { PacketConsumer } from '../../src/source/consumer.js';
import { pcapFileHeader, pcapRecord, type SeenPacket, seen } from '../capture/capture-bytes.js';

/** Keeps what it is given, and is never congested. */
export class Collected implements PacketConsumer {
  readonly packets: SeenPacket[] = [];
  readonly isCongested = false;

  packet(packet: Packet): void {
    this.packets.push(seen(packet));
  }

  async drained(): Promise<void> {}
}

export type Outcome = CaptureEnd & { seen: SeenPacket[] };

export async function readPieces(...pieces: Uint8Array[]): Promise<Outcome> {
  const collected = new Collected();
  const end = await readCaptureStream(Readable.from(pieces), collected);
  return { ...end, seen: collected.packets };
}

export async function readPath(path: string): Promise<Outcome> {
  const collected = new Collected();
  const end = await readCapture(path, collected);
  return { ...end, seen: collected.packets };
}

export async function refusal(reading: Promise<unknown>): Promise<string> {
  try {
    await reading;
  } catch (error) {
    expect(error).to.be.instanceOf(CaptureOpenError);
    return (error as Error).message;
  }
  return expect.fail('it was read');
}

/** Octets that do not compress, the same ones each time. */
export function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 24;
  });
}

/** Lets the event loop turn so many times. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate();
}

export function largePcap(packets: number, size: number): Uint8Array {
  const record = pcapRecord({ octets: noise(size) });
  const capture = Buffer.alloc(24 + packets * record.length);
  capture.set(pcapFileHeader({ snaplen: size }));
  for (let at = 24; at < capture.length; at += record.length) capture.set(record, at);
  return capture;
}
