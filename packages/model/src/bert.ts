/**
 * BERT (Devlin et al., 2018) as Hugging Face stores it (transformers, BertConfig): bidirectional, norms behind the sublayers, learned
 * positions, token types. Which head it has is said by `architectures`: BertForMaskedLM and BertForPreTraining fill masks, BertModel gives
 * states alone (sentence embeddings), BertForSequenceClassification has its head beside it (classifier.ts).
 */
import { checkConfig, type TransformerConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import { expectFields, type Family, field, parseActivation, readFields, type StoredTensor, writtenActivation } from './family.ts';
import { bertConfig } from './presets.ts';
import * as s from './schema.ts';

/** Absent fields have the defaults of BertConfig. */
const schema = s.object({
  vocab_size: field.size.default(30_522),
  hidden_size: field.size.default(768),
  num_hidden_layers: field.layers.default(12),
  num_attention_heads: field.size.default(12),
  intermediate_size: field.size.default(3_072),
  hidden_act: s.string().default('gelu'),
  max_position_embeddings: field.size.default(512),
  type_vocab_size: field.size.default(2),
  layer_norm_eps: field.positive.default(1e-12),
  tie_word_embeddings: field.boolean.default(true),
});

const fixed = { position_embedding_type: 'absolute' };

/** Dropout acts in training only; the pooler_… fields are of a Chinese checkpoint's TensorFlow config and read by nobody. */
const harmless = [
  'hidden_dropout_prob', 'attention_probs_dropout_prob', 'classifier_dropout', 'directionality', 'pooler_fc_size', 'pooler_num_attention_heads',
  'pooler_num_fc_layers', 'pooler_size_per_head', 'pooler_type', 'model_max_length',
];

const isMasked = (architectures: unknown): boolean =>
  Array.isArray(architectures) && architectures.some((name) => name === 'BertForMaskedLM' || name === 'BertForPreTraining');

export const bert: Family = {
  name: 'bert',
  architecture: 'BertForMaskedLM',
  prefix: 'bert.',
  // The order of positions; and what a file of another architecture has beside the body.
  isBuffer: (name) => /^(embeddings\.(position_ids|token_type_ids)$|pooler\.|cls\.)/.test(name),

  parseConfig(json, file) {
    const fields = readFields(json, { schema, fixed, harmless, file });
    const { hidden_size: hiddenSize, num_attention_heads: heads } = fields;
    if (hiddenSize % heads !== 0) {
      throw new ConfigError(`${file}: hidden_size ${hiddenSize} does not divide over ${heads} heads: correct one of them`, {
        field: 'num_attention_heads',
        value: heads,
      });
    }
    const { head: _, ...config } = bertConfig({
      vocabSize: fields.vocab_size,
      contextLength: fields.max_position_embeddings,
      hiddenSize,
      heads,
      layers: fields.num_hidden_layers,
      intermediateSize: fields.intermediate_size,
      activation: parseActivation(fields.hidden_act, { field: 'hidden_act', file }),
      normEpsilon: fields.layer_norm_eps,
      tokenTypes: fields.type_vocab_size,
      tieEmbeddings: fields.tie_word_embeddings,
    });
    return checkConfig({ ...config, head: isMasked(json['architectures']) ? 'masked' : 'none' });
  },

  writeConfig(config) {
    expectFields(
      config,
      {
        norm: 'layer', gated: false, positions: 'learned', attentionBias: true, mlpBias: true, keyValueHeads: config.heads,
        headSize: config.hiddenSize / config.heads, normPlacement: 'after', embeddingNorm: true, bidirectional: true,
      },
      ['tokenTypes', 'head', 'pooler'],
    );
    return {
      ...(config.head === 'none' && { architectures: ['BertModel'] }),
      vocab_size: config.vocabSize,
      hidden_size: config.hiddenSize,
      num_hidden_layers: config.layers,
      num_attention_heads: config.heads,
      intermediate_size: config.intermediateSize,
      hidden_act: writtenActivation(config.activation),
      max_position_embeddings: config.contextLength,
      type_vocab_size: config.tokenTypes ?? 1,
      layer_norm_eps: config.normEpsilon,
      position_embedding_type: 'absolute',
      tie_word_embeddings: config.tieEmbeddings,
      hidden_dropout_prob: 0,
      attention_probs_dropout_prob: 0,
    };
  },

  fitConfig(config, has) {
    const { pooler: _, ...rest } = config;
    return config.head === 'none' && has('pooler.dense.weight') ? { ...rest, pooler: true } : rest;
  },

  bodyConfig: (config) => ({ ...config, tieEmbeddings: true, head: 'none', pooler: true }),

  storedTensors,
};

function storedTensors(config: TransformerConfig): StoredTensor[] {
  const { hiddenSize: c, intermediateSize: f, vocabSize } = config;
  const tensors: StoredTensor[] = [];
  const plain = (name: string, parameter: string, shape: readonly number[], aliases: readonly string[] = []): void => {
    tensors.push({ name, shape, parameters: [parameter], transposed: false, ...(aliases.length > 0 && { aliases }) });
  };
  const linear = (name: string, parameter: string, [outputs, inputs]: readonly [number, number]): void => {
    plain(`${name}.weight`, `${parameter}.weight`, [outputs, inputs]);
    plain(`${name}.bias`, `${parameter}.bias`, [outputs]);
  };
  /** Gain and bias, which files converted from TensorFlow call gamma and beta. */
  const norm = (name: string, parameter: string): void => {
    plain(`${name}.weight`, `${parameter}.weight`, [c], [`${name}.gamma`]);
    plain(`${name}.bias`, `${parameter}.bias`, [c], [`${name}.beta`]);
  };
  plain('bert.embeddings.word_embeddings.weight', 'model.embed_tokens.weight', [vocabSize, c]);
  plain('bert.embeddings.position_embeddings.weight', 'model.embed_positions.weight', [config.contextLength, c]);
  if (config.tokenTypes !== undefined) plain('bert.embeddings.token_type_embeddings.weight', 'model.embed_token_types.weight', [config.tokenTypes, c]);
  norm('bert.embeddings.LayerNorm', 'model.embed_norm');
  for (let layer = 0; layer < config.layers; layer++) {
    const block = `bert.encoder.layer.${layer}`;
    const ours = `model.layers.${layer}`;
    linear(`${block}.attention.self.query`, `${ours}.self_attn.q_proj`, [c, c]);
    linear(`${block}.attention.self.key`, `${ours}.self_attn.k_proj`, [c, c]);
    linear(`${block}.attention.self.value`, `${ours}.self_attn.v_proj`, [c, c]);
    linear(`${block}.attention.output.dense`, `${ours}.self_attn.o_proj`, [c, c]);
    norm(`${block}.attention.output.LayerNorm`, `${ours}.attention_output_layernorm`);
    linear(`${block}.intermediate.dense`, `${ours}.mlp.up_proj`, [f, c]);
    linear(`${block}.output.dense`, `${ours}.mlp.down_proj`, [c, f]);
    norm(`${block}.output.LayerNorm`, `${ours}.mlp_output_layernorm`);
  }
  if (config.pooler) linear('bert.pooler.dense', 'pooler.dense', [c, c]);
  if (config.head === 'masked') {
    linear('cls.predictions.transform.dense', 'masked_head.dense', [c, c]);
    norm('cls.predictions.transform.LayerNorm', 'masked_head.norm');
    plain('cls.predictions.bias', 'masked_head.bias', [vocabSize], ['cls.predictions.decoder.bias']);
  }
  return tensors;
}
