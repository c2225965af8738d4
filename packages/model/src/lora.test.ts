import { Arena, type Backend, Random, ReferenceBackend, Tape, Tensor } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { directionalDerivative } from '@parley/engine/testing';
import { describe, expect, test } from 'vitest';
import { adaptableModules, AdapterError, type Batch, LoraAdapter, type LoraOptions, singleSequence, Transformer } from './index.ts';
import { largestDifference, logitsOf, randomTokens, tinyConfigs, tinyModel } from './testing/tiny.ts';

const LORA: LoraOptions = { rank: 4, alpha: 8 };
const TOKENS = randomTokens(20, 41, 3);
const BATCH: Batch = singleSequence(TOKENS);
const TARGETS = randomTokens(20, 41, 4);

/** An adapter with values everywhere, as after training. */
function trained(backend: Backend, config: Transformer['config'], seed: number, options: LoraOptions = LORA): LoraAdapter {
  const random = new Random(seed);
  const adapter = LoraAdapter.initialize(backend, config, { ...options, random });
  for (const tensor of adapter.parameters.values()) tensor.write(Float32Array.from({ length: tensor.size }, () => 0.2 * random.normal()));
  return adapter;
}

/** The same model with its matrices held in `dtype`. Disposes the first. */
function quantized(model: Transformer, dtype: 'q8' | 'q4'): Transformer {
  const { backend, config, parameters } = model;
  const held = new Map([...parameters].map(([name, tensor]) => {
    const out = Tensor.allocate(backend, tensor.shape, tensor.shape.length > 1 ? dtype : 'f32');
    if (out.dtype === 'f32') backend.copy({ out, x: tensor });
    else backend.quantize({ out, x: tensor });
    return [name, out] as const;
  }));
  model.dispose();
  return new Transformer(backend, config, held);
}

for (const [name, config] of Object.entries(tinyConfigs)) {
  describe(`on ${name}`, () => {
    test('a new adapter changes no bit of the logits; a trained one does, and what two add is summed', async () => {
      await using backend = await createBackend({ threads: 2 });
      using model = tinyModel(backend, config);
      const base = await logitsOf(model, BATCH);
      using fresh = LoraAdapter.initialize(backend, config, { ...LORA, random: new Random(1) });
      model.setAdapters([{ adapter: fresh }]);
      expect(await logitsOf(model, BATCH)).toEqual(base);
      using adapter = trained(backend, config, 2);
      model.setAdapters([{ adapter }]);
      const one = await logitsOf(model, BATCH);
      expect(largestDifference(one, base)).toBeGreaterThan(0.1);
      // Weights are factors: half and half of the same is the whole.
      model.setAdapters([{ adapter, weight: 0.5 }, { adapter, weight: 0.5 }]);
      expect(largestDifference(await logitsOf(model, BATCH), one)).toBeLessThan(1e-4);
      model.setAdapters([{ adapter, weight: 0 }]);
      expect(await logitsOf(model, BATCH)).toEqual(base);
    });

    test('merged weights give what the adapters beside them give, within 1e-4', async () => {
      await using backend = await createBackend({ threads: 2 });
      using model = tinyModel(backend, config);
      using first = trained(backend, config, 5);
      using second = trained(backend, config, 6, { rank: 3, alpha: 2, rankStabilized: true });
      model.setAdapters([{ adapter: first }, { adapter: second, weight: -0.5 }]);
      const beside = await logitsOf(model, BATCH);
      model.setAdapters([]);
      const before = backend.stats();
      model.mergeAdapter({ adapter: first });
      model.mergeAdapter({ adapter: second, weight: -0.5 });
      expect(backend.stats().allocatedBytes).toBe(before.allocatedBytes);
      expect(largestDifference(await logitsOf(model, BATCH), beside)).toBeLessThan(1e-4);
    });

    test('adapters are laid on and taken off without an allocation that stays', async () => {
      await using backend = await createBackend({ threads: 2 });
      using model = tinyModel(backend, config);
      using a = trained(backend, config, 7);
      using b = trained(backend, config, 8);
      model.setAdapters([{ adapter: a }]);
      const first = await logitsOf(model, BATCH);
      const warm = backend.stats();
      for (let i = 0; i < 5; i++) {
        model.setAdapters([{ adapter: b }]);
        await logitsOf(model, BATCH);
        model.setAdapters([{ adapter: a }]);
        expect(await logitsOf(model, BATCH)).toEqual(first);
      }
      expect(backend.stats()).toMatchObject({ allocations: warm.allocations, allocatedBytes: warm.allocatedBytes });
    });

    test('gradients of A and B agree with finite differences within 1e-3, dropout included, and the frozen base has none', async () => {
      const backend = new ReferenceBackend();
      using model = tinyModel(backend, config, 1, 0.15);
      using adapter = trained(backend, config, 9, { ...LORA, dropout: 0.2 });
      model.freeze();
      adapter.trainable = true;
      model.setAdapters([{ adapter, weight: 1.5 }]);
      const loss = async (tape: Tape | null): Promise<number> => {
        using arena = new Arena(backend);
        const losses = await model.loss({ arena, tape, random: new Random(4) }, BATCH, { targets: TARGETS }).read();
        tape?.backward();
        return losses.reduce((sum, value) => sum + value, 0) / losses.length;
      };
      await loss(new Tape());
      for (const parameter of model.parameters.values()) expect(parameter.grad).toBeNull();
      const random = new Random(10);
      const names = [...adapter.parameters.keys()];
      for (const chosen of [names[0]!, names[3]!, names.at(-2)!, names.at(-1)!]) {
        const tensor = adapter.parameters.get(chosen)!;
        const [values, gradient] = [await tensor.read(), await tensor.grad!.read()];
        const direction = Float32Array.from(values, () => random.normal());
        const numeric = await directionalDerivative(async (distance) => {
          tensor.write(values.map((value, i) => value + distance * direction[i]!));
          return await loss(null);
        }, 1 / 1024);
        tensor.write(values);
        const analytic = gradient.reduce((sum, value, i) => sum + value * direction[i]!, 0);
        expect(Math.abs(numeric - analytic) / Math.hypot(...gradient), chosen).toBeLessThan(1e-3);
      }
    });
  });
}

test.each(['q8', 'q4'] as const)('on a frozen base in %s an adapter learns: thirty steps halve the loss', async (dtype) => {
  await using backend = await createBackend({ threads: 2 });
  const config = tinyConfigs.llama;
  using model = quantized(tinyModel(backend, config), dtype);
  expect(() => model.loss({ arena: new Arena(backend), tape: new Tape() }, BATCH, { targets: TARGETS })).toThrow(`a model in ${dtype} cannot be trained`);
  using adapter = LoraAdapter.initialize(backend, config, { rank: 8, alpha: 16, random: new Random(2) });
  adapter.trainable = true;
  model.setAdapters([{ adapter }]);
  using arena = new Arena(backend);
  const losses: number[] = [];
  const moments = new Map([...adapter.parameters].map(([name, { shape }]) => [name, [Tensor.allocate(backend, shape), Tensor.allocate(backend, shape)] as const]));
  for (let step = 1; step <= 30; step++) {
    arena.reset();
    const tape = new Tape();
    const out = model.loss({ arena, tape }, BATCH, { targets: TARGETS });
    tape.backward();
    losses.push((await out.read()).reduce((sum, value) => sum + value, 0) / 20);
    for (const [name, parameter] of adapter.parameters) {
      const [m, v] = moments.get(name)!;
      backend.adamw({ parameter, gradient: parameter.grad!, m, v, learningRate: 0.02, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, step, gradientScale: 1 });
      backend.fill(parameter.grad!, 0);
    }
  }
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.5);
  expect(() => model.mergeAdapter({ adapter })).toThrow('load the model in f32');
  for (const pair of moments.values()) for (const moment of pair) moment.dispose();
});

test('targets are named as PEFT names them: whole names or their last parts; what names nothing is refused', () => {
  const backend = new ReferenceBackend();
  const make = (config: Transformer['config'], targets: string[]): string[] => {
    using adapter = LoraAdapter.initialize(backend, config, { ...LORA, targets, random: new Random(1) });
    return adapter.modules.map(({ name }) => name);
  };
  expect(make(tinyConfigs.llama, ['q_proj', 'model.layers.1.mlp.down_proj'])).toEqual([
    'model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.q_proj', 'model.layers.1.mlp.down_proj',
  ]);
  expect(make(tinyConfigs.gpt2, ['mlp.c_proj'])).toEqual(['transformer.h.0.mlp.c_proj', 'transformer.h.1.mlp.c_proj']);
  expect(adaptableModules(tinyConfigs['llama untied']).map(({ name }) => name)).not.toContain('lm_head');
  expect(() => make(tinyConfigs.llama, ['q_prj'])).toThrow('no linear layer of this llama model is called "q_prj" (did you mean q_proj?)');
  expect(() => make(tinyConfigs.gpt2, ['q_proj'])).toThrow('choose among c_attn, c_proj, c_fc');
  expect(() => make(tinyConfigs.llama, [])).toThrow(AdapterError);
});

test('an adapter of another model, a disposed one and one out of range are refused, and those before stay', async () => {
  const backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfigs.llama);
  using mine = trained(backend, tinyConfigs.llama, 1);
  using other = trained(backend, tinyConfigs['llama untied'], 1);
  model.setAdapters([{ adapter: mine }]);
  expect(() => model.setAdapters([{ adapter: other }])).toThrow('it was made for another');
  const gone = trained(backend, tinyConfigs.llama, 1);
  gone.dispose();
  expect(() => model.setAdapters([{ adapter: gone }])).toThrow('disposed');
  expect(() => model.setAdapters([{ adapter: mine, weight: NaN }])).toThrow('weight is NaN');
  expect(model.adapters).toEqual([{ adapter: mine }]);
  const { allocations } = backend.stats();
  for (const options of [{ ...LORA, rank: 0 }, { ...LORA, alpha: -1 }, { ...LORA, dropout: 1 }]) {
    expect(() => LoraAdapter.initialize(backend, tinyConfigs.llama, { ...options, random: new Random(1) })).toThrow(AdapterError);
  }
  expect(backend.stats().allocations).toBe(allocations);
});
