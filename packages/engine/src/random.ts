/**
 * The one source of chance: xoshiro128** (Blackman & Vigna, 2018), seeded by SplitMix32. Its state is four integers that
 * travel in checkpoints, so every draw can be repeated.
 */
import { EngineError } from './errors.ts';

export type RandomState = readonly [number, number, number, number];

const rotateLeft = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number | RandomState) {
    if (typeof seed !== 'number') {
      if (seed.every((word) => word === 0)) throw new EngineError('a random state of four zeros never leaves zero: seed it');
      [this.#a, this.#b, this.#c, this.#d] = seed;
      return;
    }
    if (!Number.isSafeInteger(seed)) throw new EngineError(`seed ${seed} is not a whole number: pass an integer up to 2^53`);
    let state = (seed | 0) ^ Math.imul(Math.floor(seed / 2 ** 32) | 0, 0x9e3779b9);
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return z ^ (z >>> 16);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next();
  }

  get state(): RandomState {
    return [this.#a, this.#b, this.#c, this.#d];
  }

  /** A uniform integer in 0…2³²−1. */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Standard normal, by Box–Muller; one value of the pair is used so that the state stays four integers. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A uniform integer in 0…bound−1. */
  below(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }
}
