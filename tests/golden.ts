/** What the tests against golden files share. */
import type { Checkpoint } from '@parley/model';
import { expect } from 'vitest';

/** A tensor's values. */
export async function readTensor(checkpoint: Checkpoint, tensor: string): Promise<Float32Array> {
  const out = new Float32Array(checkpoint.info(tensor).shape.reduce((product, extent) => product * extent, 1));
  await checkpoint.read(tensor, 0, out);
  return out;
}

/** Of two lists of one length; NaN where one has no number. */
export function largestDifference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).toBe(want.length);
  return Array.from(want).reduce((largest, value, i) => Math.max(largest, Math.abs(got[i]! - value)), 0);
}
