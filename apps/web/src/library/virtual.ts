/** Which rows of a long list are near the screen. Rows have heights of their own; only those near are in the document. */

/** Offsets of rows' tops, and of the end: (rows + 1). */
export function offsetsOf(heights: readonly number[]): Float64Array {
  const offsets = new Float64Array(heights.length + 1);
  let sum = 0;
  heights.forEach((height, i) => {
    sum += height;
    offsets[i + 1] = sum;
  });
  return offsets;
}

export interface Span {
  /** First row in it, and the one after the last. */
  readonly start: number;
  readonly end: number;
}

/** The rows that `height` pixels from `top` show, and those within `overscan` pixels around. */
export function spanOf(offsets: Float64Array, view: { top: number; height: number; overscan?: number }): Span {
  const { top, height, overscan = 240 } = view;
  const rows = offsets.length - 1;
  const start = Math.min(rows, rowAt(offsets, top - overscan));
  const end = Math.min(rows, rowAt(offsets, top + height + overscan) + 1);
  return { start, end };
}

/** The row that holds a pixel; the first for those before, the last for those after. Binary search. */
export function rowAt(offsets: Float64Array, pixel: number): number {
  let low = 0;
  let high = Math.max(0, offsets.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] ?? 0) <= pixel) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Where to scroll so that a row is whole in sight: unchanged if it is. */
export function scrollFor(offsets: Float64Array, row: number, view: { top: number; height: number }): number {
  const { top, height } = view;
  const first = offsets[row] ?? 0;
  const last = offsets[row + 1] ?? first;
  if (first < top) return first;
  return last > top + height ? last - height : top;
}
