/** What the program that makes tunnels is told, and what it tells. */

/** From the benchmark to the program. */
export type TunnelOrder =
  /** Open as many tunnels as are missing from `tunnels`; each sends one message and gets it back. */
  | { readonly type: 'open'; readonly tunnels: number }
  /**
   * On every tunnel, again and again, a message and its echo: for `ms`, or until `messages` have
   * come back if that is earlier.
   */
  | { readonly type: 'echo'; readonly ms: number; readonly messages: number };

/** From the program to the benchmark, one for each order. */
export type TunnelReport =
  | { readonly type: 'opened'; readonly tunnels: number; readonly failed: number }
  | {
      readonly type: 'echoed';
      /** Messages that came back. */
      readonly messages: number;
      /** Of these, not as they were sent; and tunnels that ended. */
      readonly failed: number;
      readonly ms: number;
    };
