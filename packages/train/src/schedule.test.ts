import { expect, test } from 'vitest';
import { learningRate, type Schedule } from './schedule.ts';

const base: Schedule = { shape: 'cosine', peak: 1, finalShare: 0.1, warmup: 10, steps: 110, decayShare: 0.25 };
const rates = (schedule: Schedule): number[] => Array.from({ length: schedule.steps }, (_, i) => learningRate(schedule, i + 1));

test.each(['cosine', 'wsd', 'constant'] as const)('%s: warms up linearly to the peak, never rises after, ends where it should', (shape) => {
  const all = rates({ ...base, shape });
  expect(all.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, i) => (i + 1) / 10));
  for (let i = 10; i < all.length; i++) expect(all[i]).toBeLessThanOrEqual(all[i - 1] ?? 0);
  expect(all.at(-1)).toBeCloseTo(shape === 'constant' ? 1 : 0.1, 10);
});

test('cosine is halfway down halfway through; wsd stays at the peak until its last quarter', () => {
  expect(learningRate(base, 60)).toBeCloseTo(0.55, 10);
  const wsd = rates({ ...base, shape: 'wsd', steps: 100 });
  expect(wsd.slice(9, 75).every((rate) => rate === 1)).toBe(true);
  expect(wsd[75]).toBeLessThan(1);
});

test('no warm-up and a single step are fine', () => {
  expect(learningRate({ ...base, warmup: 0, steps: 1 }, 1)).toBeCloseTo(0.1, 10);
});
