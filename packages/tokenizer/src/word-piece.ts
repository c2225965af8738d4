/**
 * WordPiece (Schuster & Nakajima, 2012; BERT): a word is cut into the longest pieces of the vocabulary from its beginning on, those after
 * the first marked with ##; a word that cannot be cut is unknown as a whole.
 */
import { TokenizerFormatError } from './errors.ts';
import { Fields } from './fields.ts';
import { parseVocabulary } from './model.ts';
import { type PieceDecoder, type Splitter, type TextModel, WordCache } from './text-model.ts';

/** Reads a `model` of type WordPiece. @throws TokenizerFormatError. */
export function parseWordPiece(json: unknown, parts: { split: Splitter; decoder: PieceDecoder }): TextModel {
  const fields = new Fields(json, 'model');
  fields.skip('type');
  const unkToken = fields.string('unk_token', '[UNK]');
  const prefix = fields.string('continuing_subword_prefix', '##');
  const longest = fields.get('max_input_chars_per_word') === undefined ? 100 : fields.integer('max_input_chars_per_word');
  const vocabulary = parseVocabulary(fields.object('vocab'));
  fields.finish();
  const unknown = vocabulary.get(unkToken);
  if (unknown === undefined) throw new TokenizerFormatError('model.unk_token', `is ${JSON.stringify(unkToken)}, which is not in the vocabulary`);

  const encode = (word: string): readonly number[] => {
    const characters = Array.from(word);
    if (characters.length > longest) return [unknown];
    const ids: number[] = [];
    for (let start = 0; start < characters.length;) {
      let end = characters.length;
      let id: number | undefined;
      for (; end > start; end--) {
        id = vocabulary.get((start > 0 ? prefix : '') + characters.slice(start, end).join(''));
        if (id !== undefined) break;
      }
      if (id === undefined) return [unknown];
      ids.push(id);
      start = end;
    }
    return ids;
  };
  const words = new WordCache(encode);
  return {
    vocabulary,
    decoder: parts.decoder,
    append: (ids, text, first) => {
      for (const word of parts.split(text, first)) words.append(ids, word);
    },
    json: () => json,
  };
}
