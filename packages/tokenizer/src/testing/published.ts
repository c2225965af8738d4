/**
 * OpenAI's published vocabularies as Parley tokenizers, to hold against the tokenizers that others wrote for them.
 *
 * They are published as ranks: the bytes of every token, in the order the tokens were learned. A token was made from the
 * two parts that the tokens before it merge its bytes into, so the merges follow from the ranks.
 */
import type { TiktokenBPE } from 'js-tiktoken/lite';
import { bytesToToken } from '../byte-alphabet.ts';
import { GPT4_PATTERN } from '../scanners.ts';
import { Tokenizer } from '../tokenizer.ts';

export type PublishedName = 'r50k_base' | 'cl100k_base';

/** js-tiktoken's file of a vocabulary. */
export async function publishedRanks(name: PublishedName): Promise<TiktokenBPE> {
  const module = name === 'r50k_base' ? await import('js-tiktoken/ranks/r50k_base') : await import('js-tiktoken/ranks/cl100k_base');
  return module.default;
}

/** `r50k_base` is GPT-2's vocabulary, `cl100k_base` GPT-4's. */
export async function publishedTokenizer(name: PublishedName): Promise<Tokenizer> {
  return Tokenizer.fromJSON(tokenizerJSONFromRanks(await publishedRanks(name)));
}

/** A tokenizer.json with the ids, and merges of the order, of js-tiktoken's file. */
export function tokenizerJSONFromRanks(file: TiktokenBPE): Record<string, unknown> {
  const vocabulary = readRanks(file.bpe_ranks);
  const merges: string[] = [];
  for (const [token, rank] of vocabulary) if (token.length > 1) merges.push(partsOf(token, rank, vocabulary).join(' '));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  const split = { type: 'Split', pattern: { Regex: GPT4_PATTERN }, behavior: 'Isolated', invert: false };
  return {
    version: '1.0',
    added_tokens: Object.entries(file.special_tokens).map(([content, id]) => ({
      id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true,
    })),
    normalizer: null,
    pre_tokenizer: file.pat_str.includes('{1,3}')
      ? { type: 'Sequence', pretokenizers: [split, { ...byteLevel, use_regex: false }] }
      : { ...byteLevel, use_regex: true },
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab: Object.fromEntries(vocabulary), merges },
  };
}

/** Lines of `! offset token token …`, tokens in base64; the id of the i-th token of a line is offset + i. */
function readRanks(text: string): Map<string, number> {
  const ranks: [string, number][] = [];
  for (const line of text.split('\n').filter(Boolean)) {
    const [, offset, ...tokens] = line.split(' ');
    tokens.forEach((token, i) => ranks.push([bytesToToken(Buffer.from(token, 'base64')), Number(offset) + i]));
  }
  return new Map(ranks.sort((a, b) => a[1] - b[1]));
}

function partsOf(token: string, rank: number, vocabulary: ReadonlyMap<string, number>): string[] {
  const parts = token.split('');
  while (parts.length > 2) {
    let best = rank;
    let place = -1;
    for (let i = 0; i + 1 < parts.length; i++) {
      const found = vocabulary.get(`${parts[i]}${parts[i + 1]}`) ?? rank;
      if (found < best) {
        best = found;
        place = i;
      }
    }
    if (place < 0) throw new Error(`${JSON.stringify(token)} is not made of two earlier tokens`);
    parts.splice(place, 2, `${parts[place]}${parts[place + 1]}`);
  }
  return parts;
}
