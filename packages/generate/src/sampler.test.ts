import { Random } from '@parley/engine';
import { expect, test } from 'vitest';
import { resolveOptions } from './options.ts';
import { Sampler, type SamplerSettings } from './sampler.ts';

/** The definition, by sorting: temperature, top-k with its ties, top-p, min-p. */
function byDefinition(logits: Float32Array, { temperature, topK, topP, minP }: SamplerSettings): Map<number, number> {
  let kept = [...logits].map((logit, token) => ({ token, logit: logit / temperature })).filter(({ logit }) => logit !== -Infinity);
  kept.sort((a, b) => b.logit - a.logit || a.token - b.token);
  if (topK > 0 && topK < kept.length) kept = kept.filter(({ logit }) => logit >= kept[topK - 1]!.logit);
  const weigh = (): number[] => {
    const weights = kept.map(({ logit }) => Math.exp(logit - kept[0]!.logit));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  };
  if (topP < 1) {
    let sum = 0;
    const size = weigh().findIndex((weight) => (sum += weight) >= topP);
    kept = kept.slice(0, size + 1);
  }
  const weights = weigh();
  kept = kept.filter((_, i) => weights[i]! >= minP * weights[0]!);
  const final = weigh();
  return new Map(kept.map(({ token }, i) => [token, final[i]!] as const).toSorted((a, b) => a[0] - b[0]));
}

const settingsOf = (options: object): SamplerSettings => resolveOptions({ doSample: true, ...options });

test('the distribution equals the sorted definition to 1e-9 (2,000 random rows and settings)', () => {
  const random = new Random(5);
  for (let i = 0; i < 2000; i++) {
    const size = 1 + random.below(80);
    const ties = random.below(3) === 0;
    const logits = Float32Array.from({ length: size }, () => (ties ? random.below(4) : random.normal() * 3));
    if (random.below(3) === 0) logits[random.below(size)] = size > 1 ? -Infinity : 0;
    const settings = settingsOf({
      temperature: 0.2 + random.uniform() * 2,
      ...(random.below(2) === 0 && { topK: 1 + random.below(size + 3) }),
      // Not a sum of equal shares, which rounding may put on either side of the bound.
      ...(random.below(2) === 0 && { topP: 0.05 + 0.9 * random.uniform() }),
      ...(random.below(2) === 0 && { minP: random.uniform() * 0.5 }),
    });
    const found = new Sampler(size, settings).distribution(logits);
    const wanted = byDefinition(logits, settings);
    expect({ settings, tokens: [...found.keys()] }).toEqual({ settings, tokens: [...wanted.keys()] });
    for (const [token, probability] of wanted) expect(found.get(token)).toBeCloseTo(probability, 9);
  }
});

/** Wilson–Hilferty: a chi-square value with this many degrees of freedom is exceeded with probability 0.001. */
const critical = (freedom: number): number => freedom * (1 - 2 / (9 * freedom) + 3.09 * Math.sqrt(2 / (9 * freedom))) ** 3;

const LOGITS = Float32Array.of(2, 1.5, 0.3, -1, 0.3, 2.5, -0.2, 1, -Infinity, 0);
for (const options of [
  {}, { temperature: 0.5 }, { temperature: 2 }, { topK: 4 }, { topK: 6 }, { topP: 0.8 }, { minP: 0.2 }, { temperature: 1.3, topK: 7, topP: 0.9, minP: 0.05 },
]) {
  test(`40,000 draws fit the distribution, chi-square at 0.001: ${JSON.stringify(options)}`, () => {
    const settings = settingsOf(options);
    const wanted = byDefinition(LOGITS, settings);
    const sampler = new Sampler(LOGITS.length, settings);
    const random = new Random(2024);
    const counts = new Map<number, number>();
    const draws = 40_000;
    for (let i = 0; i < draws; i++) {
      const token = sampler.next(LOGITS, random);
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    expect([...counts.keys()].every((token) => wanted.has(token))).toBe(true);
    let chiSquare = 0;
    for (const [token, probability] of wanted) chiSquare += ((counts.get(token) ?? 0) - draws * probability) ** 2 / (draws * probability);
    expect(chiSquare).toBeLessThan(critical(wanted.size - 1));
  });
}

test('warped logits are those of the kept tokens over the temperature', () => {
  const settings = settingsOf({ temperature: 0.5, topK: 3 });
  const logits = LOGITS.slice();
  new Sampler(logits.length, settings).warp(logits);
  expect([...logits]).toEqual([4, 3, -Infinity, -Infinity, -Infinity, 5, -Infinity, -Infinity, -Infinity, -Infinity]);
});

test('every draw takes one random number, and greedy takes none', () => {
  const random = new Random(1);
  const twin = new Random(1);
  new Sampler(LOGITS.length, settingsOf({ topK: 1 })).next(LOGITS, random);
  twin.uniform();
  expect(random.state).toEqual(twin.state);
  expect(new Sampler(LOGITS.length, resolveOptions()).next(LOGITS, random)).toBe(5);
  expect(random.state).toEqual(twin.state);
});

test('a tiny temperature is greedy, without overflow', () => {
  const sampler = new Sampler(LOGITS.length, settingsOf({ temperature: 1e-30 }));
  for (let i = 0; i < 20; i++) expect(sampler.next(LOGITS, new Random(i))).toBe(5);
});

test('NaN logits are an error, not a choice', () => {
  const sampler = new Sampler(3, settingsOf({}));
  expect(() => sampler.next(Float32Array.of(1, NaN, 2), new Random(1))).toThrow('NaN');
});
