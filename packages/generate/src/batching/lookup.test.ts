/** Guessing ahead: what is looked up, and that texts stay what they are. */
import { Random, ReferenceBackend } from '@parley/engine';
import { createBackend, nativeKernels } from '@parley/engine/node';
import { expect, test } from 'vitest';
import { OptionError } from '../errors.ts';
import { LocalGenerator } from '../generator.ts';
import { type GenerateOptions, resolveOptions } from '../options.ts';
import { tinyConfig, tinyModel, tinyTokenizer } from '../testing/tiny.ts';
import { BatchingGenerator } from './batching-generator.ts';
import { lookUp } from './lookup.ts';

const tokenizer = tinyTokenizer();

/** The definition: the longest run first, of these the latest place. */
function slowLookUp(tokens: readonly number[], { count, ngram }: { count: number; ngram: number }): readonly number[] {
  for (let size = Math.min(ngram, tokens.length - 1); size > 0; size--) {
    for (let end = tokens.length - 2; end >= size - 1; end--) {
      if (tokens.slice(end - size + 1, end + 1).join() === tokens.slice(-size).join()) return tokens.slice(end + 1, end + 1 + count);
    }
  }
  return [];
}

test('the guess is what followed the latest place of the longest run, for thousands of random texts', () => {
  const random = new Random(5);
  for (let round = 0; round < 3000; round++) {
    const tokens = Array.from({ length: random.below(40) }, () => random.below(4));
    const settings = { count: random.below(6), ngram: 1 + random.below(4) };
    expect(lookUp(tokens, settings)).toEqual(settings.count === 0 ? [] : slowLookUp(tokens, settings));
  }
});

const OPTIONS: readonly GenerateOptions[] = [
  {}, { temperature: 1 }, { temperature: 0.3, topK: 3, repetitionPenalty: 1.1 }, { stopStrings: ['bc'] }, { logProbabilities: 2, temperature: 0.5 },
  { presencePenalty: -1, temperature: 0.6 }, { constraint: { type: 'regex', pattern: '(ab|abc){2,20}' }, eosTokenId: 256, temperature: 1 },
];

test.each(['reference', 'wasm', ...(nativeKernels().addon === undefined ? [] : ['native'])] as ('reference' | 'wasm' | 'native')[])(
  'texts, log-probabilities and random states are those without guesses, also where memory is short: %s',
  async (name) => {
    await using backend = name === 'reference' ? new ReferenceBackend() : await createBackend({ backend: name, threads: 2 });
    using model = tinyModel(backend, tinyConfig('llama', { contextLength: 128 }));
    const alone = new LocalGenerator({ model, tokenizer });
    for (const pages of [26, 200]) {
      await using generator = new BatchingGenerator({ model, tokenizer }, { pageTokens: 4, kvMemoryBytes: pages * 4 * 2 * 2 * 8 * 4 });
      for (const [i, options] of OPTIONS.entries()) {
        for (const prompt of ['abcabcabcabc', 'aaaaaa', 'Once upon a time, once upon']) {
          const asked: GenerateOptions = { maxNewTokens: 60, eosTokenId: [], seed: i, logitBias: { 97: 9, 98: 9, 99: 9 }, ...options };
          const expected = await alone.generate(prompt, asked).result();
          const answer = await generator.generate(prompt, { ...asked, promptLookupNumTokens: 1 + i, maxMatchingNgramSize: 3 }).result();
          expect(answer.sequences, `${prompt} ${JSON.stringify(options)}`).toEqual(expected.sequences);
        }
      }
      const { draftTokens, acceptedTokens, steps, tokensGenerated } = await generator.stats();
      expect(acceptedTokens).toBeGreaterThan(50);
      expect(acceptedTokens).toBeLessThan(draftTokens);
      expect(steps).toBeLessThan(tokensGenerated);
    }
  },
);

test('guesses do not go with beams or sliding, and their settings not without them', () => {
  expect(() => resolveOptions({ promptLookupNumTokens: 3, numBeams: 2 })).toThrow(OptionError);
  expect(() => resolveOptions({ promptLookupNumTokens: 3, contextOverflow: 'slide' })).toThrow('promptLookupNumTokens is 3, but');
  expect(() => resolveOptions({ maxMatchingNgramSize: 3 })).toThrow('pass promptLookupNumTokens');
});
