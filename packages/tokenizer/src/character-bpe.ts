/**
 * BPE over characters, as SentencePiece makes it and Hugging Face's files keep it (Llama 2, Mistral, Gemma): words begin with ▁, and a
 * character that the vocabulary lacks becomes its bytes, `<0xE2>`, where it has those.
 */
import { TokenizerError, TokenizerFormatError } from './errors.ts';
import { Fields } from './fields.ts';
import { MergeTable, NO_MERGE } from './merge-table.ts';
import { LongWordMerger, mergeShort, TREE_FROM } from './merge-word.ts';
import { parseMerges, parseVocabulary } from './model.ts';
import { byteTokenIds, fallBack, type PieceDecoder, type Splitter, type TextModel, WordCache } from './text-model.ts';
import { at } from './unchecked.ts';

/** Between a word and the ▁ of the next. */
const BEFORE_MARK = /(?<=[^▁])(?=▁)/u;

/** Reads a `model`. @throws TokenizerFormatError for options that Parley does not do. */
export function parseCharacterBpe(json: unknown, parts: { split: Splitter; decoder: PieceDecoder }): TextModel {
  const fields = new Fields(json, 'model');
  fields.skip('type');
  if ((fields.get('dropout') ?? 0) !== 0) fields.refuse('dropout', 'expected null: the same text always gives the same tokens');
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if ((fields.get(name) ?? '') !== '') fields.refuse(name, 'expected null: Parley reads BPE that marks words with ▁');
  }
  const unkToken = (fields.get('unk_token') ?? null) === null ? undefined : fields.string('unk_token');
  const fuse = fields.boolean('fuse_unk', false);
  const hasBytes = fields.boolean('byte_fallback', false);
  const ignoreMerges = fields.boolean('ignore_merges', false);
  const vocabulary = parseVocabulary(fields.object('vocab'));
  const triples = parseMerges(fields.array('merges'), vocabulary);
  const merges = new MergeTable(triples);
  fields.finish();
  const unknown = unkToken === undefined ? undefined : vocabulary.get(unkToken);
  if (unkToken !== undefined && unknown === undefined) {
    throw new TokenizerFormatError('model.unk_token', `is ${JSON.stringify(unkToken)}, which is not in the vocabulary`);
  }
  const byteIds = hasBytes ? byteTokenIds((token) => vocabulary.get(token)) : undefined;
  const longWords = new LongWordMerger(merges);

  const encode = (word: string): readonly number[] => {
    const whole = ignoreMerges ? vocabulary.get(word) : undefined;
    if (whole !== undefined) return [whole];
    const symbols: number[] = [];
    let afterUnknown = false;
    for (const character of word) {
      const id = vocabulary.get(character);
      const bytes = id === undefined && byteIds ? fallBack(character, byteIds) : undefined;
      const isUnknown = id === undefined && bytes === undefined;
      if (id !== undefined) symbols.push(id);
      else if (bytes !== undefined) symbols.push(...bytes);
      else if (unknown === undefined) {
        throw new TokenizerError(`the vocabulary has no token for ${JSON.stringify(character)} and none for unknown characters: use text it was made for`);
      } else if (!afterUnknown || !fuse) symbols.push(unknown);
      afterUnknown = isUnknown;
    }
    const ids = Int32Array.from(symbols);
    const ranks = Int32Array.from(ids, (id, i) => (i + 1 < ids.length ? merges.rank(id, at(ids, i + 1)) : NO_MERGE));
    const count = ids.length < TREE_FROM ? mergeShort(merges, ids, ids.length, ranks) : longWords.merge(ids, ids.length, ranks);
    return Array.from(ids.subarray(0, count));
  };
  const words = new WordCache(encode);
  // Where no merge makes a ▁ within a piece, words are merged for themselves whether the text was split or not: then they can be remembered.
  const tokens = new Map(Array.from(vocabulary, ([token, id]) => [id, token]));
  const isOfWords = !ignoreMerges && vocabulary.has('▁') && triples.every((id, i) => i % 3 !== 2 || !/[^▁]▁/u.test(tokens.get(id) ?? ''));
  return {
    vocabulary,
    decoder: parts.decoder,
    append: (ids, text, first) => {
      for (const piece of parts.split(text, first)) {
        if (!isOfWords) words.append(ids, piece);
        else for (const word of piece.split(BEFORE_MARK)) words.append(ids, word);
      }
    },
    json: () => json,
  };
}
