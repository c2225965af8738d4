import { describe, expect, test } from 'vitest';
import { Arena } from './arena.ts';
import { ReferenceBackend } from './backends/reference/reference.ts';
import { LifetimeError, ShapeError } from './errors.ts';
import { Tensor } from './tensor.ts';

const backend = new ReferenceBackend();
const count = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => i);

describe('Tensor', () => {
  test('from and read round-trip; an Int32Array makes an i32 tensor', async () => {
    using a = Tensor.from(backend, count(6), [2, 3]);
    using b = Tensor.from(backend, Int32Array.of(1, 2));
    expect(await a.read()).toEqual(count(6));
    expect([a.dtype, a.shape, a.size, b.dtype, b.shape]).toEqual(['f32', [2, 3], 6, 'i32', [2]]);
    await expect(b.read()).rejects.toThrow(ShapeError);
  });

  test('a scalar has one element, an empty tensor none', async () => {
    using scalar = Tensor.from(backend, Float32Array.of(7), []);
    using none = Tensor.allocate(backend, [0, 3]);
    expect([scalar.size, none.size]).toEqual([1, 0]);
    expect(await none.read()).toEqual(new Float32Array(0));
  });

  test('extents are whole numbers from 0; dim counts from either end', () => {
    const before = backend.stats();
    using arena = new Arena(backend);
    for (const shape of [[-1], [1.5], [Number.NaN], [2 ** 60, -1]]) {
      expect(() => Tensor.allocate(backend, shape)).toThrow(ShapeError);
      expect(() => arena.tensor(shape)).toThrow(ShapeError);
    }
    expect(backend.stats()).toEqual(before);
    using tensor = Tensor.allocate(backend, [2, 3, 5]);
    expect([tensor.dim(0), tensor.dim(-1), tensor.dim(-3)]).toEqual([2, 5, 2]);
    expect(() => tensor.dim(3)).toThrow(ShapeError);
  });

  test('write takes exactly as many values as there are', () => {
    using tensor = Tensor.allocate(backend, [2, 3]);
    expect(() => tensor.write(count(5))).toThrow(ShapeError);
    expect(() => tensor.write(count(7))).toThrow(ShapeError);
  });

  test('reshape and rows look at the same memory, through each other', async () => {
    using tensor = Tensor.from(backend, count(24), [4, 6]);
    const view = tensor.rows(1, 3).reshape(4, 3).rows(1, 2); // elements 9, 10, 11
    expect(await view.read()).toEqual(Float32Array.of(9, 10, 11));
    view.write(Float32Array.of(-1, -2, -3));
    expect((await tensor.read()).slice(8, 13)).toEqual(Float32Array.of(8, -1, -2, -3, 12));
    expect(await tensor.rows(2, 2).read()).toEqual(new Float32Array(0));
    expect(() => tensor.reshape(5, 5)).toThrow(ShapeError);
    for (const [start, end] of [[-1, 2], [0, 5], [3, 2]] as const) expect(() => tensor.rows(start, end)).toThrow(ShapeError);
  });

  test('rows of a quantized tensor are refused', () => {
    using tensor = Tensor.allocate(backend, [4, 32], 'q8');
    expect(() => tensor.rows(0, 1)).toThrow(ShapeError);
  });

  test('a view ends with its base, and disposing a view frees nothing', () => {
    const tensor = Tensor.allocate(backend, [4, 2]);
    const view = tensor.rows(1, 2);
    view.dispose();
    expect(tensor.alive).toBe(true);
    tensor.dispose();
    expect(view.alive).toBe(false);
    expect(() => view.write(count(2))).toThrow(LifetimeError);
  });

  test('dispose frees the tensor and its gradient, once', () => {
    const before = backend.stats().allocations;
    const tensor = Tensor.allocate(backend, [3]);
    using arena = new Arena(backend);
    tensor.requiresGrad = true;
    const grad = tensor.gradient(arena);
    expect(backend.stats().allocations).toBe(before + 2); // the gradient is the tensor's own: the arena has taken no block
    tensor.dispose();
    tensor.dispose();
    expect(grad?.alive).toBe(false);
    expect(backend.stats().allocations).toBe(before);
  });
});

describe('gradient', () => {
  test('of a parameter: zeros at first, the same tensor afterwards, alive past the arena\'s step', async () => {
    using arena = new Arena(backend);
    using parameter = Tensor.allocate(backend, [2]);
    expect(parameter.gradient(arena)).toBeUndefined();
    parameter.requiresGrad = true;
    const grad = parameter.gradient(arena);
    expect(await grad?.read()).toEqual(Float32Array.of(0, 0));
    grad?.write(Float32Array.of(1, 2));
    arena.reset();
    expect(parameter.gradient(arena)).toBe(grad);
    expect(await parameter.grad?.read()).toEqual(Float32Array.of(1, 2));
  });

  test('of an activation: zeros even where the arena was used before, gone with its step', async () => {
    using arena = new Arena(backend);
    arena.from(new Float32Array(64).fill(9));
    arena.reset();
    const activation = arena.tensor([4]);
    activation.requiresGrad = true;
    const grad = activation.gradient(arena);
    expect(await grad?.read()).toEqual(new Float32Array(4));
    arena.reset();
    expect(grad?.alive).toBe(false);
  });

  test('of a view: the same view of the base\'s gradient, at any depth', async () => {
    using arena = new Arena(backend);
    using base = Tensor.allocate(backend, [4, 3]);
    const view = base.reshape(6, 2).rows(1, 3).reshape(4);
    expect([view.requiresGrad, view.grad]).toEqual([false, null]);
    base.requiresGrad = true;
    expect(view.requiresGrad).toBe(true);
    view.gradient(arena)?.write(Float32Array.of(1, 2, 3, 4));
    expect(await base.grad?.read()).toEqual(Float32Array.of(0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0));
    expect(() => { view.requiresGrad = true; }).toThrow(ShapeError);
  });

  test('is f32 only', () => {
    using ids = Tensor.allocate(backend, [3], 'i32');
    expect(() => { ids.requiresGrad = true; }).toThrow(ShapeError);
    ids.requiresGrad = false;
  });

  test('becomeGradient turns values into the gradient, once', async () => {
    using arena = new Arena(backend);
    const logits = arena.from(Float32Array.of(1, 2));
    logits.requiresGrad = true;
    logits.becomeGradient();
    expect(await logits.grad?.read()).toEqual(Float32Array.of(1, 2));
    expect(() => logits.becomeGradient()).toThrow(ShapeError);
  });
});
