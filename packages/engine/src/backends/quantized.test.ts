/** What the conformance suite leaves out: every size of tile, slabs of tokens, odd numbers, and processors other than this one. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from '../backend.ts';
import { createBackend } from '../node/create-backend.ts';
import { backendVariants } from '../node/variants.ts';
import { Random } from '../random.ts';
import { Tensor } from '../tensor.ts';
import { ReferenceBackend } from './reference/reference.ts';

const DTYPES = ['q4', 'q8'] as const;
type Quantized = (typeof DTYPES)[number];

interface Product {
  dtype: Quantized;
  /** (N, C) */
  a: Float32Array;
  /** (R, C) */
  w: Float32Array;
  /** (R) */
  bias?: Float32Array;
  columns: number;
}

function draw(length: number, seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.normal());
}

/** out (N, R) */
async function multiply(backend: Backend, { dtype, a, w, bias, columns }: Product): Promise<Float32Array> {
  const [N, R] = [a.length / columns, w.length / columns];
  using activations = Tensor.from(backend, a, [N, columns]);
  using dense = Tensor.from(backend, w, [R, columns]);
  using weights = Tensor.allocate(backend, [R, columns], dtype);
  using out = Tensor.allocate(backend, [N, R]);
  using biasTensor = Tensor.from(backend, bias ?? new Float32Array(R));
  backend.quantize({ out: weights, x: dense });
  backend.matmulQuantized({ out, a: activations, w: weights, ...(bias && { bias: biasTensor }) });
  return out.read();
}

/** The largest difference, over the largest magnitude expected; 0 where all are equal. */
function deviation(actual: Float32Array, expected: Float32Array): number {
  let [difference, magnitude] = [0, 0];
  expected.forEach((value, i) => {
    difference = Math.max(difference, Math.abs(value - (actual[i] ?? Number.NaN)));
    magnitude = Math.max(magnitude, Math.abs(value));
  });
  return difference === 0 ? 0 : difference / magnitude;
}

const reference = new ReferenceBackend();
const variants = backendVariants();

describe.each(Object.keys(variants))('%s', (name) => {
  let made: Backend;
  beforeAll(async () => {
    made = await createBackend({ ...variants[name], threads: 2 });
  });
  afterAll(() => made[Symbol.asyncDispose]());
  const backend = (): Backend => made;

  test.each(DTYPES)('%s: in batches of 1 to 19 a token has the same bits as alone, over 37 rows and over 70', async (dtype) => {
    const columns = 96;
    for (const R of [37, 70]) {
      const [all, w, bias] = [draw(19 * columns, 1), draw(R * columns, 2), draw(R, 3)];
      const alone: number[] = [];
      for (let n = 0; n < 19; n++) {
        const a = all.subarray(n * columns, (n + 1) * columns);
        alone.push(...(await multiply(backend(), { dtype, a, w, bias, columns })));
      }
      for (let N = 2; N <= 19; N++) {
        const together = await multiply(backend(), { dtype, a: all.subarray(0, N * columns), w, bias, columns });
        expect([...together], `${N} tokens`).toEqual(alone.slice(0, N * R));
      }
    }
  });

  test.each(DTYPES)('%s: of 1,030 tokens, which are taken in slabs, each has the same bits as alone', async (dtype) => {
    const [R, columns] = [6, 32];
    const [all, w] = [draw(1030 * columns, 4), draw(R * columns, 5)];
    const together = await multiply(backend(), { dtype, a: all, w, columns });
    for (const n of [0, 511, 512, 519, 1023, 1024, 1029]) {
      const alone = await multiply(backend(), { dtype, a: all.subarray(n * columns, (n + 1) * columns), w, columns });
      expect([...together.subarray(n * R, (n + 1) * R)], `token ${n}`).toEqual([...alone]);
    }
  });

  test.each(DTYPES)('%s: random shapes are within 1e-6 of the largest of the reference', async (dtype) => {
    const random = new Random(6);
    for (let round = 0; round < 25; round++) {
      const [N, R, columns] = [1 + random.below(20), 1 + random.below(90), 32 * (1 + random.below(6))];
      const product: Product = { dtype, a: draw(N * columns, 100 + round), w: draw(R * columns, 200 + round), columns };
      if (round % 2 === 1) product.bias = draw(R, 300 + round);
      const [actual, expected] = [await multiply(backend(), product), await multiply(reference, product)];
      expect(deviation(actual, expected), `round ${round}: N ${N}, R ${R}, C ${columns}`).toBeLessThan(1e-6);
    }
  });

  test.each(DTYPES)('%s: whole numbers, as large as they get and of all signs, give exactly the reference', async (dtype) => {
    // Scales come out as 1 and −1, so nothing rounds: a wrong code, sign or saturated sum of products would show.
    const [N, R, columns] = [9, 21, 64];
    const largest = dtype === 'q8' ? 127 : 7;
    const random = new Random(7);
    const whole = (length: number, most: number, extreme: number): Float32Array =>
      Float32Array.from({ length }, (_, i) => {
        const block = Math.floor(i / 32);
        if (i % 32 === block % 32) return extreme;
        return block % 3 === 0 ? (block % 2 === 0 ? most : -most) : random.below(2 * most + 1) - most;
      });
    const a = whole(N * columns, 127, 127);
    const w = whole(R * columns, largest, dtype === 'q8' ? 127 : -8);
    const [actual, expected] = [
      await multiply(backend(), { dtype, a, w, columns }), await multiply(reference, { dtype, a, w, columns }),
    ];
    expect([...actual]).toEqual([...expected]);
  });

  test.each(DTYPES)('%s: activations too small for an ordinary scale are within 1e-6 of the largest of the reference', async (dtype) => {
    const [R, columns] = [8, 32];
    // Largest |x| / 127 becomes 0, the smallest f32, and a few times that.
    for (const largest of [5e-44, 1.3e-43, 2.5e-43, 1e-41]) {
      const a = Float32Array.from({ length: columns }, (_, i) => (largest * (i - 20)) / 20);
      const w = draw(R * columns, 8).map((x) => x * 1e38);
      const [actual, expected] = [
        await multiply(backend(), { dtype, a, w, columns }), await multiply(reference, { dtype, a, w, columns }),
      ];
      expect(deviation(actual, expected)).toBeLessThan(1e-6);
    }
  });

  test.each(DTYPES)('%s: a token with NaN or Infinity gives no finite number, and leaves its neighbours alone', async (dtype) => {
    const [R, columns] = [5, 64];
    const w = draw(R * columns, 9);
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      const a = draw(3 * columns, 10);
      const good = await multiply(backend(), { dtype, a, w, columns });
      a[columns + 40] = bad;
      const out = await multiply(backend(), { dtype, a, w, columns });
      expect([...out.subarray(0, R), ...out.subarray(2 * R)]).toEqual([...good.subarray(0, R), ...good.subarray(2 * R)]);
      expect([...out.subarray(R, 2 * R)].some(Number.isFinite), `${bad}`).toBe(false);
    }
  });

  test.each(DTYPES)('%s: rows of a quantized table, in any order, are the dequantized ones', async (dtype) => {
    const [V, columns] = [27, 96];
    const ids = Int32Array.from([26, 0, 3, 3, 25, 1, 2, 24]);
    using dense = Tensor.from(backend(), draw(V * columns, 11), [V, columns]);
    using table = Tensor.allocate(backend(), [V, columns], dtype);
    using back = Tensor.allocate(backend(), [V, columns]);
    using idTensor = Tensor.from(backend(), ids);
    using out = Tensor.allocate(backend(), [ids.length, columns]);
    backend().quantize({ out: table, x: dense });
    backend().dequantize({ out: back, x: table });
    backend().embedding({ out, table, ids: idTensor });
    const [rows, all] = [await out.read(), await back.read()];
    ids.forEach((id, n) => {
      expect([...rows.subarray(n * columns, (n + 1) * columns)]).toEqual([...all.subarray(id * columns, (id + 1) * columns)]);
    });
  });
});

test.skipIf(!('native, avxvnni' in variants))('native: AVX2 gives the same bits with and without VNNI', async () => {
  await using plain = await createBackend(variants['native, avx2']);
  await using vnni = await createBackend(variants['native, avxvnni']);
  for (const dtype of DTYPES) {
    const product: Product = { dtype, a: draw(11 * 160, 20), w: draw(53 * 160, 21), columns: 160 };
    expect([...await multiply(vnni, product)]).toEqual([...await multiply(plain, product)]);
  }
});

/** Of 3 tokens of 96 numbers with 37 rows, in q4 and q8, on this process's processor. */
const PRODUCTS_HERE = `
  const { createBackend } = await import(${JSON.stringify(new URL('../node/index.ts', import.meta.url).href)});
  const { Tensor } = await import(${JSON.stringify(new URL('../tensor.ts', import.meta.url).href)});
  const backend = await createBackend({ backend: 'wasm', threads: 1, simd: 'relaxed' });
  const wave = (length, step) => Float32Array.from({ length }, (_, i) => Math.sin(i * step) * (i % 7));
  const bits = [];
  for (const dtype of ['q4', 'q8']) {
    const a = Tensor.from(backend, wave(3 * 96, 0.7), [3, 96]);
    const dense = Tensor.from(backend, wave(37 * 96, 0.3), [37, 96]);
    const w = Tensor.allocate(backend, [37, 96], dtype);
    const out = Tensor.allocate(backend, [3, 37]);
    backend.quantize({ out: w, x: dense });
    backend.matmulQuantized({ out, a, w });
    bits.push(...new Int32Array((await out.read()).buffer));
  }
  console.log(JSON.stringify(bits));
  await backend[Symbol.asyncDispose]();
`;

test.runIf(process.arch === 'x64')('wasm: x86 without VNNI, whose dot product saturates, gives the same bits', () => {
  const bitsWith = (...flags: string[]): unknown =>
    JSON.parse(execFileSync(process.execPath, [...flags, '--input-type=module', '--eval', PRODUCTS_HERE], { encoding: 'utf8' }));
  expect(bitsWith('--no-enable-avx-vnni', '--no-enable-avx-vnni-int8')).toEqual(bitsWith());
});
