/** Picking the largest of many numbers without sorting them: vocabularies have tens of thousands of entries, a choice has few. */
import { NoTokenError } from './errors.ts';

type Numbers = Float32Array | Float64Array;

/** For hot loops whose index is known to be inside: an unchecked read. */
export const at = (values: Numbers | Int32Array, index: number): number => values[index] as number;

const broken = (token: number, logit: number): NoTokenError =>
  new NoTokenError(`the model's logit of token ${token} is ${logit}: the weights, or the arithmetic on them, are broken`);

/** Index of the largest value, the first of equals. Throws NoTokenError on NaN or Infinity, and if everything is −Infinity. */
export function argmax(values: Numbers): number {
  let best = -Infinity;
  let index = -1;
  for (let i = 0; i < values.length; i++) {
    const value = at(values, i);
    // One comparison for nearly all of them: it fails for a larger one, and for NaN.
    if (value <= best) continue;
    if (value !== value) throw broken(i, value);
    best = value;
    index = i;
  }
  if (best === Infinity) throw broken(index, best);
  if (index < 0) {
    throw new NoTokenError('every token is forbidden: loosen the n-gram blocking, the logit bias or the minimum length');
  }
  return index;
}

/**
 * Indices of the `k` largest values, largest first; of equals, those with the lower index. −Infinity is never picked, so there
 * may be fewer than k. One pass with a heap of k: nearly every value fails its first comparison.
 */
export function largest(values: Numbers, k: number): Int32Array {
  const heap = new Int32Array(Math.min(k, values.length));
  let size = 0;
  // The root is the worst that was kept.
  const worse = (a: number, b: number): boolean => {
    const difference = at(values, a) - at(values, b);
    return difference < 0 || (difference === 0 && a > b);
  };
  const siftDown = (end: number): void => {
    const moving = at(heap, 0);
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= end) break;
      if (child + 1 < end && worse(at(heap, child + 1), at(heap, child))) child++;
      if (!worse(at(heap, child), moving)) break;
      heap[hole] = at(heap, child);
      hole = child;
    }
    heap[hole] = moving;
  };
  let floor = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = at(values, i);
    if (!(value > floor)) continue;
    if (size < heap.length) {
      let hole = size++;
      while (hole > 0) {
        const parent = (hole - 1) >> 1;
        if (!worse(i, at(heap, parent))) break;
        heap[hole] = at(heap, parent);
        hole = parent;
      }
      heap[hole] = i;
      if (size === heap.length) floor = at(values, at(heap, 0));
    } else if (size > 0) {
      heap[0] = i;
      siftDown(size);
      floor = at(values, at(heap, 0));
    }
  }
  // Popping the worst to the back leaves the best in front.
  for (let end = size - 1; end > 0; end--) {
    const worst = at(heap, 0);
    heap[0] = at(heap, end);
    heap[end] = worst;
    siftDown(end);
  }
  return heap.subarray(0, size);
}

/** log Σ exp(values), in f64. */
export function logSumExp(values: Numbers): number {
  let max = -Infinity;
  for (let i = 0; i < values.length; i++) if (at(values, i) > max) max = at(values, i);
  if (max === -Infinity) return -Infinity;
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.exp(at(values, i) - max);
  return max + Math.log(sum);
}

export interface Nucleus {
  /** Weights above this belong to the nucleus, … */
  readonly cutoff: number;
  /** … and so do this many, at least one, of those equal to it. */
  readonly atCutoff: number;
}

/**
 * The fewest of the largest weights whose sum reaches `target` (0 < target ≤ the sum): top-p's set (Holtzman et al., 2020).
 * A quickselect by sum instead of by rank, expected O(n). Reorders `weights`, which are positive.
 */
export function nucleus(weights: Float64Array, target: number): Nucleus {
  let low = 0;
  let high = weights.length;
  let missing = target;
  for (;;) {
    const pivot = medianOfThree(at(weights, low), at(weights, (low + high) >> 1), at(weights, high - 1));
    // [low, above): larger; [above, i): equal; [below, high): smaller.
    let above = low;
    let below = high;
    let sumAbove = 0;
    for (let i = low; i < below;) {
      const weight = at(weights, i);
      if (weight > pivot) {
        sumAbove += weight;
        weights[i++] = at(weights, above);
        weights[above++] = weight;
      } else if (weight < pivot) {
        weights[i] = at(weights, --below);
        weights[below] = weight;
      } else i++;
    }
    const sumEqual = pivot * (below - above);
    if (sumAbove >= missing) high = above;
    else if (sumAbove + sumEqual >= missing || below === high) {
      // Rounding may leave the target just out of reach of the last weight: then all of them belong.
      return { cutoff: pivot, atCutoff: Math.min(below - above, Math.max(1, Math.ceil((missing - sumAbove) / pivot))) };
    } else {
      missing -= sumAbove + sumEqual;
      low = below;
    }
  }
}

const medianOfThree = (a: number, b: number, c: number): number => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
