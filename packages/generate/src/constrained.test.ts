/** Constraints inside generation: they hold whatever else is asked for, and end as answers end. */
import { ReferenceBackend } from '@parley/engine';
import { expect, test } from 'vitest';
import { ConstraintError } from './constraints/errors.ts';
import type { TagsSpec } from './constraints/tags.ts';
import { OptionError } from './errors.ts';
import { LocalGenerator } from './generator.ts';
import { resolveOptions } from './options.ts';
import { END_OF_TEXT, tinyModel, tinyTokenizer } from './testing/tiny.ts';

const generator = (): LocalGenerator => new LocalGenerator({ model: tinyModel(new ReferenceBackend()), tokenizer: tinyTokenizer() });

test('every answer matches its constraint, greedy, drawn, with penalties and several at once', async () => {
  await using local = generator();
  const date = { constraint: { type: 'regex', pattern: '[0-9]{4}-[01][0-9]' }, maxNewTokens: 20 } as const;
  const requests = [date, { ...date, temperature: 2, seed: 5, numReturnSequences: 3 }, { ...date, repetitionPenalty: 2, presencePenalty: 2, logitBias: { 65: 100 } }];
  for (const options of requests) {
    const { sequences } = await local.generate(['When', 'On'], options).result();
    for (const { text, finishReason, stop } of sequences) {
      expect(text).toMatch(/^[0-9]{4}-[01][0-9]$/);
      expect([finishReason, stop]).toEqual(['stop', END_OF_TEXT]);
    }
  }
  const { sequences } = await local.generate('A', { constraint: { type: 'choice', choices: ['yes', 'no'] } }).result();
  expect(['yes', 'no']).toContain(sequences[0]!.text);
});

test('an answer that its length cuts off says so; other requests are as if there were no constraint', async () => {
  await using local = generator();
  const plain = await local.generate('Hi', { maxNewTokens: 6 }).result();
  const cut = await local.generate('Hi', { constraint: { type: 'json' }, maxNewTokens: 1 }).result();
  expect(cut.sequences[0]).toMatchObject({ text: '{', finishReason: 'length' });
  expect((await local.generate('Hi', { maxNewTokens: 6 }).result()).sequences).toEqual(plain.sequences);
});

test('what cannot be enforced is refused by name', async () => {
  await using local = generator();
  const constraint = { type: 'regex', pattern: 'a+' } as const;
  expect(() => resolveOptions({ constraint, numBeams: 2 })).toThrow(OptionError);
  expect(() => resolveOptions({ constraint: { type: 'xml' } as never })).toThrow('constraint is {"type":"xml"}: it has to be json,');
  await expect(local.generate('Hi', { constraint, eosTokenId: [] }).result()).rejects.toThrow('ends with an end-of-text token');
  await expect(local.generate('Hi', { constraint: { type: 'choice', choices: [] } }).result()).rejects.toThrow(ConstraintError);
});

test('where a tag may open and none does, the answer is the one without the constraint; stop strings count in text, not in tags', async () => {
  await using local = generator();
  const tags: TagsSpec = {
    type: 'tags', trigger: '<call>', at: 'anywhere', open: '', separator: '', close: '', least: 0, most: 3,
    tags: [{ name: 'f', begin: '<call>f', schema: { type: 'object', properties: { a: { const: 7 } }, required: ['a'], additionalProperties: false }, end: '</call>' }],
  };
  for (const options of [{ maxNewTokens: 12 }, { maxNewTokens: 12, temperature: 1.5, seed: 3, numReturnSequences: 3 }]) {
    const plain = await local.generate('Hi', options).result();
    expect((await local.generate('Hi', { ...options, constraint: tags }).result()).sequences).toEqual(plain.sequences);
  }
  const must = { ...tags, least: 1 as const, most: 1 };
  const { sequences } = await local.generate('Hi', { constraint: must, stopStrings: ['a', '<'], maxNewTokens: 60 }).result();
  expect(sequences[0]).toMatchObject({ text: expect.stringMatching(/^<call>f\{\s*"a"\s*:\s*7\s*\}<\/call>$/) as string, finishReason: 'stop', stop: END_OF_TEXT });
});
