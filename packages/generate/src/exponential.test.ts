import { Random } from '@parley/engine';
import { expect, test } from 'vitest';
import { decay, STEPS_PER_UNIT } from './exponential.ts';

test('decay equals Math.exp to a relative 1e-13 over 100,000 numbers from 0 to −87, and never rises', () => {
  const random = new Random(1);
  expect(decay(0)).toBe(1);
  const xs = Float64Array.from({ length: 100_000 }, () => Math.fround(87 * random.uniform() ** 2)).sort();
  let worst = 0;
  let rises = 0;
  for (const [i, x] of xs.entries()) {
    const value = decay(x * STEPS_PER_UNIT);
    worst = Math.max(worst, Math.abs(value / Math.exp(-x) - 1));
    const before = xs[i - 1] ?? -1;
    if (x > before && before >= 0 && value >= decay(before * STEPS_PER_UNIT)) rises++;
  }
  expect(worst).toBeLessThan(1e-13);
  expect(rises).toBe(0);
});

test('what is as good as nothing is nothing: no wrapping around, no denormal numbers', () => {
  expect(decay(1021.9 * 1024)).toBeGreaterThan(0);
  for (const steps of [1022 * 1024, 2 ** 31, 2 ** 32 + 5, 1e300, Infinity]) expect(decay(steps)).toBe(0);
});
