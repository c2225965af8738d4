/**
 * What the published split patterns ask of a character: letter, number, white space, or none of them. Read from the
 * runtime's own Unicode tables once, so that the hand-written scanners and the regular expressions agree by construction.
 *
 * White space is Unicode's White_Space, as in Oniguruma, Rust and Python's `regex`. JavaScript's `\s` differs from it in
 * two characters (it has U+FEFF and lacks U+0085), which is why it appears nowhere here.
 */
import { at } from './unchecked.ts';

export const OTHER = 0;
export const LETTER = 1;
export const NUMBER = 2;
/** White space but CR and LF. */
export const SPACE = 3;
/** CR or LF. */
export const NEWLINE = 4;
/** In the table of code units only: half of a surrogate pair, see `astralClass`. */
const SURROGATE = 5;
/** In the table of code units only: of a block that no text has had a character of yet. */
const UNKNOWN = 6;
const BLOCK = 256;

/** Code unit → class. All of them take 10 ms to ask for, which a start would feel; a block takes microseconds. */
const UNIT_CLASSES = new Uint8Array(0x10000).fill(UNKNOWN).fill(SURROGATE, 0xd800, 0xe000);
/** Code point − 0x10000 → class + 1, 0 while not yet asked for. 1 MiB, on the first emoji. */
let astralClasses: Uint8Array | undefined;

/** Fills in the block of a code unit that is half of no pair; answers the unit's class. */
function learn(unit: number): number {
  const from = unit - (unit % BLOCK);
  let text = '';
  for (let each = from; each < from + BLOCK; each++) text += String.fromCharCode(each);
  UNIT_CLASSES.fill(OTHER, from, from + BLOCK);
  for (const [pattern, cls] of [[/\p{L}+/gu, LETTER], [/\p{N}+/gu, NUMBER], [/\p{White_Space}+/gu, SPACE]] as const) {
    for (const match of text.matchAll(pattern)) UNIT_CLASSES.fill(cls, from + match.index, from + match.index + match[0].length);
  }
  if (from === 0) UNIT_CLASSES[0x0a] = UNIT_CLASSES[0x0d] = NEWLINE;
  return at(UNIT_CLASSES, unit);
}

/** The class of a code point over 0xFFFF (none of them is white space). */
function astralClass(codePoint: number): number {
  astralClasses ??= new Uint8Array(0x100000);
  const known = at(astralClasses, codePoint - 0x10000);
  if (known !== 0) return known - 1;
  const character = String.fromCodePoint(codePoint);
  const cls = /\p{L}/u.test(character) ? LETTER : /\p{N}/u.test(character) ? NUMBER : OTHER;
  astralClasses[codePoint - 0x10000] = cls + 1;
  return cls;
}

/** The class of the character that starts at `index`, which is inside the text. The text is well-formed UTF-16. */
export function classAt(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  const cls = at(UNIT_CLASSES, unit);
  if (cls < SURROGATE) return cls;
  return cls === SURROGATE ? astralClass(text.codePointAt(index) as number) : learn(unit);
}

/** How many code units the character at `index` takes. */
export const widthAt = (text: string, index: number): number => ((text.charCodeAt(index) & 0xfc00) === 0xd800 ? 2 : 1);

/** Where the run of characters of one class that starts at `index` ends, `end` at most. */
export function runEnd(text: string, index: number, end: number, cls: number): number {
  let i = index;
  while (i < end) {
    const unit = text.charCodeAt(i);
    let found = at(UNIT_CLASSES, unit);
    if (found === UNKNOWN) found = learn(unit);
    if (found === cls) i++;
    else if (found === SURROGATE && astralClass(text.codePointAt(i) as number) === cls) i += 2;
    else break;
  }
  return i;
}
