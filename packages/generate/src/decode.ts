/**
 * Greedy decoding and sampling: every step feeds one token of each unfinished sequence, all of them in one packed batch, and
 * chooses the next. A prompt's answers share its prefill: the cache slot is copied. Finished sequences leave the batch.
 */
import { Random, type RandomState } from '@parley/engine';
import type { Tokenizer } from '@parley/tokenizer';
import { Clock } from './clock.ts';
import type { GenerateEvent, TokenEvent } from './events.ts';
import { OptionError } from './errors.ts';
import { reportOn } from './log-probabilities.ts';
import type { Settings } from './options.ts';
import { LogitsProcessors } from './processors.ts';
import type { PreparedPrompt } from './prompt.ts';
import { type Feed, type LanguageModel, Runner } from './runner.ts';
import { Sampler } from './sampler.ts';
import { TextStream } from './text.ts';

export interface Job {
  readonly model: LanguageModel;
  readonly tokenizer: Tokenizer | null;
  readonly prompts: readonly PreparedPrompt[];
  /** One for each prompt. */
  readonly seeds: readonly (number | RandomState)[];
  readonly settings: Settings;
  readonly vocabSize: number;
  readonly signal: AbortSignal | undefined;
}

/** The random numbers of answer number `answer` to a prompt: four words of a generator seeded with the prompt's seed. */
export function streamOf(seed: number | RandomState, answer: number): Random {
  if (typeof seed !== 'number') return new Random(seed);
  const parent = new Random(seed);
  for (let skipped = 0; skipped < 4 * answer; skipped++) parent.uint32();
  return new Random([parent.uint32(), parent.uint32(), parent.uint32(), parent.uint32()]);
}

interface Sequence {
  readonly index: number;
  readonly prompt: PreparedPrompt;
  readonly slot: number;
  readonly random: Random;
  readonly text: TextStream;
  /** Prompt and generated tokens. */
  readonly tokens: number[];
  /** Rows of the slot that hold something. */
  past: number;
}

export async function* decode(job: Job): AsyncGenerator<GenerateEvent, void> {
  const { model, prompts, settings, vocabSize } = job;
  const { contextLength } = model.config;
  const answers = settings.numReturnSequences;
  const longest = Math.max(...prompts.map(({ tokens, newTokens }) => tokens.length + newTokens));
  const windows = new Windows(contextLength, settings);
  using runner = new Runner(model, { slots: prompts.length * answers, capacity: Math.min(contextLength, longest), vocabSize, signal: job.signal });
  const sampler = new Sampler(vocabSize, settings);
  const processors = prompts.map(({ ending }) => new LogitsProcessors(vocabSize, settings, [...ending]));
  const clock = new Clock();

  const sequences: Sequence[] = prompts.flatMap((prompt, p) => Array.from({ length: answers }, (_, r) => ({
    index: p * answers + r, prompt, slot: p * answers + r, random: streamOf(job.seeds[p] ?? 0, r),
    text: new TextStream(job.tokenizer, settings), tokens: [...prompt.tokens], past: 0,
  })));
  await clock.prefill(async () => {
    const starts = prompts.map((prompt, p): Feed => ({ slot: p * answers, tokens: windows.start(prompt.tokens), past: 0 }));
    await runner.run(starts);
    for (const sequence of sequences) {
      const start = starts[Math.floor(sequence.index / answers)] as Feed;
      sequence.past = start.tokens.length;
      runner.copySlot(start.slot, sequence.slot, sequence.past);
    }
  });
  clock.promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);

  let active = sequences;
  // Which row of the last run belongs to a sequence: after prefill, answers to one prompt share a row.
  let rowOf = (sequence: Sequence, _place: number): Float32Array => {
    const row = runner.row(Math.floor(sequence.index / answers));
    return answers === 1 ? row : row.slice();
  };
  for (;;) {
    const events: GenerateEvent[] = [];
    const next: Sequence[] = [];
    clock.choosing(() => {
      for (const [place, sequence] of active.entries()) {
        const row = rowOf(sequence, place);
        const report = settings.logProbabilities === null ? undefined : reportOn(row, settings.logProbabilities);
        processors[Math.floor(sequence.index / answers)]?.apply(row, { tokens: sequence.tokens, promptLength: sequence.prompt.tokens.length });
        const token = sampler.next(row, sequence.random);
        const ended = accept(sequence, token);
        const event: TokenEvent = { type: 'token', index: sequence.index, token, text: ended.text };
        events.push(report ? { ...event, logProbabilities: report(token) } : event);
        if (ended.reason === null) next.push(sequence);
        else {
          const randomState = settings.sample ? { randomState: sequence.random.state } : {};
          events.push({ type: 'end', index: sequence.index, finishReason: ended.reason, stop: ended.stop, ...randomState });
        }
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

/** Adds a token to a sequence: the text that is certain now, and whether and why the sequence ends with it. */
function accept(sequence: Sequence, token: number): { text: string; reason: 'stop' | 'length' | null; stop: string | number | null } {
  const { prompt, tokens, text } = sequence;
  tokens.push(token);
  const step = text.push(token);
  if (step.stopped !== null) return { text: step.text, reason: 'stop', stop: step.stopped };
  const ends = prompt.ending.has(token);
  if (!ends && tokens.length - prompt.tokens.length < prompt.newTokens) return { text: step.text, reason: null, stop: null };
  const rest = text.flush();
  const all = step.text + rest.text;
  if (rest.stopped !== null) return { text: all, reason: 'stop', stop: rest.stopped };
  return { text: all, reason: ends ? 'stop' : 'length', stop: ends ? token : null };
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
  next({ tokens, past, slot }: Sequence): Feed {
    if (past < this.#contextLength) return { slot, tokens: tokens.slice(-1), past };
    return { slot, tokens: this.#slide(tokens), past: 0 };
  }

  #slide(tokens: readonly number[]): readonly number[] {
    const recent = Math.ceil((this.#contextLength - this.#keep) / 2);
    return [...tokens.slice(0, this.#keep), ...tokens.slice(-recent)];
  }
}
