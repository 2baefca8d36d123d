/** Flows as a table for the eye, after `nfdump -o long`. Times are UTC, numbers exact. */
import { decimal, milliseconds, threeDigits, writeAddress } from '../protocol/address.js';
import { type FlowRecord, familyAt, type NatView, protocolAt, sourceEnd } from '../protocol/flow-record.js';
import { EXACT, NONE, PARTIAL, TCPSEQ } from '../protocol/flow-terms.js';
import { ORIGINAL_SOURCE, TRANSLATED_SOURCE } from '../protocol/pf-terms.js';
import { hasPorts } from '../protocol/pfsync-state.js';
import { escapeText, type FlowFormat, LineBuffer, rememberNames } from './text-output.js';

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  58: 'ICMP6',
  89: 'OSPF',
  132: 'SCTP',
  240: 'PFSYNC',
};

/**
 * Where columns begin, or end when their text leans to the right. A long IPv6 address takes the blanks after it: a line
 * is back in the columns as soon as it fits again.
 */
const DURATION_END = 33;
const PROTOCOL = 34;
const SOURCE_END = 58;
const ARROW = 65;
const DESTINATION_END = 85;
const DIRECTION = 92;
const INTERFACE = 96;
const PACKETS_END = 113;
const OCTETS_END = 125;
const TRANSLATION = 126;

const SPACES = Array.from({ length: TRANSLATION + 1 }, (_, count) => ' '.repeat(count));
/** Beyond this, a Date has no text. */
const LAST_DATE = 8.64e15;

/** `nat` undefined or `original`: the original view, and where it was translated to; else that view alone. */
export function tableFormat(nat: NatView = 'original'): FlowFormat {
  const lines = new LineBuffer();
  const clock = new Clock();
  const writeName = rememberNames(writeInterfaceName);

  function writeFlow(flow: FlowRecord): string {
    const { state } = flow;
    const source = sourceEnd(state.direction, nat) ^ flow.reply;
    const protocol = protocolAt(state, source);
    let line = clock.text(flow.start);
    line = endAt(line, DURATION_END, writeDuration(Math.floor(flow.end) - Math.floor(flow.start)));
    line = startAt(line, PROTOCOL, PROTOCOLS[protocol] ?? `${protocol}`);
    line = endAt(line, SOURCE_END, writeAddressAt(flow, source)) + writePort(flow, source);
    line = startAt(line, ARROW, '->');
    line = endAt(line, DESTINATION_END, writeAddressAt(flow, source ^ 1)) + writePort(flow, source ^ 1);
    line = startAt(line, DIRECTION, flow.flowDirection === 0 ? 'in' : 'out');
    line = startAt(line, INTERFACE, writeName(flow.interfaceName));
    line = endAt(line, PACKETS_END, writePackets(flow));
    line = endAt(line, OCTETS_END, writeOctets(flow));
    if (nat === 'original' && state.isTranslated) line = startAt(line, TRANSLATION, writeTranslation(flow));
    return `${line}\n`;
  }

  return { header: writeHeader, lines, write: (flow) => lines.text(writeFlow(flow)) };
}

function writeHeader(): string {
  let line = endAt('Date first seen (UTC)', DURATION_END, 'Duration');
  line = startAt(line, PROTOCOL, 'Proto');
  line = `${endAt(line, SOURCE_END, 'Src IP Addr')}:Port`;
  line = `${endAt(line, DESTINATION_END, 'Dst IP Addr')}:Port`;
  line = startAt(line, DIRECTION, 'Dir');
  line = startAt(line, INTERFACE, 'Interface');
  line = endAt(line, PACKETS_END, 'Packets');
  line = endAt(line, OCTETS_END, 'Bytes');
  return `${startAt(line, TRANSLATION, '-> Translated')}\n`;
}

function startAt(line: string, column: number, text: string): string {
  return line + SPACES[Math.max(1, column - line.length)]! + text;
}

function endAt(line: string, column: number, text: string): string {
  return line + SPACES[Math.max(1, column - line.length - text.length)]! + text;
}

/** Milliseconds as seconds. */
function writeDuration(duration: number): string {
  const length = Math.abs(duration);
  const rest = length % 1000;
  return `${duration < 0 ? '-' : ''}${(length - rest) / 1000}.${threeDigits(rest)}`;
}

function writeAddressAt(flow: FlowRecord, end: number): string {
  const { state } = flow;
  return writeAddress(state.view, state.addressAt(end), familyAt(state, end));
}

/** A dot before the port of an IPv6 address, as nfdump has it. */
function writePort({ state }: FlowRecord, end: number): string {
  if (!hasPorts(protocolAt(state, end))) return '';
  return (familyAt(state, end) === 4 ? ':' : '.') + state.port(end);
}

/** In one piece, so that columns can be counted by blanks. */
function writeInterfaceName(name: string): string {
  return name === '' ? '-' : escapeText(name).replaceAll(' ', '\\u0020');
}

/** `~` before a number: at least that many (partial). `-`: not known. */
function writePackets(flow: FlowRecord): string {
  if (flow.counters !== EXACT && flow.counters !== PARTIAL) return '-';
  return (flow.counters === EXACT ? '' : '~') + decimal(flow.packetsHigh, flow.packetsLow);
}

/** From TCP sequence numbers there are the payloads of both directions: initiator/responder. */
function writeOctets(flow: FlowRecord): string {
  if (flow.counters === NONE) return '-';
  if (flow.counters === TCPSEQ) return `~${flow.initiatorOctets}/${flow.responderOctets}`;
  return (flow.counters === EXACT ? '' : '~') + decimal(flow.octetsHigh, flow.octetsLow);
}

/** The ends that NAT changed. */
function writeTranslation(flow: FlowRecord): string {
  const original = ORIGINAL_SOURCE ^ flow.reply;
  const translated = TRANSLATED_SOURCE ^ flow.reply;
  return (
    '->' +
    writeChange('src', writeEnd(flow, original), writeEnd(flow, translated)) +
    writeChange('dst', writeEnd(flow, original ^ 1), writeEnd(flow, translated ^ 1))
  );
}

function writeEnd(flow: FlowRecord, end: number): string {
  return writeAddressAt(flow, end) + writePort(flow, end);
}

function writeChange(which: 'src' | 'dst', before: string, after: string): string {
  return before === after ? '' : ` ${which} ${after}`;
}

/** Dates as text; the last second's is kept, for most of the work lies there. */
class Clock {
  #second = Number.NaN;
  #text = '';

  text(time: number): string {
    const whole = Math.floor(time);
    if (!(Math.abs(whole) <= LAST_DATE)) return milliseconds(whole);
    const second = Math.floor(whole / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(1000 * second).toISOString().slice(0, -4).replace('T', ' ');
    }
    return this.#text + threeDigits(whole - 1000 * second);
  }
}
