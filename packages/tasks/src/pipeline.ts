/** `pipeline(task, model)`: the one way to ask for a task. */
import { unknownOption } from '@parley/generate';
import type { OpenOptions } from '@parley/generate/node';
import { UnknownTaskError } from './errors.ts';
import { textGeneration, type TextGenerationPipeline } from './text-generation.ts';

/** Tasks and their pipelines. */
export interface Pipelines {
  'text-generation': TextGenerationPipeline;
}

export interface PipelineOptions {
  /** What the weights are held in: f32 (Transformers.js's fp32), the default, or 8 or 4 bits a weight. */
  dtype?: 'f32' | 'fp32' | 'q8' | 'q4';
  backend?: 'auto' | 'wasm' | 'reference';
  /** Threads that compute. Default: as many as the machine has. */
  threads?: number;
  simd?: 'auto' | 'relaxed' | 'plain';
  /** Compute on a thread of its own, so that the event loop is free. Default true. */
  worker?: boolean;
}

/** The model that a pipeline opens when none is named. */
export const DEFAULT_MODEL = 'parley-nano';

const TASKS: readonly (keyof Pipelines)[] = ['text-generation'];
const OPTIONS: readonly (keyof PipelineOptions)[] = ['dtype', 'backend', 'threads', 'simd', 'worker'];

/**
 * Opens a model, by name or path, for a task:
 *
 *     await using generator = await pipeline('text-generation', 'parley-nano');
 *     const [{ generated_text }] = await generator('Once upon a time', { max_new_tokens: 40 });
 *
 * Throws UnknownTaskError, OptionError, and what opening a model throws (ModelNotFoundError, MemoryLimitError, …).
 */
export async function pipeline<Task extends keyof Pipelines>(task: Task, model: string = DEFAULT_MODEL, options: PipelineOptions = {}): Promise<Pipelines[Task]> {
  if (!TASKS.includes(task)) throw new UnknownTaskError(task, TASKS);
  for (const name of Object.keys(options)) {
    if (!(OPTIONS as readonly string[]).includes(name)) throw unknownOption(name, OPTIONS);
  }
  const [{ openGenerator }, { loadTokenizer }] = await Promise.all([import('@parley/generate/node'), import('@parley/tokenizer/node')]);
  const generator = await openGenerator(model, openOptions(options));
  try {
    return textGeneration(generator, await loadTokenizer(generator.info.folder));
  } catch (error) {
    await generator.dispose();
    throw error;
  }
}

function openOptions({ dtype, backend, threads, simd, worker }: PipelineOptions): OpenOptions {
  return {
    ...(dtype !== undefined && { dtype: dtype === 'fp32' ? 'f32' : dtype }),
    ...(backend !== undefined && { backend }),
    ...(threads !== undefined && { threads }),
    ...(simd !== undefined && { simd }),
    ...(worker !== undefined && { worker }),
  };
}
