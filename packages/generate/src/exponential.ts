/**
 * e to the power of what is not positive, for whole vocabularies: a softmax of 49,152 logits takes as many exponentials at every token,
 * and Math.exp, which is a call out of compiled code, takes 15 to 20 ns for one. A table of 2^(−j/1024), powers of two, and a cubic for
 * the rest take 2 to 3, to 12 digits after the decimal point of the exponent's own rounding (relative error below 1e-13 down to 1e-38).
 */

const STEPS = 1024;
const OCTAVES = 1022;
/** 2^(−j/1024). */
const fractions = Float64Array.from({ length: STEPS }, (_, j) => 2 ** (-j / STEPS));
/** 2^−k, the normal ones. */
const octaves = Float64Array.from({ length: OCTAVES + 1 }, (_, k) => 2 ** -k);

const C1 = Math.LN2 / STEPS;
const C2 = C1 ** 2 / 2;
const C3 = C1 ** 3 / 6;

/** Steps of 2^(−1/1024): what `x` has to be multiplied with so that `decay(x · perUnit)` is exp(−x). */
export const STEPS_PER_UNIT = STEPS / Math.LN2;

/** 2^(−steps/1024), for steps from 0 to Infinity; 0 below the smallest normal number. */
export function decay(steps: number): number {
  if (!(steps < STEPS * OCTAVES)) return 0;
  const whole = (steps + 0.5) | 0;
  const rest = steps - whole; // −½ to ½
  const near = (fractions[whole & (STEPS - 1)] as number) * (octaves[whole >> 10] as number);
  return near * (1 - rest * (C1 - rest * (C2 - rest * C3)));
}
