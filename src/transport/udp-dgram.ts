/** Datagrams one by one, through node:dgram: on every system. */
import { createSocket, type Socket } from 'node:dgram';
import { StartError } from '../cli/errors.js';
import {
  type DatagramSender,
  REFUSED,
  SEND_BUFFER,
  type SendReport,
  type UdpAddress,
} from './datagram-sender.js';
import { BLOCK_MESSAGES, type Block } from './message-queue.js';

/**
 * Rejects with a StartError when the source address is not to be had, with another error when the address
 * cannot be reached.
 */
export async function openDgram(to: UdpAddress, report: SendReport): Promise<DatagramSender> {
  const { family, address, port, source } = to;
  // Its addresses are literals: nothing is looked up.
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    lookup: (host, _options, found) => found(null, host, family),
  });
  try {
    if (source !== undefined) {
      await finished(socket, (done) => socket.bind({ address: source, exclusive: true }, done)).catch(
        (error) => {
          throw new StartError(`-s ${source}: ${error.message}`);
        },
      );
    }
    await finished(socket, (done) => socket.connect(port, address, done));
    socket.setSendBufferSize(SEND_BUFFER);
  } catch (error) {
    socket.close();
    throw error;
  }
  return new DgramSender(socket, report);
}

class DgramSender implements DatagramSender {
  readonly #socket: Socket;
  readonly #report: SendReport;
  #block: Block | undefined;
  /**
   * Datagrams of the run, in the order in which node:dgram reports them; then those of them to be sent again.
   */
  readonly #numbers = new Int32Array(BLOCK_MESSAGES);
  #count = 0;
  #reported = 0;
  #again = 0;
  #isSecondTry = false;

  constructor(socket: Socket, report: SendReport) {
    this.#socket = socket;
    this.#report = report;
    // Between sends: the socket has read that something was refused.
    socket.on('error', (error) => report.refused(codeOf(error)));
  }

  send(block: Block, first: number, count: number): void {
    this.#block = block;
    this.#isSecondTry = false;
    for (let i = 0; i < count; i++) this.#numbers[i] = first + i;
    this.#transmit(count);
  }

  poll(): void {}

  close(): void {
    this.#socket.close();
  }

  #transmit(count: number): void {
    const block = this.#block!;
    this.#count = count;
    this.#reported = 0;
    this.#again = 0;
    for (let i = 0; i < count; i++) {
      const number = this.#numbers[i]!;
      this.#socket.send(block.octets, block.startOf(number), block.lengthOf(number), this.#sent);
    }
  }

  /** Is called for each datagram, in order. Made once: a callback for each send would be garbage. */
  readonly #sent = (error: Error | null): void => {
    const report = this.#report;
    const number = this.#numbers[this.#reported++]!;
    if (error === null) report.taken(number, 1);
    else if (codeOf(error) === REFUSED) this.#notTransmitted(number);
    else report.failed(number, 1, codeOf(error));
    if (this.#reported < this.#count) return;
    this.#isSecondTry = true;
    if (this.#again > 0) this.#transmit(this.#again);
    else report.ended();
  };

  /** The error was of an earlier datagram: this one is sent again, once. */
  #notTransmitted(number: number): void {
    this.#report.refused(REFUSED);
    if (this.#isSecondTry) this.#report.failed(number, 1, REFUSED);
    else this.#numbers[this.#again++] = number;
  }
}

function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? error.message;
}

/**
 * Runs an operation of a socket that ends in `done`, which connect hands its error to, or in an `error`
 * event.
 */
function finished(socket: Socket, start: (done: (error?: Error) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    start((error) => {
      socket.off('error', reject);
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}
