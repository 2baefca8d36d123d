/**
 * What an exporter reports about itself in Options Data Records: the names of interfaces, and that every packet was counted.
 * Sent with the templates; a name also before the first flow through its interface.
 */
import { ELEMENTS, type Field } from './element.js';
import type { MessageWriter } from './message-writer.js';
import { Template } from './template.js';
import { INTERFACE_OPTIONS, SAMPLING_OPTIONS } from './template-id.js';

/** Where IPFIX and NetFlow v9 differ. Every scope has four octets. */
export interface OptionsDialect {
  readonly interfaces: Template;
  readonly sampling: Template;
  /** The scope's value, where it is not the domain. */
  readonly scope?: number;
  /** Writes the sampling record's fields behind its scope. */
  writeSampling(view: DataView, at: number): void;
}

/** What is sent with the templates. */
export interface OptionsChoice {
  readonly names: boolean;
  /**
   * Otherwise the sampling is sent before the first flow, and again where the collector may be a new one. In IPFIX, some
   * collectors leave options data out of a domain's sequence and others do not: all of them are content only with what
   * precedes the flows, in messages of its own.
   */
  readonly sampling: boolean;
}

/** Names come from packets: a sender that invents some must not fill every refresh. */
const MOST_NAMES = 1024;

const SCOPE_LENGTH = 4;

/** As pf has it: 15 characters and a NUL. */
const NAME_LENGTH = 16;

const { interfaceDescription, interfaceName, ingressInterface, observationDomainId } = ELEMENTS;
const { samplingPacketInterval, samplingPacketSpace, samplingInterval, samplingAlgorithm } = ELEMENTS;

/**
 * The fields of an interface table as routers send it: nfdump looks for the number among the fields, not among the scopes,
 * and for the description in place of the name, both of one length for all.
 */
const INTERFACE_FIELDS: readonly Field[] = [
  ingressInterface,
  { ...interfaceName, length: NAME_LENGTH },
  { ...interfaceDescription, length: NAME_LENGTH },
];

/** RFC 7012; one packet of one is RFC 5477's way to say that nothing is sampled. */
export function ipfixOptions(): OptionsDialect {
  const sampling = [samplingPacketInterval, samplingPacketSpace];
  return {
    interfaces: new Template(INTERFACE_OPTIONS, INTERFACE_FIELDS, [observationDomainId]),
    sampling: new Template(SAMPLING_OPTIONS, sampling, [observationDomainId]),
    writeSampling(view, at) {
      view.setUint32(at, 1);
      view.setUint32(at + 4, 0);
    },
  };
}

/** RFC 3954, section 6.1: the System, which needs no value. */
const SYSTEM_SCOPE: Field = { id: 1, length: SCOPE_LENGTH };
const DETERMINISTIC = 1;

export function netflow9Options(): OptionsDialect {
  return {
    interfaces: new Template(INTERFACE_OPTIONS, INTERFACE_FIELDS, [SYSTEM_SCOPE]),
    sampling: new Template(SAMPLING_OPTIONS, [samplingInterval, samplingAlgorithm], [SYSTEM_SCOPE]),
    scope: 0,
    writeSampling(view, at) {
      view.setUint32(at, 1);
      view.setUint8(at + 4, DETERMINISTIC);
    },
  };
}

/** Writes options records at the time NOW of the writer's clock. */
export class ExportOptions {
  readonly #writer: MessageWriter;
  readonly #dialect: OptionsDialect;
  readonly #choice: OptionsChoice;
  readonly #scope: number;
  /** Names by ifIndex. */
  readonly #names = new Map<number, string>();

  constructor(writer: MessageWriter, dialect: OptionsDialect, choice: OptionsChoice, domain: number) {
    this.#writer = writer;
    this.#dialect = dialect;
    this.#choice = choice;
    this.#scope = dialect.scope ?? domain;
  }

  /** A record is about to show this ifIndex; 0 is no interface. */
  use(index: number, name: string): void {
    const isKnown = !this.#choice.names || index === 0 || this.#names.has(index);
    if (isKnown || this.#names.size >= MOST_NAMES) return;
    // Making room may send all names that are known; this one is not among them yet.
    this.#writeName(index, name);
    this.#names.set(index, name);
  }

  /** Sends what precedes the flows, so many times. */
  writeFirst(times: number): void {
    if (this.#choice.sampling) return;
    const { sampling, writeSampling } = this.#dialect;
    for (let n = 0; n < times; n++) {
      this.#writer.sendAlone(sampling, (view, at) => {
        view.setUint32(at, this.#scope);
        writeSampling(view, at + SCOPE_LENGTH);
      });
    }
  }

  writeAll(): void {
    if (this.#choice.sampling) this.#writeSampling();
    for (const [index, name] of this.#names) this.#writeName(index, name);
  }

  #writeName(index: number, name: string): void {
    const at = this.#record(this.#dialect.interfaces);
    const { view } = this.#writer;
    view.setUint32(at, index);
    for (const copy of [at + 4, at + 4 + NAME_LENGTH]) {
      for (let i = 0; i < NAME_LENGTH; i++) {
        view.setUint8(copy + i, i < name.length ? shown(name.charCodeAt(i)) : 0);
      }
    }
  }

  #writeSampling(): void {
    const at = this.#record(this.#dialect.sampling);
    this.#dialect.writeSampling(this.#writer.view, at);
  }

  /** Returns where the record's fields begin. */
  #record(template: Template): number {
    const at = this.#writer.place(template);
    this.#writer.view.setUint32(at, this.#scope);
    return at + SCOPE_LENGTH;
  }
}

/** A string is UTF-8 (RFC 7011, section 6.1.6), and nothing to move a terminal's cursor with. */
function shown(code: number): number {
  return code >= 0x20 && code < 0x7f ? code : 0x3f;
}
