/** Errors of connections, in one line. */
import { getSystemErrorMap } from 'node:util';
import { printable } from '../cli/printable.js';

interface ConnectionError extends Error {
  readonly code?: string;
  readonly errno?: number;
  /** OpenSSL's description; its message has several lines. */
  readonly reason?: string;
  /** Of an AggregateError: one for each address of a name. */
  readonly errors?: readonly ConnectionError[];
}

/** As the system describes it: `connection refused`. */
export function reasonOf(error: ConnectionError): string {
  const { code, errno, errors, message, reason } = error;
  if (errors?.[0] !== undefined) return reasonOf(errors[0]);
  if (code?.startsWith('ERR_SSL_') && reason !== undefined) return `TLS: ${reason}`;
  const description = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  return printable(description ?? reason ?? message);
}
