/**
 * A seeded permutation of 0…n−1 that is computed, not stored: a Feistel network over the next even number of bits, walked
 * until it lands below n (Black & Rogaway, 2002). So an epoch's order needs no memory, and a place in it is one number.
 */

const ROUNDS = 4;

/** Murmur3's finalizer: every input bit reaches every output bit. */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** A 32-bit key of a few integers, for example of (seed, source, epoch). */
export function keyOf(...parts: number[]): number {
  let key = 0x9e3779b9;
  for (const part of parts) {
    key = mix(key ^ mix((part | 0) + 0x85ebca6b));
    key = mix(key ^ Math.floor(part / 2 ** 32));
  }
  return key;
}

/** Where the permutation of 0…size−1 named by `key` sends `index`. */
export function permute(index: number, size: number, key: number): number {
  const half = Math.max(1, Math.ceil(Math.log2(Math.max(2, size)) / 2));
  const mask = 2 ** half - 1;
  let x = index;
  do {
    let left = Math.floor(x / (mask + 1));
    let right = x % (mask + 1);
    for (let round = 0; round < ROUNDS; round++) {
      const next = left ^ (mix(right ^ mix(key + Math.imul(round, 0x9e3779b9))) & mask);
      left = right;
      right = next >>> 0;
    }
    x = left * (mask + 1) + right;
  } while (x >= size);
  return x;
}
