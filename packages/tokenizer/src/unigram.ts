/**
 * Unigram (Kudo, 2018), SentencePiece's other model (T5, XLM-RoBERTa): every piece has a log-probability, and a text is cut where their sum
 * is largest, found with Viterbi's algorithm. A character no piece covers costs 10 less than the least likely piece.
 */
import { TokenizerFormatError } from './errors.ts';
import { describe, Fields } from './fields.ts';
import { byteTokenIds, fallBack, type PieceDecoder, type Splitter, type TextModel, WordCache } from './text-model.ts';

const UNKNOWN_PENALTY = 10;

/** Reads a `model` of type Unigram. @throws TokenizerFormatError. */
export function parseUnigram(json: unknown, parts: { split: Splitter; decoder: PieceDecoder }): TextModel {
  const fields = new Fields(json, 'model');
  fields.skip('type');
  const pieces = fields.array('vocab').map((entry, id): readonly [string, number] => {
    const [piece, score, ...rest] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof piece === 'string' && typeof score === 'number' && Number.isFinite(score) && rest.length === 0) return [piece, score];
    throw new TokenizerFormatError(`model.vocab[${id}]`, `is ${describe(entry)}: expected a piece and its log-probability`);
  });
  const unkId = (fields.get('unk_id') ?? null) === null ? undefined : fields.integer('unk_id');
  if (unkId !== undefined && unkId >= pieces.length) fields.refuse('unk_id', `the vocabulary has ${pieces.length} pieces`);
  const hasBytes = fields.boolean('byte_fallback', false);
  fields.finish();

  const vocabulary = new Map<string, number>();
  const trie = new Trie();
  let least = Infinity;
  for (const [id, [piece, score]] of pieces.entries()) {
    vocabulary.set(piece, id); // one that stands twice is its last
    least = Math.min(least, score);
  }
  for (const [piece, id] of vocabulary) if (piece !== '') trie.add(piece, id);
  const unknownScore = least - UNKNOWN_PENALTY;
  const byteIds = hasBytes ? byteTokenIds((token) => vocabulary.get(token)) : undefined;

  const encode = (word: string): readonly number[] => {
    const scores = new Float64Array(word.length + 1);
    /** Where the best piece that ends here begins, −1 before one is found, and its id, −1 for an unknown character. */
    const begins = new Int32Array(word.length + 1).fill(-1);
    const best = new Int32Array(word.length + 1);
    for (let start = 0; start < word.length;) {
      const width = (word.codePointAt(start) as number) > 0xffff ? 2 : 1;
      const offer = (end: number, id: number, score: number): void => {
        const sum = score + (scores[start] as number);
        if (begins[end] !== -1 && sum <= (scores[end] as number)) return;
        scores[end] = sum;
        begins[end] = start;
        best[end] = id;
      };
      let hasCharacter = false;
      for (let end = start, node = trie.next(0, word.charCodeAt(end)); node !== 0; node = end < word.length ? trie.next(node, word.charCodeAt(end)) : 0) {
        end++;
        const id = trie.id(node);
        if (id < 0) continue;
        offer(end, id, pieces[id]?.[1] ?? 0);
        hasCharacter ||= end === start + width;
      }
      if (!hasCharacter) offer(start + width, -1, unknownScore);
      start += width;
    }
    const ids: number[][] = [];
    for (let end = word.length; end > 0;) {
      let start = begins[end] as number;
      const id = best[end] as number;
      const isUnknown = id === -1 || id === unkId;
      // Unknown characters in a row are one.
      while (isUnknown && start > 0 && (best[start] === -1 || best[start] === unkId)) start = begins[start] as number;
      ids.push(isUnknown ? unknown(word.slice(start, end)) : [id]);
      end = start;
    }
    return ids.reverse().flat();
  };
  const unknown = (text: string): number[] => {
    const known = vocabulary.get(text);
    if (known !== undefined) return [known];
    const bytes = byteIds && fallBack(text, byteIds);
    if (bytes) return bytes;
    if (unkId !== undefined) return [unkId];
    throw new TokenizerFormatError('model.unk_id', `is absent, and no piece covers ${JSON.stringify(text)}: a model that cannot write every text needs one`);
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

/** Strings by their code units; node 0 is the root. */
class Trie {
  readonly #children = new Map<number, number>();
  readonly #ids: number[] = [-1];

  add(text: string, id: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++) {
      const key = node * 0x10000 + text.charCodeAt(i);
      let child = this.#children.get(key);
      if (child === undefined) {
        child = this.#ids.push(-1) - 1;
        this.#children.set(key, child);
      }
      node = child;
    }
    this.#ids[node] = id;
  }

  /** The child of a node; 0 where there is none. */
  next(node: number, unit: number): number {
    return this.#children.get(node * 0x10000 + unit) ?? 0;
  }

  /** −1 where no string ends. */
  id(node: number): number {
    return this.#ids[node] ?? -1;
  }
}
