/** Which model a tokenizer.json has: byte-level BPE, BPE over characters, Unigram or WordPiece. */
import { parseByteLevel } from './byte-level.ts';
import { parseCharacterBpe } from './character-bpe.ts';
import { Fields } from './fields.ts';
import { parseDecoder } from './piece-decoder.ts';
import { parseSplitter } from './splitter.ts';
import type { TextModel } from './text-model.ts';
import { parseUnigram } from './unigram.ts';
import { parseWordPiece } from './word-piece.ts';

/** Sequences within sequences that are looked into. */
const DEEPEST = 32;

const PARSERS = { Unigram: parseUnigram, WordPiece: parseWordPiece } as const;

/**
 * Reads the model and what goes with it. It is finished once all tokens are known, added ones too.
 * @throws TokenizerFormatError naming the field that is malformed, or that asks for what Parley does not do.
 */
export function parseTextModel(parts: { model: unknown; preTokenizer: unknown; decoder: unknown }): {
  vocabulary: ReadonlyMap<string, number>;
  finish(idOf: (token: string) => number | undefined): TextModel;
} {
  const { model, preTokenizer, decoder } = parts;
  const fields = new Fields(model, 'model');
  // Files from before 2020 name no type.
  const type = fields.get('type') ?? 'BPE';
  if (type === 'BPE' && !isOfCharacters(parts)) return parseByteLevel(parts);
  const parse = type === 'BPE' ? parseCharacterBpe : type === 'Unigram' || type === 'WordPiece' ? PARSERS[type] : undefined;
  if (parse === undefined) return fields.refuse('type', 'Parley reads BPE, Unigram and WordPiece');
  const read = parse(model, { split: parseSplitter(preTokenizer), decoder: parseDecoder(decoder) });
  return { vocabulary: read.vocabulary, finish: () => read };
}

/** BPE over characters marks words with ▁, or falls back to bytes, and is never split by ByteLevel. */
function isOfCharacters({ model, preTokenizer, decoder }: { model: unknown; preTokenizer: unknown; decoder: unknown }): boolean {
  if (mentions(preTokenizer, 'ByteLevel') || mentions(decoder, 'ByteLevel')) return false;
  const fallsBack = typeof model === 'object' && model !== null && 'byte_fallback' in model && model.byte_fallback === true;
  return fallsBack || mentions(preTokenizer, 'Metaspace') || mentions(decoder, 'Metaspace') || mentions(decoder, 'ByteFallback');
}

/** Whether a part, or one in its sequence, is of a type. */
function mentions(json: unknown, type: string, depth = 0): boolean {
  if (typeof json !== 'object' || json === null || depth > DEEPEST) return false;
  if ('type' in json && json.type === type) return true;
  return ['pretokenizers', 'decoders'].some((name) => {
    const children = (json as Readonly<Record<string, unknown>>)[name];
    return Array.isArray(children) && children.some((child) => mentions(child, type, depth + 1));
  });
}
