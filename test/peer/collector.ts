/**
 * A Collector for tests: decodes NetFlow v1, v5 and v9 and IPFIX from bytes, and notes every breach of the protocol.
 * Written from RFC 3954, 5103, 5655, 7011 and the layouts that Cisco published; it shares no table with the program.
 */
// The package's types are found by this path only, not by its plain name.
import { Parser } from 'binary-parser/dist/binary_parser.js';

export type FieldValue = string | number | bigint;
/** Keyed by the element's number; `e29305:1` is element 1 of enterprise 29305 (RFC 5103), `scope:1` a scope of NetFlow v9. */
export type Fields = ReadonlyMap<string, FieldValue>;

export interface ExportMessage {
  readonly version: number;
  /** Observation domain, source id, or engine type * 256 + engine id; 0 in v1. */
  readonly domain: number;
  readonly sequence: number;
  /** Milliseconds since the epoch; whole seconds in v9 and IPFIX. */
  readonly exportMs: number;
  readonly length: number;
  readonly templates: readonly number[];
  readonly flows: readonly CollectedFlow[];
  readonly options: readonly OptionsRecord[];
}

export interface OptionsRecord {
  readonly version: number;
  readonly domain: number;
  readonly templateId: number;
  readonly fields: Fields;
}

export interface CollectedFlow extends OptionsRecord {
  readonly source: string | undefined;
  readonly destination: string | undefined;
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
  readonly protocol: number | undefined;
  readonly octets: bigint | undefined;
  readonly packets: bigint | undefined;
  readonly reverseOctets: bigint | undefined;
  readonly reversePackets: bigint | undefined;
  readonly initiatorOctets: bigint | undefined;
  readonly responderOctets: bigint | undefined;
  /** Milliseconds since the epoch, whatever the format's own clock is. */
  readonly startMs: number | undefined;
  readonly endMs: number | undefined;
  readonly ingress: number | undefined;
  readonly egress: number | undefined;
  readonly postNatSource: string | undefined;
  readonly postNatDestination: string | undefined;
  readonly postNatSourcePort: number | undefined;
  readonly postNatDestinationPort: number | undefined;
}

interface TemplateField {
  readonly key: string;
  readonly type: ElementType;
  /** 65535 is variable. */
  readonly length: number;
}

interface Template {
  readonly fields: readonly TemplateField[];
  readonly isOptions: boolean;
  readonly text: string;
}

interface Domain {
  expected: number | undefined;
  readonly templates: Map<number, Template>;
}

/** A message on its way through the decoder. */
interface Draft {
  readonly version: number;
  readonly domain: number;
  readonly exportMs: number;
  /** Milliseconds since the epoch at which sysUptime was 0. */
  readonly bootMs: number;
  readonly templates: number[];
  readonly flows: CollectedFlow[];
  readonly options: OptionsRecord[];
  /** False when a set could not be read, so that its records are not counted. */
  isCounted: boolean;
}

type ElementType = 'unsigned' | 'counter' | 'address4' | 'address6' | 'milliseconds' | 'string' | 'octets';

const VARIABLE_LENGTH = 65535;
const REVERSE = 29305;
const V9_OPTIONS_TEMPLATE_SET = 1;

/** Abstract type and full length in octets of the elements that a collector must understand (IANA; RFC 3954 section 8). */
const ELEMENTS: ReadonlyMap<number, readonly [ElementType, number]> = new Map([
  ...each([1, 2, 3, 23, 24, 40, 41, 42, 85, 86, 148, 164, 165, 166, 167, 168], 'counter', 8),
  ...each([231, 232, 298, 299], 'counter', 8),
  ...each([8, 12, 15, 130, 225, 226], 'address4', 4),
  ...each([27, 28, 131, 281, 282], 'address6', 16),
  ...each([152, 153, 160, 323], 'milliseconds', 8),
  ...each([82, 83], 'string', VARIABLE_LENGTH),
  ...each([4, 5, 9, 13, 35, 60, 61, 136, 176, 177, 178, 179, 230, 233, 239], 'unsigned', 1),
  ...each([6, 7, 11, 32, 58, 139, 227, 228], 'unsigned', 2),
  ...each([10, 14, 16, 17, 21, 22, 34, 141, 144, 149, 150, 151, 305, 306], 'unsigned', 4),
]);

const v1Record = new Parser()
  .array('source', { type: 'uint8', length: 4 })
  .array('destination', { type: 'uint8', length: 4 })
  .array('nextHop', { type: 'uint8', length: 4 })
  .uint16be('ingress')
  .uint16be('egress')
  .uint32be('packets')
  .uint32be('octets')
  .uint32be('first')
  .uint32be('last')
  .uint16be('sourcePort')
  .uint16be('destinationPort')
  .uint16be('pad1')
  .uint8('protocol')
  .uint8('typeOfService')
  .uint8('tcpFlags')
  .array('pad2', { type: 'uint8', length: 7 });

const v5Record = new Parser()
  .array('source', { type: 'uint8', length: 4 })
  .array('destination', { type: 'uint8', length: 4 })
  .array('nextHop', { type: 'uint8', length: 4 })
  .uint16be('ingress')
  .uint16be('egress')
  .uint32be('packets')
  .uint32be('octets')
  .uint32be('first')
  .uint32be('last')
  .uint16be('sourcePort')
  .uint16be('destinationPort')
  .uint8('pad1')
  .uint8('tcpFlags')
  .uint8('protocol')
  .uint8('typeOfService')
  .uint16be('sourceAs')
  .uint16be('destinationAs')
  .uint8('sourceMask')
  .uint8('destinationMask')
  .array('pad2', { type: 'uint8', length: 2 });

const v1Message = new Parser()
  .uint16be('version')
  .uint16be('count')
  .uint32be('uptime')
  .uint32be('seconds')
  .uint32be('nanoseconds')
  .array('records', { type: v1Record, length: 'count' });

const v5Message = new Parser()
  .uint16be('version')
  .uint16be('count')
  .uint32be('uptime')
  .uint32be('seconds')
  .uint32be('nanoseconds')
  .uint32be('sequence')
  .uint8('engineType')
  .uint8('engineId')
  .uint16be('sampling')
  .array('records', { type: v5Record, length: 'count' });

const v9Header = new Parser()
  .uint16be('version')
  .uint16be('count')
  .uint32be('uptime')
  .uint32be('seconds')
  .uint32be('sequence')
  .uint32be('domain');

const ipfixHeader = new Parser()
  .uint16be('version')
  .uint16be('length')
  .uint32be('seconds')
  .uint32be('sequence')
  .uint32be('domain');

/** What the fixed formats have in common; `sequence` and the engine are v5's. */
interface FixedMessage {
  readonly count: number;
  readonly uptime: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly sequence?: number;
  readonly engineType?: number;
  readonly engineId?: number;
  readonly records: readonly FixedRecord[];
}

interface FixedRecord {
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly nextHop: readonly number[];
  readonly ingress: number;
  readonly egress: number;
  readonly packets: number;
  readonly octets: number;
  readonly first: number;
  readonly last: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly pad1: number;
  readonly tcpFlags: number;
  readonly protocol: number;
  readonly typeOfService: number;
  readonly pad2: readonly number[];
}

interface TemplatedHeader {
  readonly count?: number;
  readonly length?: number;
  readonly uptime?: number;
  readonly seconds: number;
  readonly sequence: number;
  readonly domain: number;
}

/**
 * Header length, record length, and the records that one datagram holds at most. Some tables give a v1 record 52 octets;
 * nfcapd, Wireshark, softflowd and the original pfflowd all have 48, and so have the field offsets that Cisco printed.
 */
const FIXED_FORMATS = {
  1: { parser: v1Message, header: 16, record: 48, most: 24 },
  5: { parser: v5Message, header: 24, record: 48, most: 30 },
} as const;

/** One transport session's worth of state. */
export class Collector {
  readonly messages: ExportMessage[] = [];
  /** Breaches of the protocol, each with the message it was seen in. */
  readonly errors: string[] = [];
  #domains = new Map<string, Domain>();
  #where = '';

  get flows(): CollectedFlow[] {
    return this.messages.flatMap((message) => message.flows);
  }

  get options(): OptionsRecord[] {
    return this.messages.flatMap((message) => message.options);
  }

  /** Decodes one datagram, or one IPFIX message of a stream. */
  decode(bytes: Uint8Array): void {
    this.#where = `message ${this.messages.length}`;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const version = bytes.length >= 2 ? view.getUint16(0) : undefined;
    if (version === 1 || version === 5) this.#decodeFixed(bytes, version);
    else if (version === 9 || version === 10) this.#decodeTemplated(bytes, view, version);
    else this.#error(version === undefined ? 'no version' : `version ${version}`);
  }

  /** Decodes IPFIX messages back to back: a file (RFC 5655), or what a TCP connection carried. */
  decodeStream(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      const length = bytes.length - at >= 16 ? bytes[at + 2]! * 256 + bytes[at + 3]! : 0;
      if (length < 16 || length > bytes.length - at) {
        this.#where = `message ${this.messages.length}`;
        this.#error(`${bytes.length - at} octets at ${at} are no whole message`);
        return;
      }
      this.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }

  #decodeFixed(bytes: Uint8Array, version: 1 | 5): undefined {
    const format = FIXED_FORMATS[version];
    if (bytes.length < format.header) return this.#error(`v${version} header cut at ${bytes.length} octets`);
    const count = bytes[2]! * 256 + bytes[3]!;
    if (count === 0 || count > format.most) this.#error(`count ${count}`);
    const length = format.header + count * format.record;
    if (bytes.length !== length) return this.#error(`${bytes.length} octets, count says ${length}`);

    const message = format.parser.parse(bytes) as FixedMessage;
    const exportMs = message.seconds * 1000 + message.nanoseconds / 1e6;
    if (message.nanoseconds >= 1e9) this.#error(`${message.nanoseconds} nanoseconds`);
    const domain = (message.engineType ?? 0) * 256 + (message.engineId ?? 0);
    const draft = newDraft(version, domain, exportMs, exportMs - message.uptime);
    if (message.sequence !== undefined) {
      this.#checkSequence(draft, message.sequence);
      this.#domain(draft).expected = (message.sequence + count) >>> 0;
    }
    for (const record of message.records) {
      if ([record.pad1, ...record.pad2].some((octet) => octet !== 0)) this.#error('padding is not zero');
      this.#addFlow(draft, 0, fixedFields(record));
    }
    this.#addMessage(draft, message.sequence ?? 0, bytes.length);
  }

  #decodeTemplated(bytes: Uint8Array, view: DataView, version: 9 | 10): undefined {
    const headerLength = version === 9 ? 20 : 16;
    if (bytes.length < headerLength) return this.#error(`v${version} header cut at ${bytes.length} octets`);
    const header = (version === 9 ? v9Header : ipfixHeader).parse(bytes) as TemplatedHeader;
    if (header.length !== undefined && header.length !== bytes.length) {
      this.#error(`${bytes.length} octets, the header says ${header.length}`);
    }
    const exportMs = header.seconds * 1000;
    const draft = newDraft(version, header.domain, exportMs, exportMs - (header.uptime ?? 0));
    this.#checkSequence(draft, header.sequence);

    let at = headerLength;
    while (at < bytes.length) {
      const length = bytes.length - at >= 4 ? view.getUint16(at + 2) : 0;
      if (length < 4 || length > bytes.length - at) {
        draft.isCounted = false;
        this.#error(`set at ${at} has length ${length}, ${bytes.length - at} octets are left`);
        break;
      }
      const set = new DataView(view.buffer, view.byteOffset + at + 4, length - 4);
      const id = view.getUint16(at);
      // Padding is for the set behind (RFC 3954, section 6.1): readers that take it for a template need none at the end.
      const isLastTemplate = id === V9_OPTIONS_TEMPLATE_SET && at + length === bytes.length;
      if (version === 9 && length % 4 !== 0 && !isLastTemplate) {
        this.#error(`set at ${at} ends off a 4-octet boundary`);
      }
      this.#decodeSet(draft, id, set);
      at += length;
    }

    const data = draft.flows.length + draft.options.length;
    if (draft.isCounted && header.count !== undefined && header.count !== draft.templates.length + data) {
      this.#error(`count ${header.count}, ${draft.templates.length + data} records`);
    }
    // RFC 3954: datagrams; RFC 7011: data records, options data among them.
    const step = version === 9 ? 1 : data;
    const isKnown = version === 9 || draft.isCounted;
    this.#domain(draft).expected = isKnown ? (header.sequence + step) >>> 0 : undefined;
    this.#addMessage(draft, header.sequence, bytes.length);
  }

  #decodeSet(draft: Draft, id: number, set: DataView): undefined {
    if (id >= 256) return this.#decodeData(draft, id, set);
    const templateSet = draft.version === 9 ? 0 : 2;
    if (id === templateSet || id === templateSet + 1) return this.#decodeTemplates(draft, id, set);
    draft.isCounted = false;
    this.#error(`set id ${id}`);
  }

  #decodeTemplates(draft: Draft, setId: number, set: DataView): undefined {
    const isOptions = setId % 2 === 1;
    let at = 0;
    let records = 0;
    while (set.byteLength - at >= 4 && !isZero(set, at)) {
      const id = set.getUint16(at);
      const next = isOptions
        ? this.#readOptionsTemplate(draft, id, set, at)
        : this.#readTemplate(draft, id, set, at);
      if (next === undefined) {
        draft.isCounted = false;
        return this.#error(`template ${id} is cut`);
      }
      if (id < 256) this.#error(`template id ${id}`);
      draft.templates.push(id);
      records++;
      at = next;
    }
    this.#checkPadding(set, at, 4);
    if (records === 0) this.#error(`set ${setId} is empty`);
  }

  /** The offset after the template, or undefined when it is cut. */
  #readTemplate(draft: Draft, id: number, set: DataView, at: number): number | undefined {
    const count = set.getUint16(at + 2);
    if (count === 0) this.#error(`template ${id} has no fields`);
    const fields: TemplateField[] = [];
    const next = this.#readFields(draft, set, at + 4, count, 0, fields);
    if (next !== undefined) this.#keepTemplate(draft, id, fields, false);
    return next;
  }

  #readOptionsTemplate(draft: Draft, id: number, set: DataView, at: number): number | undefined {
    if (set.byteLength - at < 6) return undefined;
    const first = set.getUint16(at + 2);
    const second = set.getUint16(at + 4);
    // v9 gives lengths in octets, scope first; IPFIX the number of all fields, then of the scope fields among them.
    const scopes = draft.version === 9 ? first / 4 : second;
    const count = draft.version === 9 ? (first + second) / 4 : first;
    if (scopes === 0 || scopes > count || !Number.isInteger(scopes) || !Number.isInteger(count)) {
      this.#error(`options template ${id} has ${scopes} scope fields of ${count}`);
    }
    const fields: TemplateField[] = [];
    const next = this.#readFields(draft, set, at + 6, Math.floor(count), scopes, fields);
    if (next !== undefined) this.#keepTemplate(draft, id, fields, true);
    return next;
  }

  #readFields(
    draft: Draft,
    set: DataView,
    start: number,
    count: number,
    scopes: number,
    fields: TemplateField[],
  ): number | undefined {
    let at = start;
    for (let i = 0; i < count; i++) {
      if (set.byteLength - at < 4) return undefined;
      const number = set.getUint16(at);
      const length = set.getUint16(at + 2);
      at += 4;
      if (draft.version === 9) {
        fields.push(i < scopes ? scopeField(number, length) : this.#field(number, 0, length));
        continue;
      }
      if (number < 0x8000) {
        fields.push(this.#field(number, 0, length));
        continue;
      }
      if (set.byteLength - at < 4) return undefined;
      fields.push(this.#field(number - 0x8000, set.getUint32(at), length));
      at += 4;
    }
    return at;
  }

  #field(number: number, enterprise: number, length: number): TemplateField {
    const key = enterprise === 0 ? String(number) : `e${enterprise}:${number}`;
    // RFC 5103: a reverse element has the type and length of its forward one.
    const element = enterprise === 0 || enterprise === REVERSE ? ELEMENTS.get(number) : undefined;
    if (element === undefined) return { key, type: 'octets', length };
    const [type, full] = element;
    const mayShrink = type === 'unsigned' || type === 'counter';
    const isRight = type === 'string' || length === full || (mayShrink && length > 0 && length < full);
    if (!isRight) this.#error(`element ${key} has length ${length}`);
    return isRight ? { key, type, length } : { key, type: 'octets', length };
  }

  #keepTemplate(draft: Draft, id: number, fields: readonly TemplateField[], isOptions: boolean): void {
    const text = `${isOptions} ${fields.map((field) => `${field.key}/${field.length}`).join(' ')}`;
    const templates = this.#domain(draft).templates;
    const known = templates.get(id);
    if (known !== undefined && known.text !== text) this.#error(`template ${id} changed its meaning`);
    templates.set(id, { fields, isOptions, text });
  }

  #decodeData(draft: Draft, id: number, set: DataView): undefined {
    const template = this.#domain(draft).templates.get(id);
    if (template === undefined) {
      draft.isCounted = false;
      return this.#error(`data for template ${id}, which is unknown`);
    }
    const least = leastLength(template);
    if (least === 0) return this.#error(`template ${id} has no octets`);
    let at = 0;
    let records = 0;
    while (set.byteLength - at >= least) {
      const fields = new Map<string, FieldValue>();
      const next = this.#readRecord(template, set, at, fields);
      if (next === undefined) {
        draft.isCounted = false;
        return this.#error(`record ${records} of template ${id} is cut`);
      }
      records++;
      at = next;
      if (template.isOptions) {
        draft.options.push({ version: draft.version, domain: draft.domain, templateId: id, fields });
      } else {
        this.#addFlow(draft, id, fields);
      }
    }
    this.#checkPadding(set, at, draft.version === 9 ? 4 : least);
    if (records === 0) this.#error(`set ${id} is empty`);
  }

  #readRecord(
    template: Template,
    set: DataView,
    start: number,
    fields: Map<string, FieldValue>,
  ): number | undefined {
    let at = start;
    for (const field of template.fields) {
      let length = field.length;
      if (length === VARIABLE_LENGTH) {
        if (at >= set.byteLength) return undefined;
        length = set.getUint8(at++);
        if (length === 255) {
          if (set.byteLength - at < 2) return undefined;
          length = set.getUint16(at);
          at += 2;
          if (length < 255) this.#error(`element ${field.key}: length ${length} in three octets`);
        }
      }
      if (set.byteLength - at < length) return undefined;
      if (fields.has(field.key)) this.#error(`element ${field.key} is there twice`);
      fields.set(field.key, this.#value(field, new Uint8Array(set.buffer, set.byteOffset + at, length)));
      at += length;
    }
    return at;
  }

  #value(field: TemplateField, bytes: Uint8Array): FieldValue {
    switch (field.type) {
      case 'address4':
        return [...bytes].join('.');
      case 'address6':
        return addressText6(bytes);
      case 'counter':
        return unsigned(bytes);
      case 'unsigned':
      case 'milliseconds':
        return Number(unsigned(bytes));
      case 'string':
        return this.#text(field.key, bytes);
      case 'octets':
        return Buffer.from(bytes).toString('hex');
    }
  }

  #text(key: string, bytes: Uint8Array): string {
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    if (!Buffer.from(text).equals(bytes)) this.#error(`element ${key} is no UTF-8`);
    return text.replace(/\0+$/, '');
  }

  #addFlow(draft: Draft, templateId: number, fields: Fields): void {
    const flow = toFlow(draft, templateId, fields);
    if (flow.startMs !== undefined && flow.endMs !== undefined && flow.endMs < flow.startMs) {
      this.#error(`a flow ends at ${flow.endMs}, before it starts at ${flow.startMs}`);
    }
    draft.flows.push(flow);
  }

  #addMessage(draft: Draft, sequence: number, length: number): void {
    const { version, domain, exportMs, templates, flows, options } = draft;
    this.messages.push({ version, domain, sequence, exportMs, length, templates, flows, options });
  }

  #checkSequence(draft: Draft, sequence: number): void {
    const expected = this.#domain(draft).expected;
    if (expected === undefined || expected === sequence) return;
    this.#error(`domain ${draft.domain}: sequence ${sequence}, expected ${expected}`);
  }

  #checkPadding(set: DataView, at: number, limit: number): void {
    if (set.byteLength - at >= limit) this.#error(`${set.byteLength - at} octets of padding`);
    if (!isZero(set, at)) this.#error('padding is not zero');
  }

  #domain(draft: Draft): Domain {
    const key = `${draft.version} ${draft.domain}`;
    const known = this.#domains.get(key);
    if (known !== undefined) return known;
    const fresh: Domain = { expected: undefined, templates: new Map() };
    this.#domains.set(key, fresh);
    return fresh;
  }

  #error(text: string): undefined {
    this.errors.push(`${this.#where}: ${text}`);
  }
}

function newDraft(version: number, domain: number, exportMs: number, bootMs: number): Draft {
  return { version, domain, exportMs, bootMs, templates: [], flows: [], options: [], isCounted: true };
}

function fixedFields(record: FixedRecord): Fields {
  return new Map<string, FieldValue>([
    ['8', record.source.join('.')],
    ['12', record.destination.join('.')],
    ['15', record.nextHop.join('.')],
    ['10', record.ingress],
    ['14', record.egress],
    ['2', BigInt(record.packets)],
    ['1', BigInt(record.octets)],
    ['22', record.first],
    ['21', record.last],
    ['7', record.sourcePort],
    ['11', record.destinationPort],
    ['4', record.protocol],
    ['5', record.typeOfService],
    ['6', record.tcpFlags],
  ]);
}

function scopeField(number: number, length: number): TemplateField {
  return { key: `scope:${number}`, type: length <= 6 ? 'unsigned' : 'octets', length };
}

function leastLength(template: Template): number {
  return template.fields.reduce(
    (sum, field) => sum + (field.length === VARIABLE_LENGTH ? 1 : field.length),
    0,
  );
}

function toFlow(draft: Draft, templateId: number, fields: Fields): CollectedFlow {
  const text = (...keys: string[]) => {
    const value = first(fields, keys);
    return typeof value === 'string' ? value : undefined;
  };
  const number = (...keys: string[]) => {
    const value = first(fields, keys);
    return typeof value === 'number' ? value : undefined;
  };
  const counter = (...keys: string[]) => {
    const value = first(fields, keys);
    return typeof value === 'bigint' ? value : undefined;
  };
  const { version, domain, bootMs } = draft;
  // In IPFIX uptimes are relative to systemInitTimeMilliseconds (160).
  const epoch = version === 10 ? number('160') : bootMs;
  const time = (milliseconds: string, seconds: string, uptime: string) => {
    const whole = number(seconds);
    const since = number(uptime);
    if (whole !== undefined) return whole * 1000;
    if (since !== undefined && epoch !== undefined) return epoch + since;
    return number(milliseconds);
  };
  return {
    version,
    domain,
    templateId,
    fields,
    source: text('8', '27'),
    destination: text('12', '28'),
    sourcePort: number('7'),
    destinationPort: number('11'),
    protocol: number('4'),
    octets: counter('1', '85'),
    packets: counter('2', '86'),
    reverseOctets: counter('e29305:1', 'e29305:85'),
    reversePackets: counter('e29305:2', 'e29305:86'),
    initiatorOctets: counter('231'),
    responderOctets: counter('232'),
    startMs: time('152', '150', '22'),
    endMs: time('153', '151', '21'),
    ingress: number('10'),
    egress: number('14'),
    postNatSource: text('225', '281'),
    postNatDestination: text('226', '282'),
    postNatSourcePort: number('227'),
    postNatDestinationPort: number('228'),
  };
}

/** The first of the fields that is there; undefined when none is, or when it came in a form that could not be read. */
function first(fields: Fields, keys: string[]): FieldValue | undefined {
  const key = keys.find((candidate) => fields.has(candidate));
  return key === undefined ? undefined : fields.get(key);
}

function unsigned(bytes: Uint8Array): bigint {
  return bytes.reduce((value, octet) => value * 256n + BigInt(octet), 0n);
}

function isZero(set: DataView, at: number): boolean {
  for (let i = at; i < set.byteLength; i++) if (set.getUint8(i) !== 0) return false;
  return true;
}

/** RFC 5952: lower case, the longest run of two or more zero groups as `::`, the first of equals. */
export function addressText6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes[2 * i]! * 256 + bytes[2 * i + 1]!);
  let start = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (groups[i + run] === 0) run++;
    if (run > longest) [start, longest] = [i, run];
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (start < 0) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + longest))}`;
}

function each(
  numbers: number[],
  type: ElementType,
  octets: number,
): [number, readonly [ElementType, number]][] {
  return numbers.map((number) => [number, [type, octets]]);
}
