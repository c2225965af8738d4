/**
 * Drawing the next token from logits: temperature, then top-k, then top-p, then min-p, in the order of transformers' warpers.
 * Nothing here sorts the vocabulary: top-k is one pass with a small heap, top-p a quickselect by mass, min-p a comparison.
 */
import type { Random } from '@parley/engine';
import type { Settings } from './options.ts';
import { argmax, at, largest, nucleus } from './select.ts';

export type SamplerSettings = Pick<Settings, 'sample' | 'temperature' | 'topK' | 'topP' | 'minP'>;

/** Scratch memory for one vocabulary size; stateless otherwise, so that one sampler serves every sequence of a batch. */
export class Sampler {
  readonly #settings: SamplerSettings;
  /** The candidates in the order of their ids, and their weights exp((logit − max) / temperature). */
  readonly #ids: Int32Array;
  readonly #weights: Float64Array;
  readonly #scratch: Float64Array;

  constructor(vocabSize: number, settings: SamplerSettings) {
    this.#settings = settings;
    const size = settings.sample ? vocabSize : 0;
    this.#ids = new Int32Array(size);
    this.#weights = new Float64Array(size);
    this.#scratch = new Float64Array(settings.topP < 1 ? size : 0);
  }

  /** One token. Draws exactly one number from `random` when sampling, none when greedy. Throws NoTokenError. */
  next(logits: Float32Array, random: Random): number {
    if (!this.#settings.sample) return argmax(logits);
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
    const ids = this.#ids;
    const weights = this.#weights;
    let candidates = 0;
    let total = 0;
    for (let i = 0; i < logits.length; i++) {
      const logit = at(logits, i);
      if (logit < floor || logit === -Infinity) continue;
      const weight = Math.exp((logit - max) / temperature);
      ids[candidates] = i;
      weights[candidates++] = weight;
      total += weight;
    }
    if (topP < 1) candidates = this.#cutNucleus(candidates, total, topP);
    // The largest weight is exp(0).
    return minP > 0 ? this.#keep(candidates, (weight) => weight >= minP) : candidates;
  }

  #cutNucleus(candidates: number, total: number, topP: number): number {
    // All the weights below this bound together are less than what top-p cuts off, so they need no looking at.
    const bound = ((1 - topP) * total) / candidates;
    const scratch = this.#scratch;
    let contenders = 0;
    for (let i = 0; i < candidates; i++) {
      const weight = at(this.#weights, i);
      if (weight >= bound && weight > 0) scratch[contenders++] = weight;
    }
    const { cutoff, atCutoff } = nucleus(scratch.subarray(0, contenders), topP * total);
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
