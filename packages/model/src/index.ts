export { type AdapterConfig, parseAdapterConfig } from './adapter-file.ts';
export { type Batch, type SequenceSpan, singleSequence } from './batch.ts';
export { type CacheOptions, KeyValueCache } from './cache.ts';
export { type ClassifierLossOptions, SequenceClassifier } from './classifier.ts';
export { Checkpoint, encodeCheckpoint, type FileDType, loadTransformer, type LoadWeightsOptions } from './checkpoint.ts';
export { checkConfig, type FamilyName, type OptionalFeatures, optionalFeatures, type TransformerConfig } from './config.ts';
export { embedSequences, type EmbedOptions } from './embeddings.ts';
export { AdapterError, BatchError, CheckpointError, ConfigError, ModelError, ModelNotFoundError } from './errors.ts';
export { type GenerationConfig, parseGenerationConfig } from './generation-config.ts';
export { parseConfigJSON, toConfigJSON } from './hugging-face.ts';
export { type AdaptableModule, adaptableModules, LoraAdapter, type LoraOptions, targetModules } from './lora.ts';
export { encodeGguf, type EncodeGgufOptions, type GgufDType } from './gguf/encode.ts';
export { GgufModel, loadGguf } from './gguf/load.ts';
export { nearestName } from './nearest-name.ts';
export { modelBytes, parameterCount, type ParameterSpec, parameterSpecs, type WeightDType } from './parameters.ts';
export { bertConfig, gpt2Config, llamaConfig, presets } from './presets.ts';
export { rotaryFrequencies, type RopeScaling } from './rope.ts';
export {
  type ByteSource, encodeSafetensorsHeader, readSafetensorsHeader, type SafetensorsEntry, type SafetensorsHeader,
} from './safetensors.ts';
export { type ActiveAdapter, type LossOptions, type ParameterGroups, Transformer } from './transformer.ts';
