/**
 * Greedy decoding and sampling: every step feeds one token of each unfinished sequence, all of them in one packed batch, and
 * chooses the next. A prompt's answers share its prefill: the cache slot is copied. Finished sequences leave the batch.
 */
import type { RandomState } from '@parley/engine';
import type { Tokenizer } from '@parley/tokenizer';
import { Answer, Chooser, streamOf } from './answer.ts';
import { Clock } from './clock.ts';
import type { GenerateEvent } from './events.ts';
import { OptionError } from './errors.ts';
import type { Settings } from './options.ts';
import type { PreparedPrompt } from './prompt.ts';
import { type Feed, type LanguageModel, Runner } from './runner.ts';
import { Sampler } from './sampler.ts';

export interface Job {
  readonly model: LanguageModel;
  readonly tokenizer: Tokenizer | null;
  readonly prompts: readonly PreparedPrompt[];
  /** One for each prompt. */
  readonly seeds: readonly (number | RandomState)[];
  readonly settings: Settings;
  readonly vocabSize: number;
  readonly signal: AbortSignal | undefined;
  /** Tokens in one pass at most, where not as many as are good for speed. */
  readonly chunk?: number | undefined;
}

interface Sequence {
  readonly answer: Answer;
  readonly slot: number;
  /** Rows of the slot that hold something. */
  past: number;
}

export async function* decode(job: Job): AsyncGenerator<GenerateEvent, void> {
  const { model, prompts, settings, vocabSize } = job;
  const { contextLength } = model.config;
  const answers = settings.numReturnSequences;
  const longest = Math.max(...prompts.map(({ tokens, newTokens }) => tokens.length + newTokens));
  const windows = new Windows(contextLength, settings);
  const sampler = new Sampler(vocabSize, settings);
  const choosers = prompts.map((prompt) => new Chooser(prompt, { settings, tokenizer: job.tokenizer, vocabSize, sampler }));
  const capacity = Math.min(contextLength, longest);
  using runner = new Runner(model, { slots: prompts.length * answers, capacity, vocabSize, signal: job.signal, chunk: job.chunk });
  const clock = new Clock();

  const sequences: Sequence[] = choosers.flatMap((chooser, p) => Array.from({ length: answers }, (_, r) => {
    const index = p * answers + r;
    return { answer: new Answer(index, chooser, streamOf(job.seeds[p] ?? 0, r)), slot: index, past: 0 };
  }));
  await clock.prefill(async () => {
    const starts = prompts.map((prompt, p): Feed => ({ slot: p * answers, tokens: windows.start(prompt.tokens), past: 0 }));
    await runner.run(starts);
    for (const sequence of sequences) {
      const start = starts[Math.floor(sequence.answer.index / answers)] as Feed;
      sequence.past = start.tokens.length;
      runner.copySlot(start.slot, sequence.slot, sequence.past);
    }
  });
  clock.promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);

  let active = sequences;
  // Which row of the last run belongs to a sequence: after prefill, answers to one prompt share a row.
  let rowOf = (sequence: Sequence, _place: number): Float32Array => {
    const row = runner.row(Math.floor(sequence.answer.index / answers));
    return answers === 1 ? row : row.slice();
  };
  for (;;) {
    const events: GenerateEvent[] = [];
    const next: Sequence[] = [];
    clock.choosing(() => {
      for (const [place, sequence] of active.entries()) {
        const { token, end } = sequence.answer.next(rowOf(sequence, place));
        events.push(token);
        if (end === null) next.push(sequence);
        else events.push(end);
      }
    });
    clock.completionTokens += active.length;
    yield* events;
    active = next;
    if (active.length === 0) break;
    rowOf = (_, place) => runner.row(place);
    await clock.decode(active.length, async () => {
      await runner.run(active.map((sequence) => {
        const feed = windows.next(sequence);
        sequence.past = feed.past + feed.tokens.length;
        return feed;
      }));
    });
  }
  yield { type: 'done', usage: clock.usage, timings: clock.timings };
}

/** Which tokens the model sees when the context slides; without sliding, all of them. */
class Windows {
  readonly #contextLength: number;
  readonly #keep: number;

  constructor(contextLength: number, { contextOverflow, keepTokens }: Settings) {
    this.#contextLength = contextLength;
    this.#keep = keepTokens;
    if (contextOverflow === 'slide' && keepTokens > contextLength - 2) {
      throw new OptionError(
        `keepTokens is ${keepTokens}: a context of ${contextLength} that slides needs 2 tokens to move, so keep ${contextLength - 2} at most`,
        { option: 'keepTokens', value: keepTokens },
      );
    }
  }

  start(prompt: readonly number[]): readonly number[] {
    return prompt.length <= this.#contextLength ? prompt : this.#slide(prompt);
  }

  /** The sequence's last token; if its slot is full, the kept beginning and the recent half again, from row 0. */
  next({ answer: { tokens }, past, slot }: Sequence): Feed {
    if (past < this.#contextLength) return { slot, tokens: tokens.slice(-1), past };
    return { slot, tokens: this.#slide(tokens), past: 0 };
  }

  #slide(tokens: readonly number[]): readonly number[] {
    const recent = Math.ceil((this.#contextLength - this.#keep) / 2);
    return [...tokens.slice(0, this.#keep), ...tokens.slice(-recent)];
  }
}
