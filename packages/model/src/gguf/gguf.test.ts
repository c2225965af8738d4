import { MemoryLimitError, Random, ReferenceBackend } from '@parley/engine';
import { encodeGgufHeader, GgufError, type GgufValue, readGguf } from '@parley/gguf';
import { describe, expect, test } from 'vitest';
import { bertConfig, type ByteSource, CheckpointError, ConfigError, llamaConfig, singleSequence, Transformer, type TransformerConfig } from '../index.ts';
import { differingWeights, largestDifference, logitsOf, randomize, randomTokens, readWeights, tinyConfigs, tinyModel } from '../testing/tiny.ts';
import { encodeGguf, type GgufDType } from './encode.ts';
import { GgufModel, loadGguf } from './load.ts';
import { ggufTensors, permutePairs } from './names.ts';

const sourceOf = (bytes: Uint8Array, name = 'tiny.gguf'): ByteSource => ({
  name,
  size: bytes.length,
  read: (begin, into) => {
    if (begin + into.length > bytes.length) throw new Error(`read of ${into.length} bytes at ${begin} of ${bytes.length}`);
    into.set(bytes.subarray(begin, begin + into.length));
    return Promise.resolve();
  },
});

async function fileOf(model: Transformer, dtype: GgufDType, metadata?: ReadonlyMap<string, GgufValue>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of encodeGguf(model, { dtype, ...(metadata && { metadata }) })) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

const size = { vocabSize: 41, contextLength: 24, hiddenSize: 32, heads: 4, keyValueHeads: 2, layers: 2, intermediateSize: 64 };
const { tokenTypes: _, ...bert } = bertConfig({ ...size, heads: 4, keyValueHeads: 4, tokenTypes: 2 });

/** One for each architecture and each way of saying something that only GGUF has. */
const configs: Readonly<Record<string, TransformerConfig>> = {
  ...tinyConfigs,
  'llama, Llama 3\'s rotary frequencies': llamaConfig({
    ...size, ropeScaling: { type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 16 },
  }),
  'llama, linear': llamaConfig({ ...size, ropeScaling: { type: 'linear', factor: 2.5 } }),
  'llama, YaRN': llamaConfig({ ...size, ropeScaling: { type: 'yarn', factor: 4, originalContext: 16, betaFast: 16, betaSlow: 1, attentionFactor: 1.25 } }),
  qwen2: llamaConfig({ ...size, family: 'qwen2', attentionBias: true, attentionOutputBias: false, tieEmbeddings: false }),
  qwen3: llamaConfig({ ...size, family: 'qwen3', queryKeyNorm: true, headSize: 16 }),
  gemma: llamaConfig({ ...size, family: 'gemma', keyValueHeads: 1, headSize: 16, activation: 'gelu_tanh', embeddingScale: Math.fround(Math.sqrt(32)) }),
  gemma3: llamaConfig({
    ...size, layers: 7, family: 'gemma3_text', headSize: 16, activation: 'gelu_tanh', embeddingScale: Math.fround(Math.sqrt(32)), attentionScale: 0.25, queryKeyNorm: true,
    outputNorms: true, ropeTheta: 1e6, slidingRopeTheta: 10_000, slidingWindow: 4, slidingLayers: [true, true, true, true, true, false, true],
  }),
};

/** The token with the largest logit of each row. */
const likeliest = (logits: Float32Array): number[] =>
  Array.from({ length: logits.length / 41 }, (_row, row) => {
    const values = logits.subarray(41 * row, 41 * (row + 1));
    return values.indexOf(Math.max(...values));
  });

/** What a file makes of a config: the same mathematics, said otherwise. */
const told: Readonly<Record<string, Partial<TransformerConfig>>> = {
  'llama, Llama 3\'s rotary frequencies': { ropeScaling: expect.objectContaining({ type: 'factors' }) as unknown as NonNullable<TransformerConfig['ropeScaling']> },
  'llama, YaRN': { ropeScaling: expect.objectContaining({ type: 'yarn', attentionFactor: expect.closeTo(1.25, 6) as number }) as unknown as NonNullable<TransformerConfig['ropeScaling']> },
};

describe.each(Object.entries(configs))('%s', (name, config) => {
  test('in F32 every weight comes back to the bit', async () => {
    await using backend = new ReferenceBackend();
    using model = tinyModel(backend, config);
    const opened = await GgufModel.open(sourceOf(await fileOf(model, 'f32')));
    expect(opened.config).toEqual({ ...config, ...told[name] });
    expect(opened.dtype).toBe('f32');
    using loaded = await loadGguf(backend, opened);
    expect(differingWeights(await readWeights(model), await readWeights(loaded))).toEqual([]);
    const batch = singleSequence(randomTokens(12, 41, 3));
    expect(largestDifference(await logitsOf(loaded, batch), await logitsOf(model, batch))).toBeLessThanOrEqual(2e-5);
  });

  test('in F16 a model as it is initialized has logits within 1e-3 and the same likeliest tokens', async () => {
    await using backend = new ReferenceBackend();
    using model = Transformer.initialize(backend, config, new Random(4));
    const batch = singleSequence(randomTokens(12, 41, 3));
    using loaded = await loadGguf(backend, await GgufModel.open(sourceOf(await fileOf(model, 'f16'))));
    const [logits, back] = [await logitsOf(model, batch), await logitsOf(loaded, batch)];
    expect(largestDifference(back, logits)).toBeLessThanOrEqual(1e-3);
    expect(likeliest(back)).toEqual(likeliest(logits));
  });
});

test('BERT\'s body comes back to the bit, states and all', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, { ...bert, tokenTypes: 2, head: 'none' });
  const opened = await GgufModel.open(sourceOf(await fileOf(model, 'f32')));
  expect(opened.config).toEqual(model.config);
  using loaded = await loadGguf(backend, opened);
  expect(await readWeights(loaded)).toEqual(await readWeights(model));
});

test('a file of architecture llama has rotary pairs side by side: row 1 of a head of 8 is Hugging Face\'s row 4', () => {
  const rows = Float32Array.from({ length: 16 }, (_row, i) => i);
  const out = new Float32Array(16);
  permutePairs(rows, out, { headRows: 8, width: 1, to: 'neighbours' });
  expect(Array.from(out)).toEqual([0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]);
  const back = new Float32Array(16);
  permutePairs(out, back, { headRows: 8, width: 1, to: 'halves' });
  expect(back).toEqual(rows);
  // And nowhere else.
  expect(ggufTensors(configs['qwen2']!).every(({ paired }) => paired === undefined)).toBe(true);
  expect(ggufTensors(configs['llama']!).filter(({ paired }) => paired !== undefined).map(({ name, paired }) => [name, paired])).toEqual(
    [0, 1].flatMap((layer) => [[`blk.${layer}.attn_q.weight`, 4], [`blk.${layer}.attn_k.weight`, 2]]),
  );
});

test('the tensors of a Llama have the names and types that llama.cpp gives them; a tied Q4_0 model\'s embeddings are Q8_0', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.llama);
  const typesIn = async (dtype: GgufDType): Promise<Record<string, string>> => {
    const { tensors } = await readGguf(sourceOf(await fileOf(model, dtype)));
    return Object.fromEntries([...tensors].map(([name, { type }]) => [name, type]));
  };
  const block = (matrix: string): Record<string, string> => Object.fromEntries([0, 1].flatMap((layer): [string, string][] => [
    ...['attn_norm', 'ffn_norm'].map((part): [string, string] => [`blk.${layer}.${part}.weight`, 'F32']),
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'].map((part): [string, string] => [`blk.${layer}.${part}.weight`, matrix]),
  ]));
  expect(await typesIn('f16')).toEqual({ 'token_embd.weight': 'F16', 'output_norm.weight': 'F32', ...block('F16') });
  expect(await typesIn('q8_0')).toEqual({ 'token_embd.weight': 'Q8_0', 'output_norm.weight': 'F32', ...block('Q8_0') });
  expect(await typesIn('q4_0')).toEqual({ 'token_embd.weight': 'Q8_0', 'output_norm.weight': 'F32', ...block('Q4_0') });
});

test('quantized files are held in what is nearest: a Q8_0 file in q8 gives, to the bit, the logits of its own weights quantized again', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.llama);
  const quantized = await GgufModel.open(sourceOf(await fileOf(model, 'q8_0')));
  expect([quantized.type, quantized.dtype]).toEqual(['Q8_0', 'q8']);
  const q4 = await GgufModel.open(sourceOf(await fileOf(model, 'q4_0')));
  expect([q4.type, q4.dtype]).toEqual(['Q4_0', 'q4']);
  using mixed = await loadGguf(backend, q4);
  expect([mixed.dtype, mixed.parameters.get('model.embed_tokens.weight')!.dtype, mixed.parameters.get('model.norm.weight')!.dtype]).toEqual(['q4', 'q8', 'f32']);
  const batch = singleSequence(randomTokens(9, 41, 2));
  using held = await loadGguf(backend, quantized);
  expect(held.dtype).toBe('q8');
  using wide = await loadGguf(backend, quantized, { dtype: 'f32' });
  using again = await loadGguf(backend, await GgufModel.open(sourceOf(await fileOf(wide, 'f32'))), { dtype: 'q8' });
  expect(await logitsOf(again, batch)).toEqual(await logitsOf(held, batch));
});

describe('what Parley does not compute, or cannot write, is refused by name', () => {
  const keys = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: 'llama' }], ['llama.context_length', { type: 'u32', value: 24 }], ['llama.embedding_length', { type: 'u32', value: 32 }],
    ['llama.block_count', { type: 'u32', value: 1 }], ['llama.feed_forward_length', { type: 'u32', value: 64 }], ['llama.attention.head_count', { type: 'u32', value: 4 }],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
  ]);
  const open = async (changes: Record<string, GgufValue | null>): Promise<GgufModel> => {
    const metadata = new Map(keys);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) metadata.delete(key);
      else metadata.set(key, value);
    }
    const header = encodeGgufHeader({ metadata, tensors: [{ name: 'token_embd.weight', type: 'IQ1_S', shape: [4, 256] }] });
    return await GgufModel.open(sourceOf(new Uint8Array([...header, ...new Uint8Array(256)])));
  };
  test.each<[string, Record<string, GgufValue | null>, string]>([
    ['an architecture', { 'general.architecture': { type: 'string', value: 'mamba' } }, 'tiny.gguf: general.architecture is "mamba"; Parley knows llama, qwen2'],
    ['no architecture', { 'general.architecture': null }, 'general.architecture is missing'],
    ['experts', { 'llama.expert_count': { type: 'u32', value: 8 } }, 'llama.expert_count is 8: Parley computes only 0'],
    ['a field nobody knows', { 'llama.attention.scale': { type: 'f32', value: 0.5 } }, 'llama.attention.scale is 0.5: Parley does not know the field'],
    ['scaling by tables', { 'llama.rope.scaling.type': { type: 'string', value: 'longrope' } }, 'llama.rope.scaling.type is "longrope": Parley computes none, linear and yarn'],
    ['a missing field', { 'llama.attention.head_count': null }, 'llama.attention.head_count is missing'],
    ['fields for each layer', { 'llama.feed_forward_length': { type: 'array', items: 'i32', value: [64, 128] } }, 'llama.feed_forward_length is [64,128]'],
    ['rotary positions for a part of a head', { 'llama.rope.dimension_count': { type: 'u32', value: 4 } }, 'llama.rope.dimension_count is 4: Parley computes only 8'],
    ['more layers than tensors', { 'llama.block_count': { type: 'u32', value: 4_000_000_000 } }, 'llama.block_count is 4000000000: the file has 1 tensors'],
  ])('%s', async (_what, changes, message) => {
    const error = await open(changes).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toContain(message);
  });

  test('tensors that are missing, of the wrong shape, of a type that is not read, or of no use', async () => {
    await using backend = new ReferenceBackend();
    using model = tinyModel(backend, tinyConfigs.llama);
    const whole = await fileOf(model, 'f16');
    const renamed = (from: string, to: string): Uint8Array => {
      const bytes = Buffer.from(whole);
      bytes.write(to, bytes.indexOf(from));
      return new Uint8Array(bytes);
    };
    const load = async (bytes: Uint8Array): Promise<unknown> => await loadGguf(backend, await GgufModel.open(sourceOf(bytes)));
    await expect(load(renamed('blk.1.ffn_up.weight', 'blk.1.ffn_XX.weight'))).rejects.toThrow('tensor blk.1.ffn_up.weight is missing: the file is incomplete');
    await expect(load(renamed('output_norm.weight', 'rope_XXXX_a.weight'))).rejects.toThrow(CheckpointError);
    await expect(load(renamed('llama.feed_forward_length', 'llama.feed_XXXward_length'))).rejects.toThrow(ConfigError);
    const { allocatedBytes } = backend.stats();
    model.dispose();
    expect(backend.stats().allocatedBytes).toBeLessThan(allocatedBytes);
  });

  test('writing a quantized model, values beyond f16, and what llama.cpp takes for granted', async () => {
    await using backend = new ReferenceBackend();
    using model = tinyModel(backend, tinyConfigs.llama);
    model.parameters.get('model.layers.0.mlp.up_proj.weight')!.write(new Float32Array(64 * 32).fill(70_000));
    await expect(fileOf(model, 'f16')).rejects.toThrow('tensor blk.0.ffn_up.weight has the value 70,000, which F16 cannot hold');
    using exact = Transformer.initialize(backend, { ...tinyConfigs.gpt2, activation: 'gelu' }, new Random(1));
    await expect(fileOf(exact, 'f16')).rejects.toThrow('GGUF\'s gpt2 cannot say activation: "gelu", it is always "gelu_tanh" there');
    using masked = Transformer.initialize(backend, { ...bert, tokenTypes: 2 }, new Random(1));
    await expect(fileOf(masked, 'f16')).rejects.toThrow('cannot say head: "masked"');
  });
});

test('2,000 mutations, seed 2: a model, or an error that names the file; no memory beyond the file\'s and a model\'s of its size', async () => {
  // A limit that the whole model fits eight times: more is asked for only by a damaged field.
  await using backend = new ReferenceBackend({ limitBytes: 1 << 20 });
  await using unlimited = new ReferenceBackend();
  using model = Transformer.initialize(unlimited, llamaConfig({ ...size, layers: 1 }), new Random(1));
  randomize(model, 1, 0.3);
  const original = await fileOf(model, 'q8_0', new Map([['tokenizer.ggml.eos_token_id', { type: 'u32', value: 2 }]]));
  const random = new Random(2);
  const front = Buffer.from(original).lastIndexOf('.weight') + 40;
  let [loaded, refused] = [0, 0];
  for (let i = 0; i < 2_000; i++) {
    const bytes = original.slice();
    // Damage to the data is no fault of the format: nine in ten changes are to the front.
    for (let change = 0; change <= random.below(2); change++) {
      const at = random.below(random.below(10) > 0 ? front : bytes.length);
      if (random.below(3) === 0) new DataView(bytes.buffer).setUint32(Math.min(at, bytes.length - 4), [0, 1, 2 ** 31, 2 ** 32 - 1, 1 << random.below(31)][random.below(5)]!, true);
      else bytes[at]! ^= 1 << random.below(8);
    }
    const cut = random.below(8) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
    try {
      const opened = await GgufModel.open(sourceOf(cut));
      void opened.generation;
      using result = await loadGguf(backend, opened);
      expect(result.parameters.size).toBeGreaterThan(0);
      loaded++;
    } catch (error) {
      const isKnown = error instanceof GgufError || error instanceof ConfigError || error instanceof CheckpointError || error instanceof MemoryLimitError;
      if (!isKnown) throw new Error(`mutation ${i}: ${String(error)}`, { cause: error });
      refused++;
    }
    expect(backend.stats().allocatedBytes).toBe(0);
  }
  expect(loaded).toBeGreaterThan(200);
  expect(refused).toBeGreaterThan(1_000);
});
