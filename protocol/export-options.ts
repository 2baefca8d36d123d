/**
 * What an exporter tells about itself in Options Data Records: the names of interfaces, and that every packet was looked at.
 * Sent with the templates; a name also when it is first used.
 */
import { ELEMENTS, type Field } from './element.js';
import type { NetworkInterface } from './flow-record.js';
import type { MessageWriter } from './message-writer.js';
import { Template } from './template.js';

/** Where IPFIX and NetFlow v9 differ. */
export interface OptionsDialect {
  readonly interfaces: Template;
  /** Octets of every name; 0: each has its own length. */
  readonly nameLength: number;
  readonly sampling: Template;
  /** Writes the sampling record's fields behind its scope. */
  writeSampling(view: DataView, at: number): void;
}

export interface OptionsChoice {
  readonly names: boolean;
  readonly sampling: boolean;
}

const INTERFACES_ID = 8192;
const SAMPLING_ID = 8193;

/** Names come from packets: a sender that invents some must not fill every refresh. */
const MOST_NAMES = 1024;

const { interfaceName, ingressInterface, observationDomainId } = ELEMENTS;
const { samplingPacketInterval, samplingPacketSpace, samplingInterval, samplingAlgorithm } = ELEMENTS;

/** RFC 7012; one packet of one is RFC 5477's way to say that nothing is sampled. */
export function ipfixOptions(): OptionsDialect {
  return {
    interfaces: new Template(INTERFACES_ID, [interfaceName], [ingressInterface]),
    nameLength: 0,
    sampling: new Template(SAMPLING_ID, [samplingPacketInterval, samplingPacketSpace], [observationDomainId]),
    writeSampling(view, at) {
      view.setUint32(at, 1);
      view.setUint32(at + 4, 0);
    },
  };
}

/** RFC 3954, section 6.1: a scope's number is not an element's. */
const SYSTEM_SCOPE: Field = { id: 1, length: 4 };
const DETERMINISTIC = 1;

/** Laid out as routers do: the interface's number is no scope. */
export function netflow9Options(): OptionsDialect {
  const nameLength = 16;
  const name = { ...interfaceName, length: nameLength };
  return {
    interfaces: new Template(INTERFACES_ID, [ingressInterface, name], [SYSTEM_SCOPE]),
    nameLength,
    sampling: new Template(SAMPLING_ID, [samplingInterval, samplingAlgorithm], [SYSTEM_SCOPE]),
    writeSampling(view, at) {
      view.setUint32(at, 1);
      view.setUint8(at + 4, DETERMINISTIC);
    },
  };
}

export class ExportOptions {
  readonly #writer: MessageWriter;
  readonly #dialect: OptionsDialect;
  readonly #choice: OptionsChoice;
  readonly #domain: number;
  /** By index. */
  readonly #interfaces = new Map<number, NetworkInterface>();
  #last: NetworkInterface | undefined;

  constructor(writer: MessageWriter, dialect: OptionsDialect, choice: OptionsChoice, domain: number) {
    this.#writer = writer;
    this.#dialect = dialect;
    this.#choice = choice;
    this.#domain = domain;
  }

  /** A record is about to name the interface. */
  use(used: NetworkInterface, now: number): void {
    if (used === this.#last) return;
    this.#last = used;
    const isKnown = !this.#choice.names || used.index === 0 || this.#interfaces.has(used.index);
    if (isKnown || this.#interfaces.size >= MOST_NAMES) return;
    // Opening a message may tell all names; this one is not among them yet.
    this.#tellName(used, now);
    this.#interfaces.set(used.index, used);
  }

  tellAll(now: number): void {
    if (this.#choice.sampling) this.#tellSampling(now);
    for (const known of this.#interfaces.values()) this.#tellName(known, now);
  }

  #tellName({ name, index }: NetworkInterface, now: number): void {
    const { interfaces, nameLength } = this.#dialect;
    const isFixed = nameLength > 0;
    const length = isFixed ? 8 + nameLength : 5 + name.length;
    let at = this.#writer.place(interfaces, length, now);
    const { view } = this.#writer;
    if (isFixed) {
      view.setUint32(at, 0);
      at += 4;
    }
    view.setUint32(at, index);
    at += 4;
    if (!isFixed) view.setUint8(at++, name.length);
    const room = isFixed ? nameLength : name.length;
    for (let i = 0; i < room; i++) view.setUint8(at + i, i < name.length ? shown(name.charCodeAt(i)) : 0);
  }

  #tellSampling(now: number): void {
    const { sampling } = this.#dialect;
    const [scope] = sampling.scopes;
    const length = [...sampling.scopes, ...sampling.fields].reduce((sum, field) => sum + field.length, 0);
    const at = this.#writer.place(sampling, length, now);
    const { view } = this.#writer;
    view.setUint32(at, scope === observationDomainId ? this.#domain : 0);
    this.#dialect.writeSampling(view, at + 4);
  }
}

/** A string is UTF-8 (RFC 7011, section 6.1.6), and nothing to move a terminal's cursor with. */
function shown(code: number): number {
  return code >= 0x20 && code < 0x7f ? code : 0x3f;
}
