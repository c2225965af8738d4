/**
 * Confidence intervals by the percentile bootstrap (Efron, 1979), and paired differences (Koehn, 2004): the same items drawn
 * for both sides. An interval says what other items of the same kind would have given; it does not know about bad items.
 */
import { Random } from '@parley/engine';

export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A figure as a function of which items it is taken over; an item may be named several times. */
export type Statistic = (indices: Int32Array) => number;

export interface BootstrapOptions {
  /** Items there are. */
  readonly items: number;
  readonly seed: number;
  /** Default 1,000. */
  readonly resamples?: number | undefined;
  /** Share of the samples inside the interval. Default 0.95. */
  readonly level?: number | undefined;
}

/** An interval for each statistic, all over the same draws. Without items every number is NaN. */
export function bootstrap(statistics: readonly Statistic[], options: BootstrapOptions): Interval[] {
  const { items, resamples = 1000, level = 0.95 } = options;
  const random = new Random(options.seed);
  const indices = Int32Array.from({ length: items }, (_, i) => i);
  const values = statistics.map((statistic) => (items === 0 ? Number.NaN : statistic(indices)));
  if (items === 0) return values.map((value) => ({ value, low: Number.NaN, high: Number.NaN }));
  const drawn = statistics.map(() => new Float64Array(resamples));
  for (let sample = 0; sample < resamples; sample++) {
    for (let i = 0; i < items; i++) indices[i] = random.below(items);
    for (const [s, statistic] of statistics.entries()) (drawn[s] as Float64Array)[sample] = statistic(indices);
  }
  return values.map((value, s) => {
    const sorted = (drawn[s] as Float64Array).filter((each) => !Number.isNaN(each)).sort();
    return { value, low: quantile(sorted, (1 - level) / 2), high: quantile(sorted, (1 + level) / 2) };
  });
}

/** Of ascending values, between two of them in proportion. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** The mean of the items' values times `scale`. */
export function meanOf(values: ArrayLike<number>, scale = 1): Statistic {
  return (indices) => {
    let sum = 0;
    for (const i of indices) sum += values[i] ?? 0;
    return (scale * sum) / indices.length;
  };
}

/** The sum of the one over the sum of the other: bits over bytes. */
export function ratioOf(numerators: ArrayLike<number>, denominators: ArrayLike<number>): Statistic {
  return (indices) => {
    let above = 0;
    let below = 0;
    for (const i of indices) {
      above += numerators[i] ?? 0;
      below += denominators[i] ?? 0;
    }
    return above / below;
  };
}

/** A score of the sum of the items' statistics: BLEU, chrF. */
export function scoreOfSum(rows: readonly Float64Array[], score: (sum: Float64Array) => number): Statistic {
  const width = rows[0]?.length ?? 0;
  return (indices) => {
    const sum = new Float64Array(width);
    for (const i of indices) {
      const row = rows[i];
      for (let k = 0; k < width; k++) sum[k] = (sum[k] ?? 0) + (row?.[k] ?? 0);
    }
    return score(sum);
  };
}
