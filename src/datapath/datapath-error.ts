import { HoldfastError } from '../errors.ts';

/** Why the datapath could not do what it was asked. */
export type DatapathFault =
  /** libbpf.so.1 is not installed or too old. */
  | 'ERR_DATAPATH_LIBRARY'
  /** The kernel refused a program; the text holds the end of the verifier's log. */
  | 'ERR_DATAPATH_LOAD'
  /** The kernel refused a system call. */
  | 'ERR_DATAPATH_KERNEL'
  /** A map is full: raise its size in the options and start from a removed datapath. */
  | 'ERR_DATAPATH_FULL'
  /** An argument is outside its bounds. Nothing was changed. */
  | 'ERR_DATAPATH_ARGUMENT'
  /** `ip` failed or is missing. */
  | 'ERR_DATAPATH_IP'
  /** Used after `close()`. */
  | 'ERR_DATAPATH_CLOSED';

/** Everything that goes wrong between the agent and the kernel. */
export class DatapathError extends HoldfastError {
  /** Errno of the system call that failed, 0 when there was none. */
  readonly errno: number;

  constructor(code: DatapathFault, message: string, errno = 0, cause?: unknown) {
    const source = code === 'ERR_DATAPATH_ARGUMENT' ? 'usage' : 'internal';
    super(message, { code, source, retryable: false, cause });
    this.errno = errno;
  }
}
