/** How close results have to be, and how that is said. */
import { expect } from 'vitest';
import type { Results } from './lab.ts';

/**
 * |actual − expected| ≤ each·|expected| + largest·max|expected| (the maximum over the tensor) + absolute.
 * All zero means equal numbers. A NaN (memory the operation must not touch) must be NaN in both.
 */
export interface Tolerance {
  readonly each?: number;
  readonly largest?: number;
  readonly absolute?: number;
}

export const EXACT: Tolerance = {};

/** For test names: `within 1e-6 of each`. */
export function describeTolerance({ each = 0, largest = 0, absolute = 0 }: Tolerance): string {
  const parts: string[] = [];
  if (each > 0) parts.push(`${each.toExponential()} of each`);
  if (largest > 0) parts.push(`${largest.toExponential()} of the largest`);
  if (absolute > 0) parts.push(absolute.toExponential());
  return parts.length === 0 ? 'equal' : `within ${parts.join(' + ')}`;
}

export function expectClose(actual: Results, expected: Results, tolerance: Tolerance, what: string): void {
  const { each = 0, largest = 0, absolute = 0 } = tolerance;
  expect([...actual.keys()], what).toEqual([...expected.keys()]);
  for (const [name, wanted] of expected) {
    const got = actual.get(name) ?? new Float32Array();
    let maximum = 0;
    for (const value of wanted) if (Math.abs(value) > maximum) maximum = Math.abs(value);
    const floor = largest * maximum + absolute;
    if (got.length !== wanted.length) expect.fail(`${what}: ${name}: ${got.length} elements, not ${wanted.length}`);
    const wrong: number[] = [];
    for (let i = 0; i < wanted.length; i++) {
      const [a, b] = [got[i] ?? Number.NaN, wanted[i] ?? Number.NaN];
      const close = Number.isFinite(a) && Number.isFinite(b) ? Math.abs(a - b) <= each * Math.abs(b) + floor : Object.is(a, b);
      if (!close) wrong.push(i);
    }
    if (wrong.length > 0) {
      const samples = wrong.slice(0, 4).map((i) => `[${i}] is ${got[i]}, not ${wanted[i]}`);
      expect.fail(`${what}: ${name}: ${wrong.length} of ${wanted.length} differ (${describeTolerance(tolerance)}): ${samples.join('; ')}`);
    }
  }
}

/** The same bits, NaN and −0 included. */
export function expectSameBits(actual: Results, expected: Results, what: string): void {
  for (const [name, wanted] of expected) {
    const got = actual.get(name) ?? new Float32Array();
    if (got.length !== wanted.length) expect.fail(`${what}: ${name}: ${got.length} elements, not ${wanted.length}`);
    for (let i = 0; i < wanted.length; i++) {
      if (!Object.is(got[i], wanted[i])) expect.fail(`${what}: ${name}: [${i}] is ${got[i]}, not ${wanted[i]}`);
    }
  }
}
