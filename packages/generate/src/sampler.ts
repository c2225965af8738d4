/**
 * Drawing the next token from logits: temperature, then top-k, then top-p, then min-p, in the order of transformers' warpers.
 * Nothing here sorts the vocabulary: top-k is one pass with a small heap, top-p sums masses by size and selects within one size, min-p
 * is a comparison. With a large vocabulary and many sequences this is what a step takes beside the model, so that each pass over the
 * logits counts.
 */
import type { Random } from '@parley/engine';
import { decay, STEPS_PER_UNIT } from './exponential.ts';
import type { Settings } from './options.ts';
import { argmax, at, largest, nucleus } from './select.ts';

export type SamplerSettings = Pick<Settings, 'sample' | 'temperature' | 'topK' | 'topP' | 'minP'>;

/** Logits whose weights are summed at once, so that the walk to the one drawn skips nearly all. */
const BLOCK = 256;
/** Sizes of weights: sixteen to a factor of two, and the last for all below 2^−63. */
const SIZES = 1024;
/** Steps of the exponential in one size. */
const STEPS_OF_SIZE = 64;

/** 0 for the largest weights. */
const sizeOf = (steps: number): number => (steps < STEPS_OF_SIZE * SIZES ? (steps / STEPS_OF_SIZE) | 0 : SIZES - 1);

/** Scratch memory for one vocabulary size; stateless otherwise, so that one sampler serves every sequence of a batch. */
export class Sampler {
  readonly #settings: SamplerSettings;
  /** The candidates in the order of their ids, and their weights exp((logit − max) / temperature). */
  readonly #ids: Int32Array;
  readonly #weights: Float64Array;
  readonly #scratch: Float64Array;
  readonly #blocks: Float64Array;
  readonly #masses: Float64Array;
  /** A difference of logits in the exponential's steps. */
  readonly #scale: number;

  constructor(vocabSize: number, settings: SamplerSettings) {
    this.#settings = settings;
    const size = settings.sample ? vocabSize : 0;
    this.#ids = new Int32Array(size);
    this.#weights = new Float64Array(size);
    this.#scratch = new Float64Array(settings.topP < 1 ? size : 0);
    this.#blocks = new Float64Array(Math.ceil(size / BLOCK));
    this.#masses = new Float64Array(SIZES);
    this.#scale = Math.min(STEPS_PER_UNIT / settings.temperature, Number.MAX_VALUE);
  }

  /** One token. Draws exactly one number from `random` when sampling, none when greedy. Throws NoTokenError. */
  next(logits: Float32Array, random: Random): number {
    const { sample, topK, topP, minP } = this.#settings;
    if (!sample) return argmax(logits);
    if ((topK === 0 || topK >= logits.length) && topP === 1 && minP === 0) return this.#drawFromAll(logits, random);
    const candidates = this.#candidates(logits);
    const ids = this.#ids;
    const weights = this.#weights;
    let total = 0;
    for (let i = 0; i < candidates; i++) total += at(weights, i);
    let left = random.uniform() * total;
    // In the order of ids: tokens that swap ranks by a rounding error then do not swap places.
    for (let i = 0; i < candidates; i++) {
      left -= at(weights, i);
      if (left < 0) return at(ids, i);
    }
    // Rounding let the walk run past the end; the last candidate with any weight is meant.
    let last = candidates - 1;
    while (last > 0 && at(weights, last) === 0) last--;
    return at(ids, last);
  }

  /** Where nothing is cut off: nothing is written down but the sums of blocks. */
  #drawFromAll(logits: Float32Array, random: Random): number {
    const best = argmax(logits);
    const max = at(logits, best);
    const scale = this.#scale;
    const blocks = this.#blocks;
    let total = 0;
    for (let from = 0, block = 0; from < logits.length; from += BLOCK, block++) {
      const to = Math.min(from + BLOCK, logits.length);
      let sum = 0;
      for (let i = from; i < to; i++) sum += decay((max - at(logits, i)) * scale);
      blocks[block] = sum;
      total += sum;
    }
    let left = random.uniform() * total;
    let block = 0;
    while (block < blocks.length - 1 && left >= at(blocks, block)) left -= at(blocks, block++);
    let last = best; // if rounding lets the walk run past the end and its block has no weight at all
    for (let i = block * BLOCK; i < Math.min((block + 1) * BLOCK, logits.length); i++) {
      const weight = decay((max - at(logits, i)) * scale);
      if (weight > 0) last = i;
      left -= weight;
      if (left < 0) return i;
    }
    return last;
  }

  /** In place: what would not be drawn becomes −Infinity, the rest is divided by the temperature. Beam search draws from these. */
  warp(logits: Float32Array): void {
    const kept = this.#candidates(logits);
    let next = 0;
    for (let i = 0; i < kept; i++) {
      const id = at(this.#ids, i);
      logits.fill(-Infinity, next, id);
      logits[id] = at(logits, id) / this.#settings.temperature;
      next = id + 1;
    }
    logits.fill(-Infinity, next);
  }

  /** The distribution that `next` draws from, for tests and for looking: token → probability. */
  distribution(logits: Float32Array): Map<number, number> {
    if (!this.#settings.sample) return new Map([[argmax(logits), 1]]);
    const candidates = this.#candidates(logits);
    const weights = this.#weights.subarray(0, candidates);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return new Map([...weights].map((weight, i) => [at(this.#ids, i), weight / total]));
  }

  /** Fills #ids and #weights; returns how many. */
  #candidates(logits: Float32Array): number {
    const { temperature, topK, topP, minP } = this.#settings;
    const max = at(logits, argmax(logits));
    let floor = -Infinity;
    if (topK > 0 && topK < logits.length) {
      const top = largest(logits, topK);
      // With fewer than k possible tokens there is nothing to cut.
      if (top.length === topK) floor = at(logits, at(top, topK - 1));
    }
    if (minP > 0 && topP === 1) {
      // Saves exponentials; the exact comparison comes below.
      floor = Math.max(floor, max + temperature * (Math.log(minP) - 1e-6));
    }
    const candidates = topP < 1 ? this.#nucleus(logits, { max, floor }) : this.#weigh(logits, { max, floor, size: SIZES });
    // The largest weight is exp(0).
    return minP > 0 ? this.#keep(candidates, (weight) => weight >= minP) : candidates;
  }

  /** Weights of the logits from `floor` up and of no more than this size. */
  #weigh(logits: Float32Array, { max, floor, size }: { max: number; floor: number; size: number }): number {
    const scale = this.#scale;
    const ids = this.#ids;
    const weights = this.#weights;
    // In steps, with room for a rounding; the exact comparison comes after it.
    const most = size >= SIZES - 1 ? Infinity : (size + 1) * STEPS_OF_SIZE;
    let candidates = 0;
    for (let i = 0; i < logits.length; i++) {
      const logit = at(logits, i);
      const steps = (max - logit) * scale;
      if (steps >= most || logit < floor || logit === -Infinity) continue;
      ids[candidates] = i;
      weights[candidates++] = decay(steps);
    }
    return candidates;
  }

  /** The likeliest that together have the share `topP`. */
  #nucleus(logits: Float32Array, { max, floor }: { max: number; floor: number }): number {
    const scale = this.#scale;
    const masses = this.#masses.fill(0);
    let total = 0;
    for (let i = 0; i < logits.length; i++) {
      const logit = at(logits, i);
      if (logit < floor) continue;
      const steps = (max - logit) * scale;
      const weight = decay(steps);
      const size = sizeOf(steps);
      masses[size] = at(masses, size) + weight;
      total += weight;
    }
    // All of the larger sizes belong, none of the smaller ones; of this one, some.
    let missing = this.#settings.topP * total;
    let size = 0;
    while (size < SIZES - 1 && at(masses, size) < missing) missing -= at(masses, size++);
    // Rounding may leave the target just out of reach.
    while (size > 0 && at(masses, size) === 0) size--;
    const candidates = this.#weigh(logits, { max, floor, size });
    const bound = decay(size * STEPS_OF_SIZE);
    const scratch = this.#scratch;
    let contenders = 0;
    for (let i = 0; i < candidates; i++) {
      const weight = at(this.#weights, i);
      if (weight <= bound && weight > 0) scratch[contenders++] = weight;
    }
    if (contenders === 0) return candidates;
    const { cutoff, atCutoff } = nucleus(scratch.subarray(0, contenders), missing);
    let equals = atCutoff;
    return this.#keep(candidates, (weight) => weight > cutoff || (weight === cutoff && equals-- > 0));
  }

  #keep(candidates: number, wanted: (weight: number) => boolean): number {
    let kept = 0;
    for (let i = 0; i < candidates; i++) {
      const weight = at(this.#weights, i);
      if (!wanted(weight)) continue;
      this.#ids[kept] = at(this.#ids, i);
      this.#weights[kept++] = weight;
    }
    return kept;
  }
}
