/** What a WorkerGenerator and its thread say to each other. Requests carry a number; each ends with `end` or `error`. */
import type { GenerateEvent } from '../events.ts';
import type { GenerateOptions } from '../options.ts';
import type { Prompt } from '../prompt.ts';
import type { LoadOptions, ModelInfo } from './load.ts';
import type { ModelGenerator } from './open.ts';
import type { WireError } from './wire-errors.ts';

/** The thread's workerData. */
export interface WorkerStart {
  readonly folder: string;
  readonly options: LoadOptions;
}

/** What is asked and answered once. */
export type CalledMethod = 'stats' | 'countTokens' | 'tokenize' | 'detokenize' | 'embed';
export type CallArgument<Method extends CalledMethod> = Parameters<ModelGenerator[Method]> extends [] ? undefined : Parameters<ModelGenerator[Method]>[0];
export type CallResult<Method extends CalledMethod> = Awaited<ReturnType<ModelGenerator[Method]>>;

export type ToWorker =
  | { readonly type: 'generate'; readonly id: number; readonly prompts: readonly Prompt[]; readonly options: Omit<GenerateOptions, 'signal'> }
  | { readonly [Method in CalledMethod]: { readonly type: 'call'; readonly id: number; readonly method: Method; readonly argument: CallArgument<Method> } }[CalledMethod]
  /** Stop computing: the signal was aborted, or the reader has left. */
  | { readonly type: 'stop'; readonly id: number }
  | { readonly type: 'dispose' };

export type FromWorker =
  | { readonly type: 'ready'; readonly info: ModelInfo }
  | { readonly type: 'failed'; readonly error: WireError }
  | { readonly type: 'event'; readonly id: number; readonly event: GenerateEvent }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'end'; readonly id: number }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError };
