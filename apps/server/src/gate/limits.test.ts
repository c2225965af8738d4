import { ApiError } from '@parley/protocol';
import { expect, test } from 'vitest';
import { Attempts } from './attempts.ts';
import { BriefCache } from './brief-cache.ts';
import { duration, RateLimiter } from './limits.ts';

const failureOf = (act: () => void): ApiError => {
  try {
    act();
  } catch (error) {
    if (error instanceof ApiError) return error;
  }
  throw new Error('it was let in');
};

test('60 requests a minute: 60 at once, then one a second, and refused ones cost nothing', () => {
  let now = 0;
  const limiter = new RateLimiter(() => now);
  const limits = { requestsPerMinute: 60, tokensPerMinute: null };
  for (let i = 0; i < 60; i++) limiter.admit('a', limits);
  const refused = failureOf(() => limiter.admit('a', limits));
  expect(refused).toMatchObject({ status: 429, type: 'requests', code: 'rate_limit_exceeded', headers: { 'retry-after': '1', 'retry-after-ms': '1000' } });
  for (let i = 0; i < 100; i++) failureOf(() => limiter.admit('a', limits));
  expect(() => limiter.admit('b', limits)).not.toThrow();
  now = 1000;
  limiter.admit('a', limits);
  failureOf(() => limiter.admit('a', limits));
  now = 61_000;
  expect(limiter.headers('a', limits)).toEqual({ 'x-ratelimit-limit-requests': '60', 'x-ratelimit-remaining-requests': '60', 'x-ratelimit-reset-requests': '0ms' });
});

test('tokens may be borrowed by the answer that runs; what was borrowed is waited for, so that the mean is the limit', () => {
  let now = 0;
  const limiter = new RateLimiter(() => now);
  const limits = { requestsPerMinute: null, tokensPerMinute: 600 };
  let spent = 0;
  for (; now <= 3_600_000; now += 1000) {
    try {
      limiter.admit('a', limits);
    } catch {
      continue;
    }
    limiter.spend('a', 250, limits);
    spent += 250;
  }
  // An hour's worth, the full bucket it began with, and the last answer.
  expect(spent).toBeGreaterThan(600 * 60);
  expect(spent).toBeLessThanOrEqual(600 * 61 + 250);
  limiter.spend('b', 1200, limits);
  expect(limiter.headers('b', limits)).toMatchObject({ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '2m0s' });
});

test.each([[0, '0ms'], [16.2, '17ms'], [1500, '1.5s'], [59_990, '59.99s'], [360_000, '6m0s'], [3_661_000, '1h1m1s']])('%d ms are written %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test('a brief cache asks once a second, shares a look-up, keeps no failure and never more than it may', async () => {
  let [now, asked] = [0, 0];
  const cache = new BriefCache<number>({ most: 3, now: () => now });
  const look = async (): Promise<number> => Promise.resolve(++asked);
  expect(await Promise.all([cache.get('a', look), cache.get('a', look)])).toEqual([1, 1]);
  now = 999;
  expect(await cache.get('a', look)).toBe(1);
  now = 1000;
  expect(await cache.get('a', look)).toBe(2);
  cache.forget('a');
  expect(await cache.get('a', look)).toBe(3);
  await expect(cache.get('b', async () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(await cache.get('b', look)).toBe(4);
  for (const key of ['c', 'd', 'e']) await cache.get(key, look);
  expect(await cache.get('e', look)).toBe(7);
  expect(await cache.get('a', look)).toBe(8);
});

test('passwords are guessed eight times for a name from an address, whatever the case, and forty times from a network', async () => {
  let now = 0;
  const attempts = new Attempts(() => now);
  const wrong = async (name: string, address: string): Promise<unknown> => attempts.try({ name, address }, async () => Promise.resolve(null));
  for (let i = 0; i < 8; i++) expect(await wrong(i % 2 === 0 ? 'Anna' : 'anna', '10.0.0.1')).toBeNull();
  await expect(wrong('ANNA', '10.0.0.1')).rejects.toMatchObject({ status: 429, code: 'too_many_attempts', headers: { 'retry-after': '900' } });
  // Anna herself, elsewhere, still gets in.
  expect(await attempts.try({ name: 'anna', address: '10.0.0.2' }, async () => Promise.resolve('Anna'))).toBe('Anna');
  for (let i = 0; i < 40; i++) await wrong(`person ${i}`, `2001:db8:1:2::${i.toString(16)}`);
  await expect(wrong('another', '2001:db8:1:2:ffff::1')).rejects.toMatchObject({ status: 429 });
  expect(await wrong('another', '2001:db8:1:3::1')).toBeNull();
  now = 15 * 60_000;
  expect(await wrong('anna', '10.0.0.1')).toBeNull();
});
