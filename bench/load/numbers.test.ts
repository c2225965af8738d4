import { expect, test } from 'vitest';
import { percentiles, poissonArrivals, type Sample, summarizeLoad } from './numbers.ts';

test('percentiles are measured values, by nearest rank', () => {
  expect(percentiles(Array.from({ length: 100 }, (_, i) => 100 - i))).toEqual({ p50: 50, p95: 95, p99: 99 });
  expect(percentiles([3])).toEqual({ p50: 3, p95: 3, p99: 3 });
  expect(percentiles([])).toEqual({ p50: NaN, p95: NaN, p99: NaN });
});

test('arrivals are the same for a seed, in order, within the time, and as many as the rate within 5 standard deviations', () => {
  const arrivals = poissonArrivals({ rate: 40, seconds: 100, seed: 5 });
  expect(arrivals).toEqual(poissonArrivals({ rate: 40, seconds: 100, seed: 5 }));
  expect(arrivals).toEqual(arrivals.toSorted((a, b) => a - b));
  expect(arrivals.at(-1)).toBeLessThan(100_000);
  expect(Math.abs(arrivals.length - 4000)).toBeLessThan(5 * Math.sqrt(4000));
  // Exponential waits: the standard deviation is the mean (a metronome's would be 0).
  const waits = arrivals.map((time, i) => time - (arrivals[i - 1] ?? 0));
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  const deviation = Math.sqrt(waits.reduce((sum, wait) => sum + (wait - mean) ** 2, 0) / waits.length);
  expect(deviation / mean).toBeGreaterThan(0.9);
  expect(deviation / mean).toBeLessThan(1.1);
});

test('rates count the window, latencies the requests sent in it, goodput failures too', () => {
  const sample = (sent: number, pieces: readonly number[], error: string | null = null): Sample => ({
    sent, pieces, ended: pieces.at(-1) ?? sent, promptTokens: 10, cachedTokens: 5, completionTokens: 2 * pieces.length, error,
  });
  const summary = summarizeLoad(
    [sample(0, [50, 950]), sample(1000, [1100, 1200, 1300]), sample(1500, [1900, 2100]), sample(1600, [], 'refused')],
    { window: [1000, 2000], bounds: { ttftMs: 200, tpotMs: 50 } },
  );
  expect(summary).toMatchObject({ requests: 3, errors: 1, tokensPerSecond: 8, requestsPerSecond: 1, cached: 0.5, goodput: 1 / 3 });
  expect(summary.ttft).toEqual({ p50: 100, p95: 400, p99: 400 });
  expect(summary.tpot).toEqual({ p50: 40, p95: 200 / 3, p99: 200 / 3 });
  expect(summary.interToken.p50).toBe(100);
  expect(summary.endToEnd).toEqual({ p50: 300, p95: 600, p99: 600 });
});
