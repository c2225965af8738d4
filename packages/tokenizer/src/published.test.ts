/** Equality with OpenAI's tokenizers, as gpt-tokenizer and js-tiktoken implement them. */
import { encode as gptTokenizerR50k } from 'gpt-tokenizer/encoding/r50k_base';
import { Tiktoken } from 'js-tiktoken/lite';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Tokenizer } from './tokenizer.ts';
import { nastyText, numbers } from './testing/corpus.ts';
import { type PublishedName, publishedRanks, publishedTokenizer } from './testing/published.ts';

/**
 * js-tiktoken with its pattern as the original means it: `\s` is White_Space there, and `(?i:'s)` knows the long s, which
 * a JavaScript `\s` and its spelled-out cases do not.
 */
async function oracle(name: PublishedName): Promise<(text: string) => number[]> {
  const ranks = await publishedRanks(name);
  const pattern = ranks.pat_str
    .replaceAll(/\[\^([^\]]*)\\s/g, String.raw`[^$1\p{White_Space}`)
    .replaceAll(String.raw`\s`, String.raw`\p{White_Space}`)
    .replaceAll(String.raw`\S`, String.raw`\P{White_Space}`)
    .replace("'s|'S|", "'s|'S|'\u017f|");
  const tiktoken = new Tiktoken({ ...ranks, pat_str: pattern });
  return (text) => tiktoken.encode(text, [], []);
}

/** Compares piece by piece, so that a difference is shown where it is. */
function expectEqual(tokenizer: Tokenizer, text: string, expected: readonly number[]): void {
  const ids = tokenizer.encode(text);
  const at = ids.findIndex((id, i) => id !== expected[i]);
  const place = at < 0 ? Math.min(ids.length, expected.length) : at;
  const context = tokenizer.decode(ids.slice(Math.max(0, place - 5), place + 5));
  expect(ids.slice(place, place + 5), `at ${JSON.stringify(context)}`).toEqual(expected.slice(place, place + 5));
  expect(tokenizer.decode(ids)).toBe(text.toWellFormed());
}

describe.each(['r50k_base', 'cl100k_base'] as const)('%s', (name) => {
  let tokenizer: Tokenizer;
  let tiktoken: (text: string) => number[];
  beforeAll(async () => {
    tokenizer = await publishedTokenizer(name);
    tiktoken = await oracle(name);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('ids are js-tiktoken\'s on 50,000 nasty characters, seed %i', (seed) => {
    const text = nastyText(seed, 50_000, { disputed: seed % 2 === 0 });
    expectEqual(tokenizer, text, tiktoken(text));
  });

  test('ids are js-tiktoken\'s on lone surrogates, which become U+FFFD', () => {
    const text = nastyText(99, 20_000, { surrogates: true }) + '\ud800 \udc00\udc00\ud83d';
    expect(text.isWellFormed()).toBe(false);
    expectEqual(tokenizer, text, tiktoken(text.toWellFormed()));
  });

  test('ids are js-tiktoken\'s for every code point below U+3400 between letters', () => {
    let text = '';
    for (let point = 0; point < 0x3400; point++) text += `a${String.fromCharCode(point)}b${String.fromCharCode(point)} `;
    expectEqual(tokenizer, text, tiktoken(text));
  });

  test('ids are js-tiktoken\'s for every pair of ASCII characters', () => {
    const characters = Array.from({ length: 128 }, (_, unit) => String.fromCharCode(unit));
    const text = characters.map((first) => characters.map((second) => `${first}${second}`).join('')).join('');
    expectEqual(tokenizer, text, tiktoken(text));
  });

  test('every token is the encoding of its own text, or of as many tokens as js-tiktoken makes of it', () => {
    const below = numbers(11);
    for (let i = 0; i < 3000; i++) {
      const text = tokenizer.decode([below(tokenizer.vocabSize - 20)]);
      if (text.includes('\ufffd')) continue;
      expect(tokenizer.encode(text)).toEqual(tiktoken(text));
    }
  });

  test('the bytes of the ids of every text are its UTF-8', () => {
    const text = nastyText(5, 20_000);
    const bytes = tokenizer.encode(text).flatMap((id) => Array.from(tokenizer.tokenBytes(id)));
    expect(Buffer.from(bytes).equals(Buffer.from(text))).toBe(true);
  });
});

test('GPT-2 ids are gpt-tokenizer\'s on 200,000 nasty characters, seed 20', async () => {
  const tokenizer = await publishedTokenizer('r50k_base');
  const text = nastyText(20, 200_000);
  expectEqual(tokenizer, text, gptTokenizerR50k(text, { disallowedSpecial: new Set() }));
});

test('GPT-2 ids of known sentences', async () => {
  const tokenizer = await publishedTokenizer('r50k_base');
  // As in the paper's released encoder: "Hello world" is two tokens.
  expect(tokenizer.encode('Hello world')).toEqual([15496, 995]);
  expect(tokenizer.encode('<|endoftext|>', { special: 'parse' })).toEqual([50256]);
  expect(tokenizer.encode('<|endoftext|>')).toEqual([27, 91, 437, 1659, 5239, 91, 29]);
  expect(tokenizer.vocabSize).toBe(50257);
});
