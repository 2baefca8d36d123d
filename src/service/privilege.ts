/** Gives up the rights that are not needed once everything is open, for good. */
import { execFileSync } from 'node:child_process';
import { StartError } from '../cli/errors.js';
import type { Options } from '../cli/option-table.js';
import { quote } from '../cli/option-values.js';
import { reasonOf } from '../cli/system-error.js';

/** The user that the program becomes when root starts it without --user. */
export const DEFAULT_USER = '_pfflowd';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary ones; the primary group may be among them. */
  readonly groups: readonly number[];
}

/** The account to become once everything is open, or the reason why rights are kept. */
export type Privileges = { readonly account: Account } | { readonly account?: never; readonly kept: string };

export type Lookup = (name: string) => Account | undefined;

/**
 * Decides before anything is opened. Root with `-i` or `--listen` always becomes another user, unless `--user root` is
 * given. Throws a StartError.
 */
export function planPrivileges(
  { user, reads }: Pick<Options, 'user' | 'reads'>,
  uid: number,
  lookup: Lookup = lookUpAccount,
): Privileges {
  const isRoot = uid === 0;
  if (user === undefined && !isRoot) return { kept: `user id ${uid} has no rights to drop` };
  if (user === undefined && reads.length > 0) return { kept: 'a conversion runs as who started it' };
  const name = user ?? DEFAULT_USER;
  const account = lookup(name);
  if (account === undefined) throw new StartError(noSuchUser(name, user === undefined));
  if (account.uid === uid) return { kept: `runs as ${name}, as --user says` };
  if (!isRoot) throw new StartError(`--user ${quote(name)}: only root can become another user`);
  if (account.uid === 0) return { kept: `runs as ${name}, as --user says` };
  return { account };
}

function noSuchUser(name: string, isDefault: boolean): string {
  if (!isDefault) return `--user ${quote(name)}: no such user`;
  return `no such user ${name}, which root becomes: create it, or name another with --user (--user root stays root)`;
}

/**
 * Sets the groups first, while root may; then the primary group, then the user (real, effective and saved). Throws a
 * StartError unless a check proves the drop. Returns a line for the log.
 */
export function dropPrivileges({ name, uid, gid, groups }: Account): string {
  try {
    process.setgroups!([...groups]);
    process.setgid!(gid);
    process.setuid!(uid);
  } catch (error) {
    throw new StartError(`cannot become ${name}: ${reasonOf(error)}`);
  }
  verifyDrop({ name, uid, gid, groups });
  const others = groups.filter((group) => group !== gid);
  const also = others.length > 0 ? `, groups ${others.join(' ')}` : '';
  return `dropped root for ${name}: uid ${uid}, gid ${gid}${also}`;
}

function verifyDrop({ name, uid, gid, groups }: Account): void {
  const expected = new Set([gid, ...groups]);
  const actual = new Set([gid, ...process.getgroups!()]);
  const isIdentity =
    process.getuid!() === uid &&
    process.geteuid!() === uid &&
    process.getgid!() === gid &&
    process.getegid!() === gid;
  const isGroups = actual.size === expected.size && [...actual].every((group) => expected.has(group));
  if (!isIdentity || !isGroups) throw new StartError(`cannot become ${name}: the system kept other rights`);
  for (const regain of [() => process.setuid!(0), () => process.seteuid!(0)]) {
    if (succeeds(regain)) throw new StartError(`cannot become ${name}: the system gives root back`);
  }
}

function succeeds(action: () => void): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}

/** Asks id(1): Node.js does not read the user database, which may be more than /etc/passwd. */
export function lookUpAccount(name: string): Account | undefined {
  if (!/^[^-\s]\S*$/.test(name)) return undefined;
  const ids = (option: string) => numbers(runId([option, name]));
  try {
    const [uid] = ids('-u');
    const [gid] = ids('-g');
    if (uid === undefined || gid === undefined) return undefined;
    return { name, uid, gid, groups: ids('-G') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // An exit status other than 0, which has no code, means that there is no such user.
    if (code === undefined) return undefined;
    throw new StartError(`user ${quote(name)}: cannot run id(1): ${reasonOf(error)}`);
  }
}

function runId(args: readonly string[]): string {
  return execFileSync('id', args, {
    encoding: 'latin1',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
}

function numbers(text: string): number[] {
  return text
    .split(/\s+/)
    .filter((word) => /^\d+$/.test(word))
    .map(Number);
}
