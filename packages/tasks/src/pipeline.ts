/** `pipeline(task, model)`: the one way to ask for a task. */
import { OptionError, unknownOption } from '@parley/generate';
import type { AdapterChoice, OpenOptions } from '@parley/generate/node';
import { UnknownTaskError } from './errors.ts';
import { featureExtraction, type FeatureExtractionPipeline } from './feature-extraction.ts';
import { fillMask, type FillMaskPipeline } from './fill-mask.ts';
import type { SequenceModel } from './sequence-model.ts';
import type { Tokenizer } from '@parley/tokenizer';
import { textClassification, type TextClassificationPipeline } from './text-classification.ts';
import { textGeneration, type TextGenerationPipeline } from './text-generation.ts';

/** Tasks and their pipelines. */
export interface Pipelines {
  'text-generation': TextGenerationPipeline;
  'text-classification': TextClassificationPipeline;
  'fill-mask': FillMaskPipeline;
  'feature-extraction': FeatureExtractionPipeline;
}

export interface PipelineOptions {
  /** What the weights are held in: f32 (Transformers.js's fp32), the default, or 8 or 4 bits a weight. */
  dtype?: 'f32' | 'fp32' | 'q8' | 'q4';
  backend?: 'auto' | 'native' | 'wasm' | 'reference';
  /** Threads that compute. Default: as many as the machine has. */
  threads?: number;
  simd?: 'auto' | 'relaxed' | 'plain';
  /** Compute on a thread of its own, so that the event loop is free. Default true. 'large', for tasks that write: only where a step takes long. */
  worker?: boolean | 'large';
  /** LoRA adapters laid on the model: names or paths, `{ path, weight }` for one that acts more or less strongly. */
  adapters?: readonly (string | AdapterChoice)[];
  /** For tasks that write: a smaller model with the same tokens, by name or path, that guesses ahead. The texts stay the same. */
  assistant_model?: string;
  /** What its weights are held in. Default: as the model's. */
  assistant_dtype?: 'f32' | 'fp32' | 'q8' | 'q4';
}

/** The model that a pipeline opens when none is named. */
export const DEFAULT_MODEL = 'parley-mini';

const TASKS: readonly (keyof Pipelines)[] = ['text-generation', 'text-classification', 'fill-mask', 'feature-extraction'];

/** Tasks about whole sequences: what kind of model they take, and their pipelines. */
const SEQUENCE_TASKS = {
  'text-classification': { kind: 'classifier', make: textClassification },
  'fill-mask': { kind: 'model', make: fillMask },
  'feature-extraction': { kind: 'model', make: featureExtraction },
} as const satisfies Partial<Record<keyof Pipelines, { kind: 'classifier' | 'model'; make: (model: SequenceModel, tokenizer: Tokenizer) => AsyncDisposable }>>;
const oneOf = (...allowed: readonly unknown[]) => ({ holds: (value: unknown) => allowed.includes(value), range: allowed.join(', ').replace(/, (\w+)$/, ' or $1') });
const OPTIONS: Readonly<Record<keyof PipelineOptions, { holds: (value: unknown) => boolean; range: string }>> = {
  dtype: oneOf('f32', 'fp32', 'q8', 'q4'),
  backend: oneOf('auto', 'native', 'wasm', 'reference'),
  threads: { holds: (value) => Number.isSafeInteger(value) && (value as number) >= 1, range: 'a whole number from 1' },
  simd: oneOf('auto', 'relaxed', 'plain'),
  worker: oneOf(true, false, 'large'),
  adapters: { holds: isAdapterList, range: 'a list of names, paths or { path, weight }' },
  assistant_model: { holds: (value) => typeof value === 'string' && value !== '', range: 'the name or folder of a model' },
  assistant_dtype: oneOf('f32', 'fp32', 'q8', 'q4'),
};

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
  for (const [option, value] of Object.entries(options)) {
    const rule = (OPTIONS as Readonly<Record<string, (typeof OPTIONS)['dtype'] | undefined>>)[option];
    if (rule === undefined) throw unknownOption(option, Object.keys(OPTIONS));
    if (value !== undefined && !rule.holds(value)) {
      throw new OptionError(`${option} is ${JSON.stringify(value)}: it has to be ${rule.range}`, { option, value });
    }
  }
  if (options.assistant_dtype !== undefined && options.assistant_model === undefined) {
    throw new OptionError(`assistant_dtype is ${options.assistant_dtype}, and there is no assistant: pass an assistant_model`, { option: 'assistant_dtype', value: options.assistant_dtype });
  }
  // Each task has its own kind of pipeline, which TypeScript cannot see from a comparison.
  return (task === 'text-generation' ? await openGeneration(model, options) : await openSequenceTask(task, model, options)) as Pipelines[Task];
}

async function openGeneration(model: string, options: PipelineOptions): Promise<TextGenerationPipeline> {
  const [{ openGenerator }, { loadTokenizer }] = await Promise.all([import('@parley/generate/node'), import('@parley/tokenizer/node')]);
  const generator = await openGenerator(model, openOptions(options));
  try {
    return textGeneration(generator, generator.tokenizer ?? await loadTokenizer(generator.info.folder));
  } catch (error) {
    await generator.dispose();
    throw error;
  }
}

async function openSequenceTask(task: keyof typeof SEQUENCE_TASKS, model: string, options: PipelineOptions): Promise<AsyncDisposable> {
  const { kind, make } = SEQUENCE_TASKS[task];
  const { worker = true, adapters, assistant, ...rest } = openOptions(options);
  if (adapters !== undefined) throw new OptionError('adapters are for models that write: leave them out', { option: 'adapters', value: adapters });
  if (assistant !== undefined) throw new OptionError('assistants are for models that write: leave them out', { option: 'assistant_model', value: assistant.path });
  const [{ openLocal, openWorker }, { loadTokenizer }, { resolveModel }] = await Promise.all([
    import('./sequence-model.ts'), import('@parley/tokenizer/node'), import('@parley/model/node'),
  ]);
  const folder = await resolveModel(model);
  const opened = await (worker ? openWorker : openLocal)(folder, { ...rest, kind });
  try {
    return make(opened, await loadTokenizer(folder));
  } catch (error) {
    await opened.dispose();
    throw error;
  }
}

function isAdapterList(value: unknown): boolean {
  const holds = (entry: unknown): boolean => typeof entry === 'string' || (
    typeof entry === 'object' && entry !== null && 'path' in entry && typeof entry.path === 'string' && Object.keys(entry).every((key) => key === 'path' || key === 'weight') &&
    (!('weight' in entry) || entry.weight === undefined || Number.isFinite(entry.weight)));
  return Array.isArray(value) && value.every(holds);
}

const ownName = (dtype: NonNullable<PipelineOptions['dtype']>): 'f32' | 'q8' | 'q4' => (dtype === 'fp32' ? 'f32' : dtype);

function openOptions({ dtype, backend, threads, simd, worker, adapters, assistant_model: assistant, assistant_dtype: assistantDtype }: PipelineOptions): OpenOptions {
  return {
    ...(dtype !== undefined && { dtype: ownName(dtype) }),
    ...(backend !== undefined && { backend }),
    ...(threads !== undefined && { threads }),
    ...(simd !== undefined && { simd }),
    ...(worker !== undefined && { worker }),
    ...(assistant !== undefined && { assistant: { path: assistant, dtype: assistantDtype && ownName(assistantDtype) } }),
    ...(adapters !== undefined && { adapters: adapters.map((entry) => (typeof entry === 'string' ? { path: entry } : entry)) }),
  };
}
