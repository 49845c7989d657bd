/** How the buckets are cut into groups and cells for comparison; the same on both sides. */
import { DIGEST_GROUPS } from '../../proto/ticket-digest.ts';

export interface Cells {
  readonly bucketsPerGroup: number;
  readonly cellsPerGroup: number;
  readonly bucketsPerCell: number;
}

/** @param buckets Rows of the homes table, a power of two from 64. */
export function cellsOf(buckets: number): Cells {
  const bucketsPerGroup = buckets / DIGEST_GROUPS;
  const cellsPerGroup = Math.min(DIGEST_GROUPS, bucketsPerGroup);
  return { bucketsPerGroup, cellsPerGroup, bucketsPerCell: bucketsPerGroup / cellsPerGroup };
}
