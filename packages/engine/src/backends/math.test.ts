/** The kernels' elementary functions against the runtime's in double precision, each through an operation that shows it bare. */
import { afterAll, describe, expect, test } from 'vitest';
import { createBackend } from '../node/create-backend.ts';
import { backendVariants } from '../node/variants.ts';
import { Tensor } from '../tensor.ts';

/** Φ(x) = erfc(−x/√2)/2, by the series around 0 and by the continued fraction (Abramowitz & Stegun 26.2.11 and 26.2.14). */
function normalCdf(x: number): number {
  const density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  if (Math.abs(x) < 3) {
    let term = x;
    let sum = x;
    for (let k = 3; Math.abs(term) > 1e-18; k += 2) {
      term *= (x * x) / k;
      sum += term;
    }
    return 0.5 + density * sum;
  }
  let fraction = Math.abs(x);
  for (let k = 200; k > 0; k--) fraction = Math.abs(x) + k / fraction;
  return x < 0 ? density / fraction : 1 - density / fraction;
}

/** Largest |got − wanted| / |wanted|. */
function worst(got: Float32Array, xs: Float32Array, wanted: (x: number) => number): number {
  return xs.reduce((most, x, i) => Math.max(most, Math.abs(got[i]! - wanted(x)) / Math.abs(wanted(x))), 0);
}

const range = (from: number, to: number, count = 40_001): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));

for (const [name, options] of Object.entries(backendVariants())) {
  describe(`math of ${name}`, async () => {
    const backend = await createBackend({ ...options, threads: 1 });
    afterAll(() => backend[Symbol.asyncDispose]());

    /** scale·(e^(x − 0) − 0): the gradient of the loss in rows that aim at a last column that is cut off. */
    async function exp(xs: Float32Array): Promise<Float32Array> {
      using logits = Tensor.from(backend, Float32Array.of(...xs, 0), [1, xs.length + 1]);
      using logSumExp = Tensor.allocate(backend, [1]);
      using targets = Tensor.from(backend, Int32Array.of(xs.length));
      using out = Tensor.allocate(backend, [1, xs.length + 1]);
      backend.crossEntropyBackward({ dLogits: out, logits, logSumExp, targets, ignoreIndex: -100, scale: 1 });
      return (await out.read()).subarray(0, xs.length);
    }

    test('exp is within 1.5e-7 of its value from −87 to 88', async () => {
      const xs = range(-87, 88);
      expect(worst(await exp(xs), xs, Math.exp)).toBeLessThan(1.5e-7);
    });

    test('exp reaches 0, denormals and infinity, and NaN stays', async () => {
      const got = await exp(Float32Array.of(-Infinity, -200, -104, -100, 0, 88.7, 89, 1000, Infinity, Number.NaN));
      expect([...got.subarray(0, 3)]).toEqual([0, 0, 0]);
      expect(Math.abs(got[3]! - Math.exp(-100))).toBeLessThan(2e-45);
      expect(got[4]).toBe(1);
      expect(got[5]! / Math.exp(Math.fround(88.7))).toBeCloseTo(1, 6);
      expect([...got.subarray(6)]).toEqual([Infinity, Infinity, Infinity, Number.NaN]);
    });

    test('gelu keeps its digits into the tail: within 6e-7 of its value above −2, 3e-6 down to −9', async () => {
      const xs = range(-9, 9, 40_000); // even: 0 is not among them
      using x = Tensor.from(backend, xs);
      using out = Tensor.allocate(backend, [xs.length]);
      backend.activation({ out, x, kind: 'gelu' });
      const got = await out.read();
      const gelu = (value: number): number => value * normalCdf(value);
      const middle = xs.findIndex((value) => value > -2);
      expect(worst(got.subarray(middle), xs.subarray(middle), gelu)).toBeLessThan(6e-7);
      expect(worst(got, xs, gelu)).toBeLessThan(3e-6);
    });

    test('log is within 2e-7 of its value, absolute below 1, over all sizes of number', async () => {
      // With V equal logits of 0, logSumExp is log V.
      for (const V of [1, 2, 3, 5, 7, 11, 100, 1000, 65_537, 1_000_003]) {
        using logits = Tensor.allocate(backend, [1, V]);
        using targets = Tensor.from(backend, Int32Array.of(0));
        using losses = Tensor.allocate(backend, [1]);
        using logSumExp = Tensor.allocate(backend, [1]);
        backend.crossEntropy({ losses, logSumExp, logits, targets, ignoreIndex: -100 });
        const [loss] = await losses.read();
        expect(Math.abs(loss! - Math.log(V))).toBeLessThanOrEqual(2e-7 * Math.max(1, Math.log(V)));
      }
    });
  });
}
