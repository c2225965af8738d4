/**
 * GPT-2 as Hugging Face stores it (transformers, GPT2Config and GPT2LMHeadModel). Its linear layers are Conv1D, with weights
 * (in, out), and query, key and value are one layer, c_attn, of 3·C outputs.
 */
import { checkConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import { expectFields, type Family, field, parseActivation, readFields, type StoredTensor, writtenActivation } from './family.ts';
import { gpt2Config } from './presets.ts';
import * as s from './schema.ts';

/** Absent fields have the defaults of GPT2Config. */
const schema = s.object({
  vocab_size: field.size.default(50_257),
  n_positions: field.size.default(1_024),
  n_ctx: field.size.nullish(),
  n_embd: field.size.default(768),
  n_layer: field.layers.default(12),
  n_head: field.size.default(12),
  n_inner: field.size.nullish(),
  activation_function: s.string().default('gelu_new'),
  layer_norm_epsilon: field.positive.default(1e-5),
  tie_word_embeddings: field.boolean.default(true),
});

const fixed = { scale_attn_weights: true, scale_attn_by_inverse_layer_idx: false };

/** Dropout acts in training only, and Parley trains without; reorder_and_upcast_attn is about half precision, and we sum in f32. */
const harmless = [
  'resid_pdrop', 'embd_pdrop', 'attn_pdrop', 'reorder_and_upcast_attn', 'summary_type', 'summary_use_proj', 'summary_activation',
  'summary_proj_to_labels', 'summary_first_dropout', 'n_special', 'predict_special_tokens',
];

export const gpt2: Family = {
  name: 'gpt2',
  architecture: 'GPT2LMHeadModel',
  prefix: 'transformer.',
  isBuffer: (name) => /^h\.\d+\.attn\.(bias|masked_bias)$/.test(name),

  parseConfig(json, file) {
    const fields = readFields(json, { schema, fixed, harmless, file });
    const { n_embd: hiddenSize, n_head: heads, n_ctx: context, n_positions: contextLength } = fields;
    if (hiddenSize % heads !== 0) {
      throw new ConfigError(`${file}: n_embd ${hiddenSize} does not divide over n_head ${heads}: correct one of them`, {
        field: 'n_head',
        value: heads,
      });
    }
    if (context && context !== contextLength) {
      throw new ConfigError(`${file}: n_ctx is ${context} and n_positions is ${contextLength}: both are the context, make them equal`, {
        field: 'n_ctx',
        value: context,
      });
    }
    return checkConfig(
      gpt2Config({
        vocabSize: fields.vocab_size,
        contextLength,
        hiddenSize,
        heads,
        layers: fields.n_layer,
        intermediateSize: fields.n_inner ?? 4 * hiddenSize,
        activation: parseActivation(fields.activation_function, { field: 'activation_function', file }),
        normEpsilon: fields.layer_norm_epsilon,
        tieEmbeddings: fields.tie_word_embeddings,
      }),
    );
  },

  writeConfig(config) {
    expectFields(config, {
      norm: 'layer', gated: false, positions: 'learned', attentionBias: true, mlpBias: true, keyValueHeads: config.heads,
      headSize: config.hiddenSize / config.heads,
    });
    return {
      vocab_size: config.vocabSize,
      n_positions: config.contextLength,
      n_ctx: config.contextLength,
      n_embd: config.hiddenSize,
      n_layer: config.layers,
      n_head: config.heads,
      n_inner: config.intermediateSize === 4 * config.hiddenSize ? null : config.intermediateSize,
      activation_function: config.activation === 'gelu_tanh' ? 'gelu_new' : writtenActivation(config.activation),
      layer_norm_epsilon: config.normEpsilon,
      tie_word_embeddings: config.tieEmbeddings,
      scale_attn_weights: true,
      scale_attn_by_inverse_layer_idx: false,
      resid_pdrop: 0,
      embd_pdrop: 0,
      attn_pdrop: 0,
    };
  },

  storedTensors(config) {
    const { hiddenSize: c, intermediateSize: f } = config;
    const tensors: StoredTensor[] = [];
    const plain = (name: string, parameter: string, shape: readonly number[]): void => {
      tensors.push({ name, shape, parameters: [parameter], transposed: false });
    };
    const norm = (name: string, parameter: string): void => {
      for (const part of ['weight', 'bias']) plain(`${name}.${part}`, `${parameter}.${part}`, [c]);
    };
    const convolution = (name: string, parameters: readonly string[], shape: readonly [inputs: number, outputs: number]): void => {
      tensors.push({ name: `${name}.weight`, shape, parameters: parameters.map((p) => `${p}.weight`), transposed: true });
      tensors.push({ name: `${name}.bias`, shape: [shape[1]], parameters: parameters.map((p) => `${p}.bias`), transposed: false });
    };
    plain('transformer.wte.weight', 'model.embed_tokens.weight', [config.vocabSize, c]);
    plain('transformer.wpe.weight', 'model.embed_positions.weight', [config.contextLength, c]);
    for (let layer = 0; layer < config.layers; layer++) {
      const block = `transformer.h.${layer}`;
      const ours = `model.layers.${layer}`;
      norm(`${block}.ln_1`, `${ours}.input_layernorm`);
      convolution(`${block}.attn.c_attn`, ['q_proj', 'k_proj', 'v_proj'].map((part) => `${ours}.self_attn.${part}`), [c, 3 * c]);
      convolution(`${block}.attn.c_proj`, [`${ours}.self_attn.o_proj`], [c, c]);
      norm(`${block}.ln_2`, `${ours}.post_attention_layernorm`);
      convolution(`${block}.mlp.c_fc`, [`${ours}.mlp.up_proj`], [c, f]);
      convolution(`${block}.mlp.c_proj`, [`${ours}.mlp.down_proj`], [f, c]);
    }
    norm('transformer.ln_f', 'model.norm');
    if (!config.tieEmbeddings) plain('lm_head.weight', 'lm_head.weight', [config.vocabSize, c]);
    return tensors;
  },
};
