export { type Batch, type SequenceSpan, singleSequence } from './batch.ts';
export { type CacheOptions, KeyValueCache } from './cache.ts';
export { checkConfig, type TransformerConfig } from './config.ts';
export { BatchError, CheckpointError, ConfigError, ModelError, ModelNotFoundError } from './errors.ts';
export { modelBytes, parameterCount, type ParameterSpec, parameterSpecs, type WeightDType } from './parameters.ts';
export { gpt2Config, llamaConfig, presets } from './presets.ts';
export { type LossOptions, type ParameterGroups, Transformer } from './transformer.ts';
