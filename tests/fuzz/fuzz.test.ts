/**
 * Damaged files, thousands of them: each is read, or refused with an error of ours that names the file or the field and the fault. Nothing
 * else is thrown, nothing is read beyond a file's end, and nothing as large as a damaged number says is allocated.
 *
 * A failure names its seed. It goes to REGRESSIONS, and stays there. More seeds: PARLEY_FUZZ=100000 npx vitest run tests/fuzz
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryLimitError, ReferenceBackend } from '@parley/engine';
import { type ByteSource, Checkpoint, loadTransformer, ModelError, parseConfigJSON, parseGenerationConfig, readSafetensorsHeader } from '@parley/model';
import { loadModel } from '@parley/model/node';
import { Tokenizer, TokenizerError, TokenizerFileError } from '@parley/tokenizer';
import { loadTokenizer } from '@parley/tokenizer/node';
import { expect, test } from 'vitest';
import { bertStyle, learnMerges, learnPieces, llamaStyle, t5Style } from '../../packages/tokenizer/src/testing/kinds.ts';
import { mutateBytes, mutateJSON } from './mutations.ts';

/** Seeds that once failed, by the name of what they damage. */
const REGRESSIONS: Readonly<Record<string, readonly number[]>> = {};

const scale = Number(process.env['PARLEY_FUZZ'] ?? 0);

/** The seeds of one kind of damage. */
const seedsOf = (name: string, count: number): number[] => [...(REGRESSIONS[name] ?? []), ...Array.from({ length: Math.max(count, scale) }, (_, i) => i + 1)];

const family = (name: string): string => join(import.meta.dirname, '..', 'golden', 'families', name);
const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

/** A file in memory that counts what is asked of it. */
function sourceOf(name: string, bytes: Uint8Array): ByteSource {
  const read = async (begin: number, into: Uint8Array): Promise<void> => {
    if (begin < 0 || into.length > bytes.length || begin + into.length > bytes.length) throw new RangeError(`${into.length} bytes are read at ${begin} of ${bytes.length}`);
    into.set(bytes.subarray(begin, begin + into.length));
  };
  return { name, size: bytes.length, read };
}

/** Runs every seed; gives those that threw what they should not, or not what names the place. */
async function failures(name: string, count: number, attempt: (seed: number) => Promise<void> | void, expected: (error: unknown) => boolean): Promise<string[]> {
  const found: string[] = [];
  for (const seed of seedsOf(name, count)) {
    try {
      await attempt(seed);
    } catch (error) {
      if (!expected(error)) found.push(`seed ${seed}: ${error instanceof Error ? `${error.name}: ${error.message.slice(0, 300)}` : String(error)}`);
    }
  }
  return found;
}

const named = (error: unknown, kind: abstract new (...args: never[]) => Error, part: string): boolean =>
  error instanceof kind && error.message.includes(part) && error.message.length < 3_000;

/** An allocation larger than this is a fault: the models have some 30 kB. */
const limitBytes = 1 << 22;

test('safetensors, 3,000 damaged files', async () => {
  const [config, file] = await Promise.all([readFile(join(family('llama3'), 'config.json'), 'utf8'), readFile(join(family('llama3'), 'model.safetensors'))]);
  const shape = parseConfigJSON(JSON.parse(config));
  const bytes = new Uint8Array(file);
  const length = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, length))) as unknown;
  const backend = new ReferenceBackend({ limitBytes });
  let read = 0;
  const attempt = async (seed: number): Promise<void> => {
    // Bytes anywhere, or the header's JSON with a length that is right for it.
    let damaged = mutateBytes(bytes, seed);
    if (seed % 2 === 0) {
      const text = new TextEncoder().encode(mutateJSON(header, seed));
      damaged = new Uint8Array(8 + text.length + bytes.length - length);
      new DataView(damaged.buffer).setBigUint64(0, BigInt(text.length), true);
      damaged.set(text, 8);
      damaged.set(bytes.subarray(length), 8 + text.length);
    }
    const source = sourceOf('some/model.safetensors', damaged);
    const { entries } = await readSafetensorsHeader(source);
    for (const { begin, end } of entries.values()) if (begin < 8 || end > damaged.length || begin > end) throw new RangeError(`${begin} to ${end} of ${damaged.length}`);
    const checkpoint = await Checkpoint.open([source], { name: 'some/model.safetensors' });
    using _ = await loadTransformer(backend, { config: shape, checkpoint });
    read++;
  };
  expect(await failures('safetensors', 3_000, attempt, (error) => named(error, ModelError, 'some/model.safetensors'))).toEqual([]);
  expect(backend.stats().allocations).toBe(0);
  expect(read).toBeGreaterThan(20); // values that are only different are no damage that can be seen
});

test('config.json of every family, 4,000 damaged', async () => {
  const names = ['llama3', 'mistral', 'qwen2', 'qwen3', 'gemma', 'gemma3', 'bert-masked', 'bert-states'];
  const models = await Promise.all(names.map(async (name) => {
    const config = json(join(family(name), 'config.json'));
    const shards = name === 'mistral' ? ['model-00001-of-00002', 'model-00002-of-00002'] : name === 'qwen2' ? [1, 2, 3].map((i) => `model-0000${i}-of-00003`) : ['model'];
    const sources = await Promise.all(shards.map(async (shard) => sourceOf(`${shard}.safetensors`, new Uint8Array(await readFile(join(family(name), `${shard}.safetensors`))))));
    return { config, checkpoint: await Checkpoint.open(sources, { name: 'model.safetensors' }) };
  }));
  const backend = new ReferenceBackend({ limitBytes });
  let read = 0;
  const attempt = async (seed: number): Promise<void> => {
    const { config, checkpoint } = models[seed % models.length]!;
    let damaged: unknown;
    try {
      damaged = JSON.parse(mutateJSON(config, seed));
    } catch {
      return;
    }
    parseGenerationConfig(damaged, 'some/config.json');
    const shape = parseConfigJSON(damaged, 'some/config.json');
    try {
      using _ = await loadTransformer(backend, { config: shape, checkpoint });
      read++;
    } catch (error) {
      // The config is one, and not these weights'.
      if (!named(error, ModelError, '.safetensors') && !(error instanceof MemoryLimitError)) throw error;
    }
  };
  const isNamed = (error: unknown): boolean => named(error, ModelError, 'some/config.json') || (error instanceof ModelError && error.name === 'ConfigError' && error.message.length < 1_000);
  expect(await failures('config', 4_000, attempt, isNamed)).toEqual([]);
  expect(backend.stats().allocations).toBe(0);
  expect(read).toBeGreaterThan(100);
});

const SAMPLE = "The quick brown fox didn't jump; naïve café, über 人之初 🙂 hello world, hello hello";

const byteLevel = {
  version: '1.0', truncation: null, padding: null,
  added_tokens: [{ id: 300, content: '<|end|>', special: true, normalized: false, single_word: false, lstrip: true, rstrip: false }],
  normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }] },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [{ type: 'Split', pattern: { Regex: '\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+|\\s+' }, behavior: 'Isolated', invert: false }, { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }],
  },
  post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<|end|>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }], pair: [], special_tokens: { '<|end|>': { id: '<|end|>', ids: [300], tokens: ['<|end|>'] } } },
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, vocab: Object.fromEntries([...Array.from('abcdefghijklmnopqrstuvwxyzĠ'), 'he', 'll', 'hell'].map((token, i) => [token, i])), merges: ['h e', 'l l', 'he ll'] },
};
const { pieces, merges } = learnMerges(SAMPLE, 20);
const tokenizers = [byteLevel, llamaStyle(pieces, merges), t5Style(learnPieces(SAMPLE, 40)), bertStyle(SAMPLE.toLowerCase().split(/\W+/))];
const tokenizerConfig = { bos_token: '<s>', model_max_length: 512, chat_template: "{% for m in messages %}{{ m['content'] }}{% endfor %}", added_tokens_decoder: { 300: { content: '<|end|>', special: true, lstrip: true } } };

test('tokenizer.json of every kind, 4,000 damaged, and their tokenizer_config.json', async () => {
  let read = 0;
  const attempt = (seed: number): void => {
    let damaged: unknown;
    let config: unknown;
    try {
      damaged = JSON.parse(mutateJSON(tokenizers[seed % tokenizers.length], seed));
      config = seed % 5 === 0 ? JSON.parse(mutateJSON(tokenizerConfig, seed)) : undefined;
    } catch {
      return;
    }
    const tokenizer = Tokenizer.fromJSON(damaged, config);
    const ids = tokenizer.encode(SAMPLE);
    const decoder = tokenizer.createDecoder();
    const streamed = ids.map((id) => decoder.push(id)).join('') + decoder.flush();
    if (streamed !== tokenizer.decode(ids)) throw new RangeError(`${streamed} is not ${tokenizer.decode(ids)}`);
    read++;
  };
  expect(await failures('tokenizer', 4_000, attempt, (error) => error instanceof TokenizerError && error.message.length < 1_000)).toEqual([]);
  expect(read).toBeGreaterThan(200);
});

test('folders with damaged files, 300: the error names the file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-fuzz-'));
  try {
    const files = ['config.json', 'model.safetensors', 'generation_config.json'];
    const originals: Record<string, Uint8Array> = {
      'config.json': await readFile(join(family('qwen3'), 'config.json')),
      'model.safetensors': await readFile(join(family('qwen3'), 'model.safetensors')),
      'generation_config.json': new TextEncoder().encode('{"eos_token_id": [1, 2], "temperature": 0.7}\n'),
      'tokenizer.json': new TextEncoder().encode(JSON.stringify(tokenizers[1])),
    };
    for (const [name, bytes] of Object.entries(originals)) await writeFile(join(folder, name), bytes);
    const backend = new ReferenceBackend({ limitBytes });
    const attempt = async (seed: number): Promise<void> => {
      const name = files[seed % files.length]!;
      await writeFile(join(folder, name), mutateBytes(originals[name]!, seed));
      try {
        using _ = await loadModel(folder, { backend });
      } finally {
        await writeFile(join(folder, name), originals[name]!);
      }
    };
    expect(await failures('folders', 200, attempt, (error) => error instanceof MemoryLimitError || named(error, ModelError, folder) || (error instanceof ModelError && error.name === 'ConfigError'))).toEqual([]);
    expect(backend.stats().allocations).toBe(0);
    const tokenize = async (seed: number): Promise<void> => {
      await writeFile(join(folder, 'tokenizer.json'), mutateBytes(originals['tokenizer.json']!, seed));
      (await loadTokenizer(folder)).encode('hello', { addSpecialTokens: false });
    };
    expect(await failures('tokenizer files', 100, tokenize, (error) => named(error, TokenizerFileError, join(folder, 'tokenizer.json')) || error instanceof TokenizerError)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
