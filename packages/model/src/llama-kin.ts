/**
 * What the config.json of Llama and its kin have in common (transformers: LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config,
 * GemmaConfig, Gemma3TextConfig). Weights are stored (out, in), under the names Parley uses itself where it has them from Llama;
 * queries and keys are permuted so that rotary pairs are halves apart.
 */
import type { TransformerConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import { type Family, field, parseActivation, type StoredTensor, writtenActivation } from './family.ts';
import { parameterSpecs } from './parameters.ts';
import { llamaConfig } from './presets.ts';
import { parseRope, ropeFields, writeRopeScaling } from './rope-fields.ts';
import * as s from './schema.ts';

interface Defaults {
  readonly vocab: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly context: number;
  readonly tied: boolean;
}

/** Fields that all of them have; absent ones have the defaults of their configuration class. */
export const kinFields = (defaults: Defaults) => ({
  vocab_size: field.size.default(defaults.vocab),
  hidden_size: field.size.default(defaults.hidden),
  intermediate_size: field.size.default(defaults.intermediate),
  num_hidden_layers: field.layers.default(defaults.layers),
  num_attention_heads: field.size.default(defaults.heads),
  num_key_value_heads: field.size.nullish(),
  head_dim: field.size.nullish(),
  hidden_act: s.string().default('silu'),
  max_position_embeddings: field.size.default(defaults.context),
  rms_norm_eps: field.positive.default(1e-6),
  tie_word_embeddings: field.boolean.default(defaults.tied),
  ...ropeFields,
});

type KinFields = s.Output<s.ObjectSchema<ReturnType<typeof kinFields>>>;

/** Dropout acts in training only, and Parley trains without; pretraining_tp splits the same sums. */
export const kinHarmless = ['attention_dropout', 'pretraining_tp'];

/** The common part of a config. `theta`: the class's default. Throws ConfigError. */
export function parseKin(fields: KinFields, place: { readonly file: string; readonly theta?: number }): TransformerConfig {
  const { file } = place;
  const { hidden_size: hiddenSize, num_attention_heads: heads } = fields;
  if (!fields.head_dim && hiddenSize % heads !== 0) {
    throw new ConfigError(`${file}: hidden_size ${hiddenSize} does not divide over ${heads} heads and head_dim is not given: give it`, {
      field: 'head_dim',
      value: fields.head_dim,
    });
  }
  return llamaConfig({
    vocabSize: fields.vocab_size,
    contextLength: fields.max_position_embeddings,
    hiddenSize,
    heads,
    keyValueHeads: fields.num_key_value_heads ?? heads,
    headSize: fields.head_dim ?? hiddenSize / heads,
    layers: fields.num_hidden_layers,
    intermediateSize: fields.intermediate_size,
    activation: parseActivation(fields.hidden_act, { field: 'hidden_act', file }),
    normEpsilon: fields.rms_norm_eps,
    tieEmbeddings: fields.tie_word_embeddings,
    ...parseRope(fields, { file, contextLength: fields.max_position_embeddings, theta: place.theta ?? 10_000 }),
  });
}

/** The common part of a `config.json`. */
export const writeKin = (config: TransformerConfig): Record<string, unknown> => ({
  vocab_size: config.vocabSize,
  hidden_size: config.hiddenSize,
  intermediate_size: config.intermediateSize,
  num_hidden_layers: config.layers,
  num_attention_heads: config.heads,
  num_key_value_heads: config.keyValueHeads,
  head_dim: config.headSize,
  hidden_act: writtenActivation(config.activation),
  max_position_embeddings: config.contextLength,
  rms_norm_eps: config.normEpsilon,
  rope_theta: config.ropeTheta,
  rope_scaling: writeRopeScaling(config.ropeScaling),
  tie_word_embeddings: config.tieEmbeddings,
  attention_dropout: 0,
});

/** What all of them are. */
export const KIN = { norm: 'rms', gated: true, positions: 'rotary' } as const satisfies Partial<TransformerConfig>;

export const layerTypes = s.array(s.literal('full_attention', 'sliding_attention')).nullish();

/** Which layers have a window, where `layer_types` says so; undefined where it says nothing. Throws ConfigError for too few or many. */
export function parseLayerTypes(types: s.Output<typeof layerTypes>, place: { readonly layers: number; readonly file: string }): boolean[] | undefined {
  if (!types) return undefined;
  if (types.length !== place.layers) {
    throw new ConfigError(`${place.file}: layer_types names ${types.length} layers and num_hidden_layers is ${place.layers}: make them agree`, {
      field: 'layer_types',
      value: types,
    });
  }
  return types.map((type) => type === 'sliding_attention');
}

/** The window of layers that have one; nothing where none has, and `slidingLayers` only where not all have. */
export function sliding(window: number | null | undefined, layers: readonly boolean[]): Partial<TransformerConfig> {
  if (!window || !layers.includes(true)) return {};
  return { slidingWindow: window, ...(layers.includes(false) && { slidingLayers: layers }) };
}

export const writeLayerTypes = (config: TransformerConfig): string[] =>
  Array.from({ length: config.layers }, (_, layer) =>
    config.slidingWindow !== undefined && (config.slidingLayers?.[layer] ?? true) ? 'sliding_attention' : 'full_attention');

/** Names as Parley's own, but for those in `renamed`, by the part behind the layer's number; `gainOffset`: gains are stored less 1. */
export function kinTensors(config: TransformerConfig, options: { renamed?: Readonly<Record<string, string>>; gainOffset?: boolean } = {}): StoredTensor[] {
  const { renamed = {}, gainOffset = false } = options;
  return parameterSpecs(config).map(({ name, shape, kind }) => {
    const stored = name.replace(/(?<=\.layers\.\d+\.)\w+(?=\.weight$)/, (part) => renamed[part] ?? part);
    return { name: stored, shape, parameters: [name], transposed: false, ...(gainOffset && kind === 'gain' && { offset: 1 }) };
  });
}

/** Where and how their files keep the weights. */
export const kinFiles = {
  prefix: 'model.',
  isBuffer: (name: string): boolean => /^layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/.test(name),
} satisfies Pick<Family, 'prefix' | 'isBuffer'>;
