/** A request in the batch: its answers as sequences that take places one by one, and what its reader is told. */
import { Answer, type Chooser, streamOf } from '../answer.ts';
import type { Job } from '../decode.ts';
import type { GenerateEvent, Timings, Usage } from '../events.ts';
import { Inbox } from '../inbox.ts';
import type { GuessSettings } from './assistant.ts';
import type { Queued } from './fair-queue.ts';
import type { LookupSettings } from './lookup.ts';
import type { Extent } from './pages.ts';

/** Guesses at a time where nobody says: with three, a pass takes some 1.4 times as long as with none (docs/performance.md). */
const ASSISTANT_TOKENS = 3;

/** One answer and its keys and values. */
export class Sequence {
  readonly request: BatchRequest;
  readonly answer: Answer;
  /** Null while it has no place. */
  extent: Extent | null = null;
  /** Rows of the extent that hold its first tokens. */
  past = 0;
  /** One that has, or is about to have, more of the same beginning; until then this one waits for it. */
  donor: { readonly sequence: Sequence; readonly common: number } | null = null;
  /** It had a place before and lost it. */
  resumed = false;

  constructor(request: BatchRequest, answer: Answer) {
    this.request = request;
    this.answer = answer;
  }

  /** Tokens the model has not seen. */
  get pending(): number {
    return this.answer.tokens.length - this.past;
  }

  /** Tokens it can come to, at most. */
  get most(): number {
    const { tokens, newTokens } = this.answer.prompt;
    return tokens.length + newTokens;
  }

  /** The one of its prompt's answers whose beginning counts as the prompt's. */
  get isFirst(): boolean {
    return this.answer.index % this.request.answers === 0;
  }
}

export class BatchRequest implements Queued {
  readonly queueKey: string;
  readonly priority: number;
  readonly inbox = new Inbox();
  /** For each prompt. */
  readonly answers: number;
  /** Beginnings are shared with other requests. */
  readonly shares: boolean;
  /** How its text is guessed ahead while it is alone. */
  readonly lookup: LookupSettings | null;
  /** The same by an assistant, where there is one. */
  readonly assisted: GuessSettings;
  readonly #job: Job;
  readonly #choosers: readonly Chooser[];
  #next: Sequence | undefined;
  #issued = 0;
  #ended = 0;
  #completionTokens = 0;
  cachedTokens = 0;
  /** Times, in milliseconds: its first place, its first token, its last. */
  #begun: number | undefined;
  #first = 0;
  #last = 0;

  constructor(job: Job, choosers: readonly Chooser[]) {
    this.#job = job;
    this.#choosers = choosers;
    this.queueKey = job.settings.queueKey;
    this.priority = job.settings.priority;
    this.answers = job.settings.numReturnSequences;
    this.shares = job.settings.prefixCache;
    const { promptLookupNumTokens: count, maxMatchingNgramSize: ngram, numAssistantTokens, assistantConfidenceThreshold: confidence } = job.settings;
    this.lookup = count === null ? null : { count, ngram };
    this.assisted = { count: numAssistantTokens ?? ASSISTANT_TOKENS, confidence };
  }

  get #total(): number {
    return this.#choosers.length * this.answers;
  }

  get begun(): boolean {
    return this.#begun !== undefined;
  }

  get closed(): boolean {
    return this.inbox.ended;
  }

  get promptTokens(): number {
    return this.#choosers.reduce((sum, { prompt }) => sum + prompt.tokens.length, 0);
  }

  /** The sequence that wants the next place; undefined when all have had one. */
  get next(): Sequence | undefined {
    if (this.#next === undefined && this.#issued < this.#total) {
      const index = this.#issued;
      const prompt = Math.floor(index / this.answers);
      const chooser = this.#choosers[prompt] as Chooser;
      this.#next = new Sequence(this, new Answer(index, chooser, streamOf(this.#job.seeds[prompt] ?? 0, index % this.answers)));
    }
    return this.#next;
  }

  /** `next` has its place. Answers whether it was the last to want one. */
  placed(): boolean {
    this.#next = undefined;
    this.#issued++;
    this.#begun ??= performance.now();
    return this.#issued === this.#total;
  }

  /** Chooses a sequence's next token and tells the reader. Answers whether the sequence ended with it. Throws what choosing throws. */
  advance({ answer }: Sequence, row: Float32Array): boolean {
    const { token, end } = answer.next(row);
    this.#last = performance.now();
    if (this.#completionTokens++ === 0) this.#first = this.#last;
    this.#tell(token);
    if (end === null) return false;
    this.#tell(end);
    if (++this.#ended === this.#total) {
      this.#tell({ type: 'done', usage: this.#usage, timings: this.#timings });
      this.close();
    }
    return true;
  }

  /** Nothing more is told; with an error, that. What was told before can still be read. */
  close(error?: Error): void {
    if (this.inbox.ended) return;
    this.inbox.ended = true;
    this.inbox.error = error;
    this.inbox.notify();
  }

  #tell(event: GenerateEvent): void {
    this.inbox.events.push(event);
    this.inbox.notify();
  }

  get #usage(): Usage {
    return { promptTokens: this.promptTokens, completionTokens: this.#completionTokens, cachedTokens: this.cachedTokens };
  }

  /** Of the clock on the wall, from its first place on: the steps are shared with others. */
  get #timings(): Timings {
    const decodeMs = this.#last - this.#first;
    const fed = this.#completionTokens - this.#total;
    return { prefillMs: this.#first - (this.#begun ?? this.#first), decodeMs, tokensPerSecond: fed === 0 ? 0 : fed / (decodeMs / 1000) };
  }
}
