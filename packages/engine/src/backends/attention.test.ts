/** What the conformance suite does not ask of attention: that a row's bits do not depend on its company. */
import { describe, expect, test } from 'vitest';
import type { Backend } from '../backend.ts';
import { createBackend } from '../node/create-backend.ts';
import { backendVariants } from '../node/variants.ts';
import { Random } from '../random.ts';
import { Tensor } from '../tensor.ts';

const normal = (random: Random, length: number): Float32Array => Float32Array.from({ length }, () => random.normal());

interface Sequence {
  readonly queryStart: number;
  readonly queryLength: number;
  readonly keyStart: number;
  readonly keyLength: number;
}

/** Causal attention; `q` (N, H, D) may have other rows than the sequences'. */
async function attend(backend: Backend, tensors: { q: Tensor; k: Tensor; v: Tensor }, sequences: readonly Sequence[]): Promise<Float32Array> {
  const rows = Int32Array.from(sequences.flatMap((s) => [s.queryStart, s.queryLength, s.keyStart, s.keyLength]));
  using table = Tensor.from(backend, rows, [sequences.length, 4]);
  using out = Tensor.allocate(backend, tensors.q.shape);
  const maxQueryLength = Math.max(...sequences.map((s) => s.queryLength));
  backend.attention({ ...tensors, out, sequences: table, maxQueryLength, causal: true, scale: 0.3 });
  return out.read();
}

describe.each(Object.entries(backendVariants()))('%s', (_, options) => {
  test.each([{ H: 9, K: 3, D: 64 }, { H: 2, K: 2, D: 20 }, { H: 8, K: 1, D: 7 }, { H: 3, K: 1, D: 32 }])(
    'cached attention has the bits of uncached, alone and in a batch: H $H, K $K, D $D',
    async ({ H, K, D }) => {
      await using backend = await createBackend({ ...options, threads: 2 });
      const random = new Random(3);
      const T = 150;
      using q = Tensor.from(backend, normal(random, 2 * T * H * D), [2 * T, H, D]);
      using k = Tensor.from(backend, normal(random, 2 * T * K * D), [2 * T, K, D]);
      using v = Tensor.from(backend, normal(random, 2 * T * K * D), [2 * T, K, D]);
      const tensors = { q, k, v };
      const whole = await attend(backend, tensors, [{ queryStart: 0, queryLength: T, keyStart: 0, keyLength: T }]);
      const rows = (values: Float32Array, start: number, end: number): Float32Array => values.slice(start * H * D, end * H * D);
      // Each piece of the sequence as the present of the keys before it.
      for (const [start, end] of [[0, 1], [1, 2], [40, 41], [63, 65], [64, 65], [70, 149], [149, 150]] as const) {
        const piece = { queryStart: start, queryLength: end - start, keyStart: 0, keyLength: end };
        expect(rows(await attend(backend, tensors, [piece]), start, end)).toEqual(rows(whole, start, end));
        const other = { queryStart: T, queryLength: 77, keyStart: T + 3, keyLength: 100 };
        expect(rows(await attend(backend, tensors, [other, piece]), start, end)).toEqual(rows(whole, start, end));
      }
    },
  );

  test('gradients have the same bits whether a launch is cut by pairs of sequence and head, or by keys and then by rows', async () => {
    const results: Float32Array[][] = [];
    for (const threads of [1, 4]) {
      await using backend = await createBackend({ ...options, threads });
      const random = new Random(5);
      const [T, H, K, D] = [131, 4, 2, 24];
      using q = Tensor.from(backend, normal(random, T * H * D), [T, H, D]);
      using k = Tensor.from(backend, normal(random, T * K * D), [T, K, D]);
      using v = Tensor.from(backend, normal(random, T * K * D), [T, K, D]);
      using dOut = Tensor.from(backend, normal(random, T * H * D), [T, H, D]);
      using out = Tensor.allocate(backend, [T, H, D]);
      using logSumExp = Tensor.allocate(backend, [T, H]);
      using dQ = Tensor.allocate(backend, [T, H, D]);
      using dK = Tensor.allocate(backend, [T, K, D]);
      using dV = Tensor.allocate(backend, [T, K, D]);
      using sequences = Tensor.from(backend, Int32Array.of(0, T, 0, T), [1, 4]);
      const args = { q, k, v, out, logSumExp, sequences, maxQueryLength: T, causal: true, scale: 0.2 };
      backend.attention(args);
      backend.attentionBackward({ ...args, dOut, dQ, dK, dV });
      results.push([await dQ.read(), await dK.read(), await dV.read()]);
    }
    expect(results[1]).toEqual(results[0]);
  });

  test('heads that would not fit the scratch memory are refused', async () => {
    await using backend = await createBackend({ ...options, threads: 1 });
    using q = Tensor.allocate(backend, [1, 1, 1025]);
    using sequences = Tensor.from(backend, Int32Array.of(0, 1, 0, 1), [1, 4]);
    const args = { q, k: q, v: q, sequences, maxQueryLength: 1, causal: true, scale: 1 };
    expect(() => backend.attention({ ...args, out: q })).toThrow(/heads of size 1025 are over the (wasm|native) backend's 1024/);
  });
});
