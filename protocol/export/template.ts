/** Templates of NetFlow v9 and IPFIX: their Template Records, and how a record is copied out of a flow row. */
import { ELEMENTS, type Field, type FlowElement, type Place } from './element.js';

/** A Template Record, or with scopes an Options Template Record. */
export class Template {
  readonly id: number;
  readonly scopes: readonly Field[];
  readonly isOptions: boolean;
  readonly fields: readonly Field[];
  /** Octets of the Template Record. */
  readonly announcementLength: number;
  /** Octets of a data record; no field has a variable length. */
  readonly recordLength: number;
  /** How often it has been sent in this transport session. */
  announcements = 0;

  constructor(id: number, fields: readonly Field[], scopes: readonly Field[] = []) {
    this.id = id;
    this.scopes = scopes;
    this.isOptions = scopes.length > 0;
    this.fields = fields;
    const all = [...scopes, ...fields];
    const enterprises = all.filter(({ enterprise }) => enterprise !== undefined).length;
    this.announcementLength = (this.isOptions ? 6 : 4) + 4 * (all.length + enterprises);
    this.recordLength = all.reduce((sum, { length }) => sum + length, 0);
  }
}

const VIEWS = [0, 1, 2, 3] as const;

/**
 * The template of a kind of flow records. A record is a list of copies out of the row: words, as long as the values stand in
 * the row as they follow each other in the record, and single octets for the rest.
 */
export class FlowTemplate extends Template {
  readonly wordCount: number;
  readonly octetCount: number;
  /**
   * Of each view (two times the side of the NAT, and 1 for replies) the list of its words, counted in words from the start of
   * the row. The lists are filled up with zeros to `wordsListed`, a multiple of four.
   */
  readonly words: Uint8Array;
  readonly wordsListed: number;
  /** Of each view the list of the octets behind them, counted in octets. */
  readonly octets: Uint16Array;

  constructor(id: number, names: readonly FlowElement[]) {
    const elements = names.map((name) => ELEMENTS[name]);
    super(id, elements);
    const places = VIEWS.map((view) => elements.flatMap((element) => octetsOf(element, view)));
    const isWord = (at: number) =>
      places.every((own) => own[at]! % 4 === 0 && [1, 2, 3].every((i) => own[at + i] === own[at]! + i));
    let at = 0;
    while (at + 4 <= this.recordLength && isWord(at)) at += 4;
    this.wordCount = at / 4;
    this.octetCount = this.recordLength - at;
    this.wordsListed = (this.wordCount + 3) & ~3;
    this.words = new Uint8Array(VIEWS.length * this.wordsListed);
    for (const view of VIEWS) {
      const own = places[view].slice(0, at).filter((_, octet) => octet % 4 === 0);
      this.words.set(
        own.map((place) => place / 4),
        view * this.wordsListed,
      );
    }
    this.octets = Uint16Array.from(places.flatMap((own) => own.slice(at)));
  }
}

/** Where each octet of the element stands in the row. */
function octetsOf({ at, length }: { readonly at: Place; readonly length: number }, view: number): number[] {
  return Array.from({ length }, (_, octet) => at[view as 0]! + octet);
}
