/** From a model's name to a generator. */
import { resolveModel, weightFileBytes } from '@parley/model/node';
import type { Tokenizer } from '@parley/tokenizer';
import type { SchedulerStats } from '../batching/settings.ts';
import type { Generator, TextTools } from '../generator.ts';
import { LoadedGenerator, type LoadOptions, type ModelInfo } from './load.ts';
import { WorkerGenerator } from './worker-generator.ts';

export interface OpenOptions extends LoadOptions {
  /**
   * Compute on a thread of its own, so that nothing blocks the event loop. Default true. 'large': where the weight files come to 64 MB
   * and more; with smaller ones a step takes milliseconds, and the thread would take longer to start than the model to load.
   */
  readonly worker?: boolean | 'large';
}

/** A model that is open: answers, and what whoever shows or serves it asks beside them. */
export interface ModelGenerator extends Generator, TextTools {
  readonly info: ModelInfo;
  /** Where it computes on this thread: the one it uses. */
  readonly tokenizer?: Tokenizer;
  /** How busy it is. */
  stats(): Promise<SchedulerStats>;
}

const LARGE_BYTES = 64e6;

/**
 * Opens a model by name or path: `await using generator = await openGenerator('parley-nano')`.
 * Throws ModelNotFoundError, and what loading throws.
 */
export async function openGenerator(model: string, options: OpenOptions = {}): Promise<ModelGenerator> {
  const { worker = true, ...load } = options;
  const folder = await resolveModel(model);
  const apart = worker === 'large' ? (await weightFileBytes(folder)) >= LARGE_BYTES : worker;
  return apart ? await WorkerGenerator.open({ folder, options: load }) : await LoadedGenerator.load(folder, load);
}
