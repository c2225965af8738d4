/** Every family against PyTorch: the tiny models in golden/families, written with what they compute by make_families.py beside them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arena, type Backend, ReferenceBackend, Tape } from '@parley/engine';
import { createBackend, nativeKernels } from '@parley/engine/node';
import { type Batch, Checkpoint, embedSequences, encodeCheckpoint, type FileDType, singleSequence, Transformer } from '@parley/model';
import { FileSource, loadClassifier, loadModel, saveClassifier, saveModel } from '@parley/model/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { largestDifference, readTensor } from './golden.ts';

const DECODERS = ['llama3', 'llama-linear', 'mistral', 'qwen2', 'qwen2-yarn', 'qwen3', 'gemma', 'gemma3'] as const;

interface Expected {
  readonly prompts: number[][];
  readonly continuations: number[][];
  readonly token_types: number[][];
}

const folder = (name: string): string => join(import.meta.dirname, 'golden', 'families', name);
const expectedOf = (name: string): Expected => JSON.parse(readFileSync(join(folder(name), 'expected.json'), 'utf8')) as Expected;

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'parley-families-'));
});
afterAll(async () => await rm(scratch, { recursive: true }));

const backends: Record<string, () => Promise<Backend>> = {
  reference: async () => new ReferenceBackend(),
  wasm: () => createBackend({ backend: 'wasm', threads: 2 }),
  ...(nativeKernels().addon && { native: () => createBackend({ backend: 'native', threads: 2 }) }),
};

async function withOutputs<Result>(name: string, use: (read: (tensor: string) => Promise<Float32Array>, names: string[]) => Promise<Result>): Promise<Result> {
  await using file = await FileSource.open(join(folder(name), 'expected.safetensors'));
  const outputs = await Checkpoint.open([file], { name });
  return await use((tensor) => readTensor(outputs, tensor), [...outputs.names]);
}

/** Sequences end to end. */
function pack(sequences: readonly (readonly number[])[], options: { types?: readonly (readonly number[])[] } = {}): Batch {
  let start = 0;
  const spans = sequences.map(({ length }) => ({ start: (start += length) - length, length }));
  return {
    tokens: Int32Array.from(sequences.flat()),
    positions: Int32Array.from(sequences.flatMap((tokens) => tokens.map((_, i) => i))),
    sequences: spans,
    ...(options.types && { tokenTypes: Int32Array.from(options.types.flat()) }),
  };
}

const argmax = (row: Float32Array): number => row.reduce((best, value, i) => (value > row[best]! ? i : best), 0);

async function lastLogits(model: Transformer, batch: Batch): Promise<number[]> {
  using arena = new Arena(model.backend);
  const logitRows = Int32Array.from(batch.sequences, ({ start, length }) => start + length - 1);
  const logits = await model.forward({ arena, tape: null }, { ...batch, logitRows }).read();
  return Array.from(logitRows, (_, i) => argmax(logits.subarray(i * model.config.vocabSize, (i + 1) * model.config.vocabSize)));
}

/** The most likely token, again and again, of all prompts at once. */
async function greedy(model: Transformer, prompts: readonly (readonly number[])[], options: { steps: number; cached: boolean }): Promise<number[][]> {
  const texts = prompts.map((prompt) => [...prompt]);
  using cache = options.cached ? model.createCache({ slots: prompts.length, capacity: 40 }) : undefined;
  for (let step = 0; step < options.steps; step++) {
    const fed = texts.map((tokens) => (cache && step > 0 ? tokens.slice(-1) : tokens));
    const batch = pack(fed);
    const past = texts.map((tokens, i) => tokens.length - fed[i]!.length);
    const next = await lastLogits(model, cache === undefined ? batch : {
      ...batch,
      cache,
      positions: Int32Array.from(fed.flatMap((tokens, s) => tokens.map((_, i) => past[s]! + i))),
      sequences: batch.sequences.map((span, slot) => ({ ...span, slot, past: past[slot]! })),
    });
    for (const [i, token] of next.entries()) texts[i]!.push(token);
  }
  return texts.map((tokens, i) => tokens.slice(prompts[i]!.length));
}

for (const [backendName, create] of Object.entries(backends)) {
  for (const name of DECODERS) {
    test(`${name} on ${backendName}: PyTorch's logits within 1e-4, its greedy tokens cached, uncached and batched`, async () => {
      await using backend = await create();
      using model = await loadModel(folder(name), { backend });
      const { prompts, continuations } = expectedOf(name);
      await withOutputs(name, async (read) => {
        for (const [i, prompt] of prompts.entries()) {
          using arena = new Arena(backend);
          const logits = await model.forward({ arena, tape: null }, singleSequence(prompt)).read();
          expect(largestDifference(logits, await read(`logits.${i}`))).toBeLessThan(1e-4);
        }
      });
      const steps = continuations[0]!.length;
      for (const cached of [true, false]) {
        expect(await greedy(model, prompts, { steps, cached })).toEqual(continuations);
        expect(await greedy(model, prompts.slice(0, 1), { steps, cached })).toEqual(continuations.slice(0, 1));
      }
    });
  }

  test(`BERT on ${backendName}: PyTorch's states, masked-token logits and pooled states within 1e-4, alone and batched`, async () => {
    await using backend = await create();
    for (const [name, output] of [['bert-masked', 'logits'], ['bert-states', 'states'], ['bert-states', 'pooled']] as const) {
      using model = await loadModel(folder(name), { backend });
      const { prompts, token_types: types } = expectedOf(name);
      const compute = async (batch: Batch): Promise<Float32Array> => {
        using arena = new Arena(backend);
        const ctx = { arena, tape: null };
        const firsts = Int32Array.from(batch.sequences, ({ start }) => start);
        const rows = output === 'logits' ? model.forward(ctx, batch)
          : output === 'states' ? model.hidden(ctx, batch) : model.pool(ctx, model.hidden(ctx, { ...batch, logitRows: firsts }));
        return await rows.read();
      };
      await withOutputs(name, async (read) => {
        const wanted = await Promise.all(prompts.map((_, i) => read(`${output}.${i}`)));
        for (const [i, prompt] of prompts.entries()) {
          expect(largestDifference(await compute(pack([prompt], { types: [types[i]!] })), wanted[i]!)).toBeLessThan(1e-4);
        }
        expect(largestDifference(await compute(pack(prompts, { types })), wanted.flatMap((values) => [...values]))).toBeLessThan(1e-4);
      });
    }
  });

  test(`a BERT classifier on ${backendName}: PyTorch's logits within 1e-4`, async () => {
    await using backend = await create();
    using classifier = await loadClassifier(folder('bert-classifier'), { backend });
    const { prompts, token_types: types } = expectedOf('bert-classifier');
    expect(classifier.labels).toEqual(['negative', 'neutral', 'positive']);
    using arena = new Arena(backend);
    const logits = await classifier.forward({ arena, tape: null }, pack(prompts, { types })).read();
    await withOutputs('bert-classifier', async (read) => {
      const wanted = await Promise.all(prompts.map((_, i) => read(`logits.${i}`)));
      expect(largestDifference(logits, wanted.flatMap((values) => [...values]))).toBeLessThan(1e-4);
    });
  });
}

/** The model's gradients under its family's own names and layouts; `head`: further tensors that have some. */
async function gradientsOf(model: Transformer): Promise<Map<string, Float32Array>> {
  const gradients = new Map([...model.parameters].map(([name, tensor]) => [name, tensor.grad!] as const));
  const pieces: Uint8Array[] = [];
  for await (const piece of encodeCheckpoint(new Transformer(model.backend, model.config, gradients))) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  const read = async (begin: number, into: Uint8Array): Promise<void> => into.set(bytes.subarray(begin, begin + into.length));
  const checkpoint = await Checkpoint.open([{ name: 'gradients', size: bytes.length, read }], { name: 'gradients' });
  const found = new Map<string, Float32Array>();
  for (const name of checkpoint.names) {
    // Where gains are stored less 1, so are these.
    const offset = model.config.family.startsWith('gemma') && name.endsWith('norm.weight') ? 1 : 0;
    found.set(name, (await readTensor(checkpoint, name)).map((value) => value + offset));
  }
  return found;
}

/** Of all gradients, relative to the largest element of each; one that is 0 but for rounding (a key's bias) is held to a hundredth of the largest of all. */
async function expectGradients(name: string, found: ReadonlyMap<string, Float32Array>): Promise<void> {
  await withOutputs(name, async (read, names) => {
    const wanted = names.filter((tensor) => tensor.startsWith('gradient.'));
    expect(new Set(found.keys())).toEqual(new Set(wanted.map((tensor) => tensor.slice('gradient.'.length))));
    const largestOf = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const all = await Promise.all(wanted.map(async (tensor) => largestOf(await read(tensor))));
    for (const tensor of wanted) {
      const want = await read(tensor);
      const largest = Math.max(largestOf(want), Math.max(...all) / 100);
      expect(largestDifference(found.get(tensor.slice('gradient.'.length))!, want) / largest, tensor).toBeLessThan(3e-5);
    }
  });
}

test.each(DECODERS)("%s: every gradient is PyTorch's, within 3e-5 of its largest element", async (name) => {
  await using backend = await createBackend({ backend: 'wasm', threads: 2 });
  using model = await loadModel(folder(name), { backend });
  const [tokens] = expectedOf(name).prompts as [number[]];
  using arena = new Arena(backend);
  const tape = new Tape();
  model.loss({ arena, tape }, singleSequence(tokens.slice(0, -1)), { targets: Int32Array.from(tokens.slice(1)) });
  tape.backward();
  await expectGradients(name, await gradientsOf(model));
});

test("BERT: every gradient of the masked-token head and of a classifier is PyTorch's, within 3e-5 of its largest element", async () => {
  await using backend = await createBackend({ backend: 'wasm', threads: 2 });
  using arena = new Arena(backend);
  {
    using model = await loadModel(folder('bert-masked'), { backend });
    const { prompts, token_types: types } = expectedOf('bert-masked');
    const tape = new Tape();
    model.loss({ arena, tape }, pack(prompts, { types }), { targets: Int32Array.from(prompts.flatMap((tokens) => [...tokens].reverse())), scale: 1 });
    tape.backward();
    await expectGradients('bert-masked', await gradientsOf(model));
  }
  using classifier = await loadClassifier(folder('bert-classifier'), { backend });
  const { prompts, token_types: types } = expectedOf('bert-classifier');
  const tape = new Tape();
  classifier.loss({ arena, tape }, pack(prompts, { types }), { targets: Int32Array.of(0, 1, 2), scale: 1 });
  tape.backward();
  const found = await gradientsOf(classifier.body);
  for (const [name, tensor] of classifier.head) found.set(name, await tensor.grad!.read());
  await expectGradients('bert-classifier', found);
});

/** Weights by Parley's names. */
async function weightsOf(model: Transformer): Promise<Record<string, Float32Array>> {
  return Object.fromEntries(await Promise.all([...model.parameters].map(async ([name, tensor]) => [name, await tensor.read()] as const)));
}

test.each([...DECODERS, 'bert-masked', 'bert-states'])('%s saved in f32, and in the dtype it came in, is loaded again with the same bits and config', async (name) => {
  const backend = new ReferenceBackend();
  using model = await loadModel(folder(name), { backend });
  const config = JSON.parse(await readFile(join(folder(name), 'config.json'), 'utf8')) as Record<string, unknown>;
  const own = ({ float32: 'f32', float16: 'f16', bfloat16: 'bf16' } as const)[config['torch_dtype'] as 'float32'];
  for (const dtype of new Set<FileDType>(['f32', own])) {
    const path = join(scratch, `${name}-${dtype}`);
    await saveModel(model, path, { dtype });
    using again = await loadModel(path, { backend });
    expect(again.config).toEqual(model.config);
    expect(await weightsOf(again)).toEqual(await weightsOf(model));
    const written = JSON.parse(await readFile(join(path, 'config.json'), 'utf8')) as Record<string, unknown>;
    // Dropout and token ids are not Parley's to say, and a window that is not used is not kept.
    const kept = Object.entries(config).filter(([field]) => !/dropout|torch_dtype|pad_token_id|hidden_act$/.test(field) && (config['use_sliding_window'] !== false || !field.includes('window')));
    for (const [field, value] of kept) expect(written[field] ?? null, field).toEqual(value);
  }
});

test('a BERT classifier is saved under the names it came with', async () => {
  const backend = new ReferenceBackend();
  using classifier = await loadClassifier(folder('bert-classifier'), { backend });
  const path = join(scratch, 'bert-classifier');
  await saveClassifier(classifier, path, { dtype: 'bf16' });
  using again = await loadClassifier(path, { backend });
  for (const [name, tensor] of classifier.parameters) expect(await again.parameters.get(name)!.read(), name).toEqual(await tensor.read());
  expect(JSON.parse(await readFile(join(path, 'config.json'), 'utf8'))).toMatchObject({ architectures: ['BertForSequenceClassification'], id2label: { 1: 'neutral' } });
});

test('sentence embeddings are the mean of the states, of length 1', async () => {
  const backend = new ReferenceBackend();
  using model = await loadModel(folder('bert-states'), { backend });
  const { prompts, token_types: types } = expectedOf('bert-states');
  const vectors = await embedSequences(model, pack(prompts, { types }));
  await withOutputs('bert-states', async (read) => {
    for (const [i, vector] of vectors.entries()) {
      const states = await read(`states.${i}`);
      const mean = Array.from(vector, (_, c) => prompts[i]!.reduce((sum, _token, row) => sum + states[row * 16 + c]!, 0) / prompts[i]!.length);
      const length = Math.hypot(...mean);
      expect(largestDifference(vector, mean.map((value) => value / length))).toBeLessThan(1e-5);
    }
  });
  const first = await embedSequences(model, pack(prompts, { types }), { pooling: 'cls', normalize: false });
  await withOutputs('bert-states', async (read) => expect(largestDifference(first[0]!, (await read('states.0')).subarray(0, 16))).toBeLessThan(1e-4));
});

test('a model without a token head says so instead of making logits up', async () => {
  const backend = new ReferenceBackend();
  using model = await loadModel(folder('bert-states'), { backend });
  using arena = new Arena(backend);
  expect(() => model.forward({ arena, tape: null }, singleSequence([1, 2]))).toThrow('no head that predicts tokens');
  using cache = model.createCache({ slots: 1, capacity: 4 });
  expect(() => model.hidden({ arena, tape: null }, { ...singleSequence([1], { slot: 0 }), cache })).toThrow('run it without a cache');
  expect(() => model.hidden({ arena, tape: null }, { ...singleSequence([1, 2]), tokenTypes: Int32Array.of(0, 2) })).toThrow("token type 2 at row 1 is none of this model's 2");
});
