/** Judges the echoes of one stream: each message must come back once, in order, unchanged. */
import { messageNumber } from '../origin/payload.ts';

export type EchoVerdict =
  | { readonly ok: true; readonly number: number }
  | { readonly ok: false; readonly complaint: string };

export class EchoCheck {
  readonly #stream: string;
  readonly #bytes: number;
  #next = 0;

  constructor(stream: string, messageBytes: number) {
    this.#stream = stream;
    this.#bytes = messageBytes;
  }

  /** Number of the message that must come next; also how many came. */
  get next(): number {
    return this.#next;
  }

  accept(text: string): EchoVerdict {
    const number = messageNumber(this.#stream, text, this.#bytes);
    const expected = this.#next;
    if (number === undefined) return { ok: false, complaint: `message ${expected} is altered` };
    if (number === expected) {
      this.#next += 1;
      return { ok: true, number };
    }
    const complaint =
      number < expected
        ? `message ${number} came again`
        : `message ${number} came when ${expected} was due`;
    return { ok: false, complaint };
  }
}
