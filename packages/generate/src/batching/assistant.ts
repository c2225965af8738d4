/**
 * Assisted decoding (Leviathan et al., 2023; Chen et al., 2023): a smaller model with the same tokens guesses what comes, and one pass
 * of the large one says how far the guess was right. Here a guess counts as right where the token that is chosen from the large
 * model's logits, likeliest or drawn, is the one that was guessed: the text is the one there would be without guesses, bit for bit.
 * (The rejection sampling of both papers accepts somewhat more of what is drawn, and gives other texts of the same distribution.)
 */
import { type LanguageModel, Runner } from '../runner.ts';
import { argmax, logSumExp } from '../select.ts';
import { commonPrefix } from './prefix-cache.ts';

export interface GuessSettings {
  /** Tokens at most. */
  readonly count: number;
  /** A guess the assistant itself gives a smaller probability ends the run. */
  readonly confidence: number;
}

/** Rows of the first cache: most texts are shorter, and a long context's would be large. */
const FIRST_ROWS = 512;

export class Assistant implements Disposable {
  readonly #model: LanguageModel;
  readonly #vocabSize: number;
  #runner: Runner | undefined;
  #capacity = 0;
  /** The tokens whose keys and values the cache has. */
  #seen: readonly number[] = [];

  /** `vocabSize`: tokens that may be guessed. Memory is taken at the first guess. The model stays the caller's. */
  constructor(model: LanguageModel, { vocabSize }: { vocabSize: number }) {
    this.#model = model;
    this.#vocabSize = Math.min(vocabSize, model.config.vocabSize);
  }

  /**
   * Likeliest tokens after `tokens`: none where its context has no room for them or it does not know one of them. It computes what
   * it has not seen of `tokens`. Throws MemoryLimitError.
   */
  async guess(tokens: readonly number[], { count, confidence }: GuessSettings): Promise<number[]> {
    const { contextLength, vocabSize } = this.#model.config;
    const most = Math.min(count, contextLength - tokens.length);
    if (most < 1 || tokens.some((token) => token >= vocabSize)) return [];
    const runner = this.#room(tokens.length + most);
    let past = Math.min(commonPrefix(this.#seen, tokens), tokens.length - 1);
    let rest = tokens.slice(past);
    const guesses: number[] = [];
    this.#seen = []; // if computing fails, nothing is known of the cache
    for (;;) {
      await runner.run([{ slot: 0, tokens: rest, past }]);
      past += rest.length;
      const row = runner.row(0);
      const best = argmax(row);
      const sure = Math.exp((row[best] as number) - logSumExp(row)) >= confidence;
      if (sure) guesses.push(best);
      if (!sure || guesses.length === most) break;
      rest = [best];
    }
    this.#seen = [...tokens, ...guesses].slice(0, past);
    return guesses;
  }

  dispose(): void {
    this.#runner?.dispose();
    this.#runner = undefined;
    this.#seen = [];
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A cache for so many tokens; a larger one begins empty. */
  #room(tokens: number): Runner {
    if (this.#runner !== undefined && tokens <= this.#capacity) return this.#runner;
    this.dispose();
    let capacity = Math.max(FIRST_ROWS, this.#capacity);
    while (capacity < tokens) capacity *= 2;
    this.#capacity = Math.min(capacity, this.#model.config.contextLength);
    return (this.#runner = new Runner(this.#model, { slots: 1, capacity: this.#capacity, vocabSize: this.#vocabSize }));
  }
}
