import { Arena, type Backend, MemoryLimitError, Random, ReferenceBackend, Tape, Tensor } from '@parley/engine';
import { createBackend as createEngine, nativeKernels } from '@parley/engine/node';
import { describe, expect, test } from 'vitest';
import { type Batch, parameterCount, presets, singleSequence, Transformer } from './index.ts';
import { gpt2Oracle, llamaOracle } from './testing/oracle.ts';
import { differingWeights, largestDifference, logitsOf, randomTokens, readWeights, tinyConfigs, tinyModel } from './testing/tiny.ts';

const backends: Record<string, () => Promise<Backend>> = {
  reference: async () => new ReferenceBackend(),
  wasm: () => createEngine({ backend: 'wasm', threads: 2 }),
  ...(nativeKernels().addon === undefined ? {} : { native: () => createEngine({ backend: 'native', threads: 2 }) }),
};

/** Several sequences as one packed batch, and each alone. */
function pack(sequences: readonly Int32Array[]): Batch {
  const alone = sequences.map((tokens) => singleSequence(tokens));
  const starts = sequences.map((_, i) => sequences.slice(0, i).reduce((sum, tokens) => sum + tokens.length, 0));
  return {
    tokens: Int32Array.from(alone.flatMap((batch) => [...batch.tokens])),
    positions: Int32Array.from(alone.flatMap((batch) => [...batch.positions])),
    sequences: sequences.map((tokens, i) => ({ start: starts[i]!, length: tokens.length })),
  };
}

/** Root mean square of the difference, over that of `want`. */
function relativeError(got: Float32Array, want: Float32Array): number {
  const norm = (values: Float32Array): number => Math.hypot(...values);
  return norm(got.map((value, i) => value - want[i]!)) / norm(want);
}

for (const [backendName, createBackend] of Object.entries(backends)) {
  describe(`on ${backendName}`, () => {
    test('GPT-2 logits equal the papers\' formulas in float64, within 1e-4', async () => {
      await using backend = await createBackend();
      using model = tinyModel(backend, tinyConfigs.gpt2);
      const tokens = randomTokens(24, 41, 7);
      const { layers, heads, hiddenSize, normEpsilon: epsilon } = model.config;
      const want = gpt2Oracle(await readWeights(model), { layers, heads, hiddenSize, epsilon }, [...tokens]).flat();
      const got = await logitsOf(model, singleSequence(tokens));
      expect(Math.max(...want)).toBeGreaterThan(1);
      expect(largestDifference(got, want)).toBeLessThan(1e-4);
    });

    for (const name of ['llama', 'llama untied'] as const) {
      test(`${name} logits equal the papers' formulas in float64, within 1e-4`, async () => {
        await using backend = await createBackend();
        using model = tinyModel(backend, tinyConfigs[name]);
        const tokens = randomTokens(24, 41, 8);
        const { layers, heads, keyValueHeads, headSize, hiddenSize, normEpsilon: epsilon, ropeTheta: theta } = model.config;
        const size = { layers, heads, keyValueHeads, headSize, hiddenSize, epsilon, theta };
        const want = llamaOracle(await readWeights(model), size, [...tokens]).flat();
        const got = await logitsOf(model, singleSequence(tokens));
        expect(Math.max(...want)).toBeGreaterThan(1);
        expect(largestDifference(got, want)).toBeLessThan(1e-4);
      });
    }

    for (const [name, config] of Object.entries(tinyConfigs)) {
      test(`${name}: token by token through the cache equals one pass, within 1e-4, in any slot and after a longer prefill`, async () => {
        await using backend = await createBackend();
        using model = tinyModel(backend, config);
        using cache = model.createCache({ slots: 3, capacity: 20 });
        const tokens = randomTokens(20, config.vocabSize, 3);
        const want = await logitsOf(model, singleSequence(tokens));
        const width = config.vocabSize;
        for (const [slot, prefill] of [[1, 1], [2, 7]] as const) {
          for (let past = 0; past < 20; past += past === 0 ? prefill : 1) {
            const length = past === 0 ? prefill : 1;
            const batch = singleSequence(tokens.subarray(past, past + length), { slot, past });
            const got = await logitsOf(model, { ...batch, cache, logitRows: Int32Array.of(length - 1) });
            const row = past + length - 1;
            expect(largestDifference(got, want.subarray(row * width, (row + 1) * width))).toBeLessThan(1e-4);
          }
        }
      });

      test(`${name}: a batch of sequences of different lengths equals each alone, within 1e-5, cached and not`, async () => {
        await using backend = await createBackend();
        using model = tinyModel(backend, config);
        using cache = model.createCache({ slots: 4, capacity: 24 });
        const sequences = [5, 1, 17].map((length, i) => randomTokens(length, config.vocabSize, 10 + i));
        const alone: number[] = [];
        for (const tokens of sequences) alone.push(...(await logitsOf(model, singleSequence(tokens))));
        const packed = pack(sequences);
        expect(largestDifference(await logitsOf(model, packed), alone)).toBeLessThan(1e-5);
        const inSlots = packed.sequences.map((span, i) => ({ ...span, slot: 3 - i, past: 0 }));
        expect(largestDifference(await logitsOf(model, { ...packed, sequences: inSlots, cache }), alone)).toBeLessThan(1e-5);
      });

      test(`${name}: the gradient reaches every parameter`, async () => {
        await using backend = await createBackend();
        using model = tinyModel(backend, config);
        using arena = new Arena(backend);
        const tape = new Tape();
        const tokens = Int32Array.from({ length: 24 }, (_, i) => (i * 7) % config.vocabSize);
        model.loss({ arena, tape }, singleSequence(tokens), { targets: tokens.map((token) => (token * 3 + 1) % config.vocabSize) });
        tape.backward();
        const untouched: string[] = [];
        for (const [parameter, tensor] of model.parameters) {
          const grad = await tensor.grad!.read();
          const largest = grad.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
          if (!(largest > 1e-5)) untouched.push(parameter);
        }
        // A key bias shifts all of a query's scores alike, which softmax does not see: its gradient is zero, unless rotary
        // positions turn the bias differently at each position.
        const invisible = config.positions === 'learned' ? [0, 1].map((layer) => `model.layers.${layer}.self_attn.k_proj.bias`) : [];
        expect(untouched).toEqual(invisible);
      });

      test(`${name}: twenty AdamW steps on one small batch lower the loss to under half`, async () => {
        await using backend = await createBackend();
        using model = Transformer.initialize(backend, config, new Random(5));
        using arena = new Arena(backend);
        const moments = [...model.parameters.values()].map((parameter) => ({
          parameter, m: Tensor.allocate(backend, parameter.shape), v: Tensor.allocate(backend, parameter.shape),
        }));
        const batch = pack([randomTokens(9, 41, 1), randomTokens(12, 41, 2)]);
        const targets = randomTokens(21, 41, 4);
        targets[3] = -100;
        const losses: number[] = [];
        for (let step = 1; step <= 20; step++) {
          arena.reset();
          const tape = new Tape();
          const rows = model.loss({ arena, tape }, batch, { targets });
          losses.push((await rows.read()).reduce((sum, loss) => sum + loss, 0) / 20);
          tape.backward();
          for (const { parameter, m, v } of moments) {
            const gradient = parameter.grad!;
            backend.adamw({
              parameter, gradient, m, v, step, learningRate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, gradientScale: 1,
            });
            backend.fill(gradient, 0);
          }
        }
        // A fresh model knows nothing: its loss is that of a uniform guess.
        expect(losses[0]).toBeCloseTo(Math.log(41), 0);
        expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
        for (const { m, v } of moments) {
          m.dispose();
          v.dispose();
        }
      });

      test(`${name}: logits in q8 are within 4 % of f32's, in q4 within 30 %, and within 4 % of f32 logits with the weights q4 stands for`, async () => {
        await using backend = await createBackend();
        using model = tinyModel(backend, config, 3, 0.15);
        const weights = await readWeights(model);
        const tokens = randomTokens(12, 41, 9);
        const want = await logitsOf(model, singleSequence(tokens));
        for (const [dtype, tolerance] of [['q8', 0.04], ['q4', 0.3]] as const) {
          using quantized = Transformer.initialize(backend, config, new Random(0), { dtype });
          for (const [parameter, tensor] of quantized.parameters) {
            const full = model.parameters.get(parameter)!;
            full.write(weights.get(parameter)!);
            if (tensor.dtype === 'f32') tensor.write(weights.get(parameter)!);
            else {
              backend.quantize({ out: tensor, x: full });
              backend.dequantize({ out: full, x: tensor });
            }
          }
          const got = await logitsOf(quantized, singleSequence(tokens));
          expect(relativeError(got, want)).toBeGreaterThan(1e-4);
          expect(relativeError(got, want)).toBeLessThan(tolerance);
          // Now `model` holds the dequantized weights: what is left is the rounding of activations to int8.
          expect(relativeError(got, await logitsOf(model, singleSequence(tokens)))).toBeLessThan(0.04);
          using cache = quantized.createCache({ slots: 1, capacity: 12 });
          const cached = await logitsOf(quantized, { ...singleSequence(tokens, { slot: 0 }), cache });
          expect(largestDifference(cached, got)).toBeLessThan(1e-4);
        }
      });
    }

    test('logitRows are those rows of the full logits, in the order asked for; with targets the loss is theirs', async () => {
      await using backend = await createBackend();
      using model = tinyModel(backend, tinyConfigs.llama);
      const batch = singleSequence(randomTokens(10, 41, 1));
      const all = await logitsOf(model, batch);
      const some = await logitsOf(model, { ...batch, logitRows: Int32Array.of(9, 0, 4) });
      const row = (i: number): number[] => [...all.subarray(41 * i, 41 * (i + 1))];
      expect(largestDifference(some, [...row(9), ...row(0), ...row(4)])).toBeLessThan(1e-5);
      using arena = new Arena(backend);
      const tape = new Tape();
      const targets = Int32Array.of(5, -1, 6);
      const losses = await model.loss({ arena, tape }, { ...batch, logitRows: Int32Array.of(9, 0, 4) }, { targets, ignoreIndex: -1 }).read();
      tape.backward();
      const want = (i: number, target: number): number => Math.log(row(i).reduce((sum, logit) => sum + Math.exp(logit), 0)) - row(i)[target]!;
      expect(largestDifference(losses, [want(9, 5), 0, want(4, 6)])).toBeLessThan(1e-4);
    });

    test('a copied slot continues as its original does, and the original is not disturbed', async () => {
      await using backend = await createBackend();
      using model = tinyModel(backend, tinyConfigs.llama);
      using cache = model.createCache({ slots: 3, capacity: 8 });
      const tokens = randomTokens(6, 41, 2);
      await logitsOf(model, { ...singleSequence(tokens.subarray(0, 5), { slot: 0 }), cache });
      cache.copySlot(0, 2, 5);
      const next = (slot: number, token: number): Promise<Float32Array> =>
        logitsOf(model, { ...singleSequence([token], { slot, past: 5 }), cache });
      await next(2, (tokens[5]! + 1) % 41);
      const original = await next(0, tokens[5]!);
      expect(largestDifference(await next(2, tokens[5]!), original)).toBe(0);
      const whole = await logitsOf(model, { ...singleSequence(tokens), logitRows: Int32Array.of(5) });
      expect(largestDifference(original, whole)).toBeLessThan(1e-4);
    });

    test('training, running and caching leave no memory behind', async () => {
      await using backend = await createBackend();
      const before = backend.stats();
      {
        using model = tinyModel(backend, tinyConfigs['llama untied']);
        using quantized = Transformer.initialize(backend, tinyConfigs.llama, new Random(1), { dtype: 'q4' });
        using cache = quantized.createCache({ slots: 2, capacity: 5 });
        using arena = new Arena(backend);
        const tape = new Tape();
        const tokens = randomTokens(5, 41, 1);
        model.loss({ arena, tape }, singleSequence(tokens), { targets: tokens });
        tape.backward();
        await logitsOf(quantized, { ...singleSequence(tokens, { slot: 1 }), cache });
        expect(backend.stats().allocatedBytes).toBeGreaterThan(before.allocatedBytes);
      }
      expect(backend.stats().allocations).toBe(before.allocations);
      expect(backend.stats().allocatedBytes).toBe(before.allocatedBytes);
    });
  });
}

test('inference needs working memory for one layer, not for all', async () => {
  await using backend = new ReferenceBackend();
  const peak = async (layers: number): Promise<number> => {
    using model = Transformer.initialize(backend, { ...tinyConfigs.llama, contextLength: 256, layers }, new Random(1));
    const resident = backend.stats().allocatedBytes;
    using arena = new Arena(backend);
    const logits = model.forward({ arena, tape: null }, { ...singleSequence(new Int32Array(256)), logitRows: Int32Array.of(0) });
    await logits.read();
    return backend.stats().allocatedBytes - resident;
  };
  expect(await peak(6)).toBe(await peak(1));
});

test('parameter counts: gpt-14m has 13.9 million, smollm2-135m 134.5 million', () => {
  expect(parameterCount(presets['gpt-14m'])).toBe(13_891_584);
  expect(parameterCount(presets['smollm2-135m'])).toBe(134_515_008);
});

test('matrices and tables decay, norms and biases do not, and together they are all', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.gpt2);
  const { decay, noDecay } = model.parameterGroups;
  expect(decay.length + noDecay.length).toBe(model.parameters.size);
  expect(decay.map(([name]) => name).filter((name) => name.includes('norm') || name.endsWith('.bias'))).toEqual([]);
  expect(noDecay.map(([name]) => name).filter((name) => !name.includes('norm') && !name.endsWith('.bias'))).toEqual([]);
});

test('initialization: deviation 0.02, residual projections 0.02/√(2·layers), gains 1, biases 0; the seed decides the bits', async () => {
  await using backend = new ReferenceBackend();
  const config = { ...tinyConfigs.gpt2, hiddenSize: 128, headSize: 32, intermediateSize: 512, layers: 2 };
  using a = Transformer.initialize(backend, config, new Random(11));
  using b = Transformer.initialize(backend, config, new Random(11));
  using c = Transformer.initialize(backend, config, new Random(12));
  const deviation = async (name: string): Promise<number> => {
    const values = await a.parameters.get(name)!.read();
    return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  };
  expect(await deviation('model.layers.0.self_attn.q_proj.weight')).toBeCloseTo(0.02, 3);
  expect(await deviation('model.layers.1.mlp.down_proj.weight')).toBeCloseTo(0.01, 3);
  expect(await deviation('model.layers.0.self_attn.o_proj.weight')).toBeCloseTo(0.01, 3);
  expect(await deviation('model.embed_tokens.weight')).toBeCloseTo(0.02, 2);
  expect(await deviation('model.norm.weight')).toBe(1);
  expect(await deviation('model.layers.1.mlp.up_proj.bias')).toBe(0);
  expect(differingWeights(await readWeights(a), await readWeights(b))).toEqual([]);
  expect(differingWeights(await readWeights(a), await readWeights(c))).toContain('model.embed_tokens.weight');
});

test('what does not fit the model is refused, with the value and the remedy', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.gpt2);
  using other = tinyModel(backend, tinyConfigs.llama);
  using cache = model.createCache({ slots: 2, capacity: 4 });
  using foreign = other.createCache({ slots: 2, capacity: 4 });
  using arena = new Arena(backend);
  const run = (batch: Batch) => () => model.forward({ arena, tape: null }, batch);
  const ok = singleSequence([1, 2, 3]);
  expect(run(singleSequence([1, 41]))).toThrow('token 41 at row 1 is outside this model\'s vocabulary of 41');
  expect(run(singleSequence([-1]))).toThrow('token -1');
  expect(run(singleSequence(new Int32Array(25)))).toThrow('context of 25 tokens is over this model\'s 24: shorten the prompt');
  expect(run(singleSequence([]))).toThrow('no tokens');
  expect(run({ ...ok, positions: Int32Array.of(0) })).toThrow('3 tokens came with 1 positions');
  expect(run({ ...ok, positions: Int32Array.of(0, 1, -2) })).toThrow('position -2');
  expect(run({ ...ok, sequences: [{ start: 0, length: 2 }] })).toThrow('cover 2 of 3 rows');
  expect(run({ ...ok, sequences: [{ start: 0, length: 2 }, { start: 1, length: 2 }] })).toThrow('without gaps');
  expect(run({ ...ok, sequences: [{ start: 0, length: 0 }, { start: 0, length: 3 }] })).toThrow('at least one row');
  expect(run({ ...ok, logitRows: Int32Array.of(3) })).toThrow('row 3 of a batch of 3');
  expect(run({ ...ok, logitRows: new Int32Array(0) })).toThrow('no rows');
  expect(run(singleSequence([1], { slot: 0 }))).toThrow('the batch has no cache');
  expect(run({ ...ok, cache })).toThrow('slot undefined of a cache with 2');
  expect(run({ ...singleSequence([1], { slot: 2 }), cache })).toThrow('slot 2 of a cache with 2');
  expect(run({ ...singleSequence([1, 2, 3], { slot: 1, past: 2 }), cache })).toThrow('room for 4 tokens; 3 after 2 do not fit');
  expect(run({ ...pack([Int32Array.of(1), Int32Array.of(2)]), sequences: [{ start: 0, length: 1, slot: 0 }, { start: 1, length: 1, slot: 0 }], cache })).toThrow('twice');
  expect(run({ ...singleSequence([1], { slot: 0 }), cache: foreign })).toThrow('use the cache of the model that made it');
  expect(() => cache.copySlot(0, 2, 1)).toThrow('slot 2');
  expect(() => cache.copySlot(0, 1, 5)).toThrow('5 rows');
  expect(() => model.forward({ arena, tape: new Tape() }, { ...singleSequence([1], { slot: 0 }), cache })).toThrow('train without');
  expect(() => model.loss({ arena, tape: null }, ok, { targets: Int32Array.of(1) })).toThrow('3 rows of logits came with 1 targets');
  expect(() => model.loss({ arena, tape: null }, ok, { targets: Int32Array.of(1, 2, 50) })).toThrow('target 50');
  using quantized = Transformer.initialize(backend, tinyConfigs.llama, new Random(1), { dtype: 'q8' });
  expect(() => quantized.forward({ arena, tape: new Tape() }, ok)).toThrow('cannot be trained: load it with dtype "f32"');
  expect(() => Transformer.initialize(backend, { ...tinyConfigs.llama, intermediateSize: 65 }, new Random(1), { dtype: 'q4' })).toThrow(
    'down_proj.weight [32, 65] cannot be held in q4',
  );
});

test('a model or a cache that does not fit is refused before anything is allocated, with the sizes', async () => {
  await using backend = new ReferenceBackend({ limitBytes: 64 * 2 ** 20 });
  expect(() => Transformer.initialize(backend, presets['smollm2-135m'], new Random(1))).toThrow(MemoryLimitError);
  expect(() => Transformer.initialize(backend, presets['smollm2-135m'], new Random(1))).toThrow(
    'the model (134,515,008 parameters in f32) needs 514.1 MiB with 0 B in use; 64.0 MiB is the limit: load it in dtype "q8" or "q4"',
  );
  expect(backend.stats().allocations).toBe(0);
  using model = tinyModel(backend, tinyConfigs.llama);
  expect(() => model.createCache({ slots: 64, capacity: 65_536 })).toThrow('a key/value cache of 64 × 65,536 tokens needs 1.0 GiB');
});
