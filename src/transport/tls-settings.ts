/**
 * What TLS needs from files: trusted certificates, our own certificate and its key. Read once, at start-up.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { SecureContext } from 'node:tls';
import { StartError } from '../cli/errors.js';
import { reasonOf } from './connection-error.js';

export interface TlsFiles {
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/**
 * Where systems keep the certificates that they trust: Debian, Alpine; OpenBSD, FreeBSD; FreeBSD's port;
 * Fedora.
 */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/ssl/cert.pem',
  '/usr/local/share/certs/ca-root-nss.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
];

/** PKCS #8, and the older form of OpenSSL. */
const ENCRYPTED = /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

/** Throws a StartError that names the option, the file and the reason. */
export async function readTlsSettings(files: TlsFiles): Promise<SecureContext> {
  const { tlsCa, tlsCert, tlsKey } = files;
  if (tlsCert !== undefined && tlsKey === undefined) throw new StartError('--tls-cert needs --tls-key');
  if (tlsKey !== undefined && tlsCert === undefined) throw new StartError('--tls-key needs --tls-cert');
  const { createSecureContext } = await import('node:tls');
  const { createPrivateKey, X509Certificate } = await import('node:crypto');
  const ca = tlsCa === undefined ? systemCertificates() : readPem('--tls-ca', tlsCa);
  if (tlsCa !== undefined) {
    // OpenSSL passes over what it cannot read here.
    check('--tls-ca', tlsCa, () => certificatesIn(ca!).map((pem) => new X509Certificate(pem)));
  }
  const trust = { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) } as const;
  if (tlsCert === undefined || tlsKey === undefined) return createSecureContext(trust);

  const cert = readPem('--tls-cert', tlsCert);
  const key = readPem('--tls-key', tlsKey);
  const [own] = check('--tls-cert', tlsCert, () =>
    certificatesIn(cert).map((pem) => new X509Certificate(pem)),
  );
  if (ENCRYPTED.test(key))
    throw new StartError(`--tls-key ${tlsKey}: is encrypted: give a key without a passphrase`);
  const privateKey = check('--tls-key', tlsKey, () => createPrivateKey(key));
  if (!own!.checkPrivateKey(privateKey)) {
    throw new StartError(`--tls-key ${tlsKey}: is not the key of --tls-cert ${tlsCert}`);
  }
  return check('--tls-cert', tlsCert, () => createSecureContext({ ...trust, cert, key }));
}

/** Undefined: those that came with Node.js. */
function systemCertificates(): string | undefined {
  const { SSL_CERT_FILE } = process.env;
  if (SSL_CERT_FILE !== undefined && SSL_CERT_FILE !== '') return readPem('SSL_CERT_FILE', SSL_CERT_FILE);
  const file = SYSTEM_FILES.find((candidate) => existsSync(candidate));
  return file === undefined ? undefined : readPem('system certificates', file);
}

function readPem(option: string, file: string): string {
  return check(option, file, () => readFileSync(file, 'latin1'));
}

function certificatesIn(pem: string): string[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  if (found === null) throw new Error('no certificate in PEM format');
  return found;
}

function check<T>(option: string, file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new StartError(`${option} ${file}: ${reasonOf(error as Error)}`);
  }
}
