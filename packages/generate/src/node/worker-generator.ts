/** A generator on a thread of its own, so that computing never blocks this one's event loop. The interface is the same. */
import { Worker } from 'node:worker_threads';
import type { SchedulerStats } from '../batching/settings.ts';
import type { Embeddings } from '../embed.ts';
import { GeneratorClosedError } from '../errors.ts';
import type { GenerateEvent } from '../events.ts';
import { Generation } from '../generation.ts';
import { Inbox } from '../inbox.ts';
import { type GenerateOptions, resolveOptions } from '../options.ts';
import type { Prompt } from '../prompt.ts';
import type { ModelInfo } from './load.ts';
import type { ModelGenerator } from './open.ts';
import type { CallArgument, CalledMethod, CallResult, FromWorker, ToWorker, WorkerStart } from './protocol.ts';
import { fromWire } from './wire-errors.ts';

const SCRIPT = new URL('./worker.ts', import.meta.url);

export class WorkerGenerator implements ModelGenerator {
  readonly #worker: Worker;
  readonly #ready = Promise.withResolvers<ModelInfo>();
  readonly #exited: Promise<void>;
  readonly #open = new Map<number, Inbox>();
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 0;
  #info: ModelInfo | undefined;
  #closed: Error | undefined;

  /** Starts the thread and loads the model there. `script`: for tests. Throws what loading throws. */
  static async open(start: WorkerStart, script: URL = SCRIPT): Promise<WorkerGenerator> {
    const generator = new WorkerGenerator(new Worker(script, { workerData: start, name: 'parley-generate', execArgv: [] }));
    generator.#info = await generator.#ready.promise;
    // An idle generator does not keep the process alive; an open request does.
    generator.#worker.unref();
    return generator;
  }

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.on('error', (cause: unknown) => this.#close(new GeneratorClosedError(`the generating thread failed: ${String(cause)}`, { cause })));
    this.#exited = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#close(new GeneratorClosedError(`the generating thread ended by itself with status ${code}: open the model again`));
        resolve();
      });
    });
  }

  get info(): ModelInfo {
    if (this.#info === undefined) throw new GeneratorClosedError('the model is not loaded yet');
    return this.#info;
  }

  generate(prompts: Prompt | readonly Prompt[], options: GenerateOptions = {}): Generation {
    resolveOptions(options);
    const { signal, ...rest } = options;
    const list = Array.isArray(prompts) ? (prompts as readonly Prompt[]) : [prompts as Prompt];
    return new Generation(() => this.#run({ type: 'generate', id: this.#nextId++, prompts: list, options: rest }, signal));
  }

  async stats(): Promise<SchedulerStats> {
    return await this.#call('stats', undefined);
  }

  async countTokens(prompt: Prompt): Promise<number> {
    return await this.#call('countTokens', prompt);
  }

  async tokenize(text: string): Promise<number[]> {
    return await this.#call('tokenize', text);
  }

  async detokenize(tokens: readonly number[]): Promise<string> {
    return await this.#call('detokenize', tokens);
  }

  async embed(texts: readonly (string | readonly number[])[], options: { signal?: AbortSignal | undefined } = {}): Promise<Embeddings> {
    return await this.#call('embed', texts, options.signal);
  }

  async dispose(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = new GeneratorClosedError('the generator was disposed: open the model again');
      this.#worker.ref();
      this.#send({ type: 'dispose' });
    }
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async *#run(request: Extract<ToWorker, { type: 'generate' }>, signal: AbortSignal | undefined): AsyncGenerator<GenerateEvent, void> {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closed;
    const inbox = new Inbox();
    const stop = (): void => this.#send({ type: 'stop', id: request.id });
    this.#open.set(request.id, inbox);
    this.#worker.ref();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      this.#send(request);
      yield* inbox.read(signal);
    } finally {
      signal?.removeEventListener('abort', stop);
      if (!inbox.ended) {
        stop();
        // The thread answers between two steps; its memory for this request is free then.
        while (!inbox.ended) await inbox.changed();
      }
      this.#open.delete(request.id);
      this.#rest();
    }
  }

  /** Asks once. With a signal: throws its reason, and tells the thread to stop. */
  async #call<Method extends CalledMethod>(method: Method, argument: CallArgument<Method>, signal?: AbortSignal): Promise<CallResult<Method>> {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closed;
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    const stop = (): void => {
      this.#send({ type: 'stop', id });
      answer.reject(signal?.reason);
    };
    this.#calls.set(id, answer);
    this.#worker.ref();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      this.#send({ type: 'call', id, method, argument } as ToWorker);
      return (await answer.promise) as CallResult<Method>;
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#calls.delete(id);
      this.#rest();
    }
  }

  /** An idle thread does not keep the process alive, unless it is being disposed of: whoever waits for that must not be left waiting. */
  #rest(): void {
    if (this.#open.size === 0 && this.#calls.size === 0 && this.#closed === undefined) this.#worker.unref();
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromWorker): void {
    if (message.type === 'ready') {
      this.#ready.resolve(message.info);
      return;
    }
    if (message.type === 'failed') {
      this.#close(fromWire(message.error));
      return;
    }
    const call = this.#calls.get(message.id);
    if (call !== undefined) {
      if (message.type === 'result') call.resolve(message.value);
      else if (message.type === 'error') call.reject(fromWire(message.error));
    }
    const inbox = this.#open.get(message.id);
    if (inbox === undefined || message.type === 'result') return;
    if (message.type === 'event') inbox.events.push(message.event);
    else inbox.ended = true;
    if (message.type === 'error') inbox.error = fromWire(message.error);
    inbox.notify();
  }

  #close(error: Error): void {
    this.#closed ??= error;
    this.#ready.reject(error);
    for (const call of this.#calls.values()) call.reject(this.#closed);
    for (const inbox of this.#open.values()) {
      if (!inbox.ended) inbox.error = this.#closed;
      inbox.ended = true;
      inbox.notify();
    }
  }
}
