/**
 * What changes logits before a token is chosen, in transformers' order:
 *
 *   logit bias → repetition penalty → presence and frequency penalty → n-gram blocking → minimum length
 *   → (when sampling, in sampler.ts) temperature → top-k → top-p → min-p
 *
 * Presence and frequency penalties are not transformers'; they stand beside the repetition penalty, as in vLLM. Beam search
 * applies the same chain to log-probabilities instead of logits, as transformers does.
 *
 * All of them work in place on one row (V), and read a sequence's tokens instead of keeping a state of their own: a beam that
 * forks needs nothing copied, and a few thousand tokens are read in microseconds.
 */
import type { Settings } from './options.ts';
import { at } from './select.ts';

/** The tokens of a sequence so far: the prompt's, then the generated ones. */
export interface History {
  readonly tokens: readonly number[];
  readonly promptLength: number;
}

/** Remembers which tokens were seen in the current round; beginning a round costs nothing. */
export class TokenMarks {
  readonly #round: Uint32Array;
  #current = 0;

  constructor(vocabSize: number) {
    this.#round = new Uint32Array(vocabSize);
  }

  begin(): void {
    this.#current++;
  }

  /** Whether this is the token's first time in this round. */
  isFirst(token: number): boolean {
    if (this.#round[token] === this.#current) return false;
    this.#round[token] = this.#current;
    return true;
  }
}

/** Keskar et al., 2019, in Hugging Face's form: once per distinct token, negative logits times the penalty. */
export function penalizeRepetition(logits: Float32Array, tokens: readonly number[], penalty: number, marks: TokenMarks): void {
  marks.begin();
  for (const token of tokens) {
    if (!marks.isFirst(token)) continue;
    const logit = at(logits, token);
    logits[token] = logit < 0 ? logit * penalty : logit / penalty;
  }
}

/** OpenAI's: logit − count·frequency − (count > 0)·presence, over the tokens from `from` on. */
export function penalizePresence(
  logits: Float32Array,
  tokens: readonly number[],
  penalties: { from: number; presence: number; frequency: number; marks: TokenMarks },
): void {
  const { from, presence, frequency, marks } = penalties;
  marks.begin();
  for (let i = from; i < tokens.length; i++) {
    const token = tokens[i] as number;
    logits[token] = at(logits, token) - frequency - (marks.isFirst(token) ? presence : 0);
  }
}

/** Forbids every token that would complete a run of `size` tokens which has occurred before. */
export function forbidRepeatedNgrams(logits: Float32Array, tokens: readonly number[], size: number): void {
  const tail = tokens.length - (size - 1);
  if (tail < 1) return;
  for (let start = 0; start < tail; start++) {
    let same = 0;
    while (same < size - 1 && tokens[start + same] === tokens[tail + same]) same++;
    if (same === size - 1) logits[tokens[start + size - 1] as number] = -Infinity;
  }
}

/** The chain for one request. Scratch memory only: it serves every sequence of the batch. */
export class LogitsProcessors {
  readonly #settings: Settings;
  readonly #ending: readonly number[];
  readonly #marks: TokenMarks;

  /** `ending`: end-of-text and stop tokens, which the minimum length holds off. */
  constructor(vocabSize: number, settings: Settings, ending: readonly number[]) {
    this.#settings = settings;
    this.#ending = ending;
    this.#marks = new TokenMarks(vocabSize);
  }

  apply(logits: Float32Array, { tokens, promptLength }: History): void {
    const { logitBias, repetitionPenalty, presencePenalty, frequencyPenalty, noRepeatNgramSize, minNewTokens, minLength } = this.#settings;
    for (const [token, bias] of logitBias) logits[token] = at(logits, token) + bias;
    if (repetitionPenalty !== 1) penalizeRepetition(logits, tokens, repetitionPenalty, this.#marks);
    if (presencePenalty !== 0 || frequencyPenalty !== 0) {
      const penalties = { from: promptLength, presence: presencePenalty, frequency: frequencyPenalty, marks: this.#marks };
      penalizePresence(logits, tokens, penalties);
    }
    if (noRepeatNgramSize > 0) forbidRepeatedNgrams(logits, tokens, noRepeatNgramSize);
    if (tokens.length < minLength || tokens.length - promptLength < minNewTokens) {
      for (const token of this.#ending) logits[token] = -Infinity;
    }
  }
}
