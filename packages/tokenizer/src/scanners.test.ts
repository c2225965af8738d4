import { describe, expect, test } from 'vitest';
import { translatePattern } from './pattern.ts';
import { parsePreTokenizer } from './pre-tokenizer.ts';
import { GPT2_PATTERN, GPT4_PATTERN, gpt2Scanner, gpt4Scanner, QWEN2_PATTERN, type Scanner } from './scanners.ts';
import { nastyText } from './testing/corpus.ts';

const words = (scanner: Scanner, text: string): string[] => {
  const found: string[] = [];
  for (let start = 0; start < text.length;) {
    const end = scanner(text, start, text.length);
    found.push(text.slice(start, end));
    start = end;
  }
  return found;
};
const matches = (pattern: string, text: string): string[] => Array.from(text.matchAll(translatePattern(pattern)), ([match]) => match);

const SHORT = ['', ' ', '  ', '\n', ' \n', '\n ', '\r\n', "'", "'s", " 's", "''s", "'S", "'\u017f", "'ſt", 'a ', 'a  ', 'a  b', 'a \n b', '\t\tx', '1 2', '  1'];

describe.each([
  { name: 'GPT-2', scanner: gpt2Scanner('words'), pattern: GPT2_PATTERN },
  { name: 'GPT-4', scanner: gpt4Scanner(3), pattern: GPT4_PATTERN },
  { name: 'Qwen 2', scanner: gpt4Scanner(1), pattern: QWEN2_PATTERN },
])('the $name scanner', ({ scanner, pattern }) => {
  test.each([101, 102, 103, 104])('finds the words of the regular expression in 100,000 nasty characters, seed %i', (seed) => {
    const text = nastyText(seed, 100_000, { disputed: seed % 2 === 0 });
    expect(words(scanner, text)).toEqual(matches(pattern, text));
  });

  test('finds them in short texts and at ends', () => {
    for (const text of SHORT) expect(words(scanner, text)).toEqual(matches(pattern, text));
    for (let seed = 0; seed < 3000; seed++) {
      const text = nastyText(seed, 1 + (seed % 12)).toWellFormed();
      expect(words(scanner, text), `seed ${seed}`).toEqual(matches(pattern, text));
    }
  });

  test('finds them around every character', () => {
    let text = '';
    for (let point = 0; point < 0x20000; point += point < 0x3000 ? 1 : 7) {
      if (point >= 0xd800 && point < 0xe000) continue;
      const character = String.fromCodePoint(point);
      text += `${character}x ${character}${character}1${character} `;
    }
    expect(words(scanner, text)).toEqual(matches(pattern, text));
  });

  test('looks at nothing from the end on', () => {
    const text = nastyText(105, 4000).toWellFormed();
    const isInside = (place: number): boolean => (text.charCodeAt(place) & 0xfc00) === 0xdc00;
    const lengths: number[] = [];
    const expected: number[] = [];
    for (let end = 50; end < 1500; end++) {
      const start = end - 40 - (end % 7);
      if (isInside(end) || isInside(start)) continue;
      lengths.push(scanner(text, start, end) - start);
      expected.push(scanner(text.slice(start, end), 0, end - start));
    }
    expect(lengths).toEqual(expected);
  });
});

test.each([
  { digits: 'single', individual: true },
  { digits: 'run', individual: false },
] as const)('the scanner for Digits (individual: $individual) before ByteLevel finds the words of the two stages', ({ digits, individual }) => {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };
  const digitsStage = { type: 'Digits', individual_digits: individual };
  const both = parsePreTokenizer({ type: 'Sequence', pretokenizers: [digitsStage, byteLevel] });
  expect(both.scanner).toBeDefined();
  // A pattern that finds nothing keeps the stages from being recognized, and so runs them one by one.
  const never = { type: 'Split', pattern: { Regex: '(?!)' }, behavior: 'Isolated', invert: false };
  const slow = parsePreTokenizer({ type: 'Sequence', pretokenizers: [never, digitsStage, byteLevel] });
  expect(slow.scanner).toBeUndefined();
  for (let seed = 200; seed < 210; seed++) {
    const text = nastyText(seed, 10_000).toWellFormed();
    const expected: string[] = [];
    slow.split(text, (piece, start, end) => expected.push(piece.slice(start, end)));
    expect(words(gpt2Scanner(digits), text), `seed ${seed}`).toEqual(expected);
  }
});
