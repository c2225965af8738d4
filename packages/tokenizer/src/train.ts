/**
 * Trains a tokenizer: counts the words of the documents, learns merges from the counts, and writes both down as a
 * tokenizer.json. Ids: the 256 bytes in GPT-2's order, the merges in the order they were learned, the special tokens.
 */
import { BYTES_IN_TOKEN_ORDER, byteToCharacter } from './byte-alphabet.ts';
import { CHATML_TEMPLATE } from './chat.ts';
import { TokenizerError } from './errors.ts';
import { PairMerger } from './pair-merger.ts';
import { preTokenizerJSON, type SplitPattern } from './pre-tokenizer.ts';
import { gpt2Scanner, gpt4Scanner } from './scanners.ts';
import { Tokenizer } from './tokenizer.ts';
import { at } from './unchecked.ts';
import { WordCounts } from './word-counts.ts';
import { writeUtf8 } from './word-encoder.ts';

/** `<|endoftext|>` ends a document, and is bos and pad; the other two are ChatML's. */
export const PARLEY_SPECIAL_TOKENS: readonly string[] = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];

export interface TrainProgress {
  phase: 'count' | 'merge';
  documents: number;
  /** UTF-16 code units read. */
  characters: number;
  /** Different words in the table. */
  words: number;
  /** 1 while counts are exact; else words counted fewer times than this have been sampled, see `maxWords`. */
  threshold: number;
  merges: number;
  totalMerges: number;
}

export interface TrainTokenizerOptions {
  /** The size to reach, special tokens and the 256 bytes included. Fewer when no pair occurs twice any more. */
  vocabSize: number;
  /** Default: Parley's three. */
  specialTokens?: readonly string[];
  /** How words are split. Default `gpt4`. */
  pattern?: SplitPattern;
  /** Default: ChatML where its two tokens are among the special tokens; null for none. */
  chatTemplate?: string | null;
  /**
   * Bounds memory: different words to count before the table is thinned by sampling (see word-counts.ts), in 16 code
   * units each on average. Default 2¹⁹: up to half a gigabyte. 100 MB of English Wikipedia have 357,000 words; on 160 MB of
   * Chinese, which have many times more, 2¹⁸ instead of 2²¹ made held-out text 0.4% longer in tokens, and 2¹⁶ 1.6%.
   */
  maxWords?: number;
  /** Called now and then; awaited, so that it may let other work run. */
  onProgress?: (progress: TrainProgress) => void | Promise<void>;
  signal?: AbortSignal;
}

const PROGRESS_CHARACTERS = 1 << 21;
const PROGRESS_MERGES = 64;

/**
 * Deterministic: the same documents in the same order give the same tokenizer. Ties go to the pair with the smaller ids.
 * @throws TokenizerError when `vocabSize` has no room for the bytes and the special tokens, or there is no text.
 */
export async function trainTokenizer(
  documents: Iterable<string> | AsyncIterable<string>,
  options: TrainTokenizerOptions,
): Promise<Tokenizer> {
  const { vocabSize, specialTokens = PARLEY_SPECIAL_TOKENS, pattern = 'gpt4', maxWords = 1 << 19, onProgress, signal } = options;
  const totalMerges = vocabSize - 256 - specialTokens.length;
  if (!Number.isInteger(vocabSize) || totalMerges < 0) {
    throw new TokenizerError(`a vocabulary of ${vocabSize} has no room for 256 bytes and ${specialTokens.length} special tokens: make it at least ${256 + specialTokens.length}`);
  }
  if (!Number.isInteger(maxWords) || maxWords < 16 || maxWords > 1 << 26) {
    throw new TokenizerError(`maxWords is ${maxWords}: expected a whole number from 16 to ${1 << 26}`);
  }

  const counts = new WordCounts(pattern === 'gpt2' ? gpt2Scanner('words') : gpt4Scanner(3), { words: maxWords, units: maxWords * 16 });
  const progress: TrainProgress = { phase: 'count', documents: 0, characters: 0, words: 0, threshold: 1, merges: 0, totalMerges };
  let reported = 0;
  for await (const document of documents) {
    signal?.throwIfAborted();
    counts.add(document);
    progress.documents++;
    progress.characters += document.length;
    if (progress.characters - reported < PROGRESS_CHARACTERS) continue;
    reported = progress.characters;
    await onProgress?.({ ...progress, words: counts.table.size, threshold: counts.threshold });
  }
  if (counts.table.size === 0) throw new TokenizerError('there is no text to train on: the documents are empty');
  progress.phase = 'merge';
  progress.words = counts.table.size;
  progress.threshold = counts.threshold;

  const tokens = BYTES_IN_TOKEN_ORDER.map(byteToCharacter);
  const merges: string[] = [];
  const merger = new PairMerger(symbolsOf(counts));
  while (merges.length < totalMerges) {
    signal?.throwIfAborted();
    const best = merger.best();
    if (best === undefined || best.count < 2) break;
    const [left, right] = [tokens[best.left] as string, tokens[best.right] as string];
    merger.merge(best.left, best.right, tokens.length);
    merges.push(`${left} ${right}`);
    tokens.push(left + right);
    progress.merges = merges.length;
    if (merges.length % PROGRESS_MERGES === 0) await onProgress?.({ ...progress });
  }
  await onProgress?.({ ...progress });
  return Tokenizer.fromJSON(tokenizerJSON(tokens, merges, specialTokens, pattern), configJSON(specialTokens, options.chatTemplate));
}

/** The words as ids of bytes, for the merger. */
function symbolsOf(counts: WordCounts): { symbols: Int32Array; starts: Int32Array; counts: Float64Array } {
  const { table } = counts;
  const idOfByte = new Int32Array(256);
  BYTES_IN_TOKEN_ORDER.forEach((byte, id) => (idOfByte[byte] = id));
  const starts = new Int32Array(table.size + 1);
  const wordCounts = new Float64Array(table.size);
  const bytes = new Uint8Array(table.units * 3);
  let used = 0;
  for (let word = 0; word < table.size; word++) {
    wordCounts[word] = counts.count(word);
    const text = table.word(word);
    used += writeUtf8(text, 0, text.length, bytes.subarray(used));
    starts[word + 1] = used;
  }
  const symbols = new Int32Array(used);
  for (let i = 0; i < used; i++) symbols[i] = at(idOfByte, at(bytes, i));
  return { symbols, starts, counts: wordCounts };
}

function tokenizerJSON(tokens: readonly string[], merges: readonly string[], specialTokens: readonly string[], pattern: SplitPattern): object {
  return {
    version: '1.0',
    added_tokens: specialTokens.map((content, i) => ({
      id: tokens.length + i, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true,
    })),
    normalizer: null,
    pre_tokenizer: preTokenizerJSON(pattern),
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  };
}

function configJSON(specialTokens: readonly string[], chatTemplate: string | null | undefined): Record<string, unknown> {
  const has = (token: string): string | undefined => (specialTokens.includes(token) ? token : undefined);
  const endOfText = has('<|endoftext|>');
  const endOfTurn = has('<|im_start|>') && has('<|im_end|>');
  const template = chatTemplate === undefined && endOfTurn !== undefined ? CHATML_TEMPLATE : (chatTemplate ?? undefined);
  const roles = {
    bos_token: endOfText,
    eos_token: template === undefined ? endOfText : (endOfTurn ?? endOfText),
    pad_token: endOfText,
    chat_template: template,
  };
  const config: Record<string, unknown> = { clean_up_tokenization_spaces: false };
  for (const [name, value] of Object.entries(roles)) if (value !== undefined) config[name] = value;
  return config;
}
