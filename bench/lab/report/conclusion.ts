/** What the demo has shown, in words made from its results. Pure. */
import type { LabResult } from '../measure/result.ts';
import { milliseconds, wrap } from './text.ts';

/** Sentences, one per line, none longer than 78 characters. */
export function conclusion(results: readonly LabResult[]): string[] {
  const text: string[] = [];
  const control = results.find((r) => r.flips === 0);
  const off = results.find((r) => r.flips > 0 && r.healing === 'off');
  const on = results.find((r) => r.flips > 0 && r.healing === 'on');
  if (control !== undefined) {
    const { survived, started } = control.sessions;
    text.push(`While the route stays, ${survived} of ${started} sessions end as planned.`);
  }
  if (off !== undefined) text.push(withoutHealing(off));
  if (on === undefined)
    text.push('Healing, which is to carry them on, is not in this version yet.');
  else text.push(withHealing(on));
  return wrap(text.join(' '), 78);
}

function withoutHealing(result: LabResult): string {
  const { started, survived } = result.sessions;
  const lost = started - survived;
  const [flip] = result.flipEvents;
  if (flip === undefined || lost === 0) {
    return `When the route moved, ${survived} of ${started} sessions survived without healing.`;
  }
  const resets = result.resetsSent[flip.to] ?? 0;
  const why =
    resets > 0 ? `: ${flip.to} has no socket for them and answered with ${resets} RSTs` : '';
  return `When the route moved from ${flip.from} to ${flip.to} (in ${milliseconds(flip.convergenceMs)} ms), ${lost} of ${started} live sessions broke${why}.`;
}

function withHealing(result: LabResult): string {
  const { started, survived } = result.sessions;
  const gap =
    result.gapMs.max === null
      ? ''
      : `, the longest echo gap was ${milliseconds(result.gapMs.max)} ms`;
  return `With healing, ${survived} of ${started} survived the same move: ${result.relayedPackets} packets were carried to the PoP that owns their flow${gap}.`;
}
