import { describe, expect, test } from 'vitest';
import { EngineError } from './errors.ts';
import { Random } from './random.ts';

const draw = (random: Random, count: number): number[] => Array.from({ length: count }, () => random.uint32());

describe('Random', () => {
  test('follows xoshiro128** step by step, in the words of its paper (BigInt)', () => {
    const mask = 0xffff_ffffn;
    const rotate = (x: bigint, k: bigint): bigint => ((x << k) | (x >> (32n - k))) & mask;
    const s: [bigint, bigint, bigint, bigint] = [1n, 2n, 3n, 0xdeadbeefn];
    const random = new Random([1, 2, 3, 0xdeadbeef]);
    for (let i = 0; i < 1000; i++) {
      const expected = (rotate((s[1] * 5n) & mask, 7n) * 9n) & mask;
      const t = (s[1] << 9n) & mask;
      s[2] ^= s[0];
      s[3] ^= s[1];
      s[1] ^= s[2];
      s[0] ^= s[3];
      s[2] ^= t;
      s[3] = rotate(s[3], 11n);
      expect(random.uint32()).toBe(Number(expected));
    }
  });

  test('the same seed repeats, another does not, and the whole 53 bits of a seed count', () => {
    expect(draw(new Random(5), 20)).toEqual(draw(new Random(5), 20));
    const starts = [0, 1, -1, 5, 2 ** 32, 2 ** 32 + 5, 2 ** 52].map((seed) => draw(new Random(seed), 4).join());
    expect(new Set(starts).size).toBe(starts.length);
  });

  test('a state continues where it was taken, through JSON', () => {
    const random = new Random(9);
    draw(random, 7);
    const saved = JSON.parse(JSON.stringify(random.state)) as typeof random.state;
    const ahead = [random.uniform(), random.normal(), random.below(1000)];
    const again = new Random(saved);
    expect([again.uniform(), again.normal(), again.below(1000)]).toEqual(ahead);
  });

  test('uniform: 100,000 in [0, 1), mean 1/2 and variance 1/12 within 5 standard errors (seed 1)', () => {
    const random = new Random(1);
    const n = 100_000;
    const values = Array.from({ length: n }, () => random.uniform());
    expect(values.every((x) => x >= 0 && x < 1)).toBe(true);
    const mean = values.reduce((sum, x) => sum + x, 0) / n;
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / n;
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(5 * Math.sqrt(1 / 180 / n));
  });

  test('normal: 100,000 with mean 0, variance 1, fourth moment 3 within 5 standard errors, successive ones uncorrelated (seed 2)', () => {
    const random = new Random(2);
    const n = 100_000;
    const values = Array.from({ length: n }, () => random.normal());
    const moment = (power: number): number => values.reduce((sum, x) => sum + x ** power, 0) / n;
    expect(values.every(Number.isFinite)).toBe(true);
    expect(Math.abs(moment(1))).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
    const correlation = values.slice(1).reduce((sum, x, i) => sum + x * (values[i] ?? 0), 0) / n;
    expect(Math.abs(correlation)).toBeLessThan(5 / Math.sqrt(n));
  });

  test('below(7): 70,000 draws fill seven bins evenly, χ² under 27.9 (p = 1e-4; seed 3)', () => {
    const random = new Random(3);
    const bins = Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) {
      const bin = random.below(7);
      bins[bin] = (bins[bin] ?? Number.NaN) + 1;
    }
    const chiSquare = bins.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    expect(chiSquare).toBeLessThan(27.9);
  });

  test('refuses seeds that are not whole numbers, and a state of zeros', () => {
    for (const seed of [0.5, Number.NaN, Infinity, 2 ** 53]) expect(() => new Random(seed)).toThrow(EngineError);
    expect(() => new Random([0, 0, 0, 0])).toThrow(EngineError);
  });
});
