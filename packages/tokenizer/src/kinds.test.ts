/** BPE over characters, Unigram and WordPiece: values worked out by hand, and Hugging Face's own JavaScript library beside them. */
import * as library from '@huggingface/tokenizers';
import { describe, expect, test } from 'vitest';
import { TokenizerFormatError } from './errors.ts';
import { bertStyle, learnMerges, learnPieces, llamaStyle, t5Style } from './testing/kinds.ts';
import { nastyText, numbers } from './testing/corpus.ts';
import { Tokenizer } from './tokenizer.ts';

/** What is used of it here: its own types do not resolve for modules of Node. */
interface Library {
  encode(text: string): { ids: number[] };
  decode(ids: readonly number[], options: { skip_special_tokens: boolean }): string;
}
const { Tokenizer: Library } = library as unknown as { Tokenizer: new (tokenizer: object, config: object) => Library };

const byte = (value: number): number => 3 + value;

/** What a stream of tokens gives piece by piece; no piece may end within a character. */
function streamed(tokenizer: Tokenizer, ids: readonly number[], options: { skipSpecialTokens?: boolean } = {}): string[] {
  const decoder = tokenizer.createDecoder(options);
  return [...ids.map((id) => decoder.push(id)), decoder.flush()];
}

describe('BPE over characters, as Llama 2 has it', () => {
  const merges = [['h', 'e'], ['l', 'l'], ['he', 'll'], ['hell', 'o'], ['▁', 'hello'], ['▁', 'w'], ['o', 'r'], ['▁w', 'or'], ['l', 'd'], ['▁wor', 'ld']] as const;
  const file = llamaStyle(['▁', 'h', 'e', 'l', 'o', 'w', 'r', 'd', '!', '\n'], merges);
  const tokenizer = Tokenizer.fromJSON(file, { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' });
  const id = (token: string): number => tokenizer.tokenToId(token)!;

  test('words, with ▁ before the first', () => {
    expect(tokenizer.encode('hello world')).toEqual([1, id('▁hello'), id('▁world')]);
    expect(tokenizer.encode(' hello', { addSpecialTokens: false })).toEqual([id('▁'), id('▁hello')]);
    expect(tokenizer.encode('hell', { addSpecialTokens: false })).toEqual([id('▁'), id('hell')]);
    expect(tokenizer.encode('', { addSpecialTokens: false })).toEqual([]);
  });

  test('merges in the order of their ranks, the leftmost first', () => {
    // ▁ l l l: (l, l) merges at the first place it can.
    expect(tokenizer.encode('lll', { addSpecialTokens: false })).toEqual([id('▁'), id('ll'), id('l')]);
    // o r goes before ▁w or; ▁ w before both.
    expect(tokenizer.encode('wor', { addSpecialTokens: false })).toEqual([id('▁wor')]);
  });

  test('characters that the vocabulary lacks are bytes, and come back whole', () => {
    const ids = tokenizer.encode('hello ☃é', { addSpecialTokens: false });
    expect(ids).toEqual([id('▁hello'), id('▁'), byte(0xe2), byte(0x98), byte(0x83), byte(0xc3), byte(0xa9)]);
    expect(tokenizer.decode(ids)).toBe('hello ☃é');
    expect(streamed(tokenizer, ids)).toEqual(['hello', ' ', '', '', '☃', '', 'é', '']);
    expect(streamed(tokenizer, ids.slice(0, 4)).join('')).toBe('hello \ufffd');
    expect(tokenizer.tokenBytes(byte(0xe2))).toEqual(Uint8Array.of(0xe2));
    expect(tokenizer.tokenBytes(id('▁hello'))).toEqual(new TextEncoder().encode(' hello'));
  });

  test('one blank at the beginning of the text is the tokenizer\'s own, and special tokens keep it from being the beginning', () => {
    const ids = tokenizer.encode('  hello');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('  hello');
    expect(tokenizer.decode(tokenizer.encode('hello'))).toBe('<s> hello');
    expect(streamed(tokenizer, tokenizer.encode('hello world'), { skipSpecialTokens: true }).join('')).toBe('hello world');
  });

  test('special tokens in a user\'s text are text unless they are asked for', () => {
    expect(tokenizer.encode('</s>', { special: 'parse' })).toEqual([1, 2]);
    expect(tokenizer.encode('</s>')).not.toContain(2);
    expect(tokenizer.decode(tokenizer.encode('a</s>b', { addSpecialTokens: false }))).toBe('a</s>b');
  });

  test('a merge across words is done, and then words are not merged for themselves', () => {
    const across = Tokenizer.fromJSON(llamaStyle(['▁', 'a', 'b'], [['a', '▁'], ['▁', 'b'], ['a▁', 'b']]));
    const plain = Tokenizer.fromJSON(llamaStyle(['▁', 'a', 'b'], [['▁', 'b']]));
    const tokens = (of: Tokenizer): (string | undefined)[] => of.encode('a b', { addSpecialTokens: false }).map((token) => of.idToToken(token));
    expect(tokens(across)).toEqual(['▁', 'a▁b']);
    expect(tokens(plain)).toEqual(['▁', 'a', '▁b']);
  });

  test('is written as it was read', () => {
    expect(tokenizer.toJSON()).toEqual(file);
  });
});

describe('WordPiece, as BERT has it', () => {
  const file = bertStyle(['hello', ',', 'world', '!', 'un', '##aff', '##able', '中', "'", 's', 'don', 't', '##s', 'it', '.', 'a', '##b']);
  const tokenizer = Tokenizer.fromJSON(file, { cls_token: '[CLS]', sep_token: '[SEP]', pad_token: '[PAD]', mask_token: '[MASK]', unk_token: '[UNK]' });
  const tokens = (ids: readonly number[]): (string | undefined)[] => ids.map((id) => tokenizer.idToToken(id));

  test('lower case, no accents, punctuation and Chinese apart, the longest pieces first, unknown words whole', () => {
    expect(tokens(tokenizer.encode('Héllo, WORLD!  unaffable\t中文'))).toEqual(
      ['[CLS]', 'hello', ',', 'world', '!', 'un', '##aff', '##able', '中', '[UNK]', '[SEP]'],
    );
    expect(tokens(tokenizer.encode('unaffabl', { addSpecialTokens: false }))).toEqual(['[UNK]']);
    // 𠀀 is Chinese too, beyond the first 65,536 characters; a control character and a soft hyphen are dropped.
    expect(tokens(tokenizer.encode('a𠀀a he\u0007l\u00adlo', { addSpecialTokens: false }))).toEqual(['a', '[UNK]', 'a', 'hello']);
    expect(tokens(tokenizer.encode(`${'a'.repeat(101)} a${'b'.repeat(99)}`, { addSpecialTokens: false }))).toEqual(['[UNK]', 'a', ...Array<string>(99).fill('##b')]);
  });

  test('decodes to words with blanks between, but for punctuation and English endings', () => {
    const ids = tokenizer.encode("hello, world! it's unaffable.");
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("hello, world! it ' s unaffable.");
    expect(streamed(tokenizer, ids, { skipSpecialTokens: true }).join('')).toBe("hello, world! it ' s unaffable.");
    expect(tokenizer.decode(ids.slice(0, 2))).toBe('[CLS] hello');
  });

  test('a mask is one token where it is asked for', () => {
    expect(tokenizer.maskTokenId).toBe(4);
    expect(tokens(tokenizer.encode('hello [MASK]!', { special: 'parse' }))).toEqual(['[CLS]', 'hello', '[MASK]', '!', '[SEP]']);
    expect(tokenizer.encode('hello [MASK]!')).not.toContain(4);
  });
});

describe('Unigram, as T5 has it', () => {
  const pieces = [['▁', -2], ['▁a', -3], ['a', -3.5], ['b', -3], ['ab', -5], ['▁ab', -6.5], ['c', -4], ['bc', -6.9], ['abc', -9]] as const;
  const tokenizer = Tokenizer.fromJSON(t5Style(pieces), { eos_token: '</s>', unk_token: '<unk>', pad_token: '<pad>' });
  const tokens = (text: string): (string | undefined)[] => tokenizer.encode(text).map((id) => tokenizer.idToToken(id));

  test('the cut whose pieces are together the most likely', () => {
    // ▁ab is −6.5; ▁a + b −6; ▁ + ab −7; ▁ + a + b −8.5.
    expect(tokens('ab')).toEqual(['▁a', 'b', '</s>']);
    // ▁a + bc −9.9; ▁a + b + c −10; ▁ab + c −10.5; ▁ + abc −11.
    expect(tokens('abc')).toEqual(['▁a', 'bc', '</s>']);
    expect(tokens('b a')).toEqual(['▁', 'b', '▁a', '</s>']);
  });

  test('characters that no piece covers are one unknown token in a row', () => {
    expect(tokens('axyb')).toEqual(['▁a', '<unk>', 'b', '</s>']);
    expect(tokens('☃')).toEqual(['▁', '<unk>', '</s>']);
    expect(tokens('𠀀𠀁b')).toEqual(['▁', '<unk>', 'b', '</s>']);
  });

  test('decodes to the text, its first blank dropped', () => {
    const ids = tokenizer.encode('ab  abc b');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('ab abc b');
    expect(streamed(tokenizer, ids, { skipSpecialTokens: true }).join('')).toBe('ab abc b');
  });

  test('a model without a piece for unknown characters says which it lacks', () => {
    const file = t5Style(pieces);
    (file['model'] as Record<string, unknown>)['unk_id'] = null;
    expect(() => Tokenizer.fromJSON(file).encode('x')).toThrow('model.unk_id: is absent, and no piece covers "x"');
  });
});

describe('a normalization table', () => {
  /** A double array with these replacements, laid out by hand: unit 0 is the root, every other base is chosen free. */
  function table(entries: readonly (readonly [string, string])[]): string {
    interface Node { readonly children: Map<number, Node>; value: number | null }
    const root: Node = { children: new Map(), value: null };
    const texts: number[] = [];
    for (const [from, to] of entries) {
      let node = root;
      for (const unit of new TextEncoder().encode(from)) {
        if (!node.children.has(unit)) node.children.set(unit, { children: new Map(), value: null });
        node = node.children.get(unit)!;
      }
      node.value = texts.length;
      texts.push(...new TextEncoder().encode(to), 0);
    }
    const units = new Uint32Array(1 << 14);
    let free = 256;
    // Bases at multiples of 256 never collide: a child's place is base ^ label, a leaf's is the base itself.
    const place = (node: Node, at: number, label: number): void => {
      const base = free;
      free += 256;
      units[at] = (((at ^ base) << 10) | (node.value === null ? 0 : 0x100) | label) >>> 0;
      if (node.value !== null) units[base] = (0x80000000 | node.value) >>> 0;
      for (const [unit, child] of node.children) place(child, base ^ unit, unit);
    };
    place(root, 0, 0);
    const bytes = new Uint8Array(4 + units.byteLength + texts.length);
    new DataView(bytes.buffer).setUint32(0, units.byteLength, true);
    bytes.set(new Uint8Array(units.buffer), 4);
    bytes.set(texts, 4 + units.byteLength);
    return Buffer.from(bytes).toString('base64');
  }
  const withTable = (charsmap: string): Tokenizer => {
    const file = t5Style([['▁', -2], ['a', -3], ['b', -3], ['c', -3], ['fi', -3]]);
    return Tokenizer.fromJSON({ ...file, normalizer: { type: 'Precompiled', precompiled_charsmap: charsmap } });
  };

  test('replaces what it has, as a whole grapheme or character by character', () => {
    const tokenizer = withTable(table([['ﬁ', 'fi'], ['Ａ', 'a'], ['e\u0301', 'b'], ['\u0302', 'c'], ['\u00a0', ' ']]));
    const tokens = (text: string): (string | undefined)[] => tokenizer.encode(text, { addSpecialTokens: false }).map((id) => tokenizer.idToToken(id));
    expect(tokens('ﬁＡ')).toEqual(['▁', 'fi', 'a']);
    expect(tokens('e\u0301')).toEqual(['▁', 'b']);
    expect(tokens('a\u0302')).toEqual(['▁', 'a', 'c']);
    expect(tokens('a\u00a0b')).toEqual(['▁', 'a', '▁', 'b']);
  });

  test.each([
    ['not base64!', 'has " " at 3, which is not base64'],
    ['AAAA', 'is no table of characters'],
    ['/////w==', 'is no table of characters: it says that its trie has 4294967295 of its 4 bytes'],
  ])('%s is refused', (charsmap, message) => {
    expect(() => withTable(charsmap)).toThrow(message);
    expect(() => withTable(charsmap)).toThrow(TokenizerFormatError);
  });
});

describe("the same ids and texts as @huggingface/tokenizers", () => {
  const sample = Array.from({ length: 12 }, (_, seed) => nastyText(seed, 400)).join(' ').replaceAll('\0', '');
  const words = sample.toLowerCase().normalize('NFD').replaceAll(/\p{Mn}/gu, '').split(/[\s\p{P}!-/:-@[-`{-~]+/u).filter(Boolean);
  const characters = [...new Set(words.join(''))];
  const { pieces, merges } = learnMerges(sample, 200);
  const kinds = {
    'BPE over characters': llamaStyle(pieces.slice(0, 150), merges.filter((pair) => pair.every((part) => Array.from(part).every((c) => pieces.slice(0, 150).includes(c))))),
    Unigram: t5Style(learnPieces(sample, 300)),
    WordPiece: bertStyle([...words.slice(0, 200).filter((_, i) => i % 3 > 0), ...characters, ...characters.filter((_, i) => i % 5 > 0).map((c) => `##${c}`), ...'!"#$%&\'()*+,-./:;<=>?@'.split('')]),
  };
  // What the library does otherwise than Hugging Face's Rust: Chinese beyond 16 bits, JavaScript's idea of lower case, and \s for White_Space.
  const agreed = (text: string): string => text.replaceAll(/[\u{10000}-\u{10ffff}\u0130\u03a3\u0085\ufeff\ufffd\0]/gu, '').replaceAll(/<s>|<\/s>|<unk>|<pad>|\[(?:MASK|CLS|SEP|PAD|UNK)\]/g, '');

  for (const [kind, file] of Object.entries(kinds)) {
    test(`${kind}: 200 nasty texts`, () => {
      const theirs = new Library({ ...file, truncation: null }, { clean_up_tokenization_spaces: false });
      const ours = Tokenizer.fromJSON(file);
      const below = numbers(17);
      for (let seed = 100; seed < 300; seed++) {
        const text = agreed(nastyText(seed, 1 + below(120)));
        const ids = ours.encode(text);
        expect(ids, JSON.stringify(text)).toEqual(theirs.encode(text).ids);
        const skip = ours.decode(ids, { skipSpecialTokens: true });
        expect(streamed(ours, ids, { skipSpecialTokens: true }).join('')).toBe(skip);
        expect(skip, JSON.stringify(text)).toBe(theirs.decode(ids, { skip_special_tokens: true }));
      }
    });
  }
});
