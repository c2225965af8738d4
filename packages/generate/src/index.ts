export { BatchingGenerator } from './batching/batching-generator.ts';
export type { BatchingOptions, SchedulerStats } from './batching/settings.ts';
export { type Beam, BeamSearch, type BeamSearchOptions, type FinishedBeam } from './beams.ts';
export type { Embeddings } from './embed.ts';
export { ContextOverflowError, GenerateError, GeneratorClosedError, NoTokenError, OptionError, QueueFullError } from './errors.ts';
export type { ConstraintSpec } from './constraints/constraint.ts';
export type { TagsSpec } from './constraints/tags.ts';
export { ConstraintError } from './constraints/errors.ts';
export {
  collect, type DoneEvent, type EndEvent, type FinishReason, type GeneratedSequence, type GenerateEvent, type GenerateResult, type PromptInfo,
  type StartEvent, type Timings, type TokenEvent, type Usage,
} from './events.ts';
export { Generation } from './generation.ts';
export { type Generator, type GeneratorParts, LocalGenerator, type TextTools } from './generator.ts';
export { type LogProbabilities, type TokenLogProbability } from './log-probabilities.ts';
export { checkValues, type GenerateOptions, OPTION_NAMES, type OptionNaming, resolveOptions, unknownOption } from './options.ts';
export type { Prompt } from './prompt.ts';
export type { LanguageModel } from './runner.ts';
export { Sampler } from './sampler.ts';
export { type StopStep, StopMatcher } from './stop-strings.ts';
