/**
 * The listening sockets of a node. The supervisor holds them and accepts nothing; its workers, and
 * the workers of the release that follows, do. So a worker may die, and a release may follow the
 * other, while clients see one socket that was never closed.
 */
import { lookup } from 'node:dns/promises';
import net, { isIPv6, SocketAddress } from 'node:net';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { formatHostPort } from '../config/address.ts';
import { listenError } from '../config/listen-error.ts';
import { formatListener, type Listener } from '../config/listener.ts';
import type { Config } from '../config/schema.ts';
import { HoldfastError } from '../errors.ts';
import type { InheritedSocket } from './inheritance.ts';

/**
 * A socket that is bound, as `net.Server.listen` and `ChildProcess.send` take it. It can be sent any
 * number of times and stays with its sender, other than a `net.Server`, which accepts, or a
 * `net.BoundSocket`, which is gone once sent.
 */
export interface SocketHandle {
  readonly fd: number;
  getsockname(into: { address?: string; port?: number }): number;
  close(): void;
}

/** What node:cluster opens its sockets with; it has no documented equal that binds only. */
const { _createServerHandle: createServerHandle } = net as unknown as {
  _createServerHandle(
    address: string | null | undefined,
    port: number,
    addressType: 4 | 6 | -1,
    fd: number | undefined,
    flags: number,
  ): SocketHandle | number;
};

type Purpose = 'traffic' | 'admin';

/** An address that a socket is wanted for. */
export interface Wanted {
  readonly listener: Listener;
  readonly purpose: Purpose;
}

/** All that a node with this configuration listens on. */
export function wantedBy({ vips, listen, admin }: Config): Wanted[] {
  return [
    ...[...vips, ...listen].map((listener): Wanted => ({ listener, purpose: 'traffic' })),
    ...(admin === null ? [] : [{ listener: admin, purpose: 'admin' } as const]),
  ];
}

export class ListenSockets {
  /** By {@link socketName}. */
  readonly #held = new Map<string, SocketHandle>();

  /**
   * @param inherited From an earlier release or a service manager. Those without a name are for
   * traffic, and known by their address.
   * @throws HoldfastError for a descriptor that is no listening socket.
   */
  constructor(inherited: readonly InheritedSocket[] = []) {
    for (const { fd, name } of inherited) {
      const handle = createServerHandle(undefined, 0, -1, fd, 0);
      const bound: { address?: string; port?: number } = {};
      if (typeof handle === 'number' || handle.getsockname?.(bound) !== 0) {
        throw new HoldfastError(`descriptor ${fd} was passed on, but is no TCP socket`, {
          code: 'ERR_INHERITED_SOCKET',
          source: 'usage',
          retryable: false,
        });
      }
      this.#held.set(name ?? addressName(bound.address ?? '', bound.port ?? 0), handle);
    }
  }

  /**
   * Opens what is not open yet. Rejects with `ERR_LISTEN` when one cannot be; none of the others is
   * left open then.
   */
  async open(wanted: readonly Wanted[]): Promise<void> {
    const opened: string[] = [];
    for (const { listener, purpose } of wanted) {
      const name = socketName(listener, purpose);
      if (this.#held.has(name)) continue;
      const handle = await bind(listener);
      if (typeof handle === 'number') {
        for (const each of opened) this.#drop(each);
        throw listenError(listener, systemError(handle), purpose);
      }
      this.#held.set(name, handle);
      opened.push(name);
    }
  }

  /** Closes those that none of these wants. Gives their names. */
  keep(wanted: readonly Wanted[]): string[] {
    const names = new Set(wanted.map(({ listener, purpose }) => socketName(listener, purpose)));
    const surplus = [...this.#held.keys()].filter((name) => !names.has(name));
    for (const name of surplus) this.#drop(name);
    return surplus;
  }

  /** To listen on, here or in a process that it is sent to. */
  handleOf(listener: Listener, purpose: Purpose = 'traffic'): SocketHandle | undefined {
    return this.#held.get(socketName(listener, purpose));
  }

  /** All that is held, to be passed on. */
  get all(): readonly InheritedSocket[] {
    return [...this.#held].map(([name, { fd }]) => ({ name, fd }));
  }

  #drop(name: string): void {
    this.#held.get(name)?.close();
    this.#held.delete(name);
  }
}

/**
 * What a socket is known by. Whether TLS is spoken on it is no matter of the socket, unless the
 * kernel chooses the port.
 */
export function socketName(listener: Listener, purpose: Purpose = 'traffic'): string {
  const { host, port } = listener;
  const name = port === 0 ? formatListener(listener) : addressName(host, port);
  return purpose === 'admin' ? `admin ${name}` : name;
}

/** A socket on `::` takes IPv4, too, which is what an address without a host means. */
function addressName(host: string, port: number): string {
  // One IPv6 address has many spellings.
  const address = isIPv6(host)
    ? new SocketAddress({ address: host, family: 'ipv6' }).address
    : host;
  return formatHostPort({ host: address === '::' ? '' : address, port });
}

/** An error number when it cannot be had. */
async function bind({ host, port }: Listener): Promise<SocketHandle | number> {
  const address = host === 'localhost' ? (await lookup(host)).address : host;
  const handle =
    host === '' // Node tries :: and then 0.0.0.0.
      ? createServerHandle(null, port, -1, undefined, 0)
      : createServerHandle(address, port, isIPv6(address) ? 6 : 4, undefined, 0);
  if (typeof handle === 'number') return handle;
  // libuv tells only now that the address is taken.
  const errno = handle.getsockname({});
  if (errno === 0) return handle;
  handle.close();
  return errno;
}

function systemError(errno: number): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(getSystemErrorMessage(errno));
  error.code = getSystemErrorName(errno);
  return error;
}
