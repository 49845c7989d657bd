/** The result of the edge benchmark. */
import type { Measured } from '../measure/bench-report.ts';

export interface EdgeReport extends Measured {
  readonly bench: 'edge';
  readonly contenders: readonly {
    readonly name: string;
    readonly version: string;
    readonly accessLog: boolean;
  }[];
}
