/** Errors of connections and certificates, in one line. */
import { printable } from '../cli/printable.js';
import { reasonOf as systemReasonOf } from '../cli/system-error.js';

interface ConnectionError extends Error {
  readonly code?: string;
  /** OpenSSL's description; its message has several lines. */
  readonly reason?: string;
  /** Of an AggregateError: one for each address of a name. */
  readonly errors?: readonly ConnectionError[];
}

/** As the system or OpenSSL describes it: `connection refused`. */
export function reasonOf(error: ConnectionError): string {
  const { code, errors, reason } = error;
  if (errors?.[0] !== undefined) return reasonOf(errors[0]);
  if (reason === undefined) return systemReasonOf(error);
  return printable(code?.startsWith('ERR_SSL_') ? `TLS: ${reason}` : reason);
}
