/**
 * Runs the model over the new tokens of many sequences at once: a packed batch without padding, keys and values written in
 * place to a cache slot each. One arena serves every step, so that a step allocates nothing once it has seen its size.
 */
import { Arena } from '@parley/engine';
import type { KeyValueCache, SequenceSpan, Transformer } from '@parley/model';
import { breathe } from './breathe.ts';
import { logSumExp } from './select.ts';

/** What generation needs of a model. */
export type LanguageModel = Pick<Transformer, 'config' | 'backend' | 'forward' | 'hidden' | 'createCache'>;

/** Tokens of one sequence that the model has not seen: `tokens` come after `past` rows of `slot`. */
export interface Feed {
  readonly slot: number;
  readonly tokens: readonly number[];
  readonly past: number;
}

/**
 * Tokens in one forward pass at most. Bounds the working memory, and how long the event loop and an abort wait during prefill;
 * from about 128 rows on, products of matrices do not get faster.
 */
const CHUNK = 256;

export class Runner implements Disposable {
  readonly #model: LanguageModel;
  readonly #arena: Arena;
  readonly #cache: KeyValueCache;
  readonly #signal: AbortSignal | undefined;
  readonly #chunk: number;
  /** Logits in use: a tokenizer may know fewer tokens than the model has rows for, and those have no text. */
  readonly #width: number;
  #logits = new Float32Array(0);

  /** `chunk`: tokens in one pass at most. Throws MemoryLimitError if the cache does not fit. */
  constructor(
    model: LanguageModel,
    options: { slots: number; capacity: number; vocabSize: number; signal?: AbortSignal | undefined; chunk?: number | undefined },
  ) {
    this.#chunk = options.chunk ?? CHUNK;
    this.#model = model;
    this.#signal = options.signal;
    this.#width = options.vocabSize;
    this.#cache = model.createCache({ slots: options.slots, capacity: options.capacity });
    this.#arena = new Arena(model.backend);
  }

  /** Feeds every sequence. Afterwards `row(i)` has the logits after the last token of feeds[i]. Throws the signal's reason. */
  async run(feeds: readonly Feed[]): Promise<void> {
    const vocabulary = this.#model.config.vocabSize;
    if (this.#logits.length < feeds.length * vocabulary) this.#logits = new Float32Array(feeds.length * vocabulary);
    let pending = feeds.map((feed, index) => ({ feed, index, done: 0 }));
    while (pending.length > 0) {
      this.#signal?.throwIfAborted();
      const tokens: number[] = [];
      const positions: number[] = [];
      const spans: SequenceSpan[] = [];
      const ends: { row: number; index: number }[] = [];
      for (const item of pending) {
        const room = this.#chunk - tokens.length;
        if (room === 0) break;
        const { feed, done } = item;
        const length = Math.min(room, feed.tokens.length - done);
        const past = feed.past + done;
        spans.push({ start: tokens.length, length, slot: feed.slot, past });
        for (let i = 0; i < length; i++) {
          tokens.push(feed.tokens[done + i] as number);
          positions.push(past + i);
        }
        item.done += length;
        if (item.done === feed.tokens.length) ends.push({ row: tokens.length - 1, index: item.index });
      }
      await this.#forward({ tokens, positions, spans, ends });
      pending = pending.filter(({ feed, done }) => done < feed.tokens.length);
    }
    this.#signal?.throwIfAborted();
  }

  /** Logits of feeds[index]: valid, and free to be changed, until the next run. */
  row(index: number): Float32Array {
    const start = index * this.#model.config.vocabSize;
    return this.#logits.subarray(start, start + this.#width);
  }

  /** The first `length` rows of a slot, in another. */
  copySlot(from: number, to: number, length: number): void {
    this.#cache.copySlot(from, to, length);
  }

  dispose(): void {
    this.#arena.dispose();
    this.#cache.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #forward(batch: {
    tokens: readonly number[]; positions: readonly number[]; spans: readonly SequenceSpan[]; ends: readonly { row: number; index: number }[];
  }): Promise<void> {
    const { tokens, positions, spans, ends } = batch;
    const vocabulary = this.#model.config.vocabSize;
    this.#arena.reset();
    const logits = this.#model.forward({ arena: this.#arena, tape: null }, {
      tokens: Int32Array.from(tokens),
      positions: Int32Array.from(positions),
      sequences: spans,
      cache: this.#cache,
      // In the middle of a long prompt nobody needs logits, but a pass computes some.
      logitRows: Int32Array.from(ends.length > 0 ? ends.map(({ row }) => row) : [tokens.length - 1]),
    });
    // The ends of a batch are consecutive: sequences are fed in order.
    const first = ends[0]?.index ?? 0;
    if (ends.length > 0) await this.#model.backend.read(logits, this.#logits.subarray(first * vocabulary, (first + ends.length) * vocabulary));
    await breathe();
  }
}

/** Logits to log-probabilities, in place. */
export function logSoftmax(row: Float32Array): void {
  const normalizer = logSumExp(row);
  for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) - normalizer;
}
