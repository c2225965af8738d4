/** Mistral (Jiang et al., 2023; transformers, MistralConfig and MistralForCausalLM): Llama with a sliding window in every layer. */
import { checkConfig } from './config.ts';
import { expectFields, type Family, field, readFields } from './family.ts';
import { KIN, kinFields, kinFiles, kinHarmless, kinTensors, layerTypes, parseKin, parseLayerTypes, sliding, writeKin } from './llama-kin.ts';
import * as s from './schema.ts';

const schema = s.object({
  ...kinFields({ vocab: 32_000, hidden: 4_096, intermediate: 14_336, layers: 32, heads: 32, context: 131_072, tied: false }),
  // MistralConfig's default, unlike the others', is not as many as there are heads; null is.
  num_key_value_heads: field.size.nullish().default(8),
  sliding_window: field.size.nullish().default(4_096),
  layer_types: layerTypes,
});

export const mistral: Family = {
  ...kinFiles,
  name: 'mistral',
  architecture: 'MistralForCausalLM',

  parseConfig(json, file) {
    const fields = readFields(json, { schema, fixed: {}, harmless: kinHarmless, file });
    const config = parseKin(fields, { file });
    const layers = parseLayerTypes(fields.layer_types, { layers: config.layers, file }) ?? Array<boolean>(config.layers).fill(true);
    return checkConfig({ ...config, family: 'mistral', ...sliding(fields.sliding_window, layers) });
  },

  writeConfig(config) {
    expectFields(config, { ...KIN, attentionBias: false, mlpBias: false }, ['ropeScaling', 'slidingWindow']);
    return { ...writeKin(config), sliding_window: config.slidingWindow ?? null };
  },

  storedTensors: (config) => kinTensors(config),
};
