/** How much `holdfast bench mesh` measures. */

export interface MeshSize {
  readonly delivery: {
    readonly rounds: number;
    readonly ticketsPerS: number;
    readonly seconds: number;
    /** Longest wait for tickets that were lost on their way. */
    readonly repairMs: number;
  };
  readonly memory: { readonly rounds: number; readonly tickets: number };
  /** Before anything is measured with real processes, and as long again to learn what rest costs. */
  readonly restMs: number;
  readonly chaos: {
    readonly ticketsPerS: number;
    readonly seconds: number;
    readonly lifeMs: number;
    /** Longest time between two kills, and until the process is back. */
    readonly pauseMsMax: number;
    readonly goneMsMax: number;
  };
  readonly detections: readonly [small: Crashes, middle: Crashes, large: Crashes];
  readonly rumour: { readonly rounds: number; readonly nodes: number; readonly rumours: number };
  readonly stalls: {
    readonly rounds: number;
    readonly nodes: number;
    readonly stalling: number;
    readonly durationMs: number;
  };
}

interface Crashes {
  readonly rounds: number;
  readonly nodes: number;
  readonly crashes: number;
}

export const meshFullSize: MeshSize = {
  delivery: { rounds: 3, ticketsPerS: 10_000, seconds: 60, repairMs: 10_000 },
  memory: { rounds: 3, tickets: 1_000_000 },
  restMs: 3_000,
  chaos: {
    ticketsPerS: 10_000,
    seconds: 120,
    lifeMs: 20_000,
    pauseMsMax: 5_000,
    goneMsMax: 6_000,
  },
  detections: [
    { rounds: 5, nodes: 10, crashes: 10 },
    { rounds: 5, nodes: 100, crashes: 5 },
    { rounds: 5, nodes: 500, crashes: 1 },
  ],
  rumour: { rounds: 3, nodes: 500, rumours: 12 },
  stalls: { rounds: 3, nodes: 100, stalling: 10, durationMs: 300_000 },
};

/** To see that it runs, not to believe its numbers. */
export const meshQuickSize: MeshSize = {
  delivery: { rounds: 1, ticketsPerS: 2_000, seconds: 2, repairMs: 10_000 },
  memory: { rounds: 1, tickets: 50_000 },
  restMs: 2_000,
  chaos: { ticketsPerS: 3_000, seconds: 8, lifeMs: 4_000, pauseMsMax: 2_000, goneMsMax: 2_000 },
  detections: [
    { rounds: 1, nodes: 10, crashes: 2 },
    { rounds: 1, nodes: 100, crashes: 1 },
    { rounds: 1, nodes: 200, crashes: 1 },
  ],
  rumour: { rounds: 1, nodes: 200, rumours: 3 },
  stalls: { rounds: 1, nodes: 100, stalling: 10, durationMs: 20_000 },
};
