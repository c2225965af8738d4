/** Arithmetic of a load test: percentiles, arrival times, and one record out of many requests. */
import { Random } from '@parley/engine';

/** What one request was like. Times are milliseconds of performance.now(). */
export interface Sample {
  readonly sent: number;
  /** When each piece of text came; several may come in one packet. */
  readonly pieces: readonly number[];
  readonly ended: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** Why there is no answer, or only a part of one. */
  readonly error: string | null;
}

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** By nearest rank: each is a value that was measured. NaN without values. */
export function percentiles(values: readonly number[]): Percentiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** Milliseconds from the start, of a Poisson process of `rate` a second during `seconds`: waits are exponential and independent. */
export function poissonArrivals({ rate, seconds, seed }: { rate: number; seconds: number; seed: number }): number[] {
  const random = new Random(seed);
  const arrivals: number[] = [];
  for (let at = 0; ;) {
    at += (-Math.log(1 - random.uniform()) / rate) * 1000;
    if (at >= seconds * 1000) return arrivals;
    arrivals.push(at);
  }
}

export interface Bounds {
  readonly ttftMs: number;
  readonly tpotMs: number;
}

export interface Summary {
  readonly requests: number;
  readonly errors: number;
  /** Tokens that came within the window, a second. */
  readonly tokensPerSecond: number;
  readonly requestsPerSecond: number;
  /** To the first text, from sending. */
  readonly ttft: Percentiles;
  /** Of each request: from its first text to its last, by the tokens after the first (milliseconds a token). */
  readonly tpot: Percentiles;
  /** Between two texts that follow each other. */
  readonly interToken: Percentiles;
  readonly endToEnd: Percentiles;
  /** Share of the requests, failed ones too, that met both bounds. */
  readonly goodput: number;
  /** Share of prompt tokens that were not computed again. */
  readonly cached: number;
}

export const ttftOf = ({ sent, pieces }: Sample): number => (pieces[0] ?? Number.NaN) - sent;

export function tpotOf({ pieces, completionTokens }: Sample): number {
  const [first = Number.NaN] = pieces;
  return completionTokens > 1 ? ((pieces.at(-1) ?? Number.NaN) - first) / (completionTokens - 1) : 0;
}

/** `window`: when the load was steady; rates count what fell into it, latencies all requests that were sent in it. */
export function summarizeLoad(samples: readonly Sample[], { window, bounds }: { window: readonly [number, number]; bounds: Bounds }): Summary {
  const [from, to] = window;
  const seconds = (to - from) / 1000;
  const inside = (time: number): boolean => time >= from && time < to;
  const sent = samples.filter((sample) => inside(sample.sent));
  const answered = sent.filter(({ error }) => error === null);
  let tokens = 0;
  for (const { pieces, completionTokens } of samples) {
    // A piece may stand for more than one token: those whose text was not certain yet.
    if (pieces.length > 0) tokens += (pieces.filter(inside).length * completionTokens) / pieces.length;
  }
  const good = answered.filter((sample) => ttftOf(sample) <= bounds.ttftMs && tpotOf(sample) <= bounds.tpotMs);
  const sum = (pick: (sample: Sample) => number): number => answered.reduce((total, sample) => total + pick(sample), 0);
  return {
    requests: sent.length, errors: sent.length - answered.length,
    tokensPerSecond: tokens / seconds,
    requestsPerSecond: samples.filter(({ ended, error }) => error === null && inside(ended)).length / seconds,
    ttft: percentiles(answered.map(ttftOf)),
    tpot: percentiles(answered.map(tpotOf)),
    interToken: percentiles(answered.flatMap(({ pieces }) => pieces.slice(1).map((time, i) => time - (pieces[i] ?? time)))),
    endToEnd: percentiles(answered.map((sample) => sample.ended - sample.sent)),
    goodput: sent.length === 0 ? 0 : good.length / sent.length,
    cached: sum(({ cachedTokens }) => cachedTokens) / Math.max(1, sum(({ promptTokens }) => promptTokens)),
  };
}
