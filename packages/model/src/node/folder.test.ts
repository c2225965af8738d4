import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, ReferenceBackend } from '@parley/engine';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CheckpointError, encodeSafetensorsHeader, singleSequence, Transformer } from '../index.ts';
import { differingWeights, largestDifference, logitsOf, randomTokens, readWeights, tinyConfigs, tinyModel } from '../testing/tiny.ts';
import { loadConfig, loadGenerationConfig, loadModel, saveModel } from './index.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'parley-model-'));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

let folders = 0;
const newFolder = (): string => join(root, `m${folders++}`);

interface File {
  readonly header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  readonly data: Buffer;
}

/** The header and data of a written file, read here by hand. */
async function readFileByHand(folder: string, name = 'model.safetensors'): Promise<File> {
  const bytes = await readFile(join(folder, name));
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: _, ...header } = JSON.parse(bytes.subarray(8, 8 + length).toString()) as File['header'];
  return { header, data: bytes.subarray(8 + length) };
}

type StoredByHand = readonly [name: string, shape: readonly number[], bytes: Uint8Array];

/** Writes tensors (F32) as a file. */
async function writeByHand(path: string, tensors: Iterable<StoredByHand>, dtype = 'F32'): Promise<void> {
  const all = [...tensors];
  const header = encodeSafetensorsHeader(all.map(([name, shape]) => ({ name, shape, dtype })));
  await writeFile(path, Buffer.concat([header, ...all.map(([, , bytes]) => bytes)]));
}

const tensorsOf = ({ header, data }: File): [name: string, shape: number[], bytes: Uint8Array][] =>
  Object.entries(header).map(([name, { shape, data_offsets: [begin, end] }]) => [name, shape, data.subarray(begin, end)]);

for (const [name, config] of Object.entries(tinyConfigs)) {
  test(`${name}: saved and loaded again, every bit and every logit is the same, also from a file without the head's prefix`, async () => {
    await using backend = new ReferenceBackend();
    using model = tinyModel(backend, config);
    const folder = newFolder();
    await saveModel(model, folder);
    using loaded = await loadModel(folder, { backend });
    expect(loaded.config).toEqual(config);
    expect([...loaded.parameters.keys()]).toEqual([...model.parameters.keys()]);
    expect(differingWeights(await readWeights(loaded), await readWeights(model))).toEqual([]);
    const batch = singleSequence(randomTokens(9, 41, 1));
    expect(await logitsOf(loaded, batch)).toEqual(await logitsOf(model, batch));

    const bare = newFolder();
    await saveModel(model, bare);
    const tensors = tensorsOf(await readFileByHand(bare));
    await writeByHand(join(bare, 'model.safetensors'), tensors.map(([tensor, ...rest]) => [tensor.replace(/^(transformer|model)\./, ''), ...rest]));
    using again = await loadModel(bare, { backend });
    expect(differingWeights(await readWeights(again), await readWeights(model))).toEqual([]);
  });

  for (const [dtype, tolerance] of [['f16', 2 ** -11], ['bf16', 2 ** -8]] as const) {
    test(`${name}: saved in ${dtype}, each weight is the nearest ${dtype}, and saving what was loaded gives the same file`, async () => {
      await using backend = new ReferenceBackend();
      using model = tinyModel(backend, config);
      const [first, second] = [newFolder(), newFolder()];
      await saveModel(model, first, { dtype });
      using loaded = await loadModel(first, { backend });
      const [want, got] = [await readWeights(model), await readWeights(loaded)];
      for (const [parameter, values] of want) {
        const worst = values.reduce((max, value, i) => Math.max(max, Math.abs(got.get(parameter)![i]! - value) / (Math.abs(value) + 1e-4)), 0);
        expect(worst).toBeLessThanOrEqual(tolerance);
      }
      await saveModel(loaded, second, { dtype });
      expect(await readFile(join(second, 'model.safetensors'))).toEqual(await readFile(join(first, 'model.safetensors')));
      expect(JSON.parse(await readFile(join(first, 'config.json'), 'utf8'))).toMatchObject({ torch_dtype: dtype === 'f16' ? 'float16' : 'bfloat16' });
    });
  }

  for (const dtype of ['q8', 'q4'] as const) {
    test(`${name}: loaded in ${dtype}, it is the model quantized, and leaves no memory behind`, async () => {
      await using backend = new ReferenceBackend();
      using model = tinyModel(backend, config);
      const folder = newFolder();
      await saveModel(model, folder);
      const before = backend.stats().allocatedBytes;
      {
        using loaded = await loadModel(folder, { backend, dtype });
        expect(loaded.dtype).toBe(dtype);
        for (const [parameter, tensor] of loaded.parameters) {
          const isMatrix = tensor.shape.length === 2 && !parameter.includes('positions');
          if (tensor.dtype !== (isMatrix ? dtype : 'f32')) throw new Error(`${parameter} is in ${tensor.dtype}`);
        }
        using fresh = Transformer.initialize(backend, config, new Random(1), { dtype });
        for (const [parameter, tensor] of fresh.parameters) {
          const full = model.parameters.get(parameter)!;
          if (tensor.dtype === 'f32') backend.copy({ out: tensor, x: full });
          else backend.quantize({ out: tensor, x: full });
        }
        const batch = singleSequence(randomTokens(9, 41, 1));
        expect(await logitsOf(loaded, batch)).toEqual(await logitsOf(fresh, batch));
        await expect(saveModel(loaded, newFolder())).rejects.toThrow(`held in ${dtype} has lost the weights`);
      }
      expect(backend.stats().allocatedBytes).toBe(before);
    });
  }
}

test('GPT-2\'s file has Hugging Face\'s names and layouts: Conv1D (in, out), query, key and value side by side', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.gpt2);
  const folder = newFolder();
  await saveModel(model, folder);
  const { header, data } = await readFileByHand(folder);
  expect(Object.fromEntries(Object.entries(header).filter(([name]) => !/h\.1\./.test(name)).map(([name, { shape }]) => [name, shape]))).toEqual({
    'transformer.wte.weight': [41, 32], 'transformer.wpe.weight': [24, 32],
    'transformer.h.0.ln_1.weight': [32], 'transformer.h.0.ln_1.bias': [32],
    'transformer.h.0.attn.c_attn.weight': [32, 96], 'transformer.h.0.attn.c_attn.bias': [96],
    'transformer.h.0.attn.c_proj.weight': [32, 32], 'transformer.h.0.attn.c_proj.bias': [32],
    'transformer.h.0.ln_2.weight': [32], 'transformer.h.0.ln_2.bias': [32],
    'transformer.h.0.mlp.c_fc.weight': [32, 128], 'transformer.h.0.mlp.c_fc.bias': [128],
    'transformer.h.0.mlp.c_proj.weight': [128, 32], 'transformer.h.0.mlp.c_proj.bias': [32],
    'transformer.ln_f.weight': [32], 'transformer.ln_f.bias': [32],
  });
  const weights = await readWeights(model);
  const at = (name: string, index: number): number => data.readFloatLE(header[name]!.data_offsets[0] + 4 * index);
  const q = weights.get('model.layers.0.self_attn.q_proj.weight')!;
  const v = weights.get('model.layers.0.self_attn.v_proj.weight')!;
  // Input 5, output 7 of query and of value.
  expect(at('transformer.h.0.attn.c_attn.weight', 5 * 96 + 7)).toBe(q[7 * 32 + 5]);
  expect(at('transformer.h.0.attn.c_attn.weight', 5 * 96 + 64 + 7)).toBe(v[7 * 32 + 5]);
  expect(at('transformer.h.0.attn.c_attn.bias', 64 + 7)).toBe(weights.get('model.layers.0.self_attn.v_proj.bias')![7]);
  expect(at('transformer.h.0.mlp.c_proj.weight', 100 * 32 + 3)).toBe(weights.get('model.layers.0.mlp.down_proj.weight')![3 * 128 + 100]);
});

test('config.json and generation_config.json say what transformers looks for, and the token ids come back', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.llama);
  const folder = newFolder();
  await saveModel(model, folder, { generation: { bosTokenId: 0, eosTokenIds: [0, 2], padTokenId: 0, defaults: { temperature: 0.7 } } });
  expect(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))).toMatchObject({
    architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: 32, num_key_value_heads: 2, head_dim: 8, torch_dtype: 'float32',
    bos_token_id: 0, eos_token_id: [0, 2], pad_token_id: 0, tie_word_embeddings: true,
  });
  expect(await loadGenerationConfig(folder)).toEqual({ bosTokenId: 0, eosTokenIds: [0, 2], padTokenId: 0, defaults: { temperature: 0.7 } });
  await rm(join(folder, 'generation_config.json'));
  expect(await loadGenerationConfig(folder)).toEqual({ bosTokenId: 0, eosTokenIds: [0, 2], padTokenId: 0, defaults: {} });
  expect((await readdir(folder)).sort()).toEqual(['config.json', 'model.safetensors']);
});

test('a model in two shards loads as the whole one; shards that do not agree with their index are refused', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.llama);
  const folder = newFolder();
  await saveModel(model, folder);
  const tensors = tensorsOf(await readFileByHand(folder));
  const files = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const half = (i: number) => tensors.filter((_, at) => at % 2 === i);
  const weightMap = Object.fromEntries(tensors.map(([name], at) => [name, files[at % 2]!]));
  const writeIndex = (map: Record<string, string>): Promise<void> =>
    writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: { total_size: 1 }, weight_map: map }));
  await rm(join(folder, 'model.safetensors'));
  for (const [i, file] of files.entries()) await writeByHand(join(folder, file), half(i));
  await writeIndex(weightMap);
  {
    using loaded = await loadModel(folder, { backend });
    expect(differingWeights(await readWeights(loaded), await readWeights(model))).toEqual([]);
  }
  const first = tensors[0]![0];
  await writeIndex({ ...weightMap, [first]: files[1]! });
  await expect(loadModel(folder, { backend })).rejects.toThrow(`tensor ${first} is in ${join(folder, files[0]!)}, where`);
  await writeIndex({ ...weightMap, 'model.extra.weight': files[1]! });
  await expect(loadModel(folder, { backend })).rejects.toThrow('tensor model.extra.weight is not in');
  await writeIndex({ ...weightMap, [first]: '../elsewhere.safetensors' });
  await expect(loadModel(folder, { backend })).rejects.toThrow('../elsewhere.safetensors, which is not in its folder');
  await writeIndex({ ...weightMap, [first]: 'model-00003-of-00002.safetensors' });
  await expect(loadModel(folder, { backend })).rejects.toThrow('model-00003-of-00002.safetensors, which is missing');
  await writeIndex(weightMap);
  await writeByHand(join(folder, files[1]!), [...half(1), tensors[0]!]);
  await expect(loadModel(folder, { backend })).rejects.toThrow(`tensor ${first} is in`);
});

test('missing, unexpected and wrong-shaped tensors, and unusable dtypes, are named with file and both shapes, and nothing stays allocated', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.llama);
  const folder = newFolder();
  await saveModel(model, folder);
  const path = join(folder, 'model.safetensors');
  const tensors = tensorsOf(await readFileByHand(folder));
  const before = backend.stats().allocations;
  const attempt = async (list: typeof tensors, message: string, dtype = 'F32'): Promise<void> => {
    await writeByHand(path, list, dtype);
    const error = await loadModel(folder, { backend }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).toContain(path);
    expect(backend.stats().allocations).toBe(before);
  };
  await attempt(tensors.slice(1), 'lacks the tensor model.embed_tokens.weight');
  await attempt(tensors.filter(([name]) => !name.includes('norm')), 'lacks 5 tensors (model.layers.0.input_layernorm.weight, ');
  await attempt([...tensors, ['model.layers.2.mlp.up_proj.weight', [1], new Uint8Array(4)]], 'has the tensor model.layers.2.mlp.up_proj.weight, for which');
  const norm = tensors.findIndex(([name]) => name === 'model.norm.weight');
  await attempt(tensors.with(norm, ['model.norm.weight', [4, 8], tensors[norm]![2]]), 'tensor model.norm.weight is [4, 8]; config.json makes it [32]');
  await attempt(tensors.map(([name, shape, bytes]) => [name, shape, bytes]), 'is in I32; weights are read from F32, F16 and BF16', 'I32');
  const head = tensors[0]![2];
  await attempt([...tensors, ['lm_head.weight', [41, 32], head.map((byte, i) => (i === 8 ? byte ^ 1 : byte))]], 'lm_head.weight differs from model.embed_tokens.weight');
  await writeByHand(path, [...tensors, ['lm_head.weight', [41, 32], head], ['model.layers.0.self_attn.rotary_emb.inv_freq', [4], new Uint8Array(16)]]);
  using tied = await loadModel(folder, { backend });
  expect(differingWeights(await readWeights(tied), await readWeights(model))).toEqual([]);
});

test('the causal masks that published GPT-2 files carry as buffers are no parameters', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.gpt2);
  const folder = newFolder();
  await saveModel(model, folder);
  const tensors: StoredByHand[] = tensorsOf(await readFileByHand(folder)).map(([name, ...rest]) => [name.replace('transformer.', ''), ...rest]);
  tensors.push(['h.0.attn.bias', [1, 1, 24, 24], new Uint8Array(4 * 24 * 24)]);
  await writeByHand(join(folder, 'model.safetensors'), tensors);
  using loaded = await loadModel(folder, { backend });
  expect(differingWeights(await readWeights(loaded), await readWeights(model))).toEqual([]);
});

test('a file cut off at any place is refused', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.gpt2);
  const folder = newFolder();
  await saveModel(model, folder);
  const path = join(folder, 'model.safetensors');
  const { length } = await readFile(path);
  for (const size of [length - 1, Math.floor(length / 2), 4_000, 300, 9, 8, 3, 0]) {
    await truncate(path, size);
    await expect(loadModel(folder, { backend })).rejects.toThrow(CheckpointError);
  }
});

test('folders that are no models say what they lack', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.gpt2);
  const folder = newFolder();
  await expect(loadModel(folder, { backend })).rejects.toThrow(`${folder} has no config.json`);
  await mkdir(folder);
  await writeFile(join(folder, 'config.json'), '{');
  await expect(loadConfig(folder)).rejects.toThrow('config.json is not JSON');
  await saveModel(model, folder);
  await rm(join(folder, 'model.safetensors'));
  await expect(loadModel(folder, { backend })).rejects.toThrow('it has no weights');
  await writeFile(join(folder, 'pytorch_model.bin'), '');
  await expect(loadModel(folder, { backend })).rejects.toThrow('but pytorch_model.bin: convert them to safetensors');
});

test('weights too large for f16 are refused with the value, and the folder keeps what it had', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.gpt2);
  const folder = newFolder();
  await saveModel(model, folder);
  const before = await readFile(join(folder, 'model.safetensors'));
  const values = new Float32Array(32);
  values[3] = 70_000;
  model.parameters.get('model.norm.bias')!.write(values);
  await expect(saveModel(model, folder, { dtype: 'f16' })).rejects.toThrow('tensor transformer.ln_f.bias has the value 70,000, which f16 cannot hold: save it in bf16 or f32');
  expect(await readFile(join(folder, 'model.safetensors'))).toEqual(before);
  expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  await saveModel(model, folder, { dtype: 'bf16' });
  values[3] = Infinity;
  model.parameters.get('model.norm.bias')!.write(values);
  await saveModel(model, folder, { dtype: 'f16' });
});

test('loading reports progress to the last byte and stops when aborted', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.gpt2);
  const folder = newFolder();
  await saveModel(model, folder);
  const seen: number[] = [];
  const controller = new AbortController();
  const before = backend.stats().allocations;
  const loading = loadModel(folder, {
    backend,
    signal: controller.signal,
    onProgress: ({ loadedBytes, totalBytes }) => {
      seen.push(loadedBytes / totalBytes);
      if (seen.length === 3) controller.abort(new Error('enough'));
    },
  });
  await expect(loading).rejects.toThrow('enough');
  expect(seen).toHaveLength(3);
  expect(backend.stats().allocations).toBe(before);
  using _whole = await loadModel(folder, { backend, onProgress: ({ loadedBytes, totalBytes }) => seen.push(loadedBytes / totalBytes) });
  expect(seen.at(-1)).toBe(1);
});

test('a tensor larger than a chunk is read and written whole', async () => {
  await using backend = new ReferenceBackend();
  const config = { ...tinyConfigs.llama, vocabSize: 40_003 };
  using model = Transformer.initialize(backend, config, new Random(4));
  const folder = newFolder();
  await saveModel(model, folder);
  using loaded = await loadModel(folder, { backend });
  const table = 'model.embed_tokens.weight';
  expect(largestDifference(await loaded.parameters.get(table)!.read(), await model.parameters.get(table)!.read())).toBe(0);
});
