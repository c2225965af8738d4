/** JSON numbers, and those between bounds, digit by digit. */
import { ConstraintError } from './errors.ts';
import { bytes, choice, type Expression, literal, nothing, optional, repeat, sequence } from './grammar.ts';

const DIGIT = bytes([0x30, 0x39]);
const NONZERO = bytes([0x31, 0x39]);
/** Digits a number may have: what a double tells apart. */
const MOST_DIGITS = 15;

const whole = choice(literal('0'), sequence(NONZERO, repeat(DIGIT, 0, MOST_DIGITS - 1)));
const fraction = sequence(literal('.'), repeat(DIGIT, 1, MOST_DIGITS));
const exponent = sequence(bytes([0x45, 0x45], [0x65, 0x65]), optional(bytes([0x2b, 0x2b], [0x2d, 0x2d])), repeat(DIGIT, 1, 2));
const minus = optional(literal('-'));

export interface Bounds {
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly exclusiveMinimum?: number | undefined;
  readonly exclusiveMaximum?: number | undefined;
}

export const anyInteger = sequence(minus, whole);
export const anyNumber = sequence(minus, whole, optional(fraction), optional(exponent));

/** Whole numbers within bounds (JSON schema's words). Throws ConstraintError where there are none. */
export function integerWithin(bounds: Bounds): Expression {
  const low = Math.max(Math.ceil(bounds.minimum ?? -Infinity), bounds.exclusiveMinimum === undefined ? -Infinity : Math.floor(bounds.exclusiveMinimum) + 1);
  const high = Math.min(Math.floor(bounds.maximum ?? Infinity), bounds.exclusiveMaximum === undefined ? Infinity : Math.ceil(bounds.exclusiveMaximum) - 1);
  if (low > high) throw new ConstraintError(`there is no whole number from ${low} to ${high}: widen minimum and maximum`);
  const options: Expression[] = [];
  if (high >= 0) options.push(naturals(Math.max(0, low), high));
  if (low < 0) options.push(sequence(literal('-'), naturals(Math.max(1, high === Infinity ? 1 : -high), -low)));
  return choice(...options);
}

/** Numbers within bounds that are whole; without an exponent. Throws ConstraintError for other bounds. */
export function numberWithin(bounds: Bounds): Expression {
  for (const [name, value] of Object.entries(bounds)) {
    if (value !== undefined && !Number.isSafeInteger(value)) {
      throw new ConstraintError(`${name} is ${value}: bounds of a number can be enforced where they are whole, so round it`);
    }
  }
  const low = Math.max(bounds.minimum ?? -Infinity, bounds.exclusiveMinimum ?? -Infinity);
  const high = Math.min(bounds.maximum ?? Infinity, bounds.exclusiveMaximum ?? Infinity);
  const openLow = bounds.exclusiveMinimum === low;
  const openHigh = bounds.exclusiveMaximum === high;
  if (low > high || (low === high && (openLow || openHigh))) throw new ConstraintError(`there is no number from ${low} to ${high}: widen minimum and maximum`);
  const options: Expression[] = [];
  if (high > 0 || (high === 0 && low <= 0 && !openHigh)) options.push(magnitudes(Math.max(0, low), high, { openLow: openLow && low >= 0, openHigh }));
  if (low < 0) {
    const zero = high > 0 || high === Infinity;
    options.push(sequence(literal('-'), magnitudes(zero ? 0 : -high, -low, { openLow: zero || openHigh, openHigh: openLow })));
  }
  return choice(...options);
}

/** Numbers of at least 0 without a sign, from low to high. */
function magnitudes(low: number, high: number, open: { openLow: boolean; openHigh: boolean }): Expression {
  const zeros = optional(sequence(literal('.'), repeat(literal('0'), 1, MOST_DIGITS)));
  const someFraction = sequence(literal('.'), repeat(DIGIT, 0, 7), NONZERO, repeat(DIGIT, 0, 7));
  const options: Expression[] = [];
  // The lower bound's own whole part; those between; the upper bound itself.
  if (low < high) options.push(sequence(naturals(low, low), open.openLow ? someFraction : optional(fraction)));
  else if (!open.openLow && !open.openHigh) options.push(sequence(naturals(low, low), zeros));
  if (low + 1 <= high - 1) options.push(sequence(naturals(low + 1, high - 1), optional(fraction)));
  if (low < high && high !== Infinity && !open.openHigh) options.push(sequence(naturals(high, high), zeros));
  return choice(...options);
}

/** Whole numbers from low ≥ 0 to high, which may be Infinity, without leading zeros. */
function naturals(low: number, high: number): Expression {
  if (low > 10 ** MOST_DIGITS || (high !== Infinity && high > 10 ** MOST_DIGITS)) {
    throw new ConstraintError(`a bound of ${high === Infinity ? low : high} has more than ${MOST_DIGITS} digits: leave it out or lower it`);
  }
  const options: Expression[] = [];
  const longest = high === Infinity ? MOST_DIGITS : String(high).length;
  for (let digits = String(low).length; digits <= longest; digits++) {
    const from = Math.max(low, digits === 1 ? 0 : 10 ** (digits - 1));
    const to = Math.min(high, 10 ** digits - 1);
    if (from <= to) options.push(sameLength(String(from), String(to)));
  }
  return choice(...options);
}

/** Numbers of as many digits as both bounds have. */
function sameLength(low: string, high: string): Expression {
  if (low === '') return nothing;
  const [first, last] = [low.charCodeAt(0), high.charCodeAt(0)];
  const rest = low.length - 1;
  if (first === last) return sequence(bytes([first, first]), sameLength(low.slice(1), high.slice(1)));
  const options = [sequence(bytes([first, first]), sameLength(low.slice(1), '9'.repeat(rest))), sequence(bytes([last, last]), sameLength('0'.repeat(rest), high.slice(1)))];
  if (last - first > 1) options.push(sequence(bytes([first + 1, last - 1]), repeat(DIGIT, rest, rest)));
  return choice(...options);
}
