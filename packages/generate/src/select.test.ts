import { Random } from '@parley/engine';
import { expect, test } from 'vitest';
import { argmax, largest, logSumExp, nucleus } from './select.ts';

/** Values with many ties and some −Infinity. */
function values(random: Random, length: number): Float32Array {
  const levels = 1 + random.below(50);
  return Float32Array.from({ length }, () => (random.below(10) === 0 ? -Infinity : random.below(levels) - levels / 2));
}

test('largest equals a stable sort cut at k, ties and −Infinity included (2,000 cases)', () => {
  const random = new Random(1);
  for (let i = 0; i < 2000; i++) {
    const data = values(random, 1 + random.below(60));
    const k = random.below(70);
    const sorted = [...data.keys()].filter((j) => data[j] !== -Infinity).toSorted((a, b) => data[b]! - data[a]! || a - b);
    expect([...largest(data, k)]).toEqual(sorted.slice(0, k));
  }
});

test('argmax is the first of the largest', () => {
  const random = new Random(2);
  for (let i = 0; i < 500; i++) {
    const data = values(random, 1 + random.below(30));
    data[random.below(data.length)] = 0;
    expect(argmax(data)).toBe(data.indexOf(Math.max(...data)));
  }
  expect(() => argmax(new Float32Array(3).fill(-Infinity))).toThrow('every token is forbidden');
  expect(() => argmax(Float32Array.of(1, Infinity, 3))).toThrow('token 1 is Infinity');
  expect(() => argmax(Float32Array.of(1, NaN, 3))).toThrow('token 1 is NaN');
});

test('logSumExp is exact to 1e-12 and survives large and missing values', () => {
  expect(logSumExp(Float64Array.of(1, 2, 3))).toBeCloseTo(Math.log(Math.exp(1) + Math.exp(2) + Math.exp(3)), 12);
  expect(logSumExp(Float64Array.of(1000, 1000, -Infinity))).toBeCloseTo(1000 + Math.log(2), 12);
  expect(logSumExp(Float64Array.of(-Infinity))).toBe(-Infinity);
});

test('nucleus equals the sorted definition: as many weights, the same smallest one (3,000 cases)', () => {
  const random = new Random(3);
  for (let i = 0; i < 3000; i++) {
    // Quarters add up exactly, so that the definition has one answer.
    const weights = Float64Array.from({ length: 1 + random.below(40) }, () => (1 + random.below(12)) / 4);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const target = Math.max(0.125, Math.round(random.uniform() * total * 8) / 8);
    const sorted = weights.toSorted((a, b) => b - a);
    let sum = 0;
    let size = 0;
    while (sum < target) sum += sorted[size++]!;
    const found = nucleus(weights.slice(), target);
    expect(found.cutoff).toBe(sorted[size - 1]);
    expect(sorted.filter((weight) => weight > found.cutoff).length + found.atCutoff).toBe(size);
  }
});

test('nucleus reaches a target that rounding put out of reach', () => {
  const weights = new Float64Array(1000).fill(0.1);
  expect(nucleus(weights, 100.0000001)).toEqual({ cutoff: 0.1, atCutoff: 1000 });
});
