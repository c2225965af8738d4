/** A smaller model that guesses ahead: texts stay what they are, and its cache follows them wherever they go. */
import { Random, ReferenceBackend } from '@parley/engine';
import { createBackend, nativeKernels } from '@parley/engine/node';
import type { Transformer } from '@parley/model';
import { expect, test } from 'vitest';
import { GenerateError, OptionError } from '../errors.ts';
import { LocalGenerator } from '../generator.ts';
import { type GenerateOptions, resolveOptions } from '../options.ts';
import { tinyConfig, tinyModel, tinyTokenizer } from '../testing/tiny.ts';
import { Assistant } from './assistant.ts';
import { BatchingGenerator } from './batching-generator.ts';

const tokenizer = tinyTokenizer();

const OPTIONS: readonly GenerateOptions[] = [
  {}, { temperature: 1 }, { temperature: 0.3, topK: 3, repetitionPenalty: 1.1 }, { stopStrings: ['bc'] }, { logProbabilities: 2, temperature: 0.5 },
  { constraint: { type: 'regex', pattern: '(ab|abc){2,20}' }, eosTokenId: 256, temperature: 1 }, { promptLookupNumTokens: 2, temperature: 0.4 },
];

/** Weights near those of `tinyModel`: it often agrees and often does not. */
async function near(model: Transformer): Promise<Transformer> {
  const other = tinyModel(model.backend, model.config);
  const random = new Random(11);
  for (const tensor of other.parameters.values()) tensor.write((await tensor.read()).map((value) => value + 0.05 * random.normal()));
  return other;
}

test.each(['reference', 'wasm', ...(nativeKernels().addon === undefined ? [] : ['native'])] as ('reference' | 'wasm' | 'native')[])(
  'texts, log-probabilities and random states are those without an assistant, also where memory is short: %s',
  async (name) => {
    await using backend = name === 'reference' ? new ReferenceBackend() : await createBackend({ backend: name, threads: 2 });
    using model = tinyModel(backend, tinyConfig('llama', { contextLength: 128 }));
    using assistant = await near(model);
    const alone = new LocalGenerator({ model, tokenizer });
    for (const pages of [26, 200]) {
      await using generator = new BatchingGenerator({ model, assistant, tokenizer }, { pageTokens: 4, kvMemoryBytes: pages * 4 * 2 * 2 * 8 * 4 });
      for (const [i, options] of OPTIONS.entries()) {
        for (const prompt of ['abcabcabcabc', 'abcab', 'Once upon a time, once upon']) {
          const asked: GenerateOptions = { maxNewTokens: 60, eosTokenId: [], seed: i, logitBias: { 97: 9, 98: 9, 99: 9 }, ...options };
          const expected = await alone.generate(prompt, asked).result();
          const answer = await generator.generate(prompt, { ...asked, numAssistantTokens: i % 4 + 1, assistantConfidenceThreshold: 0.01 * i }).result();
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

test('a model that guesses for itself is always right, in as few passes as that allows', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfig('llama', { contextLength: 128 }));
  await using generator = new BatchingGenerator({ model, assistant: model, tokenizer });
  await generator.generate('abc', { maxNewTokens: 61, eosTokenId: [], numAssistantTokens: 4, assistantConfidenceThreshold: 0 }).result();
  // The prompt's pass gives one token, each after it five.
  expect(await generator.stats()).toMatchObject({ steps: 13, draftTokens: 48, acceptedTokens: 48 });
});

test('a guess is the likeliest continuation, whatever was guessed before, and ends where the assistant is unsure', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfig('gpt2', { contextLength: 64 }));
  using assistant = new Assistant(model, { vocabSize: 259 });
  const alone = new LocalGenerator({ model, tokenizer });
  const random = new Random(3);
  let text = [97, 98, 99];
  for (let round = 0; round < 12; round++) {
    const { sequences } = await alone.generate({ tokens: text }, { maxNewTokens: 4, doSample: false, eosTokenId: [], logProbabilities: 0 }).result();
    const tokens = sequences[0]?.tokens ?? [];
    const logProbabilities = sequences[0]?.logProbabilities ?? [];
    expect(await assistant.guess(text, { count: 4, confidence: 0 })).toEqual(tokens);
    const threshold = 0.9 * Math.exp(Math.max(...logProbabilities.map(({ logProbability }) => logProbability)));
    const sure = logProbabilities.findIndex(({ logProbability }) => Math.exp(logProbability) < threshold);
    expect(await assistant.guess(text, { count: 4, confidence: threshold })).toEqual(sure === -1 ? tokens : tokens.slice(0, sure));
    // On with some of them, with something else, or back to an earlier place.
    text = round % 4 === 3 ? text.slice(0, 2 + random.below(text.length - 2)) : [...text, ...tokens.slice(0, random.below(5)), random.below(250)];
  }
  expect(await assistant.guess(Array.from({ length: 64 }, () => 97), { count: 4, confidence: 0 })).toEqual([]);
  expect(await assistant.guess([300], { count: 4, confidence: 0 })).toEqual([]);
});

test('an assistant is not asked where it cannot help, and asking for one that is not there is an error', async () => {
  await using backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfig('llama', { contextLength: 128 }));
  await using assisted = new BatchingGenerator({ model, assistant: model, tokenizer });
  await assisted.generate('abc', { maxNewTokens: 8, eosTokenId: [], numAssistantTokens: 0 }).result();
  await Promise.all(['abc', 'bcd'].map((prompt) => assisted.generate(prompt, { maxNewTokens: 8, eosTokenId: [] }).result()));
  expect((await assisted.stats()).draftTokens).toBe(0);
  await using plain = new BatchingGenerator({ model, tokenizer });
  await expect(plain.generate('abc', { numAssistantTokens: 2 }).result()).rejects.toThrow(GenerateError);
  await using apart = new BatchingGenerator({ model, assistant: model, tokenizer }, false);
  await expect(apart.generate('abc', { numAssistantTokens: 2 }).result()).rejects.toThrow('there is no assistant');
  expect(() => resolveOptions({ numAssistantTokens: 2, numBeams: 2 })).toThrow(OptionError);
  expect(() => resolveOptions({ assistantConfidenceThreshold: 2 })).toThrow('assistantConfidenceThreshold is 2');
});
