/**
 * `--request-updates`: sends the requests that the state table has for the firewalls, to the addresses that their messages
 * come from. Many states go into one message.
 */
import { hasRequests, MOST_REQUESTS, RequestMessage } from '../protocol/pfsync/request.js';
import type { Statistics } from './observe/statistics.js';
import type { Pipeline } from './pipeline.js';
import type { Log } from './service/log.js';
import type { RequestSender, StateRequests } from './state/requests.js';
import type { FirewallAddress, FirewallAddresses } from './transport/firewall-addresses.js';
import type { RawSocket } from './transport/raw-socket.js';

/** Milliseconds between two looks at what is due. */
const PERIOD = 100;

export class Requester implements RequestSender {
  readonly #pipeline: Pipeline;
  readonly #addresses: FirewallAddresses;
  readonly #requests: StateRequests;
  readonly #statistics: Statistics;
  readonly #socket: RawSocket;
  readonly #log: Log;
  readonly #clock: () => number;
  /** Messages that are being filled, by the number of the firewall. */
  readonly #messages = new Map<number, RequestMessage>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * For a pipeline that was made with `requests`. Takes the socket over. `clock` is that of the captured packets: milliseconds
   * since the epoch.
   */
  constructor(pipeline: Pipeline, statistics: Statistics, socket: RawSocket, log: Log, clock = Date.now) {
    this.#pipeline = pipeline;
    this.#addresses = pipeline.firewalls!;
    this.#requests = pipeline.tracker.requests!;
    this.#statistics = statistics;
    this.#socket = socket;
    this.#log = log;
    this.#clock = clock;
  }

  start(): void {
    this.#timer = setInterval(() => this.send(), PERIOD);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }

  /** Sends what is due. */
  send(): void {
    const { requests } = this.#statistics;
    const { unanswered } = requests;
    // An answer that waits in the reader would be requested once more.
    this.#pipeline.settle();
    this.#requests.take(this.#clock(), this);
    for (const [sender, message] of this.#messages) {
      if (message.count > 0) this.#sendMessage(sender, message);
    }
    if (requests.unanswered > unanswered && this.#statistics.records.update === 0) {
      this.#log.limited(
        'requests',
        'no firewall answers requests: see "Requests for updates" in pfflowd(8) for the rule in pf.conf that lets them in',
      );
    }
  }

  requestState(sender: number, idFirst: number, idSecond: number, creatorId: number): void {
    const message = this.#messageTo(sender);
    message.add(idFirst, idSecond, creatorId);
    this.#statistics.requests.states++;
    // Over IPv6 fewer fit.
    const family = this.#addresses.find(sender)?.family ?? 6;
    if (message.count === MOST_REQUESTS[family]) this.#sendMessage(sender, message);
  }

  requestAll(sender: number): void {
    const message = this.#messageTo(sender);
    if (message.count > 0) this.#sendMessage(sender, message);
    message.addBulk();
    this.#statistics.requests.bulk++;
    this.#sendMessage(sender, message);
  }

  #messageTo(sender: number): RequestMessage {
    const message = this.#messages.get(sender) ?? new RequestMessage();
    this.#messages.set(sender, message);
    return message;
  }

  #sendMessage(sender: number, message: RequestMessage): void {
    const firewall = this.#addresses.find(sender);
    const version = firewall?.version ?? 0;
    if (firewall === undefined || !hasRequests(version)) {
      message.clear();
      this.#failed('its messages do not come from this link');
      return;
    }
    const error = this.#socket.send(firewall, message.finish(version));
    if (error === undefined) this.#statistics.requests.messages++;
    else this.#failed(`${addressText(firewall)}: ${error}`);
  }

  #failed(why: string): void {
    this.#statistics.requests.failures++;
    this.#log.limited('requests', `cannot request updates from a firewall: ${why}`);
  }
}

function addressText({ family, octets }: FirewallAddress): string {
  if (family === 4) return octets.join('.');
  const groups = Array.from({ length: 8 }, (_, n) => (octets[2 * n]! << 8) | octets[2 * n + 1]!);
  return groups.map((group) => group.toString(16)).join(':');
}
