export type { Generation, GenerateEvent, GenerateResult } from '@parley/generate';
export type { ChatMessage } from '@parley/tokenizer';
export { TaskError, UnknownTaskError } from './errors.ts';
export { checkOptions, type TextGenerationOptions } from './options.ts';
export { DEFAULT_MODEL, pipeline, type PipelineOptions, type Pipelines } from './pipeline.ts';
export type {
  ChatGenerationOutput, TextGenerationCallOptions, TextGenerationInput, TextGenerationOutput, TextGenerationPipeline,
} from './text-generation.ts';
export type { SequenceModelInfo } from './sequence-model.ts';
export type { FeatureExtractionOptions, FeatureExtractionPipeline, Features } from './feature-extraction.ts';
export type { FillMaskOptions, FillMaskOutput, FillMaskPipeline } from './fill-mask.ts';
export type { TextClassificationOptions, TextClassificationOutput, TextClassificationPipeline } from './text-classification.ts';
export { type Streamer, TextStreamer, type TextStreamerOptions } from './text-streamer.ts';
