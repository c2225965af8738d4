/**
 * Gemma (Gemma Team, 2024) and the text part of Gemma 3 (Gemma Team, 2025) as Hugging Face stores them. Both scale their embeddings by
 * √C, have a tanh GELU gate and store the gains of their norms less 1, as the norms multiply with 1 + w. Gemma 3 has a further norm
 * behind each sublayer, norms on query and key, and a window in five layers of six, with a θ of its own.
 */
import { checkConfig, type TransformerConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import { expectFields, type Family, field, parseActivation, readFields, writtenActivation } from './family.ts';
import {
  KIN, kinFields, kinFiles, kinHarmless, kinTensors, layerTypes, parseKin, parseLayerTypes, sliding, writeKin, writeLayerTypes,
} from './llama-kin.ts';
import * as s from './schema.ts';

/** As transformers computes it: in f32. */
const embeddingScale = (hiddenSize: number): number => Math.fround(Math.sqrt(hiddenSize));

const schema1 = s.object({
  ...kinFields({ vocab: 256_000, hidden: 3_072, intermediate: 24_576, layers: 28, heads: 16, context: 8_192, tied: true }),
  num_key_value_heads: field.size.nullish().default(16),
  head_dim: field.size.nullish().default(256),
  /** Said "gelu" in the first files, and the tanh GELU was meant: `hidden_activation` decides where it is there. */
  hidden_act: s.string().default('gelu_pytorch_tanh'),
  hidden_activation: s.string().nullish(),
  attention_bias: field.boolean.default(false),
});

/** Of layers, a norm before the MLP is called after what comes behind attention in Llama; Gemma 3 has both. */
const GEMMA3_NAMES: Readonly<Record<string, string>> = {
  attention_output_layernorm: 'post_attention_layernorm',
  post_attention_layernorm: 'pre_feedforward_layernorm',
  mlp_output_layernorm: 'post_feedforward_layernorm',
};

export const gemma: Family = {
  ...kinFiles,
  name: 'gemma',
  architecture: 'GemmaForCausalLM',

  parseConfig(json, file) {
    const fields = readFields(json, { schema: schema1, fixed: { use_bidirectional_attention: false }, harmless: kinHarmless, file });
    const named = fields.hidden_activation ?? (fields.hidden_act === 'gelu' ? 'gelu_pytorch_tanh' : fields.hidden_act);
    return checkConfig({
      ...parseKin({ ...fields, hidden_act: named }, { file }),
      family: 'gemma',
      attentionBias: fields.attention_bias,
      embeddingScale: embeddingScale(fields.hidden_size),
    });
  },

  writeConfig(config) {
    expectFields(config, { ...KIN, activation: 'gelu_tanh', mlpBias: false, embeddingScale: embeddingScale(config.hiddenSize) }, ['ropeScaling']);
    return { ...writeKin(config), hidden_activation: writtenActivation(config.activation), attention_bias: config.attentionBias };
  },

  storedTensors: (config) => kinTensors(config, { gainOffset: true }),
};

const layered = s.strictObject({ full_attention: s.unknown(), sliding_attention: s.unknown() });

const schema3 = s.object({
  ...kinFields({ vocab: 262_208, hidden: 2_304, intermediate: 9_216, layers: 26, heads: 8, context: 131_072, tied: true }),
  num_key_value_heads: field.size.nullish().default(4),
  head_dim: field.size.nullish().default(256),
  hidden_activation: s.string().default('gelu_pytorch_tanh'),
  query_pre_attn_scalar: field.positive.default(256),
  sliding_window: field.size.nullish().default(4_096),
  rope_local_base_freq: field.positive.default(10_000),
  sliding_window_pattern: field.size.nullish(),
  _sliding_window_pattern: field.size.nullish(),
  layer_types: layerTypes,
  attention_bias: field.boolean.default(false),
});

/** transformers 5 has `rope_parameters` for each kind of layer; the words of before say the same. */
function flattenRope(json: Readonly<Record<string, unknown>>, file: string): Readonly<Record<string, unknown>> {
  const result = layered.safeParse(json['rope_parameters']);
  if (!result.success) return json;
  const { rope_parameters: _, ...rest } = json;
  const local = s.object({ rope_type: s.literal('default').optional(), rope_theta: field.positive }).safeParse(result.data.sliding_attention);
  if (!local.success) {
    throw new ConfigError(`${file}: rope_parameters.sliding_attention is not of type "default" with a rope_theta: correct it`, {
      field: 'rope_parameters',
      value: json['rope_parameters'],
      cause: local.error,
    });
  }
  return { ...rest, rope_parameters: result.data.full_attention, rope_local_base_freq: local.data.rope_theta };
}

export const gemma3: Family = {
  ...kinFiles,
  name: 'gemma3_text',
  architecture: 'Gemma3ForCausalLM',

  parseConfig(json, file) {
    const fixed = { use_bidirectional_attention: false, attn_logit_softcapping: null, final_logit_softcapping: null };
    const fields = readFields(flattenRope(json, file), { schema: schema3, fixed, harmless: kinHarmless, file });
    const config = parseKin(fields, { file, theta: 1_000_000 });
    const pattern = fields.sliding_window_pattern ?? fields._sliding_window_pattern ?? 6;
    const layers = parseLayerTypes(fields.layer_types, { layers: config.layers, file }) ??
      Array.from({ length: config.layers }, (_, layer) => (layer + 1) % pattern !== 0);
    return checkConfig({
      ...config,
      family: 'gemma3_text',
      activation: parseActivation(fields.hidden_activation, { field: 'hidden_activation', file }),
      attentionBias: fields.attention_bias,
      attentionScale: fields.query_pre_attn_scalar ** -0.5,
      embeddingScale: embeddingScale(fields.hidden_size),
      queryKeyNorm: true,
      outputNorms: true,
      slidingRopeTheta: fields.rope_local_base_freq,
      ...sliding(fields.sliding_window, layers),
    });
  },

  writeConfig(config) {
    expectFields(config, { ...KIN, mlpBias: false, queryKeyNorm: true, outputNorms: true, embeddingScale: embeddingScale(config.hiddenSize) }, [
      'ropeScaling', 'slidingWindow', 'slidingLayers', 'slidingRopeTheta', 'attentionScale',
    ]);
    const { hidden_act: hiddenActivation, ...common } = writeKin(config);
    return {
      ...common,
      hidden_activation: hiddenActivation,
      attention_bias: config.attentionBias,
      query_pre_attn_scalar: scalarOf(config),
      sliding_window: config.slidingWindow ?? null,
      rope_local_base_freq: config.slidingRopeTheta ?? config.ropeTheta,
      layer_types: writeLayerTypes(config),
      attn_logit_softcapping: null,
      final_logit_softcapping: null,
    };
  },

  storedTensors: (config) => kinTensors(config, { gainOffset: true, renamed: GEMMA3_NAMES }),
};

/** s with s^−½ the scale of scores: a whole number in all that is published, and rounded to one where it is within float error. */
function scalarOf(config: TransformerConfig): number {
  const scalar = config.attentionScale === undefined ? config.headSize : config.attentionScale ** -2;
  const whole = Math.round(scalar);
  return Math.abs(scalar - whole) < 1e-9 * whole ? whole : scalar;
}
