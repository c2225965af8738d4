/**
 * Hand-written scanners for the two families of split patterns that nearly every byte-level tokenizer uses. Each gives,
 * from a place in the text, the end of the word that the pattern would match there; tests hold them to the regular
 * expressions, character by character. They run at several times a regular expression's speed.
 */
import { classAt, LETTER, NEWLINE, NUMBER, OTHER, runEnd, SPACE, widthAt } from './character-classes.ts';

/** The end of the word that starts at `start` (start < end). Looks at nothing from `end` on. The text is well-formed. */
export type Scanner = (text: string, start: number, end: number) => number;

/** GPT-2's pattern (Radford et al., 2019), also Hugging Face's `ByteLevel` with `use_regex`. */
export const GPT2_PATTERN = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** GPT-4's pattern (cl100k_base) as Llama 3 writes it; `digits` is `{1,3}` there and empty in Qwen 2. */
const gpt4Pattern = (digits: string): string =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}${digits}` +
  String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
export const GPT4_PATTERN = gpt4Pattern('{1,3}');
export const QWEN2_PATTERN = gpt4Pattern('');

const APOSTROPHE = 0x27;
const BLANK = 0x20;

/** Length of 's 't 're 've 'm 'll 'd at `i`, where an apostrophe stands; 0 when there is none. */
function contraction(text: string, i: number, end: number): number {
  const next = i + 1 < end ? text.charCodeAt(i + 1) : 0;
  if (next === 0x73 || next === 0x74 || next === 0x6d || next === 0x64) return 2; // s t m d
  const last = i + 2 < end ? text.charCodeAt(i + 2) : 0;
  if ((next === 0x72 || next === 0x76) && last === 0x65) return 3; // re ve
  return next === 0x6c && last === 0x6c ? 3 : 0; // ll
}

/** The same in any case. U+017F, the long s, is an s in any case: Unicode's case folding says so. */
function contractionAnyCase(text: string, i: number, end: number): number {
  const next = i + 1 < end ? text.charCodeAt(i + 1) : 0;
  if (next === 0x17f) return 2;
  if (next > 0x7f) return 0;
  const lower = next | 0x20;
  if (lower === 0x73 || lower === 0x74 || lower === 0x6d || lower === 0x64) return 2;
  const unit = i + 2 < end ? text.charCodeAt(i + 2) : 0;
  const last = unit > 0x7f ? 0 : unit | 0x20;
  if ((lower === 0x72 || lower === 0x76) && last === 0x65) return 3;
  return lower === 0x6c && last === 0x6c ? 3 : 0;
}

/**
 * GPT-2's words. `digits`: what a `Digits` pre-tokenizer before it makes of numbers, pieces of one digit (`single`) or of
 * a whole run (`run`); `words` when there is none, and a number takes a blank before it.
 */
export function gpt2Scanner(digits: 'words' | 'single' | 'run'): Scanner {
  const apart = digits !== 'words';
  return (text, start, end) => {
    const unit = text.charCodeAt(start);
    if (unit === APOSTROPHE) {
      const length = contraction(text, start, end);
      if (length > 0) return start + length;
    }
    const first = unit === BLANK && start + 1 < end ? start + 1 : start;
    const cls = classAt(text, first);
    if (cls === LETTER || cls === OTHER) return runEnd(text, first + widthAt(text, first), end, cls);
    if (cls === NUMBER && !apart) return runEnd(text, first + widthAt(text, first), end, NUMBER);
    if (cls === NUMBER) {
      if (first > start) return first;
      const one = first + widthAt(text, first);
      return digits === 'single' ? one : runEnd(text, one, end, NUMBER);
    }
    // White space: all of it at the end of a piece, else all but the last character, which belongs to what follows.
    let after = start + 1;
    let next = OTHER;
    while (after < end && ((next = classAt(text, after)) === SPACE || next === NEWLINE)) after++;
    if (after === end || (apart && next === NUMBER)) return after;
    return after - start > 1 ? after - 1 : after;
  };
}

/** GPT-4's words, with numbers in pieces of at most `maxDigits` digits. */
export function gpt4Scanner(maxDigits: number): Scanner {
  return (text, start, end) => {
    const unit = text.charCodeAt(start);
    if (unit === APOSTROPHE) {
      const length = contractionAnyCase(text, start, end);
      if (length > 0) return start + length;
    }
    const cls = classAt(text, start);
    const second = start + widthAt(text, start);
    if (cls === LETTER) return runEnd(text, second, end, LETTER);
    if (cls === NUMBER) {
      let i = second;
      for (let count = 1; count < maxDigits && i < end && classAt(text, i) === NUMBER; count++) i += widthAt(text, i);
      return i;
    }
    // One character that is neither letter, number nor line break belongs to the letters after it.
    const secondClass = second < end ? classAt(text, second) : NEWLINE;
    if (cls !== NEWLINE && secondClass === LETTER) return runEnd(text, second, end, LETTER);
    if (cls === OTHER || (unit === BLANK && secondClass === OTHER)) {
      let i = runEnd(text, second, end, OTHER);
      while (i < end && classAt(text, i) === NEWLINE) i++;
      return i;
    }
    // White space: up to its last line break, else as in GPT-2.
    let afterBreak = cls === NEWLINE ? second : 0;
    let after = second;
    while (after < end) {
      const next = classAt(text, after);
      if (next === NEWLINE) afterBreak = after + 1;
      else if (next !== SPACE) break;
      after++;
    }
    if (afterBreak > 0) return afterBreak;
    return after === end || after - start === 1 ? after : after - 1;
  };
}
