/** The result of the datapath's benchmark. */
import type { Measured } from '../measure/bench-report.ts';

export interface DatapathReport extends Measured {
  readonly bench: 'datapath';
}
