/** A classifier that answers in labels' logits, on this thread or on one of its own. */
import { Worker } from 'node:worker_threads';
import { Arena } from '@parley/engine';
import { type BackendOptions, createBackend } from '@parley/engine/node';
import { fromWire, type WireError } from '@parley/generate/node';
import type { WeightDType } from '@parley/model';
import { loadClassifier } from '@parley/model/node';
import { setImmediate } from 'node:timers/promises';
import { TaskError } from './errors.ts';

export interface ClassifierOptions extends BackendOptions {
  readonly dtype?: WeightDType;
}

/** Facts about an open classifier. */
export interface ClassifierInfo {
  readonly folder: string;
  /** By their numbers. */
  readonly labels: readonly string[];
  readonly parameters: number;
  readonly dtype: WeightDType;
  readonly contextLength: number;
  readonly vocabSize: number;
  /** The backend, for people. */
  readonly backend: string;
  readonly threads: number;
}

export interface Classifier extends AsyncDisposable {
  readonly info: ClassifierInfo;
  /** Logits (labels) of each sequence of tokens, none of which is empty or over the context. Throws the signal's reason between two batches. */
  logits(sequences: readonly Int32Array[], signal?: AbortSignal): Promise<Float32Array[]>;
  dispose(): Promise<void>;
}

/** Tokens in one forward pass: the event loop, and an abort, wait no longer than that takes. */
const BATCH_TOKENS = 1024;

/** Throws what loading throws; nothing stays allocated then. */
export async function openLocalClassifier(folder: string, options: ClassifierOptions): Promise<Classifier> {
  const { dtype = 'f32', ...backendOptions } = options;
  await using owned = new AsyncDisposableStack();
  const backend = owned.use(await createBackend(backendOptions));
  const model = owned.use(await loadClassifier(folder, { backend, dtype }));
  const arena = owned.use(new Arena(backend));
  const { config } = model.body;
  const info: ClassifierInfo = {
    folder, labels: model.labels, dtype, contextLength: config.contextLength, vocabSize: config.vocabSize, backend: backend.description, threads: backend.threads,
    parameters: [...model.parameters.values()].reduce((sum, { size }) => sum + size, 0),
  };
  /** The arena serves one batch at a time. */
  let before: Promise<unknown> = Promise.resolve();

  const run = async (sequences: readonly Int32Array[], signal: AbortSignal | undefined): Promise<Float32Array[]> => {
    const answers: Float32Array[] = [];
    while (answers.length < sequences.length) {
      await setImmediate();
      signal?.throwIfAborted();
      const batch = takeBatch(sequences, answers.length);
      arena.reset();
      const values = await model.forward({ arena, tape: null }, pack(batch)).read();
      const width = model.labels.length;
      for (let i = 0; i < batch.length; i++) answers.push(values.slice(i * width, (i + 1) * width));
    }
    return answers;
  };
  const kept = owned.move();
  let closed = false;
  const dispose = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await before;
    await kept.disposeAsync();
  };
  return {
    info, dispose,
    logits: (sequences, signal) => {
      if (closed) return Promise.reject(new TaskError('the classifier has been disposed: open the model again'));
      const answer = before.then(() => run(sequences, signal));
      before = answer.catch(() => undefined);
      return answer;
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function takeBatch(sequences: readonly Int32Array[], from: number): Int32Array[] {
  const batch: Int32Array[] = [];
  let tokens = 0;
  for (const sequence of sequences.slice(from)) {
    if (batch.length > 0 && tokens + sequence.length > BATCH_TOKENS) break;
    batch.push(sequence);
    tokens += sequence.length;
  }
  return batch;
}

function pack(sequences: readonly Int32Array[]): { tokens: Int32Array; positions: Int32Array; sequences: { start: number; length: number }[] } {
  let end = 0;
  return {
    tokens: Int32Array.from(sequences.flatMap((ids) => [...ids])),
    positions: Int32Array.from(sequences.flatMap((ids) => [...ids.keys()])),
    sequences: sequences.map(({ length }) => ({ start: (end += length) - length, length })),
  };
}

export interface ClassifierWorkerStart {
  readonly folder: string;
  readonly options: ClassifierOptions;
}

export type ToClassifierWorker =
  | { readonly type: 'classify'; readonly id: number; readonly sequences: readonly Int32Array[] }
  | { readonly type: 'stop'; readonly id: number }
  | { readonly type: 'dispose' };

export type FromClassifierWorker =
  | { readonly type: 'ready'; readonly info: ClassifierInfo }
  | { readonly type: 'failed'; readonly error: WireError }
  | { readonly type: 'answer'; readonly id: number; readonly logits: readonly Float32Array[] }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError };

/** The same on a thread of its own. Throws what loading throws. */
export async function openWorkerClassifier(folder: string, options: ClassifierOptions): Promise<Classifier> {
  const workerData: ClassifierWorkerStart = { folder, options };
  const worker = new Worker(new URL('./classifier-worker.ts', import.meta.url), { workerData, name: 'parley-classify', execArgv: [] });
  const waiting = new Map<number, PromiseWithResolvers<Float32Array[]>>();
  const ready = Promise.withResolvers<ClassifierInfo>();
  const exited = Promise.withResolvers<void>();
  let closed: Error | undefined;
  let nextId = 0;
  const send = (message: ToClassifierWorker): void => worker.postMessage(message);
  const close = (error: Error): void => {
    closed ??= error;
    ready.reject(closed);
    for (const { reject } of waiting.values()) reject(closed);
    waiting.clear();
  };
  worker.on('message', (message: FromClassifierWorker) => {
    if (message.type === 'ready') ready.resolve(message.info);
    else if (message.type === 'failed') close(fromWire(message.error));
    else {
      const request = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.type === 'answer') request?.resolve([...message.logits]);
      else request?.reject(fromWire(message.error));
      if (waiting.size === 0) worker.unref();
    }
  });
  worker.on('error', (cause: unknown) => close(new TaskError(`the classifying thread failed: ${String(cause)}`, { cause })));
  worker.on('exit', (code) => {
    close(new TaskError(`the classifying thread ended by itself with status ${code}: open the model again`));
    exited.resolve();
  });
  const info = await ready.promise;
  worker.unref();
  const dispose = async (): Promise<void> => {
    if (closed === undefined) {
      closed = new TaskError('the classifier has been disposed: open the model again');
      worker.ref();
      send({ type: 'dispose' });
    }
    await exited.promise;
  };
  return {
    info, dispose,
    logits: async (sequences, signal) => {
      signal?.throwIfAborted();
      if (closed !== undefined) throw closed;
      const id = nextId++;
      const request = Promise.withResolvers<Float32Array[]>();
      waiting.set(id, request);
      worker.ref();
      const stop = (): void => send({ type: 'stop', id });
      signal?.addEventListener('abort', stop, { once: true });
      try {
        send({ type: 'classify', id, sequences });
        return await request.promise;
      } catch (error) {
        signal?.throwIfAborted();
        throw error;
      } finally {
        signal?.removeEventListener('abort', stop);
      }
    },
    [Symbol.asyncDispose]: dispose,
  };
}
