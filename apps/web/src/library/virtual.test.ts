import { expect, test } from 'vitest';
import { offsetsOf, rowAt, scrollFor, spanOf } from './virtual.ts';

/** The obvious way. */
const slow = (heights: readonly number[], from: number, to: number): [number, number] => {
  let top = 0;
  const near = heights.flatMap((height, i) => {
    const first = top;
    top += height;
    return top > from && first <= to ? [i] : [];
  });
  return [near[0] ?? 0, (near.at(-1) ?? -1) + 1];
};

test('spans equal those of a walk over all rows, for 500 drawn lists', () => {
  let seed = 7;
  const draw = (most: number): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % most;
  };
  for (let i = 0; i < 500; i++) {
    const heights = Array.from({ length: 1 + draw(60) }, () => 20 + draw(40));
    const offsets = offsetsOf(heights);
    const total = offsets[heights.length] ?? 0;
    const top = draw(total);
    const height = 1 + draw(300);
    const { start, end } = spanOf(offsets, { top, height, overscan: 0 });
    expect([start, end]).toEqual(slow(heights, top, top + height));
  }
});

test('an empty list has no rows in sight, and pixels outside belong to the ends', () => {
  expect(spanOf(offsetsOf([]), { top: 0, height: 500 })).toEqual({ start: 0, end: 0 });
  const offsets = offsetsOf([10, 20, 30]);
  expect([-5, 0, 9, 10, 29, 30, 59, 999].map((pixel) => rowAt(offsets, pixel))).toEqual([0, 0, 0, 1, 1, 2, 2, 2]);
});

test('scrolling moves only as far as it has to', () => {
  const offsets = offsetsOf([40, 40, 40, 40]);
  expect(scrollFor(offsets, 1, { top: 0, height: 100 })).toBe(0);
  expect(scrollFor(offsets, 3, { top: 0, height: 100 })).toBe(60);
  expect(scrollFor(offsets, 0, { top: 30, height: 100 })).toBe(0);
});
