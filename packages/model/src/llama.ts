/**
 * Llama as Hugging Face stores it (transformers, LlamaConfig and LlamaForCausalLM): weights (out, in) under the names Parley
 * uses itself; queries and keys permuted so that rotary pairs are halves apart.
 */
import * as z from 'zod';
import { checkConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import { expectFields, type Family, field, parseActivation, readFields } from './family.ts';
import { parameterSpecs } from './parameters.ts';
import { llamaConfig } from './presets.ts';

/** Absent fields have the defaults of LlamaConfig; transformers 5 writes `rope_parameters` for `rope_theta` and `rope_scaling`. */
const schema = z.object({
  vocab_size: field.size.default(32_000),
  hidden_size: field.size.default(4_096),
  intermediate_size: field.size.default(11_008),
  num_hidden_layers: field.size.default(32),
  num_attention_heads: field.size.default(32),
  num_key_value_heads: field.size.nullish(),
  head_dim: field.size.nullish(),
  hidden_act: z.string().default('silu'),
  max_position_embeddings: field.size.default(2_048),
  rms_norm_eps: field.positive.default(1e-6),
  rope_theta: field.positive.nullish(),
  rope_parameters: z
    .strictObject({
      rope_type: z.literal('default', 'only the "default" rotary frequencies are computed'),
      rope_theta: field.positive.optional(),
    })
    .nullish(),
  rope_scaling: z.null('scaled rotary frequencies are not computed, only null: use a model without them').optional(),
  tie_word_embeddings: field.boolean.default(false),
  attention_bias: field.boolean.default(false),
  mlp_bias: field.boolean.default(false),
});

const fixed = { rope_interleaved: false, sliding_window: null, use_sliding_window: false };

/** Dropout acts in training only, and Parley trains without; pretraining_tp splits the same sums. */
const harmless = ['attention_dropout', 'pretraining_tp'];

export const llama: Family = {
  name: 'llama',
  architecture: 'LlamaForCausalLM',
  prefix: 'model.',
  isBuffer: (name) => /^layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/.test(name),

  parseConfig(json, file) {
    const fields = readFields(json, { schema, fixed, harmless, file });
    const { hidden_size: hiddenSize, num_attention_heads: heads, rope_theta: theta, rope_parameters: rope } = fields;
    if (!fields.head_dim && hiddenSize % heads !== 0) {
      throw new ConfigError(`${file}: hidden_size ${hiddenSize} does not divide over ${heads} heads and head_dim is not given: give it`, {
        field: 'head_dim',
        value: fields.head_dim,
      });
    }
    if (theta && rope?.rope_theta && theta !== rope.rope_theta) {
      throw new ConfigError(`${file}: rope_theta is ${theta} and rope_parameters.rope_theta is ${rope.rope_theta}: make them equal`, {
        field: 'rope_theta',
        value: theta,
      });
    }
    return checkConfig(
      llamaConfig({
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
        ropeTheta: theta ?? rope?.rope_theta ?? 10_000,
        tieEmbeddings: fields.tie_word_embeddings,
        attentionBias: fields.attention_bias,
        mlpBias: fields.mlp_bias,
      }),
    );
  },

  writeConfig(config) {
    expectFields(config, { norm: 'rms', gated: true, positions: 'rotary' });
    return {
      vocab_size: config.vocabSize,
      hidden_size: config.hiddenSize,
      intermediate_size: config.intermediateSize,
      num_hidden_layers: config.layers,
      num_attention_heads: config.heads,
      num_key_value_heads: config.keyValueHeads,
      head_dim: config.headSize,
      hidden_act: { gelu: 'gelu', gelu_tanh: 'gelu_pytorch_tanh', silu: 'silu' }[config.activation],
      max_position_embeddings: config.contextLength,
      rms_norm_eps: config.normEpsilon,
      rope_theta: config.ropeTheta,
      rope_scaling: null,
      tie_word_embeddings: config.tieEmbeddings,
      attention_bias: config.attentionBias,
      mlp_bias: config.mlpBias,
      attention_dropout: 0,
    };
  },

  storedTensors: (config) => parameterSpecs(config).map(({ name, shape }) => ({ name, shape, parameters: [name], transposed: false })),
};
