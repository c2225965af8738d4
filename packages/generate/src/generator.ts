/** A model and a tokenizer that answer requests on this thread. `node/` has the same interface on a thread of its own. */
import type { Tokenizer } from '@parley/tokenizer';
import { beamDecode } from './beam-decode.ts';
import { decode, type Job } from './decode.ts';
import { type Embeddings, embedTokens } from './embed.ts';
import { GenerateError, GeneratorClosedError } from './errors.ts';
import type { GenerateEvent } from './events.ts';
import { Generation } from './generation.ts';
import { type GenerateOptions, resolveOptions, type Settings } from './options.ts';
import { preparePrompt, type Prompt, type PromptSetting, promptTokens } from './prompt.ts';
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
  /** A smaller model with the same tokens, which guesses ahead where requests share a batch (see batching/assistant.ts). */
  readonly assistant?: LanguageModel | undefined;
  /** Without one, prompts are tokens and answers have no text. */
  readonly tokenizer?: Tokenizer | undefined;
  /** The model's end-of-text tokens, where they are not the tokenizer's one. */
  readonly eosTokenId?: readonly number[] | undefined;
  /** Called by dispose(), after the last request has ended: to free the model and its backend, if they are the generator's own. */
  readonly onDispose?: (() => void | Promise<void>) | undefined;
}

/** What whoever shows or serves a model asks of it beside answers. */
export interface TextTools {
  /** Tokens of a prompt as the model would read it, special ones and the chat template's included. */
  countTokens(prompt: Prompt): Promise<number>;
  /** Tokens of a text as it stands: nothing is added, and what looks like a special token is text. */
  tokenize(text: string): Promise<number[]>;
  /** Special tokens are written out. */
  detokenize(tokens: readonly number[]): Promise<string>;
  /** One vector for each text or list of tokens. */
  embed(texts: readonly (string | readonly number[])[], options?: { signal?: AbortSignal | undefined }): Promise<Embeddings>;
}

export class LocalGenerator implements Generator, TextTools {
  readonly #parts: GeneratorParts;
  readonly #open = new Set<AsyncGenerator<GenerateEvent, void>>();
  readonly #embedding = new Map<Promise<Embeddings>, AbortController>();
  #closed = false;

  constructor(parts: GeneratorParts) {
    this.#parts = parts;
  }

  generate(prompts: Prompt | readonly Prompt[], options: GenerateOptions = {}): Generation {
    const settings = resolveOptions(options);
    const list = isList(prompts) ? prompts : [prompts];
    return new Generation(() => this.#run(this.#events(list, { settings, signal: options.signal })));
  }

  async countTokens(prompt: Prompt): Promise<number> {
    return await Promise.resolve(promptTokens(prompt, this.#promptSetting(resolveOptions())).length);
  }

  async tokenize(text: string): Promise<number[]> {
    return await Promise.resolve(this.#tokenizer.encode(text, { addSpecialTokens: false }));
  }

  async detokenize(tokens: readonly number[]): Promise<string> {
    return await Promise.resolve(this.#tokenizer.decode(tokens, { skipSpecialTokens: false }));
  }

  async embed(texts: readonly (string | readonly number[])[], options: { signal?: AbortSignal | undefined } = {}): Promise<Embeddings> {
    if (this.#closed) throw new GeneratorClosedError('the generator was disposed: open the model again');
    const setting = this.#promptSetting(resolveOptions());
    const inputs = texts.map((text) => promptTokens(typeof text === 'string' ? text : { tokens: text }, setting));
    const controller = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, controller.signal]) : controller.signal;
    const work = embedTokens(this.#parts.model, inputs, signal);
    this.#embedding.set(work, controller);
    try {
      return await work;
    } finally {
      this.#embedding.delete(work);
    }
  }

  async dispose(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const controller of this.#embedding.values()) controller.abort(new GeneratorClosedError('the generator was disposed while texts were embedded'));
    await Promise.allSettled(this.#embedding.keys());
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
    if (prompts.length === 0) throw new GenerateError('there are no prompts: pass at least one');
    const { model, tokenizer = null } = this.#parts;
    if (tokenizer === null && settings.stopStrings.length > 0) {
      throw new GenerateError('stop strings need a tokenizer, and this generator has none: pass stop tokens');
    }
    if ((settings.numAssistantTokens ?? 0) > 0 && this.#parts.assistant === undefined) {
      throw new GenerateError(`numAssistantTokens is ${settings.numAssistantTokens}, and there is no assistant: open the model with one`);
    }
    const setting = this.#promptSetting(settings);
    const prepared = prompts.map((prompt) => preparePrompt(prompt, setting));
    const seeds = prepared.map(() => settings.seed ?? freshSeed());
    yield* this.answer({ model, tokenizer, prompts: prepared, seeds, settings, vocabSize: setting.vocabSize, signal });
  }

  #promptSetting(settings: Settings): PromptSetting {
    const { model, tokenizer = null, eosTokenId } = this.#parts;
    return { tokenizer, settings, contextLength: model.config.contextLength, vocabSize: usedVocabulary(this.#parts), eosTokenId };
  }

  get #tokenizer(): Tokenizer {
    const { tokenizer } = this.#parts;
    if (tokenizer === undefined) throw new GenerateError('this generator has no tokenizer: it knows tokens, no texts');
    return tokenizer;
  }

  /** The events of a request that has been checked. */
  protected async *answer(job: Job): AsyncGenerator<GenerateEvent, void> {
    yield startOf(job);
    yield* job.settings.numBeams === 1 ? decode(job) : beamDecode(job);
  }
}

/** Tokens a model may choose: those that both it and its tokenizer know. */
export const usedVocabulary = ({ model, tokenizer }: GeneratorParts): number =>
  Math.min(model.config.vocabSize, tokenizer?.vocabSize ?? model.config.vocabSize);

export const startOf = ({ prompts, seeds }: Job): GenerateEvent => ({
  type: 'start', prompts: prompts.map(({ tokens, droppedMessages }, p) => ({ tokens, droppedMessages, seed: seeds[p] ?? 0 })),
});

const isList = (prompts: Prompt | readonly Prompt[]): prompts is readonly Prompt[] => Array.isArray(prompts);

/** Where nobody asked for a seed: the only number here that does not come from one. It is told in the `start` event. */
const freshSeed = (): number => Math.floor(Math.random() * 2 ** 32);
