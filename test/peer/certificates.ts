/** Certificates made on the spot by the openssl command, as an operator makes them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { areRequired } from './programs.js';

export interface Certificate {
  /** Paths. */
  readonly cert: string;
  readonly key: string;
}

/** A folder of its own, with an authority in it. */
export class Authority {
  readonly ca: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  readonly #key: string;
  #serial = 1;

  constructor() {
    this.ca = this.path('ca.pem');
    this.#key = this.path('ca.key');
    const request = ['req', '-x509', ...NEW_KEY, '-keyout', this.#key, '-out', this.ca];
    openssl(...request, '-days', '2', '-subj', '/CN=authority');
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** `names` as in `DNS:collector.test,IP:127.0.0.1`. */
  issue(name: string, names: string, validity: 'valid' | 'expired' = 'valid'): Certificate {
    const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((end) =>
      this.path(`${name}.${end}`),
    );
    openssl('req', '-new', ...NEW_KEY, '-keyout', key!, '-out', request!, '-subj', `/CN=${name}`);
    writeFileSync(extensions!, `subjectAltName=${names}\n`);
    const signing = ['x509', '-req', '-in', request!, '-CA', this.ca, '-CAkey', this.#key];
    const serial = ['-set_serial', String(++this.#serial), '-extfile', extensions!, '-out', cert!];
    openssl(...signing, ...serial, '-days', validity === 'valid' ? '2' : '-1');
    return { cert: cert!, key: key! };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** A group of tests that needs openssl: left out, by name, where it is missing; failed where it may not be. */
export function describeWithOpenssl(name: string, tests: () => void): void {
  if (isInstalled()) {
    describe(name, tests);
    return;
  }
  it(`${name} (left out: openssl: not installed)`, function () {
    if (areRequired()) throw new Error('openssl: not installed');
    this.skip();
  });
}

export function read({ cert, key }: Certificate): { cert: string; key: string } {
  return { cert: readFileSync(cert, 'latin1'), key: readFileSync(key, 'latin1') };
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

function isInstalled(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
