/** What the conformance suite does not ask of the native backend: rows beyond one tile, threads that come and go, memory. */
import { createBackend, nativeKernels } from '@parley/engine/node';
import { describe, expect, test } from 'vitest';
import type { Backend } from '../../backend.ts';
import { Random } from '../../random.ts';
import { Tensor } from '../../tensor.ts';
import type { InstructionSet } from './runtime.ts';

const { addon } = nativeKernels();
const sets = (addon?.instructionSets ?? []) as readonly InstructionSet[];
const random = new Random(7);
const normal = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());

/** `toEqual` takes seconds for what `Buffer` compares at once. */
const sameBits = (a: Float32Array, b: Float32Array): boolean => Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));

const make = (threads: number, instructionSet?: InstructionSet): Promise<Backend> =>
  createBackend({ backend: 'native', threads, ...(instructionSet === undefined ? {} : { instructionSet }) });

describe.skipIf(addon === undefined)('native', () => {
  test.each(sets)('a row of a product has the same bits alone, among few and among many, in any place, on any threads: %s', async (set) => {
    await using backend = await make(3, set);
    await using single = await make(1, set);
    for (const [N, K] of [[24, 40], [77, 1100], [800, 385]] as const) {
      for (const transposeB of [false, true]) {
        const M = 301;
        const [data, weights, biases] = [normal(M * K), normal(N * K), normal(N)];
        const multiply = async (on: Backend, start: number, end: number): Promise<Float32Array> => {
          using a = Tensor.from(on, data.slice(start * K, end * K), [end - start, K]);
          using b = Tensor.from(on, weights, transposeB ? [N, K] : [K, N]);
          using bias = Tensor.from(on, biases);
          using out = Tensor.allocate(on, [end - start, N]);
          on.matmul({ out, a, b, bias, transposeB });
          return out.read();
        };
        const all = await multiply(single, 0, M);
        for (const [start, end] of [[0, M], [0, 1], [7, 8], [300, 301], [3, 5], [10, 27], [50, 190], [50, 191], [1, 300]] as const) {
          expect(sameBits(await multiply(backend, start, end), all.subarray(start * N, end * N)), `rows ${start} to ${end}`).toBe(true);
        }
      }
    }
  });

  test.each(sets)('a product with a transposed a has the bits of the product without, of one row to many tiles: %s', async (set) => {
    await using backend = await make(2, set);
    const [N, K] = [70, 801];
    for (const M of [1, 2, 3, 5, 7, 8, 9, 15, 17, 30, 141, 300]) {
      const data = normal(M * K);
      using a = Tensor.from(backend, data, [M, K]);
      using turned = Tensor.from(backend, Float32Array.from({ length: M * K }, (_, i) => data[(i % M) * K + Math.floor(i / M)]!), [K, M]);
      using b = Tensor.from(backend, normal(N * K), [K, N]);
      using first = Tensor.allocate(backend, [M, N]);
      using second = Tensor.allocate(backend, [M, N]);
      backend.matmul({ out: first, a, b });
      backend.matmul({ out: second, a: turned, b, transposeA: true });
      expect(sameBits(await second.read(), await first.read()), `${M} rows`).toBe(true);
    }
  });

  test('10,000 small operations in a row, some after a pause, each finished before the next', async () => {
    await using backend = await make(4);
    const size = 70_000; // five chunks
    using x = Tensor.allocate(backend, [size]);
    using one = Tensor.allocate(backend, [size]);
    backend.fill(one, 1);
    for (let i = 1; i <= 10_000; i++) {
      backend.add({ out: x, a: x, b: one });
      // Long enough for the threads to fall asleep.
      if (i % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect((await x.read()).every((value) => value === 10_000)).toBe(true);
  });

  test('several backends at once do not disturb each other, and come and go', async () => {
    for (let round = 0; round < 20; round++) {
      await using first = await make(2);
      await using second = await make(3);
      using a = Tensor.from(first, new Float32Array(40_000).fill(round));
      using b = Tensor.from(second, new Float32Array(40_000).fill(2 * round));
      first.scale({ out: a, x: a, factor: 3 });
      second.scale({ out: b, x: b, factor: 3 });
      expect([(await a.read()).at(-1), (await b.read()).at(-1)]).toEqual([3 * round, 6 * round]);
    }
  });

  test('large memory is zero also where it was used before, and starts on a huge page', async () => {
    await using backend = await make(1);
    for (let round = 0; round < 3; round++) {
      using large = Tensor.allocate(backend, [1 << 20]);
      expect((large.storage as unknown as { address: number }).address % (2 << 20)).toBe(0);
      expect((await large.read()).every((value) => value === 0)).toBe(true);
      backend.fill(large, 1);
    }
  });
});
