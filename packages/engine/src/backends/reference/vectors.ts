/** Reading numbers one at a time, and the two loops that most of the time goes into. */

/**
 * The unchecked accessors of this folder's loops: indices come from shapes that `ops.ts` has checked, so the `undefined` that
 * TypeScript sees in `array[index]` cannot be. (Out of range it would give NaN in the sums, which the conformance suite sees.)
 * One for each kind of array: the compiler then sees one kind at each, and the loops run more than twice as fast.
 */
export function at(array: Float32Array, index: number): number {
  return array[index] as number;
}

/** Of sums in double precision. */
export function doubleAt(array: Float64Array, index: number): number {
  return array[index] as number;
}

/** Of ids and positions. */
export function integerAt(array: Int32Array, index: number): number {
  return array[index] as number;
}

/** Of quantized weights. */
export function codeAt(array: Int8Array, index: number): number {
  return array[index] as number;
}

/** Σ a·b over `length` elements from these places on. */
export function dot(a: Float32Array, aStart: number, b: Float32Array, bStart: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += at(a, aStart + i) * at(b, bStart + i);
  return sum;
}

/** The same of whole numbers, exact. */
export function dotCodes(a: Int8Array, aStart: number, b: Int8Array, bStart: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += codeAt(a, aStart + i) * codeAt(b, bStart + i);
  return sum;
}

/** sums[start…] += factor · x[xStart…]. */
export function addScaled(sums: Float64Array, start: number, factor: number, x: Float32Array, xStart: number, length: number): void {
  for (let i = 0; i < length; i++) sums[start + i] = doubleAt(sums, start + i) + factor * at(x, xStart + i);
}
