/** A curve of any length in bounded room: what a chart of a thousand columns can show of a million steps. */

/** One column: a stretch of neighbouring steps of one stage. */
export interface CurvePoint {
  /** The last of its steps. */
  readonly x: number;
  readonly count: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  /** Index of the stage. */
  readonly stage: number;
}

interface Bucket { x: number; count: number; sum: number; low: number; high: number; stage: number }

/**
 * Takes values in the order of their x and keeps at most `capacity` points (and one more a stage): when they are more, a point
 * stands for twice as many steps. Adding costs amortized constant time; nothing but the division into points is lost: sums,
 * lows and highs are exact.
 */
export class Curve {
  readonly #capacity: number;
  #stride = 1;
  #buckets: Bucket[] = [];

  constructor(capacity = 1024) {
    this.#capacity = capacity;
  }

  /** Values that are no numbers are left out. `x`: whole, at least 1. */
  add(x: number, y: number, stage: number): void {
    if (!Number.isFinite(y)) return;
    this.#put({ x, count: 1, sum: y, low: y, high: y, stage });
    while (this.#buckets.length > this.#capacity && this.#halve());
  }

  get points(): CurvePoint[] {
    return this.#buckets.map(({ x, count, sum, low, high, stage }) => ({ x, count, mean: sum / count, low, high, stage }));
  }

  #put(bucket: Bucket): void {
    const last = this.#buckets.at(-1);
    if (last === undefined || last.stage !== bucket.stage || this.#column(last.x) !== this.#column(bucket.x)) {
      this.#buckets.push(bucket);
      return;
    }
    last.x = bucket.x;
    last.count += bucket.count;
    last.sum += bucket.sum;
    last.low = Math.min(last.low, bucket.low);
    last.high = Math.max(last.high, bucket.high);
  }

  #column(x: number): number {
    return Math.floor((x - 1) / this.#stride);
  }

  /** False when every stage is one point already. */
  #halve(): boolean {
    const before = this.#buckets;
    if (new Set(before.map(({ stage }) => stage)).size === before.length) return false;
    this.#stride *= 2;
    this.#buckets = [];
    for (const bucket of before) this.#put(bucket);
    return true;
  }
}

/**
 * An exponential mean within each stage. Its half-life is a tenth of the stage's steps so far, from three to 1 % of all steps: the
 * beginning, where the loss falls fast, is followed, and the rest is calm.
 */
export function smoothed(points: readonly Omit<CurvePoint, 'low' | 'high'>[]): { readonly x: number; readonly y: number; readonly stage: number }[] {
  const most = Math.max(3, points.reduce((sum, { count }) => sum + count, 0) / 100);
  let mean = 0;
  let seen = 0;
  return points.map((point, i) => {
    if (point.stage !== points[i - 1]?.stage) seen = 0;
    const keep = seen === 0 ? 0 : 0.5 ** (point.count / Math.max(3, Math.min(most, seen / 10)));
    // The first few are averaged as they are.
    const share = Math.max(1 - keep, point.count / (seen + point.count));
    mean = seen === 0 ? point.mean : mean + share * (point.mean - mean);
    seen += point.count;
    return { x: point.x, y: mean, stage: point.stage };
  });
}
