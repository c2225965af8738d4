import { expect, test } from 'vitest';
import { ConfigError } from './errors.ts';
import { parseConfigJSON, toConfigJSON } from './hugging-face.ts';
import { gpt2Config, llamaConfig, presets } from './presets.ts';
import { tinyConfigs } from './testing/tiny.ts';

/** The config.json of openai-community/gpt2. */
const GPT2 = {
  activation_function: 'gelu_new', architectures: ['GPT2LMHeadModel'], attn_pdrop: 0.1, bos_token_id: 50256, embd_pdrop: 0.1,
  eos_token_id: 50256, initializer_range: 0.02, layer_norm_epsilon: 1e-5, model_type: 'gpt2', n_ctx: 1024, n_embd: 768, n_head: 12,
  n_layer: 12, n_positions: 1024, resid_pdrop: 0.1, summary_activation: null, summary_first_dropout: 0.1,
  summary_proj_to_labels: true, summary_type: 'cls_index', summary_use_proj: true,
  task_specific_params: { 'text-generation': { do_sample: true, max_length: 50 } }, vocab_size: 50257,
};

/** The config.json of HuggingFaceTB/SmolLM2-135M. */
const SMOLLM2 = {
  architectures: ['LlamaForCausalLM'], attention_bias: false, attention_dropout: 0, bos_token_id: 0, eos_token_id: 0,
  hidden_act: 'silu', hidden_size: 576, initializer_range: 0.041666666666666664, intermediate_size: 1536, is_llama_config: true,
  max_position_embeddings: 8192, model_type: 'llama', num_attention_heads: 9, num_hidden_layers: 30, num_key_value_heads: 3,
  pretraining_tp: 1, rms_norm_eps: 1e-5, rope_interleaved: false, rope_scaling: null, rope_theta: 100000, tie_word_embeddings: true,
  torch_dtype: 'bfloat16', transformers_version: '4.40.1', use_cache: true, vocab_size: 49152,
};

test('the published config of GPT-2 is its paper\'s model', () => {
  expect(parseConfigJSON(GPT2)).toEqual(gpt2Config({ vocabSize: 50_257, contextLength: 1_024, hiddenSize: 768, heads: 12, layers: 12 }));
});

test('the published config of SmolLM2-135M is the preset of that name', () => {
  expect(parseConfigJSON(SMOLLM2)).toEqual(presets['smollm2-135m']);
});

test('a config that transformers 5 writes, with rope_parameters and dtype, reads the same', () => {
  const { rope_theta, rope_scaling: _, torch_dtype, ...rest } = SMOLLM2;
  const json = { ...rest, dtype: torch_dtype, rope_parameters: { rope_type: 'default', rope_theta } };
  expect(parseConfigJSON(json)).toEqual(presets['smollm2-135m']);
});

test('absent fields have the defaults of transformers', () => {
  expect(parseConfigJSON({ model_type: 'gpt2' })).toEqual(parseConfigJSON(GPT2));
  expect(parseConfigJSON({ model_type: 'llama' })).toEqual(
    llamaConfig({
      vocabSize: 32_000, contextLength: 2_048, hiddenSize: 4_096, heads: 32, layers: 32, intermediateSize: 11_008, normEpsilon: 1e-6, tieEmbeddings: false,
    }),
  );
});

for (const [name, config] of Object.entries({ ...tinyConfigs, ...presets })) {
  test(`${name} survives config.json and back`, () => {
    const json: unknown = JSON.parse(JSON.stringify(toConfigJSON(config, { eos_token_id: 1 })));
    expect(parseConfigJSON(json)).toEqual(config);
  });
}

const refused: readonly (readonly [base: object, change: Record<string, unknown>, message: string])[] = [
  [GPT2, { scale_attn_by_inverse_layer_idx: true }, 'scale_attn_by_inverse_layer_idx is true; Parley computes only false'],
  [GPT2, { scale_attn_weights: false }, 'scale_attn_weights is false; Parley computes only true'],
  [GPT2, { add_cross_attention: true }, 'add_cross_attention is true; Parley computes only false'],
  [GPT2, { activation_function: 'relu' }, 'activation_function is "relu"; Parley computes gelu, gelu_new'],
  [GPT2, { n_ctx: 512 }, 'n_ctx is 512 and n_positions is 1024'],
  [GPT2, { n_head: 11 }, 'n_embd 768 does not divide over n_head 11'],
  [GPT2, { n_embd: '768' }, 'n_embd is "768"'],
  [GPT2, { n_layer: 0 }, 'n_layer is 0'],
  [GPT2, { hidden_act: 'gelu' }, 'hidden_act is "gelu", a field Parley does not know'],
  [SMOLLM2, { rope_scaling: { type: 'dynamic', factor: 2 } }, 'rope_scaling.type is "dynamic"; Parley computes default, linear, llama3, yarn'],
  [SMOLLM2, { rope_theta: undefined, rope_parameters: { rope_type: 'longrope', rope_theta: 5 } }, 'rope_parameters.rope_type is "longrope"'],
  [SMOLLM2, { rope_scaling: { rope_type: 'yarn' } }, 'rope_scaling of type "yarn" has no factor: give it'],
  [SMOLLM2, { rope_scaling: { rope_type: 'linear', factor: 2, beta_fast: 32 } }, 'rope_scaling of type "linear" has beta_fast, which that type does not take'],
  [SMOLLM2, { rope_scaling: { rope_type: 'yarn', factor: 2, mscale: 0.7 } }, 'rope_scaling'],
  [
    SMOLLM2, { rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 1, original_max_position_embeddings: 64 } },
    'highFrequencyFactor 1 is not above its lowFrequencyFactor 4',
  ],
  [SMOLLM2, { rope_parameters: { rope_type: 'default', rope_theta: 5 } }, 'rope_theta is 100000 and rope_parameters.rope_theta is 5'],
  [SMOLLM2, { rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } }, 'rope_parameters'],
  // Names that every object has are no more known than others.
  [SMOLLM2, { toString: 1 }, 'toString is 1, a field Parley does not know'],
  [SMOLLM2, { hidden_act: 'constructor' }, 'hidden_act is "constructor"; Parley computes gelu'],
  [SMOLLM2, { rope_scaling: { rope_type: 'constructor' } }, 'rope_scaling.rope_type is "constructor"'],
  // Numbers that would take hours, or all memory, to find out about otherwise.
  [SMOLLM2, { num_hidden_layers: 1e15 }, 'num_hidden_layers is 1000000000000000'],
  [SMOLLM2, { vocab_size: 2 ** 40 }, 'vocab_size is 1099511627776'],
  [SMOLLM2, { rope_interleaved: true }, 'rope_interleaved is true; Parley computes only false'],
  [SMOLLM2, { sliding_window: 4096 }, 'sliding_window is 4096; Parley computes only null'],
  [SMOLLM2, { hidden_act: 'relu2' }, 'hidden_act is "relu2"'],
  [SMOLLM2, { attention_bias: 'some' }, 'attention_bias is "some"'],
  [SMOLLM2, { quantization_config: { bits: 4 } }, 'quantization_config is {"bits":4}, a field Parley does not know'],
  [SMOLLM2, { auto_map: { AutoModel: 'x.py' } }, 'auto_map'],
  [SMOLLM2, { hidden_size: 577 }, 'head_dim is not given'],
  [SMOLLM2, { num_key_value_heads: 4 }, 'keyValueHeads has to divide heads'],
  [SMOLLM2, { head_dim: 63 }, 'headSize 63 is odd'],
  [SMOLLM2, { rms_norm_eps: 0 }, 'rms_norm_eps is 0'],
  [SMOLLM2, { model_type: 'mamba' }, 'model_type is "mamba"; Parley knows gpt2, llama, mistral, '],
  [SMOLLM2, { model_type: undefined }, 'model_type is missing'],
];

for (const [base, change, message] of refused) {
  test(`${JSON.stringify(change)} is refused by name and value`, () => {
    const json = JSON.parse(JSON.stringify({ ...base, ...change })) as unknown;
    const parse = (): unknown => parseConfigJSON(json, 'some/config.json');
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(message);
  });
}

test('a config its family cannot write down is refused', () => {
  expect(() => toConfigJSON({ ...tinyConfigs.gpt2, norm: 'rms' })).toThrow('a gpt2 config.json cannot say norm: "rms", the family has "layer"');
  expect(() => toConfigJSON({ ...tinyConfigs.gpt2, keyValueHeads: 2 })).toThrow('keyValueHeads');
  expect(() => toConfigJSON({ ...tinyConfigs.llama, positions: 'learned' })).toThrow('positions');
});
