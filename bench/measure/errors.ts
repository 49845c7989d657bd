import { HoldfastError } from '../../src/errors.ts';

export type BenchErrorCode =
  /** A program that the benchmark needs is not installed. */
  | 'ERR_BENCH_PROGRAM_MISSING'
  /** Unknown scenario or contender, or an option out of bounds. */
  | 'ERR_BENCH_USAGE'
  /** A process of the benchmark ended early or did not become ready. */
  | 'ERR_BENCH_PROCESS'
  /** The load could not be made, or what came back makes no sense. */
  | 'ERR_BENCH_LOAD'
  /** The user asked to stop. */
  | 'ERR_BENCH_INTERRUPTED';

/** A benchmark could not be carried out. Every process that it started is stopped by then. */
export class BenchError extends HoldfastError {
  constructor(message: string, code: BenchErrorCode, cause?: unknown) {
    const source = code === 'ERR_BENCH_USAGE' ? 'usage' : 'internal';
    super(message, { code, source, retryable: code === 'ERR_BENCH_PROCESS', cause });
  }
}
