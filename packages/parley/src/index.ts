/**
 * Parley for programs: `import { pipeline } from 'parley'`.
 *
 * Most need only `pipeline`. The layers below it are here too, for those who train, evaluate or build something of their own;
 * each comes whole from its own package (`@parley/engine`, `@parley/model`, …).
 */
// Tasks: ask a model.
export {
  type ChatGenerationOutput, DEFAULT_MODEL, pipeline, type PipelineOptions, type Pipelines, TaskError, type TextClassificationOptions, type TextClassificationOutput, type TextClassificationPipeline,
  type TextGenerationCallOptions,
  type TextGenerationInput, type TextGenerationOptions, type TextGenerationOutput, type TextGenerationPipeline, TextStreamer,
  type TextStreamerOptions, UnknownTaskError,
} from '@parley/tasks';
// Generation: the events that a pipeline folds into an answer.
export {
  ContextOverflowError, type FinishReason, GenerateError, type GenerateEvent, type GenerateOptions, type GenerateResult, type Generation,
  type Generator, LocalGenerator, OptionError, type Prompt,
} from '@parley/generate';
export { openGenerator, type OpenOptions } from '@parley/generate/node';
// Tokenizers and models in Hugging Face's formats.
export { type ChatMessage, Tokenizer, TokenizerError, trainTokenizer } from '@parley/tokenizer';
export { loadTokenizer, saveTokenizer } from '@parley/tokenizer/node';
export { gpt2Config, llamaConfig, ModelError, presets, Transformer, type TransformerConfig } from '@parley/model';
export { type ListedModel, listModels, loadModel, resolveModel, saveModel } from '@parley/model/node';
// Training.
export { checkRecipe, loadRecipe, type Recipe, run as train, type RunOptions, type RunResult, type TrainEvent, TrainError } from '@parley/train';
export { DataError, inspectSource, prepare, readDocuments } from '@parley/data';
// The engine.
export { Arena, type Backend, EngineError, MemoryLimitError, ops, Random, Tape, Tensor } from '@parley/engine';
export { type BackendOptions, createBackend } from '@parley/engine/node';
