/**
 * Continuous batching (Yu et al., 2022: Orca): the sequences of all requests in one packed batch, put together anew at every step.
 * A step feeds the last token of each sequence that is decoding, and a bounded number of prompt tokens of those that are not yet, so
 * that a long prompt never holds the others up for longer than one step.
 *
 * Memory is taken as sequences grow. When it is used up, what is remembered of ended ones goes first, then the sequence that came
 * last loses its place, and computes its tokens again when there is room: the bits are the same, since a row's result depends
 * neither on its neighbours nor on how a sequence was cut into steps. Over 400 lines, as places, plans and steps change one list of
 * sequences, and who changes it when is what has to be read together.
 */
import { Arena, MemoryLimitError } from '@parley/engine';
import { KeyValueCache, type SequenceSpan } from '@parley/model';
import { breathe } from '../breathe.ts';
import { count, QueueFullError } from '../errors.ts';
import type { LanguageModel } from '../runner.ts';
import { Assistant } from './assistant.ts';
import { FairQueue } from './fair-queue.ts';
import { lookUp } from './lookup.ts';
import { KeyValuePool } from './pool.ts';
import { commonPrefix, PrefixCache, type Remembered } from './prefix-cache.ts';
import type { BatchRequest, Sequence } from './request.ts';
import { type BatchingSettings, poolPages, type SchedulerStats } from './settings.ts';

/** Tokens a sequence gets room for beyond those it has, if there is room: it then grows seldom. */
const HEADROOM = 64;

/** Tokens that one sequence is fed in a step. */
interface Part {
  readonly sequence: Sequence;
  readonly length: number;
  /** Tokens behind them that are only guessed: see lookup.ts. */
  readonly draft?: readonly number[];
  /** How many the assistant may guess, for which there is room: see assistant.ts. */
  readonly ahead?: number;
}

export class Batcher {
  readonly #model: LanguageModel;
  readonly #vocabSize: number;
  readonly #settings: BatchingSettings;
  readonly #queue = new FairQueue<BatchRequest>();
  /** In the order in which they got their places. */
  #running: Sequence[] = [];
  /** Those that lost their places: before all that wait. */
  readonly #preempted: Sequence[] = [];
  readonly #prefixes: PrefixCache;
  readonly #assistant: Assistant | null;
  #memory: { readonly pool: KeyValuePool; readonly arena: Arena } | undefined;
  #logits = new Float32Array(0);
  #loop: Promise<void> | undefined;
  /** Between planning a step and having its results: places are not given or taken meanwhile. */
  #stepping = false;
  #swept = Promise.withResolvers<void>();
  #disposed = false;
  readonly #counters = { steps: 0, tokensGenerated: 0, promptTokens: 0, cachedTokens: 0, finished: 0, aborted: 0, preemptions: 0, draftTokens: 0, acceptedTokens: 0 };
  /** Seconds between one request's end and the next one's, a running mean. */
  #interval = 1;
  #lastEnd: number | undefined;

  /** `vocabSize`: tokens that may be chosen. Memory is taken at the first request. Both models stay the caller's. */
  constructor(model: LanguageModel, { vocabSize, settings, assistant }: { vocabSize: number; settings: BatchingSettings; assistant?: LanguageModel | undefined }) {
    this.#model = model;
    this.#assistant = assistant === undefined ? null : new Assistant(assistant, { vocabSize });
    this.#vocabSize = vocabSize;
    this.#settings = settings;
    this.#prefixes = new PrefixCache((extent) => this.#pool.release(extent));
  }

  /** Tokens one sequence can have at most, in all the memory there is. Throws MemoryLimitError where there is none for the pool. */
  get capacity(): number {
    return this.#pool.total * this.#settings.pageTokens;
  }

  get stats(): Omit<SchedulerStats, 'runningAlone'> {
    return {
      running: this.#running.length,
      waiting: this.#waiting,
      kvPagesUsed: this.#memory?.pool.used ?? 0,
      kvPagesTotal: this.#memory?.pool.total ?? 0,
      prefixCacheTokens: this.#prefixes.tokens,
      ...this.#counters,
    };
  }

  /** Throws QueueFullError, if `others` and those that wait here are as many as may. */
  checkQueue(others = 0): void {
    const { queueLimit, maxBatch } = this.#settings;
    const waiting = this.#waiting + others;
    const free = Math.max(0, maxBatch - this.#running.length - this.#preempted.length);
    if (waiting - free < queueLimit) return;
    const retryAfterSeconds = Math.min(60, Math.max(1, Math.ceil(this.#interval)));
    throw new QueueFullError(
      `${count(waiting)} requests are waiting, and no more than ${count(queueLimit)} may: try again in ${retryAfterSeconds} s`,
      { waiting, limit: queueLimit, retryAfterSeconds },
    );
  }

  /** Takes the request in; its inbox tells the rest. Throws QueueFullError and MemoryLimitError. */
  submit(request: BatchRequest): void {
    this.checkQueue();
    void this.#pool; // throws before anybody waits
    this.#queue.push(request);
    this.#start();
  }

  /** The reader has left. Resolves when nothing of the request is held any more, at the latest after the step that is running. */
  async cancel(request: BatchRequest): Promise<void> {
    if (request.closed) return;
    request.close();
    this.#counters.aborted++;
    this.#queue.remove(request);
    if (this.#stepping) await this.#swept.promise;
    else this.#sweep();
  }

  /** Ends all requests with this error and frees the memory. */
  async dispose(error: Error): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#closeAll(error);
    await this.#loop;
    this.#sweep();
    this.#assistant?.dispose();
    this.#memory?.arena.dispose();
    this.#memory?.pool.dispose();
    this.#memory = undefined;
  }

  get #waiting(): number {
    let waiting = 0;
    for (const { begun } of this.#queue) if (!begun) waiting++;
    return waiting;
  }

  get #pool(): KeyValuePool {
    return this.#held.pool;
  }

  /** Made when it is first wanted. */
  get #held(): { readonly pool: KeyValuePool; readonly arena: Arena } {
    if (this.#memory !== undefined) return this.#memory;
    const { backend, config } = this.#model;
    const { pageTokens } = this.#settings;
    const { allocatedBytes, limitBytes } = backend.stats();
    const rowBytes = KeyValueCache.bytes(config, { slots: 1, capacity: 1 });
    const pages = poolPages(this.#settings, { rowBytes, contextLength: config.contextLength, freeBytes: limitBytes - allocatedBytes });
    const cache = this.#model.createCache({ slots: 1, capacity: pages * pageTokens });
    return (this.#memory = { pool: new KeyValuePool(cache, pageTokens), arena: new Arena(backend) });
  }

  #start(): void {
    this.#loop ??= this.#run().catch((error: unknown) => this.#closeAll(asError(error))).finally(() => {
      this.#loop = undefined;
      this.#sweep();
      // Somebody may have come between the last look and here.
      if (this.#queue.size > 0 && !this.#disposed) this.#start();
    });
  }

  #closeAll(error: Error): void {
    const requests = [...this.#queue, ...[...this.#running, ...this.#preempted].map(({ request }) => request)];
    for (const request of requests) request.close(error);
  }

  async #run(): Promise<void> {
    await breathe(); // those who come together begin together
    for (;;) {
      this.#sweep();
      if (this.#disposed) return;
      this.#admit();
      if (this.#running.length === 0) return;
      const plan = this.#plan();
      this.#stepping = true;
      try {
        await this.#step(plan);
      } catch (error) {
        // The step failed for all of its sequences; whether their rows were written is not known.
        for (const { sequence } of plan) this.#fail(sequence, asError(error));
      } finally {
        this.#stepping = false;
      }
      this.#sweep();
      this.#swept.resolve();
      this.#swept = Promise.withResolvers();
      await breathe();
    }
  }

  /** Takes their places from sequences whose request is over. */
  #sweep(): void {
    for (const sequence of this.#running.filter(({ request }) => request.closed)) this.#leave(sequence);
    const still = this.#preempted.filter(({ request }) => !request.closed);
    this.#preempted.splice(0, Infinity, ...still);
    const gone = [...this.#queue].filter(({ closed }) => closed);
    for (const request of gone) this.#queue.remove(request);
  }

  // ---- places -------------------------------------------------------------------------------------------------

  #admit(): void {
    while (this.#running.length < this.#settings.maxBatch) {
      const [resumed] = this.#preempted;
      const request = this.#queue.next;
      const sequence = resumed ?? request?.next;
      if (sequence === undefined || !this.#place(sequence)) return;
      this.#running.push(sequence);
      if (resumed) {
        this.#preempted.shift();
      } else if (request) {
        if (!request.begun) this.#counters.promptTokens += request.promptTokens;
        this.#queue.served(request, { done: request.placed() });
      }
    }
  }

  /** Gives a sequence memory, with what others have of its beginning. False: there is not enough now. */
  #place(sequence: Sequence): boolean {
    const pool = this.#pool;
    const { tokens } = sequence.answer;
    // The last token is computed in any case: its logits are wanted.
    const limit = tokens.length - 1;
    const { shares } = sequence.request;
    const found = shares ? this.#prefixes.find(tokens, limit) : null;
    const alike = found !== null && this.#isUsedUp(found);
    const reserve = this.#running.length; // a page each, so that those who run need not give way at once
    const has = pool.free + this.#prefixes.pages - reserve;
    const copyable = has - (found?.entry.extent.pages ?? 0);
    const wanted = [tokens.length + HEADROOM, tokens.length + 1].map((size) => pool.pagesFor(Math.min(size, sequence.most)));
    const copied = alike ? undefined : wanted.find((pages) => pages <= copyable);
    const pages = copied ?? wanted.find((size) => size <= has);
    if (pages === undefined) return false;

    sequence.past = found?.common ?? 0;
    if (found !== null && copied === undefined) {
      const extent = this.#prefixes.take(found.entry);
      pool.shrink(extent, pages * pool.pageTokens);
      this.#evictFor(pages - extent.pages);
      pool.grow(extent, pages, sequence.past);
      sequence.extent = extent;
    } else {
      this.#evictFor(pages, found?.entry);
      sequence.extent = pool.reserve(pages);
      if (found !== null) {
        pool.copy(found.entry.extent, sequence.extent, { from: 0, to: sequence.past });
        this.#prefixes.touch(found.entry);
      }
    }
    this.#countCached(sequence, sequence.past);
    sequence.donor = this.#donorFor(sequence);
    return true;
  }

  /** A remembered sequence of which the new one uses nearly everything is taken over; of others a copy is made. */
  #isUsedUp({ entry, common }: { entry: Remembered; common: number }): boolean {
    return common >= entry.tokens.length - this.#settings.pageTokens && 2 * common >= entry.tokens.length;
  }

  #donorFor(sequence: Sequence): Sequence['donor'] {
    const { request, answer, past } = sequence;
    let donor: Sequence['donor'] = null;
    for (const other of this.#running) {
      if (other.request !== request && !(request.shares && other.request.shares)) continue;
      const common = Math.min(answer.tokens.length - 1, commonPrefix(other.answer.tokens, answer.tokens));
      if (common > (donor?.common ?? past)) donor = { sequence: other, common };
    }
    return donor;
  }

  /** Tokens of a prompt that another request has paid for. */
  #countCached(sequence: Sequence, tokens: number): void {
    if (!sequence.isFirst || sequence.resumed) return;
    sequence.request.cachedTokens += tokens;
    this.#counters.cachedTokens += tokens;
  }

  /** Forgets until so many pages are free. */
  #evictFor(pages: number, spared: Remembered | null = null): void {
    while (this.#pool.free < pages && this.#prefixes.evict(spared));
  }

  /** A sequence's place becomes free. Its tokens stay known where that may help others. */
  #leave(sequence: Sequence): void {
    const { extent, past, request, answer } = sequence;
    this.#vacate(sequence);
    if (extent === null) return;
    if (!request.shares || past === 0) {
      this.#pool.release(extent);
      return;
    }
    this.#pool.shrink(extent, past);
    this.#prefixes.add(answer.tokens.slice(0, past), extent);
  }

  /** The sequence that came last gives its memory to others, and begins again later. */
  #preempt(sequence: Sequence): void {
    const { extent } = sequence;
    this.#vacate(sequence);
    if (extent) this.#pool.release(extent);
    sequence.past = 0;
    sequence.resumed = true;
    this.#preempted.unshift(sequence);
    this.#counters.preemptions++;
  }

  #fail(sequence: Sequence, error: Error): void {
    const { extent } = sequence;
    sequence.request.close(error);
    if (!this.#running.includes(sequence)) return;
    this.#vacate(sequence);
    if (extent) this.#pool.release(extent);
  }

  #vacate(sequence: Sequence): void {
    // Those who waited for its beginning get what there is, and compute the rest themselves.
    for (const other of this.#running) if (other.donor?.sequence === sequence) this.#takeFromDonor(other);
    this.#running = this.#running.filter((other) => other !== sequence);
    sequence.extent = null;
    sequence.donor = null;
    for (const other of this.#running) if (other.donor?.sequence === sequence) other.donor = null;
  }

  // ---- steps --------------------------------------------------------------------------------------------------

  /** What the next step computes. Sequences may lose their places here. */
  #plan(): Part[] {
    for (const sequence of this.#running) this.#takeFromDonor(sequence);
    // Those who came first grow first, so that one who has to give way has not been planned for.
    const decoding = this.#running.filter(({ pending }) => pending === 1);
    const parts: Part[] = decoding.filter((sequence) => sequence.extent !== null && this.#makeRoom(sequence)).map((sequence) => ({ sequence, length: 1 }));
    // Only alone: among others the pass has rows enough to be worth its reading of the weights.
    if (this.#running.length === 1 && parts[0] !== undefined) parts[0] = { ...parts[0], ...this.#guesses(parts[0].sequence) };
    // Short rests first, so that what they leave over goes to the long ones: each gets as much as is fair.
    const prefilling = this.#running.filter(({ pending, donor }) => pending > 1 && donor === null).sort((a, b) => a.pending - b.pending);
    let left = this.#settings.prefillChunk;
    for (const [i, sequence] of prefilling.entries()) {
      const length = Math.min(sequence.pending, Math.ceil(left / (prefilling.length - i)));
      if (length === 0) break;
      parts.push({ sequence, length });
      left -= length;
    }
    return parts;
  }

  /** Rows of the common beginning that the donor has by now. */
  #takeFromDonor(sequence: Sequence): void {
    const { donor, extent, past } = sequence;
    if (donor === null || extent === null) return;
    const { sequence: source, common } = donor;
    const to = Math.min(common, source.past);
    if (source.extent !== null && to > past) {
      this.#pool.copy(source.extent, extent, { from: past, to });
      sequence.past = to;
      if (source.request !== sequence.request) this.#countCached(sequence, to - past);
    }
    if (to >= common) sequence.donor = null;
  }

  /** A guess at what comes after the next token, or leave to make one, with room for it. Nobody gives way to a guess. */
  #guesses(sequence: Sequence): Pick<Part, 'draft' | 'ahead'> {
    const { request: { lookup, assisted }, answer: { tokens }, most, extent } = sequence;
    if (extent === null) return {};
    const left = most - tokens.length - 1;
    const draft = lookup === null ? [] : lookUp(tokens, { ...lookup, count: Math.min(lookup.count, left) });
    const ahead = draft.length > 0 || this.#assistant === null ? 0 : Math.min(assisted.count, left);
    const pages = this.#pool.pagesFor(tokens.length + draft.length + ahead) - extent.pages;
    if (pages > this.#pool.free + this.#prefixes.pages || !this.#makeRoom(sequence, 1 + draft.length + ahead)) return {};
    return { draft, ahead };
  }

  /** The parts with what the assistant guesses. Its guesses are no more than there is room for. */
  async #assist(parts: readonly Part[]): Promise<readonly Part[]> {
    const [part] = parts;
    if (part === undefined || part.ahead === undefined || part.ahead < 1 || this.#assistant === null) return parts;
    const { request, answer } = part.sequence;
    return [{ ...part, draft: await this.#assistant.guess(answer.tokens, { ...request.assisted, count: part.ahead }) }];
  }

  /** Room for more rows. False: the sequence itself had to give way. */
  #makeRoom(sequence: Sequence, more = 1): boolean {
    const pool = this.#pool;
    const { extent } = sequence;
    const rows = sequence.past + more;
    if (extent === null) return false;
    if (rows <= pool.capacity(extent)) return true;
    const least = pool.pagesFor(rows);
    const missing = (pages: number): number => pages - extent.pages - pool.free - this.#prefixes.pages;
    while (missing(least) > 0) {
      const last = this.#running.at(-1);
      if (last === undefined || last === sequence) {
        this.#preempt(sequence);
        return false;
      }
      this.#preempt(last);
    }
    const wanted = pool.pagesFor(Math.min(sequence.most, rows + Math.max(HEADROOM, rows >> 2)));
    const pages = missing(wanted) > 0 ? least : wanted;
    this.#evictFor(pages - extent.pages);
    pool.grow(extent, pages, sequence.past);
    return true;
  }

  async #step(planned: readonly Part[]): Promise<void> {
    const model = this.#model;
    const plan = await this.#assist(planned);
    const { pool, arena } = this.#held;
    const tokens: number[] = [];
    const positions: number[] = [];
    const spans: SequenceSpan[] = [];
    const ends: { sequence: Sequence; row: number; draft: readonly number[] }[] = [];
    for (const { sequence, length, draft = [] } of plan) {
      const { answer, past, extent, pending } = sequence;
      if (extent === null) continue;
      this.#counters.draftTokens += draft.length;
      spans.push({ start: tokens.length, length: length + draft.length, row: pool.row(extent), past });
      for (let i = past; i < past + length; i++) {
        tokens.push(answer.tokens[i] as number);
        positions.push(i);
      }
      if (length === pending) ends.push({ sequence, row: tokens.length - 1, draft });
      for (const [i, token] of draft.entries()) {
        tokens.push(token);
        positions.push(past + length + i);
      }
    }
    const rows = ends.flatMap(({ row, draft }) => Array.from({ length: 1 + draft.length }, (_, i) => row + i));
    arena.reset();
    const vocabulary = model.config.vocabSize;
    const logits = model.forward({ arena, tape: null }, {
      tokens: Int32Array.from(tokens),
      positions: Int32Array.from(positions),
      sequences: spans,
      cache: pool.cache,
      // In the middle of long prompts nobody needs logits, but a pass computes some.
      logitRows: Int32Array.from(rows.length > 0 ? rows : [tokens.length - 1]),
    });
    const size = Math.max(1, rows.length) * vocabulary;
    if (this.#logits.length < size) this.#logits = new Float32Array(size);
    await model.backend.read(logits, this.#logits.subarray(0, size));
    this.#counters.steps++;
    for (const { sequence, length } of plan) sequence.past += length;
    let row = 0;
    for (const { sequence, draft } of ends) {
      for (let i = 0; i <= draft.length; i++) {
        const logits = this.#logits.subarray((row + i) * vocabulary, (row + i) * vocabulary + this.#vocabSize);
        const chosen = this.#choose(sequence, logits);
        if (chosen === undefined || i === draft.length || chosen !== draft[i]) break;
        sequence.past++; // the row of the guess is the row of the token
        this.#counters.acceptedTokens++;
      }
      row += 1 + draft.length;
    }
  }

  /** The token that was chosen; undefined where nothing comes after it. */
  #choose(sequence: Sequence, row: Float32Array): number | undefined {
    const { request } = sequence;
    if (request.closed) return undefined;
    try {
      const ended = request.advance(sequence, row);
      this.#counters.tokensGenerated++;
      if (ended) this.#leave(sequence);
      if (request.closed) this.#countEnd();
      return ended ? undefined : sequence.answer.tokens.at(-1);
    } catch (error) {
      request.close(asError(error)); // its sequences leave before the next step
      return undefined;
    }
  }

  #countEnd(): void {
    this.#counters.finished++;
    const now = performance.now();
    if (this.#lastEnd !== undefined && this.#running.length > 0) this.#interval += 0.2 * ((now - this.#lastEnd) / 1000 - this.#interval);
    this.#lastEnd = now;
  }
}

/** What was thrown, as it is caught. */
const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

/** The error for a request that all the memory for keys and values could not hold. */
export function poolTooSmall(tokens: number, capacity: number, model: LanguageModel): MemoryLimitError {
  const rowBytes = KeyValueCache.bytes(model.config, { slots: 1, capacity: 1 });
  return new MemoryLimitError(
    `keys and values of ${count(tokens)} tokens`,
    { requestedBytes: tokens * rowBytes, usedBytes: 0, limitBytes: capacity * rowBytes },
    `raise kvMemoryBytes, or ask for ${count(capacity)} tokens at most, prompt and answer together`,
  );
}
