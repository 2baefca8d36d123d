/**
 * UDP to one address as fast as the system takes it: datagrams leave in batches, on Linux with one system call for many, else on
 * a thread beside where that helps. Where neither can be done, `transport-udp` serves.
 */
import { getSystemErrorMap } from 'node:util';
import { memoryOctets } from '../../protocol/core.js';
import type { MessagePlace, MessagePlaces } from '../../protocol/export/message-place.js';
import { pause } from '../pause.js';
import { monotonic } from '../service/monotonic.js';
import { Delivered, type Transport, takeBack } from '../sink/transport.js';
import { type BatchAddress, type DatagramBatch, openBatch } from './datagram-batch.js';
import { UNPACED } from './pace.js';
import { collectorAddress, LARGEST, Refusals, SEND_BUFFER, type UdpOptions } from './udp-collector.js';

/**
 * Datagrams that are kept, as far as three megabytes hold them. With a quarter of them in one megabyte IPFIX took 3.84 s in
 * place of 3.53, medians of 5 in turns.
 */
const MOST_DATAGRAMS = 2048;
const FEWEST_DATAGRAMS = 64;
const MEMORY = 3 << 20;
/** Those of a short run: each page of memory that is new takes a virtual machine up to 10 microseconds. */
const FEW_DATAGRAMS = 128;

/** Datagrams sent together where a pace holds them back, and in a short run: what one message of 64 KiB can hold. */
const BATCH = 44;
/**
 * Elsewhere a run of this part of the ring is sent on a thread beside the program, which fills the others meanwhile: of two
 * processors, medians of 7 conversions, 0.70 s in place of 0.90 in v5 where the next run is given as soon as one is over, and
 * not when the event loop turns.
 */
const RUN = 1 / 4;
/** The part of it that may wait; of the rest, a packet may need some more. With 7 eighths IPFIX took 1.41 s in place of 1.24. */
const MOST = 0.8;
/** How often it is looked whether a run is over: every so many datagrams. */
const LOOK = 16;

const ECONNREFUSED = 111;

/** Resolves the name and opens the socket. Throws a StartError. `openKernel` is the way past node:dgram, or none. */
export async function openUdpBatch(options: UdpOptions, openKernel = openBatch): Promise<Transport> {
  const { endpoint, source, extent } = options;
  const { family, address } = await collectorAddress(options);
  const size = options.maxMessage ?? LARGEST[family];
  const most = extent === 'short' ? FEW_DATAGRAMS : MOST_DATAGRAMS;
  const count = Math.min(Math.max(Math.floor(MEMORY / size), FEWEST_DATAGRAMS), most);
  const to = { family, address, port: endpoint.port, source, sendBuffer: SEND_BUFFER };
  const batch = openKernel(to, count, size) ?? (await openBeside(options, to, count, size));
  if (batch !== undefined) return new UdpBatchTransport(options, batch, size);
  const { openUdp } = await import('./udp.js');
  return openUdp(options);
}

/** Those that a thread of this program sends: with 2048 of them IPFIX takes 12 MiB more. */
const MOST_BESIDE = 768;

/** Another thread takes work off this one, not off the machine: it is for long conversions, which somebody waits for. */
async function openBeside({ extent, pace }: UdpOptions, to: BatchAddress, count: number, size: number) {
  if (extent !== 'long' || pace !== UNPACED) return undefined;
  const { openThread } = await import('./datagram-thread.js');
  return openThread(to, Math.min(count, MOST_BESIDE), size);
}

/**
 * A ring of datagrams: those from `#first` on wait to be sent or are on their way, the one behind them is being filled.
 */
class UdpBatchTransport implements Transport, MessagePlaces {
  readonly sent = new Delivered();
  readonly lost = new Delivered();
  errors = 0;
  onTrouble = (): void => {};
  readonly longest: number;
  readonly likesRuns: boolean;
  readonly places = this;
  readonly #options: UdpOptions;
  readonly #batch: DatagramBatch;
  readonly #count: number;
  readonly #records: Int32Array;
  readonly #refusals = new Refusals();
  /** Datagrams of a run. */
  readonly #run: number;
  /** Runs leave aside. Else datagrams leave as the pace allows, as many together as one message holds. */
  readonly #sendsAside: boolean;
  /** Datagrams that may wait. */
  readonly #most: number;
  #first = 0;
  #filling = 0;
  #waiting = 0;
  /** Datagrams that are being sent aside: the first of those that wait. */
  #aside = 0;
  /** Calls of `sendAside` begun or ended so far. */
  #calls = 0;
  #isScheduled = false;
  #waiters: { few: number; wake: () => void }[] = [];

  constructor(options: UdpOptions, batch: DatagramBatch, longest: number) {
    const { extent, pace } = options;
    const isPaced = pace !== UNPACED;
    this.#options = options;
    this.longest = longest;
    this.#sendsAside = !isPaced && extent !== 'short';
    this.likesRuns = !isPaced && extent === 'long' && batch.cutsRuns;
    this.#batch = batch;
    this.#count = batch.count;
    this.#records = new Int32Array(this.#count);
    this.#run = Math.floor(this.#count * RUN);
    this.#most = this.#sendsAside ? MOST * this.#count : this.#count / 2;
  }

  get isCongested(): boolean {
    return this.#waiting >= this.#most;
  }

  get isDown(): boolean {
    return this.#refusals.areMany(monotonic());
  }

  get place(): MessagePlace {
    return this.#batch.place(this.#filling);
  }

  send(octets: Uint8Array, length: number, records: number): void {
    memoryOctets.set(octets.subarray(0, length), this.place.at);
    this.sendPlaced(length, records);
  }

  sendPlaced(length: number, records: number): void {
    const filling = this.#filling;
    this.#batch.made(filling, length);
    this.#records[filling] = records;
    this.#waiting++;
    this.#filling = filling + 1 === this.#count ? 0 : filling + 1;
    if (this.#waiting === this.#count - 1) this.#makeRoom();
    else if (!this.#isScheduled) this.#sendLater();
    else if (!this.#sendsAside) this.#pumpBatch();
    else if (filling % LOOK === 0) this.#keepSending();
  }

  drained(): Promise<void> {
    return this.#until(this.#sendsAside ? this.#most - this.#run : this.#count / 8);
  }

  async close(): Promise<void> {
    await this.#until(0);
    // A refusal of what was sent last by this machine is here by now.
    const error = this.#batch.pendingError();
    if (error !== 0) this.#refusedLater(error);
    this.#batch.close();
  }

  #until(few: number): Promise<void> {
    this.#pump();
    if (this.#waiting <= few) return Promise.resolve();
    return new Promise((wake) => this.#waiters.push({ few, wake }));
  }

  /** What does not fill a batch leaves when the event loop turns. */
  #sendLater(): void {
    this.#isScheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    if (!this.#sendsAside || this.#waiting <= BATCH) this.#pump();
    else this.#keepSending(BATCH);
    this.#isScheduled = this.#waiting > 0;
    if (this.#isScheduled) setTimeout(() => this.#turn(), 1);
    this.#wake();
  }

  #wake(): void {
    const ready = this.#waiters.filter(({ few }) => this.#waiting <= few);
    this.#waiters = this.#waiters.filter(({ few }) => this.#waiting > few);
    for (const { wake } of ready) wake();
  }

  /** A single packet gave more than the ring holds: there is no turn of the event loop to wait for. */
  #makeRoom(): void {
    if (this.#aside > 0) this.#asideEnded(this.#batch.awaitAside());
    this.#pump();
    while (this.#waiting === this.#count - 1) {
      pause(1);
      this.#pump();
    }
  }

  #pumpBatch(): void {
    if (this.#waiting % BATCH === 0) this.#pump();
  }

  /** Gives the next run, where so many wait and none is on its way. A conversion seldom turns the event loop. */
  #keepSending(least = this.#run): void {
    if (this.#aside > 0) {
      if (!this.#batch.isAsideOver) return;
      this.#asideEnded(this.#batch.awaitAside());
    }
    if (this.#waiting >= least) this.#sendAside();
  }

  #sendAside(): void {
    const count = Math.min(this.#waiting, this.#run, this.#count - this.#first);
    const call = ++this.#calls;
    this.#aside = count;
    this.#batch.sendAside(this.#first, count, (taken) => {
      // Somebody may have had to wait for its end before.
      if (call !== this.#calls) return;
      this.#asideEnded(taken);
      this.#keepSending();
      this.#wake();
    });
  }

  #asideEnded(taken: number): void {
    const count = this.#aside;
    this.#calls++;
    this.#aside = 0;
    for (let i = 0; i < taken; i++) this.#leave(this.sent);
    if (taken < count) this.#sendRun(count - taken);
  }

  /** Sends as much as the pace allows: the faster it is, the more datagrams go at once. */
  #pump(): void {
    if (this.#aside > 0) return;
    while (this.#waiting > 0) {
      const most = Math.min(this.#waiting, BATCH, this.#count - this.#first);
      const allowed = this.#allowed(most);
      this.#sendRun(allowed);
      if (allowed < most) return;
    }
  }

  /** Datagrams of the next `most` that may leave now. */
  #allowed(most: number): number {
    const { pace } = this.#options;
    if (pace === UNPACED) return most;
    let allowed = 0;
    while (allowed < most && pace.allows(monotonic())) {
      pace.spent(this.#records[this.#first + allowed]!);
      allowed++;
    }
    return allowed;
  }

  #sendRun(count: number): void {
    for (let left = count; left > 0; ) {
      const taken = this.#batch.send(this.#first, left);
      for (let i = 0; i < taken; i++) this.#leave(this.sent);
      if (taken === 0) this.#refused();
      left -= Math.max(taken, 1);
    }
  }

  /** Takes the first datagram out of the ring. */
  #leave(account: Delivered): void {
    account.add(this.#records[this.#first]!, this.#batch.lengthOf(this.#first));
    this.#first = (this.#first + 1) % this.#count;
    this.#waiting--;
  }

  /** The system did not take the first datagram. ECONNREFUSED speaks of one before: this one stands for it in the accounts. */
  #refused(): void {
    const { error } = this.#batch;
    this.#leave(this.lost);
    this.#failed(error);
  }

  #refusedLater(error: number): void {
    const last = (this.#first + this.#count - 1) % this.#count;
    if (this.sent.messages > 0) {
      takeBack(this.sent, this.lost, this.#records[last]!, this.#batch.lengthOf(last));
    }
    this.#failed(error);
  }

  #failed(error: number): void {
    const { name, log } = this.#options;
    const [code] = getSystemErrorMap().get(-error) ?? [`errno ${error}`];
    this.errors++;
    log.limited(`send ${name}`, `${name}: send ${code}`);
    this.onTrouble();
    if (error === ECONNREFUSED) this.#refusals.count(monotonic());
  }
}
