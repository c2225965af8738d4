/** A backend's memory: zero-filled, accounted for to the byte, never handed out twice, and an error where it ends. */
import { describe, expect, test } from 'vitest';
import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import { LifetimeError, MemoryLimitError, ShapeError } from '../errors.ts';
import * as ops from '../ops.ts';
import { Random } from '../random.ts';
import { Tape } from '../tape.ts';
import { Tensor } from '../tensor.ts';

export function describeMemory(backendOf: () => Backend): void {
  describe('memory', () => {
    test('allocate gives zeros, also where memory was used before', async () => {
      const backend = backendOf();
      for (let round = 0; round < 5; round++) {
        for (const size of [1, 7, 33, 1000, 100_003]) {
          using tensor = Tensor.allocate(backend, [size]);
          expect((await tensor.read()).every((value) => value === 0)).toBe(true);
          backend.fill(tensor, 7);
        }
      }
    });

    test('stats count allocations and bytes, and return to where they were', () => {
      const backend = backendOf();
      const before = backend.stats();
      const first = backend.allocate(1000);
      const second = backend.allocate(70_000);
      const between = backend.stats();
      expect(between.allocations).toBe(before.allocations + 2);
      expect(between.allocatedBytes).toBeGreaterThanOrEqual(before.allocatedBytes + 71_000);
      expect(between.peakBytes).toBeGreaterThanOrEqual(between.allocatedBytes);
      expect(first.alive && second.alive).toBe(true);
      expect([first.bytes, second.bytes]).toEqual([1000, 70_000]);
      backend.release(first);
      expect(first.alive).toBe(false);
      backend.release(second);
      const { allocations, allocatedBytes, peakBytes } = backend.stats();
      expect({ allocations, allocatedBytes }).toEqual({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
      expect(peakBytes).toBe(between.peakBytes);
    });

    test('a storage released twice is a LifetimeError, and so is the use of a tensor after its release', () => {
      const backend = backendOf();
      const storage = backend.allocate(64);
      backend.release(storage);
      expect(() => backend.release(storage)).toThrow(LifetimeError);
      const tensor = Tensor.allocate(backend, [4]);
      tensor.dispose();
      expect(() => tensor.write(new Float32Array(4))).toThrow(LifetimeError);
      tensor.dispose(); // twice does nothing
    });

    test('more than the limit is a MemoryLimitError that names the sizes, and changes nothing', async () => {
      const backend = backendOf();
      const before = backend.stats();
      const bytes = Math.min(before.limitBytes, 2 ** 46) + 64;
      let error: unknown;
      try {
        backend.allocate(bytes);
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(MemoryLimitError);
      expect(error).toMatchObject({ requestedBytes: bytes, limitBytes: before.limitBytes });
      expect((error as MemoryLimitError).usedBytes).toBeGreaterThanOrEqual(before.allocatedBytes);
      expect(backend.stats()).toEqual(before);
      using tensor = Tensor.from(backend, Float32Array.of(1, 2, 3));
      expect(await tensor.read()).toEqual(Float32Array.of(1, 2, 3));
    });

    test('q8 and q4 take matrices of columns in blocks of 32, and less memory than f32', () => {
      const backend = backendOf();
      for (const dtype of ['q8', 'q4'] as const) {
        for (const shape of [[64], [2, 2, 32], [3, 33], [3, 16]]) expect(() => backend.byteLength(shape, dtype)).toThrow(ShapeError);
        expect(backend.byteLength([64, 128], dtype)).toBeLessThan(backend.byteLength([64, 128], 'f32') / 2);
      }
      expect([backend.byteLength([3, 5], 'f32'), backend.byteLength([3, 5], 'i32'), backend.byteLength([], 'f32')]).toEqual([60, 60, 4]);
    });

    test('what is written through views of rows is read back, f32 and i32', async () => {
      const backend = backendOf();
      using matrix = Tensor.allocate(backend, [9, 7]);
      using integers = Tensor.allocate(backend, [9, 7], 'i32');
      const expected = new Float32Array(63);
      for (const [start, end] of [[0, 1], [3, 6], [8, 9]] as const) {
        const values = Float32Array.from({ length: (end - start) * 7 }, (_, i) => start * 100 + i + 0.5);
        matrix.rows(start, end).write(values);
        integers.rows(start, end).write(Int32Array.from(values));
        expected.set(values, start * 7);
        expect(await matrix.rows(start, end).read()).toEqual(values);
      }
      expect(await matrix.read()).toEqual(expected);
      const read = new Int32Array(63);
      await backend.read(integers, read);
      expect(read).toEqual(Int32Array.from(expected));
      expect(await matrix.reshape(7, 9).rows(2, 4).read()).toEqual(expected.subarray(18, 36));
    });

    test('tensors keep their values, and operations find them, while memory grows by 60 MiB', async () => {
      const backend = backendOf();
      using stack = new DisposableStack();
      const first = stack.use(Tensor.from(backend, Float32Array.of(1, 2, 3)));
      for (let i = 0; i < 5; i++) {
        const large = stack.use(Tensor.allocate(backend, [3 << 20]));
        backend.scale({ out: first, x: first, factor: 2 });
        backend.copy({ out: large.rows((3 << 20) - 3, 3 << 20), x: first });
        expect(await large.rows((3 << 20) - 4, 3 << 20).read()).toEqual(Float32Array.of(0, 2 ** (i + 1), 2 ** (i + 2), 3 * 2 ** (i + 1)));
      }
      expect(await first.read()).toEqual(Float32Array.of(32, 64, 96));
    });

    test('400 random allocations and releases never overlap (seed 7)', async () => {
      const backend = backendOf();
      const random = new Random(7);
      const before = backend.stats();
      const live: { tensor: Tensor; mark: number }[] = [];
      const end = async ({ tensor, mark }: { tensor: Tensor; mark: number }): Promise<void> => {
        expect((await tensor.read()).every((value) => value === mark)).toBe(true);
        tensor.dispose();
      };
      for (let mark = 1; mark <= 400; mark++) {
        const size = 1 + Math.floor(2 ** (random.uniform() * 14));
        const tensor = Tensor.allocate(backend, [size]);
        backend.fill(tensor, mark);
        live.push({ tensor, mark });
        if (random.uniform() < 0.6) for (const one of live.splice(random.below(live.length), 1)) await end(one);
      }
      for (const one of live) await end(one);
      expect(backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
    });

    test('a training step allocates nothing once warm, and nothing is left when its scopes end', () => {
      const backend = backendOf();
      const before = backend.stats();
      const allocated: number[] = [];
      {
        using arena = new Arena(backend);
        using weight = Tensor.from(backend, new Float32Array(320).fill(0.1), [10, 32]);
        weight.requiresGrad = true;
        for (let step = 0; step < 4; step++) {
          arena.reset();
          const tape = new Tape();
          const ctx = { arena, tape };
          const x = arena.from(new Float32Array(160).fill(0.5), [5, 32]);
          const targets = arena.from(Int32Array.of(1, 2, -100, 4, 5));
          ops.crossEntropy(ctx, ops.activation(ctx, ops.linear(ctx, x, weight), 'silu'), { targets, scale: 0.25 });
          tape.backward();
          allocated.push(backend.stats().allocations);
        }
      }
      expect(new Set(allocated.slice(1)).size).toBe(1);
      expect(backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
    });
  });
}
