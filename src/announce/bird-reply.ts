/**
 * The protocol of BIRD's control socket, as bytes come in. A core without IO.
 *
 *     0001 BIRD 2.0.12 ready.          ← greeting
 *     1007-Table master4:              ← a line of an answer; its last line has a blank for the dash
 *      192.0.2.0/24  unicast […]       ← a further line of the same code
 *     0000                             ← the end
 *     +…                               ← written by BIRD unasked
 *
 * Codes of 8000 and more are errors of the command, 9000 and more of its grammar.
 */

export interface BirdReply {
  /** Of the last line. */
  readonly code: number;
  readonly lines: readonly string[];
}

/** Longest answer; a table of a million routes is not asked for. */
export const REPLY_BYTES_MAX = 4 << 20;

export const isBirdError = ({ code }: BirdReply): boolean => code >= 8_000;

/** Something that is not BIRD's protocol, or too much of it. */
export class BirdProtocolError extends Error {}

export class BirdReplies {
  #rest = '';
  #lines: string[] = [];
  #bytes = 0;

  /**
   * Takes what came in. @returns the answers that it ends.
   * @throws BirdProtocolError; then nothing more can be understood.
   */
  push(text: string): BirdReply[] {
    this.#bytes += text.length;
    const parts = (this.#rest + text).split('\n');
    this.#rest = parts.pop() ?? '';
    const replies: BirdReply[] = [];
    for (const part of parts) {
      const reply = this.#line(part.endsWith('\r') ? part.slice(0, -1) : part);
      if (reply === undefined) continue;
      replies.push(reply);
      this.#bytes = this.#rest.length;
    }
    if (this.#bytes > REPLY_BYTES_MAX) throw new BirdProtocolError('the answer is too long');
    return replies;
  }

  #line(line: string): BirdReply | undefined {
    if (line.startsWith('+')) return undefined;
    if (line.startsWith(' ')) {
      this.#lines.push(line.slice(1));
      return undefined;
    }
    const match = /^(\d{4})([- ])(.*)$/.exec(line);
    if (match === null) throw new BirdProtocolError(`"${line.slice(0, 80)}" is no answer of BIRD`);
    const [, code = '', mark, text = ''] = match;
    if (text !== '') this.#lines.push(text);
    if (mark === '-') return undefined;
    const reply = { code: Number(code), lines: this.#lines };
    this.#lines = [];
    return reply;
  }
}
