/**
 * Stop strings over a stream of text: a pure state machine. What could still become a stop string is held back, so no part
 * of one is ever passed on; how the text was cut into pieces makes no difference.
 *
 * The text ends at the first character at which any stop string is complete; if several are complete there, the longest
 * counts. What lies before that stop string is passed on, the string itself and everything after it are not.
 */

export interface StopStep {
  /** Text that is now certain not to belong to a stop string. */
  readonly text: string;
  /** The stop string that was met: the end. Null while there is none. */
  readonly stopped: string | null;
}

export class StopMatcher {
  readonly #stops: readonly string[];
  #held = '';
  #stopped: string | null = null;

  /** `stops`: non-empty strings (`options.ts` has checked). */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Takes the next piece of text. After a stop string was met, nothing more is passed on. */
  push(piece: string): StopStep {
    if (this.#stopped !== null) return { text: '', stopped: this.#stopped };
    if (this.#stops.length === 0) return { text: piece, stopped: null };
    const text = this.#held + piece;
    const match = this.#firstMatch(text);
    if (match !== null) {
      this.#held = '';
      this.#stopped = match.stop;
      return { text: text.slice(0, match.start), stopped: match.stop };
    }
    const certain = text.length - this.#undecided(text);
    this.#held = text.slice(certain);
    return { text: text.slice(0, certain), stopped: null };
  }

  /** The text ends here for another reason: what was held back was no stop string after all. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }

  #firstMatch(text: string): { start: number; stop: string } | null {
    let best: { start: number; stop: string } | null = null;
    let bestEnd = Infinity;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      if (start < 0) continue;
      const end = start + stop.length;
      if (end < bestEnd || (end === bestEnd && best !== null && start < best.start)) {
        best = { start, stop };
        bestEnd = end;
      }
    }
    return best;
  }

  /** Length of the longest end of `text` that begins a stop string. */
  #undecided(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
