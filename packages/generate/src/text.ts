/** From a sequence's tokens to its text: whole characters only, stop strings cut off, nothing passed on too early. */
import type { Tokenizer } from '@parley/tokenizer';
import { StopMatcher } from './stop-strings.ts';

type Decoder = ReturnType<Tokenizer['createDecoder']>;

export class TextStream {
  /** Null: tokens are generated without a tokenizer, and there is no text. */
  readonly #decoder: Decoder | null;
  readonly #matcher: StopMatcher;

  constructor(tokenizer: Tokenizer | null, options: { stopStrings: readonly string[]; skipSpecialTokens: boolean }) {
    this.#decoder = tokenizer?.createDecoder({ skipSpecialTokens: options.skipSpecialTokens }) ?? null;
    this.#matcher = new StopMatcher(options.stopStrings);
  }

  /** `watched`: stop strings count here. */
  push(token: number, watched = true): { text: string; stopped: string | null } {
    const piece = this.#decoder?.push(token) ?? '';
    return watched ? this.#matcher.push(piece) : { text: this.#matcher.flush() + piece, stopped: null };
  }

  /** The sequence has ended: the rest of its text. Half a character becomes U+FFFD. */
  flush(): { text: string; stopped: string | null } {
    const { text, stopped } = this.#matcher.push(this.#decoder?.flush() ?? '');
    return { text: stopped === null ? text + this.#matcher.flush() : text, stopped };
  }
}

/** Stop strings as bytes: whether a token completes one, told from tokens alone. Beams need it, since they fork. */
export class StopBytes {
  readonly #tokenizer: Tokenizer;
  readonly #stops: readonly { readonly stop: string; readonly bytes: Uint8Array }[];
  readonly #longest: number;
  readonly #silent: ReadonlySet<number>;

  constructor(tokenizer: Tokenizer, options: { stopStrings: readonly string[]; skipSpecialTokens: boolean }) {
    this.#tokenizer = tokenizer;
    const encoder = new TextEncoder();
    this.#stops = options.stopStrings.map((stop) => ({ stop, bytes: encoder.encode(stop) }));
    this.#longest = Math.max(0, ...this.#stops.map(({ bytes }) => bytes.length));
    this.#silent = new Set(options.skipSpecialTokens ? tokenizer.specialTokens.values() : []);
  }

  /** The stop string that ends within `token`, if `tokens` after `from` contain none. */
  completedBy(tokens: readonly number[], from: number, token: number): string | null {
    if (this.#stops.length === 0) return null;
    const added = this.#bytesOf(token);
    const before: number[] = [];
    for (let i = tokens.length - 1; i >= from && before.length < this.#longest; i--) before.unshift(...this.#bytesOf(tokens[i] as number));
    const text = [...before, ...added];
    for (let end = before.length + 1; end <= text.length; end++) {
      const complete = this.#stops
        .filter(({ bytes }) => bytes.length <= end && bytes.every((byte, i) => byte === text[end - bytes.length + i]))
        .toSorted((a, b) => b.bytes.length - a.bytes.length)[0];
      if (complete) return complete.stop;
    }
    return null;
  }

  #bytesOf(token: number): Uint8Array {
    return this.#silent.has(token) ? new Uint8Array(0) : this.#tokenizer.tokenBytes(token);
  }
}
