import { Arena, Random, ReferenceBackend } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import type { MicroBatch } from '@parley/data';
import { llamaConfig, Transformer } from '@parley/model';
import { expect, test } from 'vitest';
import { Optimizer } from './optimizer.ts';
import { accumulateGradient } from './stage.ts';

const config = llamaConfig({ vocabSize: 40, contextLength: 16, hiddenSize: 16, heads: 2, layers: 2, intermediateSize: 32 });

/** Sequences of these lengths, with tokens drawn from `random` and the share `learned` of rows having targets. */
function randomBatch(random: Random, lengths: readonly number[], learned = 1): MicroBatch {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const tokens = Int32Array.from({ length: rows }, () => random.below(40));
  const targets = Int32Array.from({ length: rows }, () => (random.uniform() < learned ? random.below(40) : -100));
  let start = 0;
  const sequences = lengths.map((length) => ({ start: (start += length) - length, length }));
  const positions = Int32Array.from(lengths.flatMap((length) => Array.from({ length }, (_, i) => i)));
  return { tokens, targets, positions, sequences, origins: lengths.map(() => 0), ...counted(targets) };
}

function counted(targets: Int32Array, weights: Float32Array | null = null): Pick<MicroBatch, 'targetCount' | 'targetWeight' | 'weights'> {
  const learned = [...targets.keys()].filter((row) => targets[row] !== -100);
  return { targetCount: learned.length, targetWeight: learned.reduce((sum, row) => sum + (weights?.[row] ?? 1), 0), weights };
}

async function gradients(model: Transformer): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (const { grad } of model.parameters.values()) all.push(grad === null ? new Float32Array(0) : await grad.read());
  return all;
}

test.each(['reference', 'wasm'] as const)('a training step allocates no backend memory once warm: %s', async (name) => {
  await using backend = await createBackend({ backend: name });
  const random = new Random(3);
  using model = Transformer.initialize(backend, config, random);
  using optimizer = new Optimizer(model, { kind: 'muon', momentum: 0.95, matrixRate: 1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: 1 });
  using arena = new Arena(backend);
  const losses = new Float32Array(48);
  const step = async (lengths: readonly number[], learned: number): Promise<void> => {
    for (let micro = 0; micro < 2; micro++) {
      const batch = randomBatch(random, lengths, learned);
      await accumulateGradient(model, arena, { batch, scale: 1 / 96, losses });
    }
    await optimizer.update(1e-3, await optimizer.gradientNorm());
  };
  await step([16, 16, 16], 1);
  const warm = backend.stats();
  for (let i = 0; i < 4; i++) await step([16, 5, 11, 9, 7], i % 2 === 0 ? 1 : 0.4);
  expect(backend.stats()).toMatchObject({ allocations: warm.allocations, allocatedBytes: warm.allocatedBytes });
});

test('gradients of micro-batches add up to the gradient of the whole batch, within 1e-5', async () => {
  await using backend = new ReferenceBackend();
  using model = Transformer.initialize(backend, config, new Random(4));
  using arena = new Arena(backend);
  const losses = new Float32Array(48);
  const whole = randomBatch(new Random(5), [16, 8, 8, 16]);
  const nats = await accumulateGradient(model, arena, { batch: whole, scale: 1 / 48, losses });
  const expected = await gradients(model);
  for (const { grad } of model.parameters.values()) if (grad !== null) backend.fill(grad, 0);
  let sum = 0;
  for (const [from, to, sequences] of [[0, 24, [0, 1]], [24, 48, [2, 3]]] as const) {
    const targets = whole.targets.slice(from, to);
    const batch: MicroBatch = {
      tokens: whole.tokens.slice(from, to), targets, positions: whole.positions.slice(from, to),
      sequences: sequences.map((index) => ({ start: (whole.sequences[index]?.start ?? 0) - from, length: whole.sequences[index]?.length ?? 0 })),
      origins: [0, 0], ...counted(targets),
    };
    sum += await accumulateGradient(model, arena, { batch, scale: 1 / 48, losses });
  }
  expect(sum).toBeCloseTo(nats, 3);
  for (const [index, gradient] of (await gradients(model)).entries()) {
    for (const [i, value] of gradient.entries()) expect(Math.abs(value - (expected[index]?.[i] ?? NaN))).toBeLessThan(1e-5);
  }
});

test('rows without a target can be left out of the logits: the same gradients, within 1e-6', async () => {
  await using backend = new ReferenceBackend();
  using model = Transformer.initialize(backend, config, new Random(6));
  using arena = new Arena(backend);
  const losses = new Float32Array(32);
  const sparse = randomBatch(new Random(7), [16, 16], 0.5);
  const nats = await accumulateGradient(model, arena, { batch: sparse, scale: 0.1, losses });
  const expected = await gradients(model);
  for (const { grad } of model.parameters.values()) if (grad !== null) backend.fill(grad, 0);
  // A targetCount of all rows makes the loop compute every row's logits; ignored ones add nothing.
  const all = await accumulateGradient(model, arena, { batch: { ...sparse, targetCount: 32 }, scale: 0.1, losses });
  expect(all).toBeCloseTo(nats, 4);
  for (const [index, gradient] of (await gradients(model)).entries()) {
    for (const [i, value] of gradient.entries()) expect(Math.abs(value - (expected[index]?.[i] ?? NaN))).toBeLessThan(1e-6);
  }
});

test.each([1, 0.5])('a sequence of loss weight 3 adds three times its gradient, its loss is measured once: %d of the rows learned, within 1e-5', async (learned) => {
  await using backend = new ReferenceBackend();
  using model = Transformer.initialize(backend, config, new Random(8));
  using arena = new Arena(backend);
  const losses = new Float32Array(32);
  const batch = randomBatch(new Random(9), [16, 16], learned);
  const firsts = batch.targets.map((target, row) => (row < 16 ? target : -100));
  const seconds = batch.targets.map((target, row) => (row < 16 ? -100 : target));
  const gradientOf = async (of: MicroBatch): Promise<{ nats: number; all: Float32Array[] }> => {
    for (const { grad } of model.parameters.values()) if (grad !== null) backend.fill(grad, 0);
    return { nats: await accumulateGradient(model, arena, { batch: of, scale: 0.1, losses }), all: await gradients(model) };
  };
  const first = await gradientOf({ ...batch, targets: firsts, ...counted(firsts) });
  const second = await gradientOf({ ...batch, targets: seconds, ...counted(seconds) });
  const weights = Float32Array.from(batch.targets, (_, row) => (row < 16 ? 1 : 3));
  const both = await gradientOf({ ...batch, ...counted(batch.targets, weights) });
  expect(both.nats).toBeCloseTo(first.nats + second.nats, 3);
  for (const [index, gradient] of both.all.entries()) {
    for (const [i, value] of gradient.entries()) {
      expect(Math.abs(value - (first.all[index]?.[i] ?? NaN) - 3 * (second.all[index]?.[i] ?? NaN))).toBeLessThan(1e-5);
    }
  }
});
