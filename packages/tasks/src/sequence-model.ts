/**
 * A model that is asked about whole sequences and writes none: which label, what stands behind a mask, what the states are. On this
 * thread or on one of its own.
 */
import { Worker } from 'node:worker_threads';
import { Arena } from '@parley/engine';
import { type BackendOptions, createBackend } from '@parley/engine/node';
import { fromWire, type WireError } from '@parley/generate/node';
import { type Batch, embedSequences, SequenceClassifier, type WeightDType } from '@parley/model';
import { loadClassifier, loadModel } from '@parley/model/node';
import { setImmediate } from 'node:timers/promises';
import { TaskError } from './errors.ts';

export interface SequenceModelOptions extends BackendOptions {
  readonly dtype?: WeightDType;
  /** Open a classifier, with its head, or a model as it is. */
  readonly kind: 'classifier' | 'model';
}

/** What a model is asked of each sequence. */
export type Question =
  /** Logits (labels); of classifiers. */
  | { readonly type: 'labels' }
  /** Logits (V) at one row of each sequence. */
  | { readonly type: 'token'; readonly rows: readonly number[] }
  /** Last states: (length, C), or pooled (C). */
  | { readonly type: 'states'; readonly pooling: 'none' | 'mean' | 'cls' | 'last'; readonly normalize: boolean };

/** Facts about an open model. */
export interface SequenceModelInfo {
  readonly folder: string;
  /** By their numbers; none but a classifier's. */
  readonly labels: readonly string[];
  readonly parameters: number;
  readonly dtype: WeightDType;
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  /** The backend, for people. */
  readonly backend: string;
  readonly threads: number;
}

export interface SequenceModel extends AsyncDisposable {
  readonly info: SequenceModelInfo;
  /** The answer for each sequence of tokens, none of which is empty or over the context. Throws the signal's reason between two batches. */
  answer(sequences: readonly Int32Array[], question: Question, signal?: AbortSignal): Promise<Float32Array[]>;
  dispose(): Promise<void>;
}

/** Tokens in one forward pass: the event loop, and an abort, wait no longer than that takes. */
const BATCH_TOKENS = 1024;

/** Throws what loading throws; nothing stays allocated then. */
export async function openLocal(folder: string, options: SequenceModelOptions): Promise<SequenceModel> {
  const { dtype = 'f32', kind, ...backendOptions } = options;
  await using owned = new AsyncDisposableStack();
  const backend = owned.use(await createBackend(backendOptions));
  const model = owned.use(await (kind === 'classifier' ? loadClassifier : loadModel)(folder, { backend, dtype }));
  const classifier = model instanceof SequenceClassifier ? model : null;
  const body = model instanceof SequenceClassifier ? model.body : model;
  const arena = owned.use(new Arena(backend));
  const { contextLength, vocabSize, hiddenSize } = body.config;
  const info: SequenceModelInfo = {
    folder, labels: classifier?.labels ?? [], dtype, contextLength, vocabSize, hiddenSize, backend: backend.description, threads: backend.threads,
    parameters: [...model.parameters.values()].reduce((sum, { size }) => sum + size, 0),
  };
  /** The arena serves one batch at a time. */
  let before: Promise<unknown> = Promise.resolve();

  /** Of one batch whose first sequence is the `first`-th of all. */
  const answerBatch = async (sequences: readonly Int32Array[], question: Question, first: number): Promise<Float32Array[]> => {
    const batch = pack(sequences);
    if (question.type === 'states' && question.pooling !== 'none') return await embedSequences(body, batch, { ...question, pooling: question.pooling });
    arena.reset();
    const ctx = { arena, tape: null };
    if (question.type === 'states') {
      const states = await body.hidden(ctx, batch).read();
      return batch.sequences.map(({ start, length }) => normalized(states.slice(start * hiddenSize, (start + length) * hiddenSize), question.normalize ? hiddenSize : 0));
    }
    if (question.type === 'labels' && classifier === null) throw new TaskError('this model is no classifier: take one for sequence classification');
    const rows = question.type === 'token' ? Int32Array.from(batch.sequences, ({ start }, i) => start + (question.rows[first + i] ?? 0)) : null;
    const values = await (rows === null && classifier !== null ? classifier.forward(ctx, batch) : body.forward(ctx, { ...batch, ...(rows && { logitRows: rows }) })).read();
    const width = values.length / sequences.length;
    return sequences.map((_, i) => values.slice(i * width, (i + 1) * width));
  };
  const run = async (sequences: readonly Int32Array[], question: Question, signal: AbortSignal | undefined): Promise<Float32Array[]> => {
    const answers: Float32Array[] = [];
    while (answers.length < sequences.length) {
      await setImmediate();
      signal?.throwIfAborted();
      answers.push(...(await answerBatch(takeBatch(sequences, answers.length), question, answers.length)));
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
    answer: (sequences, question, signal) => {
      if (closed) return Promise.reject(new TaskError('the model has been disposed: open it again'));
      const answer = before.then(() => run(sequences, question, signal));
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

/** Each row of `width` values at length 1; 0: as they are. */
function normalized(values: Float32Array, width: number): Float32Array {
  for (let row = 0; width > 0 && row < values.length; row += width) {
    const part = values.subarray(row, row + width);
    const length = Math.max(Math.sqrt(part.reduce((sum, value) => sum + value * value, 0)), 1e-12);
    for (const [i, value] of part.entries()) part[i] = value / length;
  }
  return values;
}

function pack(sequences: readonly Int32Array[]): Batch {
  let end = 0;
  return {
    tokens: Int32Array.from(sequences.flatMap((ids) => [...ids])),
    positions: Int32Array.from(sequences.flatMap((ids) => [...ids.keys()])),
    sequences: sequences.map(({ length }) => ({ start: (end += length) - length, length })),
  };
}

export interface SequenceWorkerStart {
  readonly folder: string;
  readonly options: SequenceModelOptions;
}

export type ToSequenceWorker =
  | { readonly type: 'ask'; readonly id: number; readonly sequences: readonly Int32Array[]; readonly question: Question }
  | { readonly type: 'stop'; readonly id: number }
  | { readonly type: 'dispose' };

export type FromSequenceWorker =
  | { readonly type: 'ready'; readonly info: SequenceModelInfo }
  | { readonly type: 'failed'; readonly error: WireError }
  | { readonly type: 'answer'; readonly id: number; readonly answers: readonly Float32Array[] }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError };

/** The same on a thread of its own. Throws what loading throws. */
export async function openWorker(folder: string, options: SequenceModelOptions): Promise<SequenceModel> {
  const workerData: SequenceWorkerStart = { folder, options };
  const worker = new Worker(new URL('./sequence-worker.ts', import.meta.url), { workerData, name: 'parley-sequences', execArgv: [] });
  const waiting = new Map<number, PromiseWithResolvers<Float32Array[]>>();
  const ready = Promise.withResolvers<SequenceModelInfo>();
  const exited = Promise.withResolvers<void>();
  let closed: Error | undefined;
  let nextId = 0;
  const send = (message: ToSequenceWorker): void => worker.postMessage(message);
  const close = (error: Error): void => {
    closed ??= error;
    ready.reject(closed);
    for (const { reject } of waiting.values()) reject(closed);
    waiting.clear();
  };
  worker.on('message', (message: FromSequenceWorker) => {
    if (message.type === 'ready') ready.resolve(message.info);
    else if (message.type === 'failed') close(fromWire(message.error));
    else {
      const request = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.type === 'answer') request?.resolve([...message.answers]);
      else request?.reject(fromWire(message.error));
      if (waiting.size === 0) worker.unref();
    }
  });
  worker.on('error', (cause: unknown) => close(new TaskError(`the model's thread failed: ${String(cause)}`, { cause })));
  worker.on('exit', (code) => {
    close(new TaskError(`the model's thread ended by itself with status ${code}: open the model again`));
    exited.resolve();
  });
  const info = await ready.promise;
  worker.unref();
  const dispose = async (): Promise<void> => {
    if (closed === undefined) {
      closed = new TaskError('the model has been disposed: open it again');
      worker.ref();
      send({ type: 'dispose' });
    }
    await exited.promise;
  };
  return {
    info, dispose,
    answer: async (sequences, question, signal) => {
      signal?.throwIfAborted();
      if (closed !== undefined) throw closed;
      const id = nextId++;
      const request = Promise.withResolvers<Float32Array[]>();
      waiting.set(id, request);
      worker.ref();
      const stop = (): void => send({ type: 'stop', id });
      signal?.addEventListener('abort', stop, { once: true });
      try {
        send({ type: 'ask', id, sequences, question });
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
