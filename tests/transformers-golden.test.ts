/**
 * Against Hugging Face transformers itself: the tiny models of golden/families and golden/model, read by it, computed by it and gone on with by
 * its generate(); its warpers' distributions; adapters that PEFT saved. golden/transformers/make.py wrote what it said.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Arena, type Backend, type Random } from '@parley/engine';
import { createBackend, nativeKernels } from '@parley/engine/node';
import { BatchingGenerator, type GenerateOptions, LocalGenerator, resolveOptions, Sampler } from '@parley/generate';
import { type Batch, Checkpoint, singleSequence, type Transformer } from '@parley/model';
import { FileSource, loadAdapter, loadClassifier, loadModel } from '@parley/model/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { largestDifference, readTensor } from './golden.ts';

interface Search {
  readonly sequences: number[][];
  /** Of beams. */
  readonly scores?: number[];
  /** How close the closest decision was. */
  readonly margin?: number;
}

interface Expected {
  readonly prompts: number[][];
  readonly new_tokens: number;
  readonly options: Record<string, { repetition_penalty?: number; no_repeat_ngram_size?: number; min_new_tokens?: number; num_beams?: number; num_return_sequences?: number; length_penalty?: number; early_stopping?: boolean | 'never'; ends?: boolean }>;
  readonly models: Record<string, { prompts: number[][]; end: number; searches: Record<string, Search[]> }>;
  readonly warpings: { options: { temperature?: number; top_k?: number; top_p?: number; min_p?: number }; probabilities: number[][] }[];
}

const golden = join(import.meta.dirname, 'golden');
const expected = JSON.parse(readFileSync(join(golden, 'transformers', 'expected.json'), 'utf8')) as Expected;
const folder = (name: string): string => join(golden, name.startsWith('tiny-') ? 'model' : 'families', name);
const DECODERS = Object.keys(expected.models);

let file: FileSource;
let outputs: Checkpoint;
beforeAll(async () => {
  file = await FileSource.open(join(golden, 'transformers', 'expected.safetensors'));
  outputs = await Checkpoint.open([file], { name: 'expected' });
});
afterAll(() => file[Symbol.asyncDispose]());

const read = (name: string): Promise<Float32Array> => readTensor(outputs, name);

const backends: Record<string, () => Promise<Backend>> = {
  wasm: () => createBackend({ backend: 'wasm', threads: 2 }),
  ...(nativeKernels().addon && { native: () => createBackend({ backend: 'native', threads: 2 }) }),
};

async function logitsOf(model: Transformer, prompt: readonly number[]): Promise<Float32Array> {
  using arena = new Arena(model.backend);
  return await model.forward({ arena, tape: null }, singleSequence(prompt)).read();
}

/** A prompt whose second half is of token type 1. */
const typed = (prompt: readonly number[]): Batch => ({ ...singleSequence(prompt), tokenTypes: Int32Array.from(prompt, (_, i) => (i < Math.floor(prompt.length / 2) ? 0 : 1)) });

for (const [backendName, create] of Object.entries(backends)) {
  test.each(DECODERS)(`%s on ${backendName}: the logits of transformers, within 1e-4`, async (name) => {
    await using backend = await create();
    using model = await loadModel(folder(name), { backend });
    for (const [i, prompt] of expected.models[name]!.prompts.entries()) {
      expect(largestDifference(await logitsOf(model, prompt), await read(`${name}.logits.${i}`))).toBeLessThan(1e-4);
    }
  });

  test(`BERT on ${backendName}: its states, pooled states, masked-token and class logits, within 1e-4`, async () => {
    await using backend = await create();
    using masked = await loadModel(folder('bert-masked'), { backend });
    using states = await loadModel(folder('bert-states'), { backend });
    using classifier = await loadClassifier(folder('bert-classifier'), { backend });
    for (const [i, prompt] of expected.prompts.entries()) {
      using arena = new Arena(backend);
      const ctx = { arena, tape: null };
      expect(largestDifference(await masked.forward(ctx, typed(prompt)).read(), await read(`bert-masked.logits.${i}`))).toBeLessThan(1e-4);
      expect(largestDifference(await states.hidden(ctx, typed(prompt)).read(), await read(`bert-states.states.${i}`))).toBeLessThan(1e-4);
      const first = states.hidden(ctx, { ...typed(prompt), logitRows: Int32Array.of(0) });
      expect(largestDifference(await states.pool(ctx, first).read(), await read(`bert-states.pooled.${i}`))).toBeLessThan(1e-4);
      expect(largestDifference(await classifier.forward(ctx, typed(prompt)).read(), await read(`bert-classifier.logits.${i}`))).toBeLessThan(1e-4);
    }
  });
}

test.each(DECODERS)('%s: the tokens of transformers\' generate(), with penalties, ends and beams, alone and in a shared batch', async (name) => {
  await using backend = await createBackend({ backend: 'wasm', threads: 2 });
  using model = await loadModel(folder(name), { backend });
  const alone = new LocalGenerator({ model });
  await using together = new BatchingGenerator({ model });
  const { prompts, end, searches } = expected.models[name]!;
  for (const [key, found] of Object.entries(searches)) {
    const { ends = false, num_beams, num_return_sequences, length_penalty, early_stopping, repetition_penalty, no_repeat_ngram_size, min_new_tokens } = expected.options[key]!;
    const options: GenerateOptions = {
      maxNewTokens: expected.new_tokens, doSample: false, eosTokenId: ends ? end : [], numBeams: num_beams, numReturnSequences: num_return_sequences, lengthPenalty: length_penalty,
      earlyStopping: early_stopping, repetitionPenalty: repetition_penalty, noRepeatNgramSize: no_repeat_ngram_size, minNewTokens: min_new_tokens,
    };
    for (const generator of [alone, together]) {
      const { sequences } = await generator.generate(prompts.map((tokens) => ({ tokens })), options).result();
      for (const [i, { sequences: wanted, scores }] of found.entries()) {
        const got = sequences.slice(i * wanted.length, (i + 1) * wanted.length);
        expect(got.map(({ tokens }) => tokens), `${key} of prompt ${i}`).toEqual(wanted);
        // Only beams have scores.
        expect(largestDifference(got.map(({ score }) => score ?? 0), scores ?? got.map(() => 0)), key).toBeLessThan(1e-3);
      }
    }
  }
});

test('no decision above was so close that rounding might have made it', () => {
  const margins = DECODERS.flatMap((name) => Object.values(expected.models[name]!.searches).flatMap((found) => found.flatMap(({ margin }) => margin ?? [])));
  expect(margins.length).toBeGreaterThan(100);
  expect(Math.min(...margins)).toBeGreaterThan(1e-4);
});

test('temperature, top-k, top-p and min-p leave the distributions that transformers\' warpers leave', async () => {
  const rows = await read('warped.rows');
  const draws = 20_000;
  for (const { options: { temperature, top_k, top_p, min_p }, probabilities } of expected.warpings) {
    const sampler = new Sampler(40, resolveOptions({ doSample: true, temperature: temperature ?? 1, topK: top_k ?? 0, topP: top_p ?? 1, minP: min_p ?? 0 }));
    for (const [i, wanted] of probabilities.entries()) {
      const counts = new Float64Array(40);
      // Evenly spaced numbers in place of random ones: a token comes as often as its probability says, to a draw.
      for (let n = 0; n < draws; n++) counts[sampler.next(rows.slice(i * 40, (i + 1) * 40), { uniform: () => (n + 0.5) / draws } as Random)]!++;
      expect(largestDifference(counts.map((count) => count / draws), wanted), JSON.stringify({ temperature, top_k, top_p, min_p })).toBeLessThan(2 / draws);
const tokensWith = (holds: (token: number) => boolean): number[] => [...wanted.keys()].filter(holds);
      expect(tokensWith((token) => counts[token]! > 0 && wanted[token] === 0)).toEqual([]);
      expect(tokensWith((token) => counts[token] === 0 && wanted[token]! > 1 / draws)).toEqual([]);
    }
  }
});

test.each(['tiny-llama', 'tiny-gpt2'])('an adapter that PEFT saved for %s: its logits, within 1e-4', async (name) => {
  await using backend = await createBackend({ backend: 'wasm', threads: 2 });
  using model = await loadModel(folder(name), { backend });
  using adapter = await loadAdapter(join(golden, 'transformers', `${name}-adapter`), { backend, config: model.config });
  const [prompt = []] = expected.prompts;
  expect(largestDifference(await logitsOf(model, prompt), await read(`${name}-adapter.logits.0`))).toBeGreaterThan(0.1);
  model.setAdapters([{ adapter, weight: 1 }]);
  for (const [i, tokens] of expected.prompts.entries()) {
    expect(largestDifference(await logitsOf(model, tokens), await read(`${name}-adapter.logits.${i}`))).toBeLessThan(1e-4);
  }
});
