import { Random } from '@parley/engine';
import { expect, test } from 'vitest';
import { resolveOptions } from './options.ts';
import { forbidRepeatedNgrams, LogitsProcessors, penalizePresence, penalizeRepetition, TokenMarks } from './processors.ts';

const V = 8;
const row = (): Float32Array => Float32Array.of(1, -1, 2, -2, 0, 3, 0.5, -0.5);

test('repetition penalty: each distinct token once, positive logits divided, negative multiplied', () => {
  const logits = row();
  penalizeRepetition(logits, [0, 1, 0, 0, 3, 4], 2, new TokenMarks(V));
  expect([...logits]).toEqual([0.5, -2, 2, -4, 0, 3, 0.5, -0.5]);
});

test('presence and frequency penalties count generated tokens only', () => {
  const logits = row();
  penalizePresence(logits, [5, 5, 0, 0, 2, 0], { from: 2, presence: 0.5, frequency: 0.25, marks: new TokenMarks(V) });
  expect([...logits]).toEqual([1 - 3 * 0.25 - 0.5, -1, 2 - 0.25 - 0.5, -2, 0, 3, 0.5, -0.5]);
});

test('n-gram blocking forbids exactly the tokens that would repeat an n-gram (2,000 random histories)', () => {
  const random = new Random(7);
  for (let i = 0; i < 2000; i++) {
    const size = 1 + random.below(4);
    const tokens = Array.from({ length: random.below(20) }, () => random.below(4));
    const logits = new Float32Array(4);
    forbidRepeatedNgrams(logits, tokens, size);
    const seen = new Set<string>();
    for (let at = 0; at + size <= tokens.length; at++) seen.add(tokens.slice(at, at + size).join());
    for (let token = 0; token < 4; token++) {
      const candidate = [...tokens, token].slice(-size);
      expect(logits[token] === -Infinity, `${tokens.join()} + ${token}, n = ${size}`).toBe(candidate.length === size && seen.has(candidate.join()));
    }
  }
});

test('the chain: bias before penalties, n-gram blocking after them, the end held off until the minimum', () => {
  const settings = resolveOptions({
    logitBias: { 0: -2, 6: -Infinity }, repetitionPenalty: 2, presencePenalty: 1, noRepeatNgramSize: 2, minNewTokens: 3,
  });
  const chain = new LogitsProcessors(V, settings, [7]);
  const logits = row();
  // Generated: 0, 1. Bigram (1, 2) is in the prompt, so 2 may not follow 1.
  chain.apply(logits, { tokens: [1, 2, 0, 1], promptLength: 2 });
  //        0: (1−2)·2−1       1: −1·2−1   2: blocked
  expect([...logits]).toEqual([-3, -3, -Infinity, -2, 0, 3, -Infinity, -Infinity]);

  const free = row();
  chain.apply(free, { tokens: [1, 2, 0, 1, 4], promptLength: 2 });
  expect(free[7]).toBe(-0.5);
});

test('the minimum length counts the prompt, the minimum of new tokens does not', () => {
  const byLength = new LogitsProcessors(V, resolveOptions({ minLength: 4 }), [7]);
  const byNew = new LogitsProcessors(V, resolveOptions({ minNewTokens: 4 }), [7]);
  const held = (chain: LogitsProcessors, tokens: number[], promptLength: number): boolean => {
    const logits = row();
    chain.apply(logits, { tokens, promptLength });
    return logits[7] === -Infinity;
  };
  expect([held(byLength, [1, 2, 3], 2), held(byLength, [1, 2, 3, 4], 2)]).toEqual([true, false]);
  expect([held(byNew, [1, 2, 3, 4], 2), held(byNew, [1, 2, 3, 4, 5, 6], 2)]).toEqual([true, false]);
});
