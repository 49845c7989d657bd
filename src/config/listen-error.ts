/** What is said when an address cannot be listened on. */
import { HoldfastError } from '../errors.ts';
import { formatListener, type Listener } from './listener.ts';

/** An address cannot be listened on. `ERR_LISTEN`. */
export class ListenError extends HoldfastError {}

/**
 * @param error As the system gives it, with its `code`.
 * @param purpose `admin` for the admin server's address.
 */
export function listenError(
  listener: Listener,
  error: NodeJS.ErrnoException,
  purpose: 'traffic' | 'admin' = 'traffic',
): ListenError {
  const mend = purpose === 'admin' ? adminMend(error) : trafficMend(listener, error);
  const name = `${formatListener(listener)}${purpose === 'admin' ? ' (admin)' : ''}`;
  return new ListenError(`cannot listen on ${name}: ${mend}`, {
    code: 'ERR_LISTEN',
    source: 'usage',
    retryable: error.code === 'EADDRINUSE',
    cause: error,
  });
}

function trafficMend({ host }: Listener, error: NodeJS.ErrnoException): string {
  const mends: Record<string, string> = {
    EADDRINUSE: 'another process listens there: stop it or choose another port',
    EACCES: 'ports below 1024 need root or CAP_NET_BIND_SERVICE',
    EADDRNOTAVAIL: `the address ${host} is not on this machine: add it (ip address add) or correct it`,
    EAFNOSUPPORT: 'this machine has no IPv6',
  };
  return mends[error.code ?? ''] ?? error.message;
}

function adminMend(error: NodeJS.ErrnoException): string {
  if (error.code === 'EADDRINUSE') {
    return 'another process listens there, maybe another holdfast: stop it, or set "admin" (--admin) to another address';
  }
  return `${error.message}; set "admin" (--admin) to another address`;
}
