/**
 * One model, many requests: see batcher.ts. Beam search and sliding contexts rewrite a sequence's past, which the shared batch does
 * not; they are computed beside it, one request at a time, each of their passes between two steps of the batch. Their keys and
 * values are their own, outside the batch's budget.
 */
import { Chooser } from '../answer.ts';
import type { Job } from '../decode.ts';
import { GeneratorClosedError } from '../errors.ts';
import type { GenerateEvent } from '../events.ts';
import { type GeneratorParts, LocalGenerator, startOf, usedVocabulary } from '../generator.ts';
import { Inbox } from '../inbox.ts';
import { Sampler } from '../sampler.ts';
import { Batcher, poolTooSmall } from './batcher.ts';
import { Lane } from './lane.ts';
import { BatchRequest } from './request.ts';
import { type BatchingOptions, type BatchingSettings, batchingSettings, type SchedulerStats } from './settings.ts';

export class BatchingGenerator extends LocalGenerator {
  readonly #settings: BatchingSettings;
  readonly #batcher: Batcher;
  readonly #lane = new Lane();
  readonly #alone = new Set<AbortController>();

  readonly #together: boolean;

  /** false: every request is computed by itself, at once, as LocalGenerator does; it has no assistant then. Throws OptionError. */
  constructor(parts: GeneratorParts, options: BatchingOptions | false = {}) {
    super(options === false ? { ...parts, assistant: undefined } : parts);
    this.#together = options !== false;
    this.#settings = batchingSettings(options === false ? {} : options);
    this.#batcher = new Batcher(parts.model, { vocabSize: usedVocabulary(parts), settings: this.#settings, assistant: parts.assistant });
  }

  stats(): Promise<SchedulerStats> {
    const { waiting, ...stats } = this.#batcher.stats;
    return Promise.resolve({ ...stats, waiting: waiting + this.#lane.waiting, runningAlone: this.#lane.taken ? 1 : 0 });
  }

  override async dispose(): Promise<void> {
    const error = new GeneratorClosedError('the generator was disposed while this request was open: finish or leave it first');
    for (const controller of this.#alone) controller.abort(error);
    await this.#batcher.dispose(error);
    await super.dispose();
  }

  protected override answer(job: Job): AsyncGenerator<GenerateEvent, void> {
    if (!this.#together) return super.answer(job);
    const rewritesItsPast = job.settings.numBeams > 1 || job.settings.contextOverflow === 'slide';
    return rewritesItsPast ? this.#answerAlone(job) : this.#answerTogether(this.#withinMemory(job));
  }

  /** Answers that may be as long as fits are as long as fits the memory. Throws MemoryLimitError. */
  #withinMemory(job: Job): Job {
    const { maxNewTokens, maxLength } = job.settings;
    const { capacity } = this.#batcher;
    const asked = maxNewTokens !== null || maxLength !== null;
    const prompts = job.prompts.map((prompt) => {
      const { tokens, newTokens } = prompt;
      if (tokens.length + newTokens <= capacity) return prompt;
      if (asked || tokens.length >= capacity) throw poolTooSmall(tokens.length + (asked ? newTokens : 1), capacity, job.model);
      return { ...prompt, newTokens: capacity - tokens.length };
    });
    return { ...job, prompts };
  }

  async *#answerTogether(job: Job): AsyncGenerator<GenerateEvent, void> {
    const { settings, tokenizer, vocabSize, signal } = job;
    this.#batcher.checkQueue(this.#lane.waiting); // before scratch memory and grammars are made
    const sampler = new Sampler(vocabSize, settings);
    const choosers = job.prompts.map((prompt) => new Chooser(prompt, { settings, tokenizer, vocabSize, sampler }));
    const request = new BatchRequest(job, choosers);
    this.#batcher.submit(request);
    const leave = (): void => {
      void this.#batcher.cancel(request);
      request.inbox.notify();
    };
    signal?.addEventListener('abort', leave, { once: true });
    try {
      yield startOf(job);
      yield* request.inbox.read(signal);
    } finally {
      signal?.removeEventListener('abort', leave);
      await this.#batcher.cancel(request);
    }
  }

  /** Computed whether or not the reader keeps up, so that a slow one does not keep others waiting. */
  async *#answerAlone(job: Job): AsyncGenerator<GenerateEvent, void> {
    this.#batcher.checkQueue(this.#lane.waiting);
    const controller = new AbortController();
    const signal = job.signal ? AbortSignal.any([job.signal, controller.signal]) : controller.signal;
    const inbox = new Inbox();
    const work = async (): Promise<void> => {
      const release = await this.#lane.take(signal);
      try {
        for await (const event of super.answer({ ...job, signal, chunk: this.#settings.prefillChunk })) {
          inbox.events.push(event);
          inbox.notify();
        }
      } finally {
        release();
      }
    };
    this.#alone.add(controller);
    const working = work()
      .catch((error: unknown) => (inbox.error = error instanceof Error ? error : new Error(String(error))))
      .finally(() => {
        inbox.ended = true;
        this.#alone.delete(controller);
        inbox.notify();
      });
    try {
      yield* inbox.read(job.signal);
    } finally {
      controller.abort();
      await working;
    }
  }
}
