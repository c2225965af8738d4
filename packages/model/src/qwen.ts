/**
 * Qwen2, Qwen2.5 (Yang et al., 2024) and Qwen3 (Yang et al., 2025) as Hugging Face stores them: Llama with biases on query, key and
 * value alone (2), or with a norm on each head's query and key (3). Either may have a window in its later layers.
 */
import { checkConfig, type TransformerConfig } from './config.ts';
import { expectFields, type Family, field, readFields } from './family.ts';
import {
  KIN, kinFields, kinFiles, kinHarmless, kinTensors, layerTypes, parseKin, parseLayerTypes, sliding, writeKin, writeLayerTypes,
} from './llama-kin.ts';
import * as s from './schema.ts';

const common = {
  ...kinFields({ vocab: 151_936, hidden: 4_096, intermediate: 22_016, layers: 32, heads: 32, context: 32_768, tied: false }),
  num_key_value_heads: field.size.nullish().default(32),
  use_sliding_window: field.boolean.default(false),
  sliding_window: field.size.nullish().default(4_096),
  /** The first layers, which have no window. */
  max_window_layers: s.whole(0).default(28),
  layer_types: layerTypes,
};
const schema2 = s.object(common);
const schema3 = s.object({ ...common, head_dim: field.size.nullish().default(128), attention_bias: field.boolean.default(false) });

function windows(fields: s.Output<typeof schema2>, config: TransformerConfig, file: string): Partial<TransformerConfig> {
  if (!fields.use_sliding_window) return {};
  const named = parseLayerTypes(fields.layer_types, { layers: config.layers, file });
  return sliding(fields.sliding_window, named ?? Array.from({ length: config.layers }, (_, layer) => layer >= fields.max_window_layers));
}

const writeWindows = (config: TransformerConfig): Record<string, unknown> => ({
  use_sliding_window: config.slidingWindow !== undefined,
  sliding_window: config.slidingWindow ?? null,
  max_window_layers: config.slidingWindow === undefined ? config.layers : Math.max(0, (config.slidingLayers ?? [true]).indexOf(true)),
  layer_types: writeLayerTypes(config),
});

export const qwen2: Family = {
  ...kinFiles,
  name: 'qwen2',
  architecture: 'Qwen2ForCausalLM',

  parseConfig(json, file) {
    const fields = readFields(json, { schema: schema2, fixed: {}, harmless: kinHarmless, file });
    const config = parseKin(fields, { file });
    return checkConfig({ ...config, family: 'qwen2', attentionBias: true, attentionOutputBias: false, ...windows(fields, config, file) });
  },

  writeConfig(config) {
    // Qwen2Attention knows no other head size.
    const fixed = { ...KIN, attentionBias: true, attentionOutputBias: false, mlpBias: false, headSize: config.hiddenSize / config.heads };
    expectFields(config, fixed, ['ropeScaling', 'slidingWindow', 'slidingLayers']);
    return { ...writeKin(config), ...writeWindows(config) };
  },

  storedTensors: (config) => kinTensors(config),
};

export const qwen3: Family = {
  ...kinFiles,
  name: 'qwen3',
  architecture: 'Qwen3ForCausalLM',

  parseConfig(json, file) {
    const fields = readFields(json, { schema: schema3, fixed: {}, harmless: kinHarmless, file });
    const config = parseKin(fields, { file });
    return checkConfig({ ...config, family: 'qwen3', attentionBias: fields.attention_bias, queryKeyNorm: true, ...windows(fields, config, file) });
  },

  writeConfig(config) {
    expectFields(config, { ...KIN, mlpBias: false, queryKeyNorm: true }, ['ropeScaling', 'slidingWindow', 'slidingLayers']);
    return { ...writeKin(config), attention_bias: config.attentionBias, ...writeWindows(config) };
  },

  storedTensors: (config) => kinTensors(config),
};
