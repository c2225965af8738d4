/** Llama 1 to 3 as Hugging Face stores it (transformers, LlamaConfig and LlamaForCausalLM), and what is built like it: SmolLM2. */
import { checkConfig } from './config.ts';
import { expectFields, type Family, field, readFields } from './family.ts';
import { KIN, kinFields, kinFiles, kinHarmless, kinTensors, parseKin, writeKin } from './llama-kin.ts';
import * as s from './schema.ts';

const schema = s.object({
  ...kinFields({ vocab: 32_000, hidden: 4_096, intermediate: 11_008, layers: 32, heads: 32, context: 2_048, tied: false }),
  attention_bias: field.boolean.default(false),
  mlp_bias: field.boolean.default(false),
});

const fixed = { rope_interleaved: false, sliding_window: null, use_sliding_window: false };

export const llama: Family = {
  ...kinFiles,
  name: 'llama',
  architecture: 'LlamaForCausalLM',

  parseConfig(json, file) {
    const fields = readFields(json, { schema, fixed, harmless: kinHarmless, file });
    return checkConfig({ ...parseKin(fields, { file }), attentionBias: fields.attention_bias, mlpBias: fields.mlp_bias });
  },

  writeConfig(config) {
    expectFields(config, KIN, ['ropeScaling']);
    return { ...writeKin(config), attention_bias: config.attentionBias, mlp_bias: config.mlpBias };
  },

  storedTensors: (config) => kinTensors(config),
};
