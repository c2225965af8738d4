/** Which rows of a long list are near the window, by heights that are measured once rows have been drawn and estimated until then. */

/** Tops of the rows, and the end of the last: one more than there are rows. */
export function topsOf(heights: ArrayLike<number>): Float64Array {
  const tops = new Float64Array(heights.length + 1);
  let top = 0;
  for (let index = 0; index < heights.length; index++) {
    tops[index] = top;
    top += heights[index] ?? 0;
  }
  tops[heights.length] = top;
  return tops;
}

/** The row that lies at a height; the first or last where it is outside. */
export function rowAt(tops: Float64Array, y: number): number {
  let low = 0;
  let high = tops.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((tops[middle] ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

export interface Range {
  readonly from: number;
  /** After the last. */
  readonly to: number;
}

/** Rows within `margin` of what is seen. */
export function rangeOf(tops: Float64Array, view: { readonly top: number; readonly height: number; readonly margin: number }): Range {
  const count = tops.length - 1;
  if (count <= 0) return { from: 0, to: 0 };
  return { from: rowAt(tops, view.top - view.margin), to: rowAt(tops, view.top + view.height + view.margin) + 1 };
}
