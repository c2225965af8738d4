/** Server-sent events as they come from another server: a pure machine from pieces of text to events. */

export type ServerEvent = { readonly data: string } | { readonly comment: string };

/** An event longer than this is no chunk of an answer. */
const LONGEST = 8 << 20;

/** Takes text in any pieces. Lines may end in \n, \r\n or \r (a \r that ends a piece waits for the next). */
export class EventReader {
  #rest = '';
  #data: string[] = [];

  /** Throws RangeError where an event has no end. */
  *push(piece: string): Generator<ServerEvent> {
    this.#rest += piece;
    if (this.#rest.length > LONGEST) throw new RangeError(`an event is over ${LONGEST} characters long`);
    for (;;) {
      const end = /\r\n|\n|\r(?!$)/.exec(this.#rest);
      if (end === null) return;
      const line = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      if (line === '') {
        if (this.#data.length > 0) yield { data: this.#data.join('\n') };
        this.#data = [];
      } else if (line.startsWith(':')) {
        yield { comment: line.slice(1).trim() };
      } else if (line.startsWith('data:')) {
        this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
      }
    }
  }
}
