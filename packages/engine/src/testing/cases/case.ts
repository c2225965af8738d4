import type { Tolerance } from '../compare.ts';
import type { Program } from '../lab.ts';

/** One test of the suite: programs whose results must be as close to the reference's as `tolerance` says. */
export interface Case {
  readonly name: string;
  readonly tolerance: Tolerance;
  readonly programs: readonly Program[];
}

/** Extents around the widths of vectors (4, 8, 16), unrolled loops and tiles, and one row or column. */
export const ODD = [1, 3, 5, 7, 31, 33, 65] as const;

/** For every combination: `product([1, 2], ['a'])` is [1, 'a'], [2, 'a']. */
export function product<A, B>(as: readonly A[], bs: readonly B[]): [A, B][] {
  return as.flatMap((a) => bs.map((b): [A, B] => [a, b]));
}
