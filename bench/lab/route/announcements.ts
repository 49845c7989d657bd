/**
 * Who must announce so that the PoP of rank `target` gets the traffic: it and every less preferred
 * one (the next best stays in reserve), and none that the router would prefer.
 *
 * @returns For each rank whether it announces.
 */
export function announcementsFor(target: number, pops: number): boolean[] {
  return Array.from({ length: pops }, (_, rank) => rank >= target);
}
