/** From a model's name to a generator. */
import { resolveModel } from '@parley/model/node';
import type { SchedulerStats } from '../batching/settings.ts';
import type { Generator, TextTools } from '../generator.ts';
import { LoadedGenerator, type LoadOptions, type ModelInfo } from './load.ts';
import { WorkerGenerator } from './worker-generator.ts';

export interface OpenOptions extends LoadOptions {
  /** Compute on a thread of its own, so that nothing blocks the event loop. Default true. */
  readonly worker?: boolean;
}

/** A model that is open: answers, and what whoever shows or serves it asks beside them. */
export interface ModelGenerator extends Generator, TextTools {
  readonly info: ModelInfo;
  /** How busy it is. */
  stats(): Promise<SchedulerStats>;
}

/**
 * Opens a model by name or path: `await using generator = await openGenerator('parley-nano')`.
 * Throws ModelNotFoundError, and what loading throws.
 */
export async function openGenerator(model: string, options: OpenOptions = {}): Promise<ModelGenerator> {
  const { worker = true, ...load } = options;
  const folder = await resolveModel(model);
  return worker ? await WorkerGenerator.open({ folder, options: load }) : await LoadedGenerator.load(folder, load);
}
