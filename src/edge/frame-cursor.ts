/**
 * Follows where WebSocket frames begin and end (RFC 6455, 5.2) in a stream that is relayed as bytes,
 * so that a Close frame of our own can be put between two frames and never inside one. A core.
 */

/** Close frame without mask, status 1012 "service restart" (RFC 6455, 5.5.1; IANA close code registry). */
export const closeFrame1012 = Buffer.from([0x88, 0x02, 0x03, 0xf4]);

export class FrameCursor {
  /** Bytes of the current frame's payload still to come. */
  #payload = 0;
  /** Bytes of the current frame's head seen so far. */
  #headSeen = 0;
  /** Bytes that the head will have; at least 2, known fully from its second byte. */
  #headBytes = 2;
  #length = 0;

  get atBoundary(): boolean {
    return this.#payload === 0 && this.#headSeen === 0;
  }

  /** Takes the next `bytes` of the stream. */
  advance(chunk: Uint8Array, bytes: number): void {
    this.#run(chunk, bytes, false);
  }

  /**
   * Takes bytes only up to the end of the current frame.
   * @returns how many bytes belong to it; `bytes` itself when the frame does not end in this chunk.
   */
  advanceToBoundary(chunk: Uint8Array, bytes: number): number {
    return this.#run(chunk, bytes, true);
  }

  #run(chunk: Uint8Array, bytes: number, stopAtBoundary: boolean): number {
    let at = 0;
    while (at < bytes) {
      if (stopAtBoundary && this.atBoundary) return at;
      if (this.#payload > 0) {
        const taken = Math.min(this.#payload, bytes - at);
        this.#payload -= taken;
        at += taken;
        continue;
      }
      this.#head(chunk[at] as number);
      at += 1;
    }
    return at;
  }

  #head(byte: number): void {
    const index = this.#headSeen;
    this.#headSeen += 1;
    if (index === 1) {
      const short = byte & 0x7f;
      const maskBytes = byte & 0x80 ? 4 : 0;
      this.#headBytes = 2 + maskBytes + (short === 126 ? 2 : short === 127 ? 8 : 0);
      this.#length = short < 126 ? short : 0;
      this.#extended = short < 126 ? 0 : short === 126 ? 2 : 8;
    } else if (index >= 2 && index < 2 + this.#extended) {
      this.#length = this.#length * 256 + byte;
    }
    if (index >= 1 && this.#headSeen === this.#headBytes) {
      this.#payload = this.#length;
      this.#headSeen = 0;
      this.#headBytes = 2;
    }
  }

  #extended = 0;
}
