/**
 * What messages need that were made before their transport session of IPFIX began: a sequence that starts at 0 (RFC 7011,
 * section 3.1), and every template once more before its first data (8.1, 10.4). Messages are addressed by their view and offset.
 */

const HEADER = 16;
const LENGTH_AT = 2;
const SEQUENCE_AT = 8;
const DOMAIN_AT = 12;
const SET_HEADER = 4;
const TEMPLATE_SET = 2;
const OPTIONS_TEMPLATE_SET = 3;
const FIRST_TEMPLATE_ID = 256;
const ENTERPRISE = 0x8000;

export function messageLength(view: DataView, at: number): number {
  return view.getUint16(at + LENGTH_AT);
}

interface DomainNumbers {
  /** Data records that were left out, and where those begin that are not yet counted. */
  leftOut: number;
  leftOutFrom: number | undefined;
  /** The encoder's number at the session's start; undefined before the domain's first message in it. */
  base: number | undefined;
}

/**
 * Sequence numbers as sent. The encoder's own run on through all sessions; the difference between two of them is
 * the number of data records, so that no message has to be counted.
 */
export class SessionSequence {
  readonly #domains = new Map<number, DomainNumbers>();

  /** The message will not be sent, though those after it in this session will. */
  leaveOut(view: DataView, at: number): void {
    const domain = this.#domain(view, at);
    domain.leftOutFrom ??= view.getUint32(at + SEQUENCE_AT);
  }

  /** Closes the gap that messages left out would make. In the encoder's order. */
  closeGap(view: DataView, at: number): void {
    const domain = this.#domain(view, at);
    const sequence = view.getUint32(at + SEQUENCE_AT);
    if (domain.leftOutFrom !== undefined) {
      domain.leftOut = (domain.leftOut + sequence - domain.leftOutFrom) >>> 0;
      domain.leftOutFrom = undefined;
    }
    view.setUint32(at + SEQUENCE_AT, (sequence - domain.leftOut) >>> 0);
  }

  /** A new transport session. */
  restart(): void {
    for (const domain of this.#domains.values()) domain.base = undefined;
  }

  /** Numbers the message for its session. True when it is the first of its domain there. */
  number(view: DataView, at: number): boolean {
    const domain = this.#domain(view, at);
    const isFirst = domain.base === undefined;
    const sequence = view.getUint32(at + SEQUENCE_AT);
    domain.base ??= sequence;
    view.setUint32(at + SEQUENCE_AT, (sequence - domain.base) >>> 0);
    return isFirst;
  }

  #domain(view: DataView, at: number): DomainNumbers {
    const id = view.getUint32(at + DOMAIN_AT);
    let domain = this.#domains.get(id);
    if (domain === undefined) {
      domain = { leftOut: 0, leftOutFrom: undefined, base: undefined };
      this.#domains.set(id, domain);
    }
    return domain;
  }
}

/** Template Records by set id, then by template id. */
type Records = Map<number, Map<number, Uint8Array>>;

/** Templates of messages that passed by, to be announced again. */
export class TemplateStore {
  readonly #domains = new Map<number, Records>();

  /** Copies the templates of the message, if it has any. */
  keep(view: DataView, start: number): void {
    const end = start + messageLength(view, start);
    for (let at = start + HEADER; at + SET_HEADER <= end; ) {
      const setId = view.getUint16(at);
      const next = at + Math.max(view.getUint16(at + 2), SET_HEADER);
      if (setId === TEMPLATE_SET || setId === OPTIONS_TEMPLATE_SET) {
        this.#keepSet(view, start, setId, at + SET_HEADER, Math.min(next, end));
      }
      at = next;
    }
  }

  /**
   * A message of all templates kept for the domain of the message `like`, whose time and sequence it has: it holds no
   * data, and so does not advance the sequence. Undefined when there are none.
   */
  announcement(view: DataView, like: number): Uint8Array | undefined {
    const records = this.#domains.get(view.getUint32(like + DOMAIN_AT));
    if (records === undefined) return undefined;
    const sets = [...records].flatMap(([setId, templates]) => setsOf(setId, [...templates.values()]));
    const message = joined([
      new Uint8Array(view.buffer.slice(view.byteOffset + like, view.byteOffset + like + HEADER)),
      ...sets,
    ]);
    new DataView(message.buffer).setUint16(LENGTH_AT, message.length);
    return message;
  }

  /** Forgets the templates of the message's domain. */
  forget(view: DataView, at: number): void {
    this.#domains.delete(view.getUint32(at + DOMAIN_AT));
  }

  #keepSet(view: DataView, message: number, setId: number, start: number, end: number): void {
    const fieldsAt = setId === OPTIONS_TEMPLATE_SET ? 6 : 4;
    for (let at = start; at + fieldsAt <= end; ) {
      const id = view.getUint16(at);
      if (id < FIRST_TEMPLATE_ID) return; // Padding.
      let next = at + fieldsAt;
      for (let fields = view.getUint16(at + 2); fields > 0 && next + 4 <= end; fields--) {
        next += view.getUint16(next) >= ENTERPRISE ? 8 : 4;
      }
      const record = new Uint8Array(view.buffer.slice(view.byteOffset + at, view.byteOffset + next));
      this.#records(view.getUint32(message + DOMAIN_AT), setId).set(id, record);
      at = next;
    }
  }

  #records(domain: number, setId: number): Map<number, Uint8Array> {
    const records: Records = this.#domains.get(domain) ?? new Map();
    this.#domains.set(domain, records);
    const templates = records.get(setId) ?? new Map<number, Uint8Array>();
    records.set(setId, templates);
    return templates;
  }
}

/** Sets of Template Records, without padding. Those of options have one each: some collectors read the first in a set only. */
function setsOf(id: number, records: readonly Uint8Array[]): Uint8Array[] {
  if (id === OPTIONS_TEMPLATE_SET) return records.map((record) => setOf(id, [record]));
  return [setOf(id, records)];
}

function setOf(id: number, records: readonly Uint8Array[]): Uint8Array {
  const set = joined([new Uint8Array(SET_HEADER), ...records]);
  const view = new DataView(set.buffer);
  view.setUint16(0, id);
  view.setUint16(2, set.length);
  return set;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
