import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, ReferenceBackend } from '@parley/engine';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AdapterError, CheckpointError, encodeSafetensorsHeader, LoraAdapter, parseAdapterConfig, readSafetensorsHeader, singleSequence } from '../index.ts';
import { largestDifference, logitsOf, randomTokens, tinyConfigs, tinyModel } from '../testing/tiny.ts';
import { adapterName, FileSource, listAdapters, loadAdapter, resolveAdapter, saveAdapter } from './index.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'parley-adapter-'));
});
afterAll(async () => await rm(root, { recursive: true }));

const backend = new ReferenceBackend();
const BATCH = singleSequence(randomTokens(20, 41, 3));

function trained(config: (typeof tinyConfigs)[keyof typeof tinyConfigs], targets?: readonly string[]): LoraAdapter {
  const random = new Random(2);
  const adapter = LoraAdapter.initialize(backend, config, { rank: 4, alpha: 6, dropout: 0.1, ...(targets && { targets }), random });
  for (const tensor of adapter.parameters.values()) tensor.write(Float32Array.from({ length: tensor.size }, () => 0.2 * random.normal()));
  return adapter;
}

test.each(Object.keys(tinyConfigs) as (keyof typeof tinyConfigs)[])('%s: saved in f32 and loaded, an adapter gives the same bits; in bf16 within 0.1', async (name) => {
  const config = tinyConfigs[name];
  const folder = join(root, name.replace(' ', '-'));
  using model = tinyModel(backend, config);
  using adapter = trained(config);
  model.setAdapters([{ adapter }]);
  const want = await logitsOf(model, BATCH);
  const { allocations } = backend.stats();
  for (const [dtype, tolerance] of [['f32', 0], ['bf16', 0.1]] as const) {
    await saveAdapter(adapter, folder, { config, baseModel: 'tiny', dtype });
    using loaded = await loadAdapter(folder, { backend, config });
    expect(loaded.options).toEqual(adapter.options);
    model.setAdapters([{ adapter: loaded }]);
    expect(largestDifference(await logitsOf(model, BATCH), want)).toBeLessThanOrEqual(tolerance);
  }
  expect(backend.stats().allocations).toBe(allocations);
});

/** Names and shapes by PEFT's description of its format, for `LoraConfig(r=4, target_modules=…)` on these architectures. */
const GOLDEN = {
  llama: {
    targets: ['q_proj', 'v_proj', 'down_proj'],
    tensors: (layer: number) => ({
      [`base_model.model.model.layers.${layer}.self_attn.q_proj.lora_A.weight`]: [4, 32],
      [`base_model.model.model.layers.${layer}.self_attn.q_proj.lora_B.weight`]: [32, 4],
      [`base_model.model.model.layers.${layer}.self_attn.v_proj.lora_A.weight`]: [4, 32],
      [`base_model.model.model.layers.${layer}.self_attn.v_proj.lora_B.weight`]: [16, 4],
      [`base_model.model.model.layers.${layer}.mlp.down_proj.lora_A.weight`]: [4, 64],
      [`base_model.model.model.layers.${layer}.mlp.down_proj.lora_B.weight`]: [32, 4],
    }),
    fanInFanOut: false,
  },
  gpt2: {
    targets: ['c_attn', 'mlp.c_proj'],
    tensors: (layer: number) => ({
      [`base_model.model.transformer.h.${layer}.attn.c_attn.lora_A.weight`]: [4, 32],
      [`base_model.model.transformer.h.${layer}.attn.c_attn.lora_B.weight`]: [96, 4],
      [`base_model.model.transformer.h.${layer}.mlp.c_proj.lora_A.weight`]: [4, 128],
      [`base_model.model.transformer.h.${layer}.mlp.c_proj.lora_B.weight`]: [32, 4],
    }),
    fanInFanOut: true,
  },
};

test.each(['llama', 'gpt2'] as const)('%s: tensors have the names and shapes of PEFT\'s files, and the config its fields', async (name) => {
  const folder = join(root, `golden-${name}`);
  const { targets, tensors, fanInFanOut } = GOLDEN[name];
  using adapter = trained(tinyConfigs[name], targets);
  await saveAdapter(adapter, folder, { config: tinyConfigs[name], baseModel: 'owner/base', dtype: 'f16' });
  await using file = await FileSource.open(join(folder, 'adapter_model.safetensors'));
  const { entries } = await readSafetensorsHeader(file);
  expect(Object.fromEntries([...entries].map(([key, { shape }]) => [key, shape]))).toEqual({ ...tensors(0), ...tensors(1) });
  expect(JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8'))).toMatchObject({
    peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 4, lora_alpha: 6, lora_dropout: 0.1, bias: 'none', target_modules: targets,
    fan_in_fan_out: fanInFanOut, base_model_name_or_path: 'owner/base', use_rslora: false, use_dora: false, modules_to_save: null,
  });
});

/** With the fields of PEFT 0.18's LoraConfig. */
const PUBLISHED = {
  alora_invocation_tokens: null, alpha_pattern: {}, arrow_config: null, auto_mapping: null, base_model_name_or_path: 'meta-llama/Llama-2-7b-hf',
  bias: 'none', corda_config: null, ensure_weight_tying: false, eva_config: null, exclude_modules: null, fan_in_fan_out: false, inference_mode: true,
  init_lora_weights: true, layer_replication: null, layers_pattern: null, layers_to_transform: null, loftq_config: {}, lora_alpha: 32, lora_bias: false,
  lora_dropout: 0.05, megatron_config: null, megatron_core: 'megatron.core', modules_to_save: null, peft_type: 'LORA', peft_version: '0.18.0',
  qalora_group_size: 16, r: 16, rank_pattern: {}, revision: null, target_modules: ['q_proj', 'v_proj'], target_parameters: null, task_type: 'CAUSAL_LM',
  trainable_token_indices: null, use_dora: false, use_qalora: false, use_rslora: true,
};

test('a published configuration is read; what would change the computation is refused by name', () => {
  expect(parseAdapterConfig(PUBLISHED)).toEqual({
    rank: 16, alpha: 32, dropout: 0.05, rankStabilized: true, targets: ['q_proj', 'v_proj'], baseModel: 'meta-llama/Llama-2-7b-hf',
  });
  for (const [field, value] of Object.entries({
    use_dora: true, modules_to_save: ['lm_head'], alpha_pattern: { q_proj: 8 }, lora_bias: true, bias: 'all', peft_type: 'IA3', r: 0, something_new: 'x',
    trainable_token_indices: [1], init_lora_weights: 'pissa_niter_4', rank_pattern: { q_proj: 2 },
  })) {
    expect(() => parseAdapterConfig({ ...PUBLISHED, [field]: value }), field).toThrow(AdapterError);
    expect(() => parseAdapterConfig({ ...PUBLISHED, [field]: value })).toThrow(field);
  }
  expect(() => parseAdapterConfig([])).toThrow('not a JSON object');
});

test('adapters of other models, damaged files and empty folders are refused, and nothing stays allocated', async () => {
  const folder = join(root, 'refused');
  const load = (): Promise<LoraAdapter> => loadAdapter(folder, { backend, config: tinyConfigs.llama });
  await mkdir(folder);
  await expect(load()).rejects.toThrow('has no adapter_config.json');
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(PUBLISHED));
  await expect(load()).rejects.toThrow('has no adapter_model.safetensors');
  using other = trained(tinyConfigs['llama untied']);
  await saveAdapter(other, folder, { config: tinyConfigs['llama untied'], baseModel: null });
  const { allocations } = backend.stats();
  await expect(load()).rejects.toThrow('it was made for another model');
  using gpt = trained(tinyConfigs.gpt2);
  await saveAdapter(gpt, folder, { config: tinyConfigs.gpt2, baseModel: null });
  await expect(load()).rejects.toThrow('transformer.h.0.attn.c_attn.lora_A.weight, for which this llama model has no place');
  const lone = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';
  const bytes = Buffer.concat([encodeSafetensorsHeader([{ name: lone, dtype: 'F32', shape: [2, 32] }]), Buffer.alloc(256)]);
  await writeFile(join(folder, 'adapter_model.safetensors'), bytes);
  await expect(load()).rejects.toThrow('q_proj.lora_A.weight without model.layers.0.self_attn.q_proj.lora_B.weight');
  await writeFile(join(folder, 'adapter_model.safetensors'), bytes.subarray(0, 100));
  await expect(load()).rejects.toThrow(CheckpointError);
  gpt.dispose();
  expect(backend.stats().allocations).toBe(allocations);
});

test('an adapter is found by its path, by its run\'s, and by its run\'s name', async () => {
  const runs = join(root, 'runs');
  using adapter = trained(tinyConfigs.llama);
  const folder = join(runs, 'polite', 'adapter');
  await saveAdapter(adapter, folder, { config: tinyConfigs.llama, baseModel: 'tiny' });
  for (const name of [folder, join(runs, 'polite'), 'polite']) expect(await resolveAdapter(name, { runs })).toBe(folder);
  expect(adapterName(folder)).toBe('polite');
  expect(await listAdapters({ runs })).toMatchObject([{ name: 'polite', folder, rank: 4, baseModel: 'tiny' }]);
  await expect(resolveAdapter('polit', { runs })).rejects.toThrow('did you mean polite?');
  await expect(resolveAdapter('x', { runs: join(root, 'nowhere') })).rejects.toThrow('none was trained here');
});
