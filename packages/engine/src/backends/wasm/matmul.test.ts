/** What the conformance suite does not ask of the matrix product: how it is cut, and that rows do not see each other. */
import { expect, test } from 'vitest';
import { createBackend } from '../../node/create-backend.ts';
import { Random } from '../../random.ts';
import { Tensor } from '../../tensor.ts';
import { tiling } from './matmul.ts';

const EXTENTS = [1, 2, 5, 6, 7, 48, 100, 191, 192, 193, 384, 1000, 2048, 49152];

/** What is wrong with the tiling of this shape, if anything is. */
function faults(shape: { M: number; N: number; K: number }, options: { threads: number; transposeA: boolean }): string[] {
  const { M, N, K } = shape;
  const { tileRows, tileColumns, depth, chunks } = tiling(shape, options);
  const rules = {
    'register blocks fill a tile': tileRows % 6 === 0 && tileColumns % 8 === 0,
    'every output has one chunk': chunks === Math.ceil(M / tileRows) * Math.ceil(N / tileColumns),
    'operands fit the scratch memory': 256 + (tileRows + tileColumns) * depth * 4 <= 2 << 20,
    'depth depends on K alone': depth === tiling({ M: 1, N: 1, K }, { threads: 1, transposeA: false }).depth,
    'every thread has work': M * N < 1e6 || chunks >= options.threads,
  };
  const names = Object.entries(rules).filter(([, holds]) => !holds).map(([rule]) => rule);
  return names.map((rule) => `${JSON.stringify({ ...shape, ...options })}: ${rule}`);
}

test('tiles cover every output once, fit the scratch memory of 2 MiB, and leave no thread idle', () => {
  const found: string[] = [];
  for (const M of EXTENTS) {
    for (const N of EXTENTS) {
      for (const K of [0, 1, 384, 512, 513, 8192, 49152]) {
        for (const threads of [1, 2, 16]) {
          for (const transposeA of [false, true]) found.push(...faults({ M, N, K }, { threads, transposeA }));
        }
      }
    }
  }
  expect(found).toEqual([]);
});

test.each(['auto', 'plain'] as const)('a row of a product has the same bits alone, among others, and in any place: simd %s', async (simd) => {
  await using backend = await createBackend({ backend: 'wasm', threads: 2, simd });
  const random = new Random(7);
  const normal = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  for (const [N, K] of [[24, 40], [77, 1100], [384, 384]] as const) {
    for (const transposeB of [false, true]) {
      const M = 50;
      const data = normal(M * K);
      using a = Tensor.from(backend, data, [M, K]);
      using b = Tensor.from(backend, normal(N * K), transposeB ? [N, K] : [K, N]);
      using bias = Tensor.from(backend, normal(N));
      using out = Tensor.allocate(backend, [M, N]);
      backend.matmul({ out, a, b, bias, transposeB });
      const all = await out.read();
      for (const [start, end] of [[0, 1], [7, 8], [49, 50], [3, 5], [10, 17], [30, 50]] as const) {
        using few = Tensor.allocate(backend, [end - start, N]);
        backend.matmul({ out: few, a: a.rows(start, end), b, bias, transposeB });
        expect(await few.read()).toEqual(all.slice(start * N, end * N));
      }
    }
  }
});

test('a product over no k is the bias, or zero, or what was there', async () => {
  await using backend = await createBackend({ backend: 'wasm', threads: 1 });
  using a = Tensor.allocate(backend, [3, 0]);
  using b = Tensor.allocate(backend, [2, 0]);
  using bias = Tensor.from(backend, Float32Array.of(5, 7));
  using out = Tensor.from(backend, Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
  backend.matmul({ out, a, b, transposeB: true, accumulate: true });
  expect([...(await out.read())]).toEqual([1, 2, 3, 4, 5, 6]);
  backend.matmul({ out, a, b, transposeB: true, bias });
  expect([...(await out.read())]).toEqual([5, 7, 5, 7, 5, 7]);
  backend.matmul({ out, a, b, transposeB: true });
  expect([...(await out.read())]).toEqual([0, 0, 0, 0, 0, 0]);
});
