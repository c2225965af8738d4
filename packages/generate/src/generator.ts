/** A model and a tokenizer that answer requests on this thread. `node/` has the same interface on a thread of its own. */
import type { Tokenizer } from '@parley/tokenizer';
import { beamDecode } from './beam-decode.ts';
import { decode, type Job } from './decode.ts';
import { GenerateError, GeneratorClosedError } from './errors.ts';
import type { GenerateEvent } from './events.ts';
import { Generation } from './generation.ts';
import { type GenerateOptions, resolveOptions, type Settings } from './options.ts';
import { preparePrompt, type Prompt } from './prompt.ts';
import type { LanguageModel } from './runner.ts';

/** What answers requests, wherever it runs. */
export interface Generator extends AsyncDisposable {
  /**
   * Answers one prompt, or several at once. Options are checked here and now (OptionError); what depends on the model fails when
   * the events are read (ContextOverflowError and other GenerateErrors, MemoryLimitError, the abort signal's reason).
   */
  generate(prompts: Prompt | readonly Prompt[], options?: GenerateOptions): Generation;
  /** Ends open requests with GeneratorClosedError and frees what the generator owns. */
  dispose(): Promise<void>;
}

export interface GeneratorParts {
  readonly model: LanguageModel;
  /** Without one, prompts are tokens and answers have no text. */
  readonly tokenizer?: Tokenizer | undefined;
  /** The model's end-of-text tokens, where they are not the tokenizer's one. */
  readonly eosTokenId?: readonly number[] | undefined;
  /** Called by dispose(), after the last request has ended: to free the model and its backend, if they are the generator's own. */
  readonly onDispose?: (() => void | Promise<void>) | undefined;
}

export class LocalGenerator implements Generator {
  readonly #parts: GeneratorParts;
  readonly #open = new Set<AsyncGenerator<GenerateEvent, void>>();
  #closed = false;

  constructor(parts: GeneratorParts) {
    this.#parts = parts;
  }

  generate(prompts: Prompt | readonly Prompt[], options: GenerateOptions = {}): Generation {
    const settings = resolveOptions(options);
    const list = isList(prompts) ? prompts : [prompts];
    return new Generation(() => this.#run(this.#events(list, { settings, signal: options.signal })));
  }

  async dispose(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // A request whose reader is slow, or gone, is ended from here.
    await Promise.all([...this.#open].map((events) => events.return()));
    await this.#parts.onDispose?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async *#run(events: AsyncGenerator<GenerateEvent, void>): AsyncGenerator<GenerateEvent, void> {
    this.#open.add(events);
    try {
      for (;;) {
        if (this.#closed) throw new GeneratorClosedError('the generator was disposed while this request was open: finish or leave it first');
        const event = await events.next();
        if (event.done === true) return;
        yield event.value;
      }
    } finally {
      await events.return();
      this.#open.delete(events);
    }
  }

  async *#events(prompts: readonly Prompt[], { settings, signal }: { settings: Settings; signal: AbortSignal | undefined }): AsyncGenerator<GenerateEvent, void> {
    signal?.throwIfAborted();
    const { model, tokenizer = null, eosTokenId } = this.#parts;
    if (prompts.length === 0) throw new GenerateError('there are no prompts: pass at least one');
    if (tokenizer === null && settings.stopStrings.length > 0) {
      throw new GenerateError('stop strings need a tokenizer, and this generator has none: pass stop tokens');
    }
    const { contextLength, vocabSize: rows } = model.config;
    const vocabSize = Math.min(rows, tokenizer?.vocabSize ?? rows);
    const prepared = prompts.map((prompt) => preparePrompt(prompt, { tokenizer, settings, contextLength, vocabSize, eosTokenId }));
    const seeds = prepared.map(() => settings.seed ?? freshSeed());
    const job: Job = { model, tokenizer, prompts: prepared, seeds, settings, vocabSize, signal };
    yield { type: 'start', prompts: prepared.map(({ tokens, droppedMessages }, p) => ({ tokens, droppedMessages, seed: seeds[p] ?? 0 })) };
    yield* settings.numBeams === 1 ? decode(job) : beamDecode(job);
  }
}

const isList = (prompts: Prompt | readonly Prompt[]): prompts is readonly Prompt[] => Array.isArray(prompts);

/** Where nobody asked for a seed: the only number here that does not come from one. It is told in the `start` event. */
const freshSeed = (): number => Math.floor(Math.random() * 2 ** 32);
