import { expect, test } from 'vitest';
import { Arena } from './arena.ts';
import { ReferenceBackend } from './backends/reference/reference.ts';
import { createBackend } from './node/create-backend.ts';
import * as ops from './ops.ts';
import { Random } from './random.ts';
import { Tape } from './tape.ts';
import { Tensor } from './tensor.ts';

const normal = (length: number, seed: number): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.normal());
};

test.each(['reference', 'wasm'] as const)('dropout: 0 or x / (1 − p) within 1e-6, the share p within 3 deviations, and nothing without a random: %s', async (name) => {
  await using backend = await createBackend({ backend: name });
  using arena = new Arena(backend);
  const values = normal(64 * 129, 1);
  const x = arena.from(values, [64, 129]);
  expect(ops.dropout({ arena, tape: null }, x, 0.3)).toBe(x);
  for (const p of [0.05, 0.3, 0.9]) {
    const out = await ops.dropout({ arena, tape: null, random: new Random(2) }, x, p).read();
    const kept = [...values.keys()].filter((i) => out[i] !== 0);
    const dropped = values.length - kept.length;
    for (const i of kept) {
      const value = values[i] ?? NaN;
      expect(Math.abs((out[i] ?? NaN) * (1 - p) - value)).toBeLessThanOrEqual(1e-6 * Math.abs(value));
    }
    expect(Math.abs(dropped / values.length - p)).toBeLessThan(3 * Math.sqrt((p * (1 - p)) / values.length));
    const again = await ops.dropout({ arena, tape: null, random: new Random(2) }, x, p).read();
    expect(again).toEqual(out);
  }
});

test.each(['q8', 'q4'] as const)('the gradient of a product with %s weights is that of the weights as they are held, within 1e-5', async (dtype) => {
  const backend = new ReferenceBackend();
  using weight = Tensor.allocate(backend, [9, 64], dtype);
  using held = Tensor.allocate(backend, [9, 64]);
  using x = Tensor.from(backend, normal(5 * 64, 2), [5, 64]);
  using source = Tensor.from(backend, normal(9 * 64, 1), [9, 64]);
  backend.quantize({ out: weight, x: source });
  backend.dequantize({ out: held, x: weight });
  x.requiresGrad = true;
  const gradient = async (w: Tensor): Promise<Float32Array> => {
    using arena = new Arena(backend);
    if (x.grad) backend.fill(x.grad, 0);
    const tape = new Tape();
    const first = ops.linear({ arena, tape }, x, w);
    const out = ops.add({ arena, tape }, first, ops.linear({ arena, tape }, x, w));
    out.gradient(arena)?.write(normal(45, 3));
    tape.backward();
    return (x.grad as Tensor).read();
  };
  const [through, plain] = [await gradient(weight), await gradient(held)];
  for (const [i, value] of plain.entries()) expect(Math.abs((through[i] ?? NaN) - value)).toBeLessThan(1e-5);
});

test('rows of a loss weigh what they are given, also when it is given after the losses were read: gradients within 1e-6', async () => {
  const backend = new ReferenceBackend();
  using logits = Tensor.from(backend, normal(4 * 7, 4), [4, 7]);
  logits.requiresGrad = true;
  const targets = Int32Array.of(1, 6, -100, 3);
  const gradients = async (weights?: Float32Array, late?: readonly number[]): Promise<Float32Array> => {
    using arena = new Arena(backend);
    if (logits.grad) backend.fill(logits.grad, 0);
    const tape = new Tape();
    const copy = ops.scale({ arena, tape }, logits, 1);
    const losses = ops.crossEntropy({ arena, tape }, copy, { targets: arena.from(targets), scale: 0.5, ...(weights && { weights }) });
    await losses.read();
    if (late) weights?.set(late);
    tape.backward();
    return (logits.grad as Tensor).read();
  };
  const plain = await gradients();
  const factors = [2, -1.5, 7, 0];
  const weighed = await gradients(new Float32Array(4).fill(1), factors);
  for (const [i, value] of plain.entries()) expect(Math.abs((weighed[i] ?? NaN) - value * (factors[Math.floor(i / 7)] ?? 0))).toBeLessThan(1e-6);
  await expect(gradients(new Float32Array(3))).rejects.toThrow('4 rows came with 3 weights');
  await expect(gradients(new Float32Array(4).fill(NaN))).rejects.toThrow('the weight of row 0 is NaN');
});

test('memory taken temporarily serves again', async () => {
  const backend = new ReferenceBackend();
  using arena = new Arena(backend);
  for (let i = 0; i < 100; i++) arena.temporarily(() => void arena.tensor([1 << 16]));
  expect(arena.bytes).toBeLessThanOrEqual(1 << 20);
});
