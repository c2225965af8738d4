/** tokenizer.json files of every kind of model, small and made here: vocabularies are learned from a text in the plainest way. */

const added = (contents: readonly string[], first = 0): object[] =>
  contents.map((content, i) => ({ id: first + i, content, special: true, normalized: false, single_word: false, lstrip: false, rstrip: false }));

const token = (id: string): object => ({ SpecialToken: { id, type_id: 0 } });
const text = { Sequence: { id: 'A', type_id: 0 } };

/** How often each string stands in a list, the most frequent first, then in the order of the strings. */
function frequencies(strings: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const string of strings) counts.set(string, (counts.get(string) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

const BYTES = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);

/** As Llama 2's: SentencePiece BPE with byte fallback, words not split, ▁ before the text. */
export function llamaStyle(pieces: readonly string[], merges: readonly (readonly [string, string])[]): Record<string, unknown> {
  const tokens = ['<unk>', '<s>', '</s>', ...BYTES, ...pieces, ...merges.map((pair) => pair.join(''))];
  return {
    version: '1.0', truncation: null, padding: null, added_tokens: added(['<unk>', '<s>', '</s>']),
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing', single: [token('<s>'), text], pair: [], special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE', dropout: null, unk_token: '<unk>', continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: true, byte_fallback: true,
      vocab: Object.fromEntries(new Map(tokens.map((piece, id) => [piece, id] as const))), merges: merges.map((pair) => pair.join(' ')),
    },
  };
}

/** Pieces and merges for `llamaStyle`, learned from a text. */
export function learnMerges(sample: string, count: number): { pieces: string[]; merges: [string, string][] } {
  let words = sample.split(' ').map((word) => Array.from(`▁${word}`));
  const pieces = frequencies(words.flat()).map(([piece]) => piece);
  const merges: [string, string][] = [];
  while (merges.length < count) {
    const pairs = frequencies(words.flatMap((word) => word.slice(1).map((right, i) => `${word[i]}\0${right}`)));
    const made = new Set([...pieces, ...merges.map((pair) => pair.join(''))]);
    const best = pairs.map(([pair]) => pair.split('\0') as [string, string]).find((pair) => !made.has(pair.join('')));
    if (best === undefined) break;
    merges.push(best);
    words = words.map((word) => {
      const merged: string[] = [];
      for (let i = 0; i < word.length; i++) merged.push(word[i] === best[0] && word[i + 1] === best[1] ? best.join('') + (i++, '') : (word[i] as string));
      return merged;
    });
  }
  return { pieces, merges };
}

/** As BERT's, lower case. */
export function bertStyle(words: readonly string[]): Record<string, unknown> {
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  const tokens = [...new Set([...special, ...words])];
  const ids = (name: string): object => ({ id: name, ids: [special.indexOf(name)], tokens: [name] });
  return {
    version: '1.0', truncation: { direction: 'Right', max_length: 128, strategy: 'LongestFirst', stride: 0 }, padding: null, added_tokens: added(special),
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing', single: [token('[CLS]'), text, token('[SEP]')], pair: [], special_tokens: { '[CLS]': ids('[CLS]'), '[SEP]': ids('[SEP]') },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens.map((piece, id) => [piece, id])),
    },
  };
}

/** As T5's: Unigram, ▁ before every word, </s> behind the text. */
export function t5Style(pieces: readonly (readonly [string, number])[]): Record<string, unknown> {
  const vocab = [['<pad>', 0], ['</s>', 0], ['<unk>', 0], ...pieces];
  return {
    version: '1.0', truncation: null, padding: null, added_tokens: added(['<pad>', '</s>', '<unk>']),
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true }] },
    post_processor: {
      type: 'TemplateProcessing', single: [text, token('</s>')], pair: [], special_tokens: { '</s>': { id: '</s>', ids: [1], tokens: ['</s>'] } },
    },
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: { type: 'Unigram', unk_id: 2, vocab, byte_fallback: false },
  };
}

/** Pieces with log-frequencies for `t5Style`: every character of a text and its most frequent short strings. */
export function learnPieces(sample: string, count: number): [string, number][] {
  const words = sample.split(/\s+/).map((word) => Array.from(`▁${word}`));
  const strings = words.flatMap((word) => word.flatMap((_, i) => [2, 3, 4, 6].filter((n) => i + n <= word.length).map((n) => word.slice(i, i + n).join(''))));
  const all = [...frequencies(words.flat()), ...frequencies(strings).slice(0, count)];
  return all.map(([piece, n]) => [piece, Math.log(n / strings.length)]);
}
