/** The `model` of a tokenizer.json, type BPE: the vocabulary, the merges, and how they are applied. */
import { byteToCharacter, bytesToToken } from './byte-alphabet.ts';
import { TokenizerFormatError } from './errors.ts';
import { describe, Fields } from './fields.ts';
import { at } from './unchecked.ts';

export interface BpeModel {
  /** token, in GPT-2's alphabet → id */
  vocabulary: ReadonlyMap<string, number>;
  /** byte → id of its token, −1 where there is none. */
  byteIds: Int32Array;
  /** left, right and result of each merge, in order of rank. */
  merges: Int32Array;
  unkToken: string | undefined;
  fuseUnk: boolean;
  ignoreMerges: boolean;
  /** The id of a word that is a token as a whole. */
  wholeWords: (bytes: Uint8Array) => number | undefined;
}

/** Ids beyond this are taken for mistakes: the largest vocabularies have some 2¹⁸ tokens. */
export const HIGHEST_ID = (1 << 24) - 1;

/** @throws TokenizerFormatError for another type of model, or options of BPE that Parley does not do. */
export function parseModel(json: unknown): BpeModel {
  const fields = new Fields(json, 'model');
  const type = fields.get('type');
  // Files from before 2020 name no type.
  if (type !== undefined && type !== 'BPE') fields.refuse('type', 'Parley reads byte-level BPE models');
  const dropout = fields.get('dropout') ?? 0;
  if (dropout !== 0) fields.refuse('dropout', 'expected null: the same text always gives the same tokens');
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if ((fields.get(name) ?? '') !== '') fields.refuse(name, 'expected null: byte-level models mark no subwords');
  }
  if (fields.boolean('byte_fallback', false)) fields.refuse('byte_fallback', 'expected false: byte-level models have no need of it');
  const unkToken = (fields.get('unk_token') ?? null) === null ? undefined : fields.string('unk_token');
  const fuseUnk = fields.boolean('fuse_unk', false);
  const ignoreMerges = fields.boolean('ignore_merges', false);
  const vocabulary = parseVocabulary(fields.object('vocab'));
  const merges = parseMerges(fields.array('merges'), vocabulary);
  fields.finish();

  const byteIds = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) byteIds[byte] = vocabulary.get(byteToCharacter(byte)) ?? -1;
  let longest = 0;
  for (const token of vocabulary.keys()) longest = Math.max(longest, token.length);
  const wholeWords = (bytes: Uint8Array): number | undefined =>
    bytes.length > longest ? undefined : vocabulary.get(bytesToToken(bytes));
  return { vocabulary, byteIds, merges, unkToken, fuseUnk, ignoreMerges, wholeWords };
}

export function parseVocabulary(fields: Fields): ReadonlyMap<string, number> {
  const vocabulary = new Map<string, number>();
  for (const [token, id] of fields.entries()) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > HIGHEST_ID) {
      throw new TokenizerFormatError(`model.vocab[${JSON.stringify(token)}]`, `is ${describe(id)}: expected an id from 0 to ${HIGHEST_ID}`);
    }
    vocabulary.set(token, id);
  }
  return vocabulary;
}

/** Merges stand as `"a b"`, or as `["a", "b"]` in newer files. */
export function parseMerges(list: readonly unknown[], vocabulary: ReadonlyMap<string, number>): Int32Array {
  const merges = new Int32Array(list.length * 3);
  list.forEach((entry, rank) => {
    const path = `model.merges[${rank}]`;
    const [left, right, ...rest] = typeof entry === 'string' ? entry.split(' ') : Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof left !== 'string' || typeof right !== 'string' || rest.length > 0) {
      throw new TokenizerFormatError(path, `is ${describe(entry)}: expected "left right" or ["left", "right"]`);
    }
    [left, right, left + right].forEach((token, i) => {
      const id = vocabulary.get(token);
      if (id === undefined) throw new TokenizerFormatError(path, `needs the token ${JSON.stringify(token)}, which is not in the vocabulary`);
      merges[rank * 3 + i] = id;
    });
  });
  return merges;
}

/** The model as tokenizer.json has it, merges as `"a b"`, which every version of Hugging Face's library reads. */
export function modelJSON(model: BpeModel): object {
  const tokens = new Map([...model.vocabulary].map(([token, id]) => [id, token]));
  const token = (id: number): string => tokens.get(id) as string;
  const pairs = Array.from({ length: model.merges.length / 3 }, (_, rank): [string, string] => [
    token(at(model.merges, rank * 3)),
    token(at(model.merges, rank * 3 + 1)),
  ]);
  // A token with a blank in it (none of GPT-2's alphabet) can only be written in the newer form.
  const plain = pairs.every((pair) => pair.every((part) => !part.includes(' ')));
  return {
    type: 'BPE',
    dropout: null,
    unk_token: model.unkToken ?? null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: model.fuseUnk,
    byte_fallback: false,
    ignore_merges: model.ignoreMerges,
    vocab: Object.fromEntries([...model.vocabulary].sort((a, b) => a[1] - b[1])),
    merges: plain ? pairs.map((pair) => pair.join(' ')) : pairs,
  };
}

