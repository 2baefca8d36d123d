/** The arguments of options: text in, value out, or a UsageError that says in one line what is wrong. */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { NatView } from '../../protocol/flow/terms.js';
import { type Cidr, parseCidr } from './cidr.js';
import { UsageError } from './errors.js';
import { printable } from './printable.js';

export interface Endpoint {
  /** An address literal without brackets, or a host name. */
  readonly host: string;
  /** 0 when `host` is a name. */
  readonly family: 0 | 4 | 6;
  readonly port: number;
}

export type NetflowVersion = 1 | 5 | 9 | 10;
export type Direction = 'any' | 'in' | 'out';
export type TemplateProfile = 'full' | 'pflow';
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFormat = 'text' | 'json';
/** The options records of an IPFIX exporter. */
export type ExportOption = 'names' | 'sampling';

/** Where to send, and what differs there from the options for all collectors. */
export interface CollectorSpec extends Endpoint {
  readonly protocol: 'udp' | 'tcp' | 'tls';
  readonly version?: NetflowVersion;
  readonly rate?: number;
  readonly domain?: number;
  readonly source?: string;
  readonly template?: TemplateProfile;
  readonly direction?: Direction;
  readonly nat?: NatView;
}

/** Timers of 2^31 milliseconds and more fire at once. */
const MOST_SECONDS = 2_147_483;

export function word(text: string): string {
  if (text === '') throw new UsageError('empty argument');
  return text;
}

export function choice<T extends string>(...words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((candidate) => candidate === text);
    if (found === undefined) throw new UsageError(`${quote(text)} is none of ${words.join(', ')}`);
    return found;
  };
}

export function yesOrNo(text: string): boolean {
  return choice('yes', 'no')(text) === 'yes';
}

/** A whole number without sign. */
export function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) {
      const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} up` : `from ${least} to ${most}`;
      throw new UsageError(`${quote(text)} is not a whole number ${range}`);
    }
    return value;
  };
}

/** Seconds, with or without a fraction: 0, or from `least` up. */
export function seconds(least: number, zero: 'off' | 'refused'): (text: string) => number {
  return (text) => {
    const value = decimal(text);
    if ((value >= least && value <= MOST_SECONDS) || (value === 0 && zero === 'off')) return value;
    const off = zero === 'off' && least > 0 ? '0 or ' : '';
    throw new UsageError(`${quote(text)} is not ${off}a number of seconds from ${least} to ${MOST_SECONDS}`);
  };
}

/** Minutes above 0, given back as seconds. */
export function minutes(text: string): number {
  const value = decimal(text) * 60;
  if (value > 0 && value <= MOST_SECONDS) return value;
  throw new UsageError(`${quote(text)} is not a number of minutes above 0`);
}

export function netflowVersion(text: string): NetflowVersion {
  const found = VERSIONS[text];
  if (found === undefined) throw new UsageError(`${quote(text)} is none of 1, 5, 9, 10, ipfix`);
  return found;
}

const VERSIONS: Readonly<Record<string, NetflowVersion>> = Object.assign(Object.create(null), {
  1: 1,
  5: 5,
  9: 9,
  10: 10,
  ipfix: 10,
});

/** The range of the widest format. Versions 1 and 5 hold less, which is checked with the version. */
export const domain = integer(0, 2 ** 32 - 1);
export const rate = integer(0, Number.MAX_SAFE_INTEGER);
export const direction = choice('any', 'in', 'out');
export const natView = choice('original', 'inside', 'translated');
export const templateProfile = choice('full', 'pflow');

/** `names,sampling`: one of them, or both. */
export function exportOptions(text: string): readonly ExportOption[] {
  return [...new Set(text.split(',').map(choice('names', 'sampling')))];
}

export function optionsChoice(chosen: readonly ExportOption[]) {
  return { names: chosen.includes('names'), sampling: chosen.includes('sampling') };
}

export function addressLiteral(text: string): string {
  const bare = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
  if (isIP(bare) === 0) throw new UsageError(`${quote(text)} is not an IPv4 or IPv6 address`);
  return bare;
}

export function network(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    throw new UsageError(`${quote(text)} is not a network, as in 192.0.2.0/24 or 2001:db8::/32`);
  }
  return cidr;
}

/** `HOST:PORT` or `[v6]:PORT`. */
export function endpoint(text: string): Endpoint {
  if (/^[\da-f]*:[\da-f]*:/i.test(text)) {
    throw new UsageError(`${quote(text)}: write an IPv6 address in brackets, as in [2001:db8::5]:2055`);
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/s.exec(text);
  if (match === null) throw new UsageError(`${quote(text)} is not HOST:PORT or [IPv6]:PORT`);
  const [, bracketed, plain = '', digits] = match;
  if (bracketed !== undefined && !isIPv6(bracketed)) {
    throw new UsageError(`${quote(text)}: ${quote(bracketed)} is not an IPv6 address`);
  }
  if (bracketed === undefined && !isHost(plain)) {
    throw new UsageError(`${quote(text)}: ${quote(plain)} is not a host name or an address`);
  }
  if (digits === undefined) throw new UsageError(`${quote(text)}: the port is missing, as in HOST:2055`);
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  if (port < 1 || port > 65535) {
    throw new UsageError(`${quote(text)}: ${quote(digits)} is not a port from 1 to 65535`);
  }
  const host = bracketed ?? plain;
  return { host, family: isIP(host) as Endpoint['family'], port };
}

/** An endpoint to bind to. */
export function addressEndpoint(text: string): Endpoint {
  const found = endpoint(text);
  if (found.family === 0) throw new UsageError(`${quote(text)}: ${quote(found.host)} is not an address`);
  return found;
}

/** `[udp://|tcp://|tls://]HOST:PORT[?name=value[&name=value]...]`. */
export function collector(text: string): CollectorSpec {
  const [, scheme, authority = text, query] = /^(?:([^:/?]*):\/\/)?([^?]*?)\/?(?:\?(.*))?$/s.exec(text) ?? [];
  const protocol = scheme === undefined ? 'udp' : PROTOCOLS.find((name) => name === scheme.toLowerCase());
  if (protocol === undefined) {
    throw new UsageError(`${quote(text)}: ${quote(scheme ?? '')} is none of udp, tcp, tls`);
  }
  return { protocol, ...endpoint(authority), ...overrides(text, query ?? '') };
}

const PROTOCOLS = ['udp', 'tcp', 'tls'] as const;

type Overrides = Omit<CollectorSpec, keyof Endpoint | 'protocol'>;

const OVERRIDES: { readonly [K in keyof Required<Overrides>]: (text: string) => Required<Overrides>[K] } = {
  version: netflowVersion,
  rate,
  domain,
  source: addressLiteral,
  template: templateProfile,
  direction,
  nat: natView,
};

function overrides(text: string, query: string): Overrides {
  const found: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (!Object.hasOwn(OVERRIDES, name)) {
      const known = Object.keys(OVERRIDES).join(', ');
      throw new UsageError(`${quote(text)}: parameter ${quote(name)} is none of ${known}`);
    }
    if (name in found) throw new UsageError(`${quote(text)}: parameter ${name} is given twice`);
    found[name] = within(`${quote(text)}: ${name}`, () => OVERRIDES[name as keyof Overrides](value));
  }
  return found;
}

/** `em0=1,em1=2`, `all/in=1,all/out=2`, added to what came before. */
export function interfaceMap(text: string, before: ReadonlyMap<string, number>): Map<string, number> {
  const map = new Map(before);
  for (const pair of text.split(',')) {
    const [, name, digits] = /^([^=/]+(?:\/(?:in|out))?)=(\d+)$/.exec(pair) ?? [];
    const index = Number(digits);
    if (name === undefined || !(index <= 2 ** 32 - 1)) {
      throw new UsageError(
        `${quote(pair)} is not INTERFACE=NUMBER, as in em0=1 or em0/in=1, with a number to ${2 ** 32 - 1}`,
      );
    }
    if (map.has(name) && map.get(name) !== index) {
      throw new UsageError(`interface ${quote(name)} has two numbers, ${map.get(name)} and ${index}`);
    }
    map.set(name, index);
  }
  return map;
}

/** Runs `read`. The message of a UsageError that it throws gets `where` in front. */
export function within<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${where}: ${error.message}`);
    throw error;
  }
}

/** The operator's own text as messages show it: one line of limited length. */
export function quote(text: string): string {
  const shown = printable(text);
  return `'${shown.length > MOST_QUOTED ? `${shown.slice(0, MOST_QUOTED)}...` : shown}'`;
}

const MOST_QUOTED = 100;

function decimal(text: string): number {
  return /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
}

function isHost(text: string): boolean {
  if (/^[\d.]*$/.test(text)) return isIPv4(text);
  return text.length <= 253 && /^[\w]([\w.-]*[\w.])?$/.test(text);
}
