import { plainMetadata } from '@parley/gguf';
import { beforeAll, describe, expect, test } from 'vitest';
import { preTokenizerOf, splitNamed } from './gguf-patterns.ts';
import { mergesOfScores, scoresOfMerges } from './gguf-pieces.ts';
import { Tokenizer, tokenizerFromGguf, tokenizerToGguf, trainTokenizer } from './index.ts';
import { applyStage } from './pre-tokenizer.ts';
import { translatePattern } from './pattern.ts';
import { nastyText } from './testing/corpus.ts';
import { bertStyle, learnMerges, llamaStyle } from './testing/kinds.ts';
import { publishedTokenizer } from './testing/published.ts';

const sample = 'the cat sat on the mat and the rat ate the oats; a fat bat sat there too, and that was that. Then the other cats sat down as well.';

/** There and back, through what is written into a file. */
const again = (tokenizer: Tokenizer, vocabSize?: number): Tokenizer =>
  tokenizerFromGguf(plainMetadata(tokenizerToGguf(tokenizer, vocabSize === undefined ? {} : { vocabSize })));

function expectSame(a: Tokenizer, b: Tokenizer, texts: readonly string[]): void {
  for (const text of texts) {
    for (const special of ['text', 'parse'] as const) expect(b.encode(text, { special })).toEqual(a.encode(text, { special }));
    expect(b.decode(b.encode(text))).toBe(a.decode(a.encode(text)));
  }
}

const texts = ['', ' ', 'the cat', '  two blanks\n\n and\tmore ', 'Grüße 世界 😀 1234567', '<|im_start|>user\nthat<|im_end|>', '<s>the</s> [CLS] cats', nastyText(3, 2_000)];

describe('a tokenizer comes back with the same ids', () => {
  test.each(['gpt2', 'gpt4'] as const)('Parley\'s own, split as %s does, with its roles, its template and padding up to the model\'s rows', async (pattern) => {
    const tokenizer = await trainTokenizer([sample.repeat(3)], { vocabSize: 300, pattern });
    const back = again(tokenizer, 320);
    expectSame(tokenizer, back, texts);
    expect(back.specialTokens).toEqual(tokenizer.specialTokens);
    expect([back.bosTokenId, back.eosTokenId, back.padTokenId]).toEqual([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]);
    expect(back.chatTemplate).toBe(tokenizer.chatTemplate);
    const conversation = [{ role: 'user', content: 'a cat?' }, { role: 'assistant', content: 'that' }] as const;
    expect(back.encodeConversation(conversation)).toEqual(tokenizer.encodeConversation(conversation));
    expect(tokenizerToGguf(tokenizer, { vocabSize: 320 }).get('tokenizer.ggml.tokens')?.value).toHaveLength(320);
    expect(tokenizerToGguf(tokenizer).get('tokenizer.ggml.pre')?.value).toBe(pattern === 'gpt2' ? 'gpt-2' : 'llama-bpe');
  });

  test.each([
    ['single digits, as SmolLM', 'smollm', { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, { type: 'ByteLevel', add_prefix_space: false, use_regex: true }] }],
    ['Qwen 2\'s pattern and normal form', 'qwen2', preTokenizerOf(splitNamed('qwen2')!), { type: 'NFC' }],
    ['Qwen 2\'s pattern alone', 'stablelm2', preTokenizerOf(splitNamed('qwen2')!)],
    ['GPT-4o\'s pattern', 'gpt-4o', preTokenizerOf(splitNamed('gpt-4o')!)],
  ])('%s, with a token before every text', async (_what, name, preTokenizer, normalizer: object | null = null) => {
    const trained = await trainTokenizer([sample], { vocabSize: 290 });
    const bos = { id: '<|endoftext|>', type_id: 0 };
    const tokenizer = Tokenizer.fromJSON({
      ...trained.toJSON(), pre_tokenizer: preTokenizer, normalizer,
      post_processor: {
        type: 'TemplateProcessing', single: [{ SpecialToken: bos }, { Sequence: { id: 'A', type_id: 0 } }], pair: [],
        special_tokens: { '<|endoftext|>': { id: '<|endoftext|>', ids: [trained.bosTokenId], tokens: ['<|endoftext|>'] } },
      },
    }, trained.configToJSON());
    expect(tokenizerToGguf(tokenizer).get('tokenizer.ggml.pre')?.value).toBe(name);
    expectSame(tokenizer, again(tokenizer), texts);
  });

  test('GPT-2\'s, with its 50,257 tokens', async () => {
    const tokenizer = await publishedTokenizer('r50k_base');
    expectSame(tokenizer, again(tokenizer), texts);
  });

  test('SentencePiece\'s BPE, its merges from the scores of its pieces, with bytes for what it has no piece for', () => {
    const { pieces, merges } = learnMerges(sample, 60);
    const tokenizer = Tokenizer.fromJSON(llamaStyle(pieces, merges), { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' });
    const back = again(tokenizer);
    expectSame(tokenizer, back, texts);
    const written = plainMetadata(tokenizerToGguf(tokenizer));
    expect(written).toMatchObject({ 'tokenizer.ggml.model': 'llama', 'tokenizer.ggml.add_bos_token': true, 'tokenizer.ggml.add_space_prefix': true });
    expect((written['tokenizer.ggml.token_type'] as number[]).slice(0, 5)).toEqual([2, 3, 3, 6, 6]);
  });

  test('WordPiece, its pieces marked at the beginning of words', () => {
    const words = ['the', 'cat', 'sat', 'on', '##s', '##at', 'm', 'c', 'that', 'a', '.', ',', '!', '世', '界'];
    const tokenizer = Tokenizer.fromJSON(bertStyle(words), { cls_token: '[CLS]', sep_token: '[SEP]', pad_token: '[PAD]', unk_token: '[UNK]', mask_token: '[MASK]' });
    const back = again(tokenizer);
    expectSame(tokenizer, back, ['The cats sat on that mat.', 'THÉ 世界!', '[CLS] [MASK] the', '']);
    expect(back.maskTokenId).toBe(tokenizer.maskTokenId);
    const tokens = plainMetadata(tokenizerToGguf(tokenizer))['tokenizer.ggml.tokens'] as string[];
    expect(tokens.slice(5, 10)).toEqual(['▁the', '▁cat', '▁sat', '▁on', 's']);
  });
});

test('of two merges that could be next the piece with the higher score is made, also where it was given later', () => {
  const scores = new Map([['a', 0], ['b', 0], ['c', 0], ['ab', -2], ['bc', -1], ['abc', -3]]);
  const merges = mergesOfScores([...scores.keys()], (piece) => scores.get(piece)!);
  expect(merges).toEqual([['b', 'c'], ['a', 'b'], ['ab', 'c'], ['a', 'bc']]);
  expect(scoresOfMerges(['a', 'ab', 'bc', 'abc'], merges)).toEqual([-4, -1, -0, -2]);
});

test('the default splitting cuts out punctuation, then words, then digits in threes', () => {
  let pieces = ['It\'s 12345, (ok)  x'];
  for (const source of splitNamed('default')!.stages) {
    const stage = { type: 'split', pattern: translatePattern(source), source, behavior: 'Isolated', invert: false } as const;
    pieces = pieces.flatMap((piece) => applyStage(stage, piece));
  }
  expect(pieces).toEqual(['It', '\'', 's', ' ', '123', '45', ',', ' ', '(', 'ok', ')', ' ', ' x']);
});

describe('what cannot be read, or written, is refused by name', () => {
  let metadata: Record<string, unknown> = {};
  beforeAll(async () => {
    metadata = { ...plainMetadata(tokenizerToGguf(await trainTokenizer([sample], { vocabSize: 270 }))) };
  });
  test.each<[string, Record<string, unknown>, string]>([
    ['no tokenizer', { 'tokenizer.ggml.model': undefined }, 'tokenizer.ggml.model: is missing'],
    ['another kind', { 'tokenizer.ggml.model': 'rwkv' }, 'tokenizer.ggml.model: is "rwkv": Parley reads gpt2'],
    ['a splitting without a pattern', { 'tokenizer.ggml.pre': 'deepseek-v3' }, 'tokenizer.ggml.pre: is "deepseek-v3", a way of splitting text that Parley does not have'],
    ['a splitting called like a method', { 'tokenizer.ggml.pre': 'toString' }, 'tokenizer.ggml.pre: is "toString"'],
    ['no merges', { 'tokenizer.ggml.merges': undefined }, 'tokenizer.ggml.merges: is absent'],
    ['no scores', { 'tokenizer.ggml.model': 'llama' }, 'tokenizer.ggml.scores: is absent'],
    ['tokens that are numbers', { 'tokenizer.ggml.tokens': [1, 2] }, 'tokenizer.ggml.tokens: is a list of 2: it has to be a list of strings'],
    ['types for other tokens', { 'tokenizer.ggml.token_type': [1] }, 'tokenizer.ggml.token_type: has 1 entries for 270 tokens'],
    ['a role without a token', { 'tokenizer.ggml.eos_token_id': 280 }, 'tokenizer.ggml.eos_token_id: is 280: there are 270 tokens'],
    ['a merge without its token', { 'tokenizer.ggml.merges': ['a zz'] }, 'model.merges[0]'],
    ['a flag that is a number', { 'tokenizer.ggml.add_bos_token': 1 }, 'tokenizer.ggml.add_bos_token: is 1'],
  ])('%s', (_what, changes, message) => {
    expect(() => tokenizerFromGguf({ ...metadata, ...changes })).toThrow(message);
  });

  test('a model with fewer rows than tokens, and splittings that llama.cpp has no name for', async () => {
    const tokenizer = await trainTokenizer([sample], { vocabSize: 270 });
    expect(() => tokenizerToGguf(tokenizer, { vocabSize: 269 })).toThrow('the tokenizer has 270 tokens and the model 269');
    const json = tokenizer.toJSON();
    const other = (changes: object): Tokenizer => Tokenizer.fromJSON({ ...json, ...changes });
    expect(() => tokenizerToGguf(other({ pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, use_regex: true } }))).toThrow('export the model as safetensors');
    expect(() => tokenizerToGguf(other({ normalizer: { type: 'NFKC' } }))).toThrow('export the model as safetensors');
  });
});
