import { describe, expect, test } from 'vitest';
import { Arena } from './arena.ts';
import { ReferenceBackend } from './backends/reference/reference.ts';
import { LifetimeError, MemoryLimitError } from './errors.ts';
import { Random } from './random.ts';
import type { Tensor } from './tensor.ts';

describe('Arena', () => {
  test('tensors of a step do not overlap and start on cache lines: 300 of random sizes (seed 4)', async () => {
    const backend = new ReferenceBackend();
    using arena = new Arena(backend);
    const random = new Random(4);
    for (let step = 0; step < 3; step++) {
      arena.reset();
      const tensors: Tensor[] = [];
      for (let i = 0; i < 300; i++) {
        const tensor = arena.tensor([random.below(2 ** random.below(15))]);
        expect(tensor.byteOffset % 64).toBe(0);
        backend.fill(tensor, i);
        tensors.push(tensor);
      }
      for (const [i, tensor] of tensors.entries()) expect((await tensor.read()).every((value) => value === i)).toBe(true);
    }
  });

  test('a step like the one before allocates nothing', () => {
    const backend = new ReferenceBackend();
    using arena = new Arena(backend);
    const step = (): number => {
      arena.reset();
      for (let i = 1; i <= 60; i++) arena.tensor([i * 5000]);
      return backend.stats().allocations;
    };
    const first = step();
    expect([step(), step()]).toEqual([first, first]);
    expect(arena.bytes).toBe(backend.stats().allocatedBytes);
  });

  test('a tensor larger than any block gets one of its own size', () => {
    using arena = new Arena(new ReferenceBackend());
    arena.tensor([10]);
    arena.tensor([1_000_000]);
    expect(arena.bytes).toBe((1 << 20) + 4_000_000);
  });

  test('reset ends the tensors and views of the step', () => {
    using arena = new Arena(new ReferenceBackend());
    const tensor = arena.tensor([4, 2]);
    const view = tensor.rows(0, 1);
    arena.reset();
    const next = arena.tensor([4, 2]);
    expect([tensor.alive, view.alive, next.alive]).toEqual([false, false, true]);
    expect(() => tensor.write(new Float32Array(8))).toThrow(LifetimeError);
  });

  test('dispose returns the memory, once, and ends the arena', () => {
    const backend = new ReferenceBackend();
    const arena = new Arena(backend);
    const tensor = arena.tensor([4]);
    arena.dispose();
    arena.dispose();
    expect(tensor.alive).toBe(false);
    expect(backend.stats()).toMatchObject({ allocations: 0, allocatedBytes: 0 });
    expect(() => arena.tensor([4])).toThrow(LifetimeError);
  });

  test('where the backend has no more memory, what the arena held before stays usable', async () => {
    const backend = new ReferenceBackend({ limitBytes: 3 << 20 });
    using arena = new Arena(backend);
    const tensor = arena.from(Float32Array.of(1, 2));
    expect(() => arena.tensor([1 << 20])).toThrow(MemoryLimitError);
    expect(await tensor.read()).toEqual(Float32Array.of(1, 2));
    expect(arena.tensor([100]).alive).toBe(true);
  });
});
