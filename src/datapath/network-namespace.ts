/** The network namespace that this thread is in. */
import { DatapathError } from './datapath-error.ts';
import { callC, closeFd, errno, errnoName } from './libbpf.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;

/** The kernel's number of the namespace, never used twice in one boot. Linux 5.14. */
export function netnsCookie(): bigint {
  const fd = callC('socket', AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) {
    throw new DatapathError('ERR_DATAPATH_KERNEL', `socket: ${errnoName(errno())}`, errno());
  }
  try {
    const value = new BigUint64Array(1);
    const length = new Uint32Array([8]);
    if (callC('getsockopt', fd, SOL_SOCKET, SO_NETNS_COOKIE, value, length) !== 0) {
      throw new DatapathError(
        'ERR_DATAPATH_KERNEL',
        `SO_NETNS_COOKIE: ${errnoName(errno())} (Linux 5.14 or newer is needed)`,
        errno(),
      );
    }
    return value[0]!;
  } finally {
    closeFd(fd);
  }
}
