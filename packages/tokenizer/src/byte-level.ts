/** Byte-level BPE (GPT-2, Llama 3, Qwen), as a text model: words, their bytes, and merges of these. */
import { TokenizerFormatError } from './errors.ts';
import { Fields } from './fields.ts';
import { MergeTable } from './merge-table.ts';
import { modelJSON, parseModel } from './model.ts';
import { byteLevelDecoder } from './piece-decoder.ts';
import { parsePreTokenizer } from './pre-tokenizer.ts';
import type { TextModel } from './text-model.ts';
import { WordEncoder } from './word-encoder.ts';

/** @throws TokenizerFormatError naming the field that is malformed, or that asks for what Parley does not do. */
export function parseByteLevel(parts: { model: unknown; preTokenizer: unknown; decoder: unknown }): {
  vocabulary: ReadonlyMap<string, number>;
  finish(idOf: (token: string) => number | undefined): TextModel;
} {
  const preTokenizer = parsePreTokenizer(parts.preTokenizer);
  const { scanner } = preTokenizer;
  checkDecoder(parts.decoder, 'decoder');
  const model = parseModel(parts.model);
  const { vocabulary } = model;
  const finish = (idOf: (token: string) => number | undefined): TextModel => {
    const { byteIds, merges, unkToken, fuseUnk, ignoreMerges, wholeWords } = model;
    const unknownId = unkToken === undefined ? undefined : idOf(unkToken);
    if (unkToken !== undefined && unknownId === undefined) {
      throw new TokenizerFormatError('model.unk_token', `is ${JSON.stringify(unkToken)}, which is not in the vocabulary`);
    }
    const words = new WordEncoder({
      byteIds,
      merges: new MergeTable(merges),
      unknown: unknownId === undefined ? undefined : { id: unknownId, fuse: fuseUnk },
      wholeWord: ignoreMerges ? wholeWords : undefined,
    });
    const append = (ids: number[], text: string): void => {
      if (scanner === undefined) {
        preTokenizer.split(text, (piece, start, end) => words.encode(piece, start, end, ids));
        return;
      }
      for (let start = 0; start < text.length;) {
        const end = scanner(text, start, text.length);
        words.encode(text, start, end, ids);
        start = end;
      }
    };
    return { vocabulary, append, decoder: byteLevelDecoder, json: () => modelJSON(model) };
  };
  return { vocabulary, finish };
}

function checkDecoder(json: unknown, path: string): void {
  const fields = new Fields(json, path);
  const type = fields.string('type');
  if (type === 'Sequence') {
    fields.array('decoders').forEach((child, i) => checkDecoder(child, `${path}.decoders[${i}]`));
  } else if (type === 'ByteLevel') {
    fields.skip('add_prefix_space', 'trim_offsets', 'use_regex'); // without effect on decoding
  } else {
    fields.refuse('type', 'a byte-level model has the decoder ByteLevel');
  }
  fields.finish();
}
