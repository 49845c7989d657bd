/**
 * Server-sent events out of a byte stream, as far as the lab's origin uses them (WHATWG HTML,
 * section 9.2.6): `id:` and `data:` lines, events divided by an empty line. Text may be cut
 * anywhere.
 */
export interface ServerSentEvent {
  readonly id: string;
  readonly data: string;
}

export class SseParser {
  readonly #charsMax: number;
  #rest = '';
  #id = '';
  #data: string[] = [];

  /** @param charsMax Longest line that is waited for; a longer one is cut there. */
  constructor(charsMax = 131_072) {
    this.#charsMax = charsMax;
  }

  /** The events that this text completes. Never throws. */
  push(text: string): ServerSentEvent[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, this.#charsMax);
    const events: ServerSentEvent[] = [];
    for (const line of lines) {
      const event = this.#line(line.endsWith('\r') ? line.slice(0, -1) : line);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === '') {
      if (this.#data.length === 0) return undefined;
      const event = { id: this.#id, data: this.#data.join('\n') };
      this.#data = [];
      return event;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'id') this.#id = value;
    if (field === 'data' && this.#data.length < 1_000) this.#data.push(value);
    return undefined;
  }
}
