/** What NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) have in common: flow records described by templates, and what goes with them. */
import { swapOctets } from '../flow/byte-order.js';
import { NO_INTERFACE } from '../flow/interface.js';
import { PORT_MASKS } from '../flow/pf-terms.js';
import {
  DESCRIPTION,
  FACTS,
  FLOW,
  INTERFACE,
  JOINED,
  LAST_ROW,
  OBSERVED,
  ORIGIN,
  OTHER_INTERFACE,
  PROTOCOLS,
  ROUTE,
  ROW,
  ROW_DOUBLES,
  STATE,
} from '../flow/row.js';
import type { FlowMemory } from '../flow/rows.js';
import { FORWARD, type NatView, NONE } from '../flow/terms.js';
import type { FlowEncoder, MessageRoom } from './message.js';
import { HOLDS_UNTIL, NOW } from './message-time.js';
import { type Dialect, MessageWriter } from './message-writer.js';
import { sidesShown } from './nat-side.js';
import { ExportOptions, type OptionsChoice, type OptionsDialect } from './options.js';
import type { Profile } from './profile.js';
import {
  AFTER_SIX,
  BOTH,
  HAS_FLAGS,
  HAS_REVERSE_FLAGS,
  KINDS,
  NO_PORTS,
  POST_NAT_FOUR,
  SIX,
  TYPE_FOUR,
  UNCOUNTED,
} from './record-kind.js';
import { type ExportCounts, ExportStatistics } from './statistics.js';
import { FlowTemplate } from './template.js';
import { FIRST_EVENT, FIRST_FLOW } from './template-id.js';
import { rowUptimes } from './uptime.js';
import { WAITING_MESSAGES, WaitingRecords } from './waiting-records.js';
import { wireTimes } from './wire-time.js';

export interface TemplateOptions {
  readonly nat: NatView;
  /** Observation Domain or Source ID. */
  readonly domain: number;
  /** Templates are sent again after this many milliseconds, and after this many messages (0: only by time). */
  readonly refreshTime: number;
  readonly refreshMessages: number;
  /** The first message's sequence number; 0 by default. */
  readonly sequence?: number;
}

/** What is sent beside the flows. */
export interface Extras {
  readonly options?: { readonly dialect: OptionsDialect; readonly choice: OptionsChoice };
  /** Statistics are sent in Observation Domain 0, with the templates and at the end. */
  readonly counts?: ExportCounts;
}

export function templateEncoder(
  { rows, interfaces }: FlowMemory,
  room: MessageRoom,
  dialect: Dialect,
  profile: Profile,
  options: TemplateOptions,
  { options: own, counts }: Extras = {},
): FlowEncoder {
  const { words, doubles } = rows;
  const rowOctets = new Uint8Array(words.buffer);
  const { kinds, hasUptimes, oneSetPerMessage } = profile;
  const sides = sidesShown(options.nat);
  const masks = PORT_MASKS;
  const templates: (FlowTemplate | undefined)[] = new Array(KINDS).fill(undefined);
  const eventTemplates: (FlowTemplate | undefined)[] = [];
  const fixed = profile.fixed.map(addTemplate);
  // Uptimes are counted from the boot of their message, which must be open.
  const canWait = room.prefersOneLength === true && !hasUptimes && !oneSetPerMessage;
  const extraMessages = canWait ? WAITING_MESSAGES : 0;
  const writer = new MessageWriter(room, dialect, { ...options, fixed, oneSetPerMessage, extraMessages });
  const waiting = canWait ? new WaitingRecords(writer) : undefined;
  const { words: out, octets: outOctets, view: outView } = writer;
  const { times } = writer.clock;
  const uptimes = rowUptimes(rows, writer.clock);
  const fillTimes = wireTimes(rows);
  const exportOptions = own && new ExportOptions(writer, own.dialect, own.choice, options.domain);
  const announcesNames = own?.choice.names ?? false;
  const hasStatistics = counts !== undefined && options.domain !== 0;
  const statistics = hasStatistics
    ? new ExportStatistics(room, dialect, options.domain, writer, counts)
    : undefined;

  /** By provenance: UNCOUNTED, or BOTH where counted flows become one record. */
  const volumeKinds = new Int32Array(4).fill(BOTH);
  volumeKinds[NONE] = UNCOUNTED;
  /** 1 where the interface has been announced; as `interfaces.indexes`. */
  let announced = new Uint8Array(interfaces.indexes.length);
  let clipped = 0;
  let wasRefreshed = false;
  let areStatisticsDue = false;

  writer.onStart = (times) => exportOptions?.writeFirst(times);
  writer.onRefresh = () => {
    exportOptions?.writeAll();
    // At the very start there is nothing to report yet.
    areStatisticsDue = wasRefreshed;
    wasRefreshed = true;
  };
  writer.onSent = () => {
    if (!areStatisticsDue) return;
    areStatisticsDue = false;
    statistics?.send(times[NOW]!);
  };

  function add(first: number, count: number): void {
    for (let n = first; n < first + count; n++) {
      const row = (n & LAST_ROW) * ROW;
      const flow = words[row + FLOW]!;
      const directions = (flow >>> 8) & 255;
      if (directions === 0) continue;
      advance(n);
      if (!hasUptimes) fillTimes(n);
      if (announcesNames) useInterfaces(row);
      // What a flow is cannot be predicted: its kind is put together without branches.
      const side = sides[words[row + STATE]! & 255]!;
      const protocols = words[row + PROTOCOLS]!;
      const facts = words[row + FACTS]!;
      const isSix = (protocols >>> (8 * side + 1)) & 1;
      const protocol = (protocols >>> (16 + 8 * side)) & 255;
      const translation = (POST_NAT_FOUR << ((protocols >>> 9) & 1)) & -(facts & 1);
      const all = isSix | (~masks[protocol]! & NO_PORTS) | volumeKinds[flow & 255]! | translation;
      const common = all & kinds;
      // An ICMP type belongs to the forward record, and to the family that it is of.
      const hasType = (facts >>> 16) & ~(isSix ^ (protocols >>> 1)) & 1;
      const type = (TYPE_FOUR << isSix) & -hasType;
      const description = row + DESCRIPTION + 2 * side;
      const flags = (-(words[description]! >>> 24) >> 31) & HAS_FLAGS;
      const replyFlags = (-(words[description + 1]! >>> 24) >> 31) & HAS_FLAGS;
      if ((common & BOTH) !== 0) {
        const reverse = replyFlags === 0 ? 0 : HAS_REVERSE_FLAGS;
        write(n, (common | type | flags | reverse) & kinds, 2 * side);
        continue;
      }
      if ((directions & FORWARD) !== 0) write(n, (common | type | flags) & kinds, 2 * side);
      if (directions > FORWARD) write(n, (common | replyFlags) & kinds, 2 * side + 1);
    }
  }

  /** The data's clock goes on to the row: sends the message if the row has no place in it. */
  function advance(n: number): void {
    times[NOW] = doubles[(n & LAST_ROW) * ROW_DOUBLES + OBSERVED]!;
    if (hasUptimes ? !uptimes.hold(n) : times[NOW]! > times[HOLDS_UNTIL]!) writer.close();
    waiting?.sendOld();
  }

  /** Writes a record of the row. `view` is two times the side of the NAT, and 1 more for replies. */
  function write(n: number, kind: number, view: number): void {
    const template = templates[kind] ?? addTemplate(kind);
    const at = waiting === undefined ? writer.place(template) : waiting.place(template, kind);
    if (hasUptimes) clipped += uptimes.fill(n);
    copy(template, (n & LAST_ROW) * ROW, view, at);
  }

  /** Copies a record out of the row to `at`. */
  function copy(template: FlowTemplate, row: number, view: number, at: number): void {
    if ((at & 3) === 0) copyWords(template.words, template.wordsListed, row, view, at >> 2);
    else copyUnaligned(template, row, view, at);
    if (template.octetCount > 0) copyOctets(template, row, view, at + 4 * template.wordCount);
  }

  /** Four words at a turn: those that are too many the next record overwrites. */
  function copyWords(copies: Uint8Array, count: number, row: number, view: number, at: number): void {
    let to = at;
    for (let from = count * view; from < count * (view + 1); from += 4) {
      out[to] = words[row + copies[from]!]!;
      out[to + 1] = words[row + copies[from + 1]!]!;
      out[to + 2] = words[row + copies[from + 2]!]!;
      out[to + 3] = words[row + copies[from + 3]!]!;
      to += 4;
    }
  }

  function copyUnaligned(template: FlowTemplate, row: number, view: number, at: number): void {
    const { words: copies, wordsListed, wordCount } = template;
    for (let word = 0; word < wordCount; word++)
      outView.setInt32(at + 4 * word, words[row + copies[view * wordsListed + word]!]!, true);
  }

  function copyOctets({ octets, octetCount }: FlowTemplate, row: number, view: number, at: number): void {
    for (let octet = 0; octet < octetCount; octet++)
      outOctets[at + octet] = rowOctets[4 * row + octets[view * octetCount + octet]!]!;
  }

  function addTemplate(kind: number): FlowTemplate {
    const template = new FlowTemplate(FIRST_FLOW + kind, profile.elements(kind));
    templates[kind] = template;
    return template;
  }

  /** Announces the interfaces of the row before a record shows them. */
  function useInterfaces(row: number): void {
    useInterface(2 * words[row + INTERFACE]! + ((words[row + STATE]! & 1) ^ 1));
    useInterface(2 * (words[row + ROUTE]! & 0xffffff) + 1);
    if ((words[row + ORIGIN]! & JOINED) !== 0) useInterface(2 * words[row + OTHER_INTERFACE]! + 1);
  }

  /** Two times the interface's number, and 1 more where it is that of outbound states. */
  function useInterface(key: number): void {
    // Floating states may have an ifIndex, which may be an interface's, and no name.
    if (announced[key] === 1 || key >>> 1 === NO_INTERFACE) return;
    if (key >= announced.length)
      announced = Uint8Array.from(interfaces.indexes, (_, known) => announced[known] ?? 0);
    announced[key] = 1;
    exportOptions?.use(swapOctets(interfaces.indexes[key]!) >>> 0, interfaces.names[key >>> 1]!);
  }

  function addNatEvent(n: number): void {
    if (profile.eventElements === undefined) return;
    const protocols = words[n * ROW + PROTOCOLS]!;
    const protocol = (protocols >>> 16) & 255;
    const kind =
      ((protocols >>> 1) & SIX) | (~masks[protocol]! & NO_PORTS) | (AFTER_SIX & -((protocols >>> 9) & 1));
    const template =
      eventTemplates[kind] ?? new FlowTemplate(FIRST_EVENT + kind, profile.eventElements(kind));
    eventTemplates[kind] = template;
    writer.advance(doubles[n * ROW_DOUBLES + OBSERVED]!);
    // The records of earlier flows go first.
    waiting?.send();
    fillTimes(n);
    copy(template, n * ROW, 0, writer.place(template));
  }

  function flush(now: number): void {
    times[NOW] = now;
    waiting?.send();
    writer.close();
  }

  return {
    add,
    addNatEvent,
    flush,
    end(now) {
      flush(now);
      statistics?.send(now);
    },
    refresh() {
      writer.refresh();
    },
    restart() {
      writer.restart();
      statistics?.restart();
    },
    losses: {
      get clippedTimes() {
        return clipped;
      },
      clampedCounters: 0,
      unsupported: 0,
    },
  };
}
