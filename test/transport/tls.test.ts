import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TlsOptions as ServerOptions } from 'node:tls';
import { expect } from 'chai';
import { StartError } from '../../src/cli/errors.js';
import type { StreamTransport } from '../../src/transport/stream.js';
import { CONVERSION, LIVE, type StreamPolicy } from '../../src/transport/stream-policy.js';
import { openTls } from '../../src/transport/tls.js';
import type { TlsFiles } from '../../src/transport/tls-settings.js';
import { Authority, type Certificate, describeWithOpenssl, read } from '../peer/certificates.js';
import { numberOf } from '../peer/flow-samples.js';
import { LineLog } from '../peer/line-log.js';
import { StreamCollector, StreamSession, until } from '../peer/stream-collector.js';
import { NumberedFlows } from './numbered-flows.js';

interface Client {
  readonly files?: TlsFiles;
  readonly serverName?: string;
  readonly policy?: StreamPolicy;
  readonly log?: LineLog;
}

function connect(
  port: number,
  { files = {}, serverName, policy = CONVERSION, log }: Client,
): Promise<StreamTransport> {
  return openTls({
    name: `tls://127.0.0.1:${port}`,
    endpoint: { host: '127.0.0.1', family: 4, port },
    source: undefined,
    rate: undefined,
    policy,
    log: (log ?? new LineLog()).log,
    files,
    serverName,
  });
}

async function sendFlows(transport: StreamTransport, count: number): Promise<void> {
  const flows = new NumberedFlows(transport);
  flows.addMany(count);
  flows.end();
  await transport.close();
}

/** The server of the openssl command, which writes what it hears to its standard output. */
async function openServer({ cert, key }: Certificate, options: readonly string[]) {
  const probe = await StreamCollector.listen();
  const { port } = probe;
  await probe.close();
  const keys = ['-cert', cert, '-key', key];
  const child = spawn('openssl', ['s_server', '-quiet', '-accept', `127.0.0.1:${port}`, ...keys, ...options]);
  const session = new StreamSession();
  child.stdout.on('data', (octets: Buffer) => session.take(octets));
  return {
    session,
    /** Once it listens. */
    async connected(client: Client): Promise<StreamTransport> {
      for (;;) {
        try {
          return await connect(port, client);
        } catch (error) {
          const isEarly = (error as Error).message.endsWith('connection refused');
          if (!isEarly || child.exitCode !== null) throw error;
          await sleep(10);
        }
      }
    },
    async stop(): Promise<void> {
      const ended = once(child, 'close');
      child.kill();
      await ended;
    },
  };
}

/** The line that ends the start, without the collector's name. */
async function failure(port: number, client: Client): Promise<string> {
  try {
    const transport = await connect(port, client);
    await transport.close();
    return 'no failure';
  } catch (error) {
    expect(error).to.be.instanceOf(StartError);
    const { message } = error as Error;
    expect(message).to.not.contain('\n');
    return message.replace(`tls://127.0.0.1:${port}: `, '');
  }
}

describeWithOpenssl('IPFIX over TLS', () => {
  let authority: Authority;
  let stranger: Authority;
  let server: Certificate;
  let client: Certificate;
  let trusting: TlsFiles;
  let collector: StreamCollector | undefined;

  before(() => {
    authority = new Authority();
    stranger = new Authority();
    server = authority.issue('collector', 'IP:127.0.0.1,DNS:collector.test');
    client = authority.issue('firewall', 'DNS:firewall.test');
    trusting = { tlsCa: authority.ca };
  });
  after(() => {
    authority.remove();
    stranger.remove();
  });
  afterEach(async () => {
    await collector?.close();
    collector = undefined;
  });

  const listen = async (certificate: Certificate, options: ServerOptions = {}): Promise<StreamCollector> => {
    collector = await StreamCollector.listen({ tls: { ...read(certificate), ...options } });
    return collector;
  };
  const mutual = (): ServerOptions => ({
    ca: readFileSync(authority.ca),
    requestCert: true,
    rejectUnauthorized: true,
  });

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    // One flow is sent right after the handshake.
    for (const count of [1, 2000]) {
      it(`brings ${count} flows to a collector of ${maxVersion}`, async () => {
        const { port, sessions } = await listen(server, { maxVersion });
        const transport = await connect(port, { files: trusting });
        await sendFlows(transport, count);
        await until(() => sessions[0]?.end !== undefined, 'the end of the session');
        expect(sessions[0]).to.include({ end: 'whole', unfinished: 0 });
        expect(sessions[0]!.collector.errors).to.deep.equal([]);
        const numbers = Array.from({ length: count }, (_, i) => i);
        expect(sessions[0]!.collector.flows.map(numberOf)).to.deep.equal(numbers);
        expect(transport.sent.records).to.equal(count);
        expect([transport.lost.records, transport.errors]).to.deep.equal([0, 0]);
      });
    }

    it(`shows its certificate to a collector of ${maxVersion} that asks for one`, async () => {
      const { port, sessions } = await listen(server, { maxVersion, ...mutual() });
      const files = { ...trusting, tlsCert: client.cert, tlsKey: client.key };
      await sendFlows(await connect(port, { files }), 100);
      await until(() => sessions[0]?.collector.flows.length === 100, 'the flows');
    });

    it(`learns from a collector of ${maxVersion} that it needs a certificate, before anything is sent`, async () => {
      const { port, sessions } = await listen(server, { maxVersion, ...mutual() });
      expect(await failure(port, { files: trusting })).to.match(
        /^TLS: .*(certificate required|handshake failure)$/,
      );
      expect(sessions).to.deep.equal([]);
    });
  }

  it('brings every flow to openssl s_server, which sends no ticket', async () => {
    const opened = await openServer(server, ['-tls1_3', '-num_tickets', '0']);
    try {
      const transport = await opened.connected({ files: trusting });
      await sendFlows(transport, 2000);
      await until(() => opened.session.collector.flows.length === 2000, 'the flows');
      expect(opened.session.collector.errors).to.deep.equal([]);
      expect([transport.sent.records, transport.errors]).to.deep.equal([2000, 0]);
    } finally {
      await opened.stop();
    }
  });

  it('learns from openssl s_server that its certificate is refused, before anything is sent', async () => {
    const verifying = ['-tls1_3', '-Verify', '1', '-verify_return_error', '-CAfile', authority.ca];
    const opened = await openServer(server, verifying);
    try {
      const { cert, key } = stranger.issue('unknown-client', 'DNS:firewall.test');
      const files = { ...trusting, tlsCert: cert, tlsKey: key };
      const refusal = await opened.connected({ files }).catch((error: Error) => error.message);
      expect(refusal).to.match(/: TLS: .*alert unknown ca$/);
      expect(opened.session.lengths).to.deep.equal([]);
    } finally {
      await opened.stop();
    }
  });

  it('asks for the name that --tls-name says instead of the host', async () => {
    const { port, sessions } = await listen(authority.issue('named', 'DNS:collector.test'));
    await sendFlows(await connect(port, { files: trusting, serverName: 'collector.test' }), 10);
    await until(() => sessions[0]?.collector.flows.length === 10, 'the flows');
  });

  const refused: [string, () => [Certificate, Client], RegExp][] = [
    [
      'expired',
      () => [authority.issue('old', 'IP:127.0.0.1', 'expired'), { files: trusting }],
      /^certificate refused: certificate has expired$/,
    ],
    [
      'of an unknown authority',
      () => [stranger.issue('unknown', 'IP:127.0.0.1'), { files: trusting }],
      /^certificate refused: unable to verify the first certificate/,
    ],
    [
      'of no authority that the system trusts',
      () => [server, {}],
      /^certificate refused: unable to verify the first certificate/,
    ],
    [
      'of another host',
      () => [authority.issue('other', 'DNS:other.test'), { files: trusting }],
      /^certificate refused: .*127\.0\.0\.1 is not in the cert's list/,
    ],
    [
      'of another name than --tls-name',
      () => [server, { files: trusting, serverName: 'elsewhere.test' }],
      /^certificate refused: .*elsewhere\.test\. is not in the cert's altnames/,
    ],
  ];
  for (const [what, make, line] of refused) {
    it(`refuses a certificate ${what}, and sends nothing`, async () => {
      const [certificate, settings] = make();
      const { port, sessions } = await listen(certificate);
      const { NODE_TLS_REJECT_UNAUTHORIZED } = process.env;
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
      try {
        expect(await failure(port, settings)).to.match(line);
      } finally {
        if (NODE_TLS_REJECT_UNAUTHORIZED === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
        else process.env.NODE_TLS_REJECT_UNAUTHORIZED = NODE_TLS_REJECT_UNAUTHORIZED;
      }
      expect(sessions.flatMap(({ collector: seen }) => seen.messages)).to.deep.equal([]);
    });
  }

  it('live, keeps trying and logs why', async () => {
    const { port } = await listen(authority.issue('old', 'IP:127.0.0.1', 'expired'));
    const log = new LineLog();
    const policy = { ...LIVE, firstPause: 1, longestPause: 4, closeLimit: 50 };
    const transport = await connect(port, { files: trusting, policy, log });
    await until(() => log.lines.length > 1, 'two attempts');
    expect(log.lines[0]).to.equal(
      `tls://127.0.0.1:${port}: certificate refused: certificate has expired; next attempt in 0.001 s`,
    );
    await sendFlows(transport, 100);
    expect(transport.lost.records).to.equal(100);
  });

  it('speaks neither TLS 1.1 nor anything else', async () => {
    const { port } = await listen(server, {
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
      ciphers: 'ALL@SECLEVEL=0',
    });
    expect(await failure(port, { files: trusting })).to.match(/^TLS: .*(protocol|version)/);
    const plain = await StreamCollector.listen({
      onConnection: (socket) => socket.end('HTTP/1.0 400 No\r\n\r\n'),
    });
    expect(await failure(plain.port, { files: trusting })).to.equal('TLS: wrong version number');
    await plain.close();
  });

  it('gives up a handshake that is not answered', async () => {
    const silent = await StreamCollector.listen({ onConnection: () => {} });
    const policy = { ...CONVERSION, connectLimit: 30 };
    expect(await failure(silent.port, { files: trusting, policy })).to.equal('no answer');
    await silent.close();
  });

  const files: [string, () => TlsFiles, RegExp][] = [
    [
      'a CA file that is not there',
      () => ({ tlsCa: '/nowhere/ca.pem' }),
      /^--tls-ca \/nowhere\/ca.pem: no such file/,
    ],
    [
      'a CA file without certificates',
      () => ({ tlsCa: written('no certificate') }),
      /: no certificate in PEM format$/,
    ],
    [
      'a CA file with a broken certificate',
      () => ({ tlsCa: written('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n') }),
      /^--tls-ca \S+: ./,
    ],
    ['a certificate without a key', () => ({ tlsCert: client.cert }), /^--tls-cert needs --tls-key$/],
    ['a key without a certificate', () => ({ tlsKey: client.key }), /^--tls-key needs --tls-cert$/],
    [
      'a key that is none',
      () => ({ tlsCert: client.cert, tlsKey: client.cert }),
      /^--tls-key \S+firewall.pem: ./,
    ],
    [
      'the key of another certificate',
      () => ({ tlsCert: client.cert, tlsKey: server.key }),
      /^--tls-key \S+collector.key: is not the key of --tls-cert \S+firewall.pem$/,
    ],
    [
      'an encrypted key',
      () => ({ tlsCert: client.cert, tlsKey: encrypted() }),
      /^--tls-key \S+: is encrypted: give a key without a passphrase$/,
    ],
    [
      'an encrypted key of the older form',
      () => ({ tlsCert: client.cert, tlsKey: encrypted('-traditional') }),
      /^--tls-key \S+: is encrypted: give a key without a passphrase$/,
    ],
    [
      'a certificate that is none',
      () => ({ tlsCert: client.key, tlsKey: client.key }),
      /^--tls-cert \S+firewall.key: no certificate in PEM format$/,
    ],
  ];
  const encrypted = (...form: readonly string[]): string => {
    const file = authority.path(`encrypted${form.length}.key`);
    const made = ['-in', client.key, '-aes128', '-passout', 'pass:secret', '-out', file];
    execFileSync('openssl', ['pkey', ...made, ...form], { stdio: 'pipe' });
    return file;
  };
  const written = (text: string): string => {
    const file = authority.path('written.pem');
    writeFileSync(file, text);
    return file;
  };
  for (const [what, make, line] of files) {
    it(`does not start with ${what}`, async () => {
      expect(await failure(1, { files: make(), policy: LIVE })).to.match(line);
    });
  }
});
