/** Sets of Unicode code points, and how they are written: as UTF-8, or inside a JSON string. */
import { bytes, choice, type Expression, literal, sequence } from './grammar.ts';

/** Sorted, apart from each other, both ends included. */
export type CodePoints = readonly (readonly [low: number, high: number])[];

const LAST = 0x10ffff;
/** Halves of UTF-16 pairs are no characters. */
const SURROGATES = [0xd800, 0xdfff] as const;

export function codePoints(ranges: Iterable<readonly [number, number]>): CodePoints {
  const merged: [number, number][] = [];
  for (const [low, high] of [...ranges].toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else merged.push([low, high]);
  }
  return merged;
}

export function complement(set: CodePoints): CodePoints {
  const rest: [number, number][] = [];
  let from = 0;
  for (const [low, high] of set) {
    if (low > from) rest.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= LAST) rest.push([from, LAST]);
  return rest;
}

export const ANY: CodePoints = [[0, LAST]];

function intersect(set: CodePoints, low: number, high: number): CodePoints {
  return set.filter(([from, to]) => from <= high && to >= low).map(([from, to]) => [Math.max(from, low), Math.min(to, high)] as const);
}

/** One of the characters, as UTF-8. */
export function utf8(set: CodePoints): Expression {
  const options: Expression[] = [];
  const add = (low: number, high: number): void => void options.push(...utf8Ranges(low, high));
  for (const [low, high] of set) {
    if (low < SURROGATES[0]) add(low, Math.min(high, SURROGATES[0] - 1));
    if (high > SURROGATES[1]) add(Math.max(low, SURROGATES[1] + 1), high);
  }
  // All the single bytes in one step.
  return options.length === 1 ? (options[0] as Expression) : choice(...options);
}

/** Code points low…high as sequences of byte ranges: cut where the number of bytes changes, then where leading bytes do. */
function utf8Ranges(low: number, high: number): Expression[] {
  for (const limit of [0x7f, 0x7ff, 0xffff]) if (low <= limit && high > limit) return [...utf8Ranges(low, limit), ...utf8Ranges(limit + 1, high)];
  if (high <= 0x7f) return [bytes([low, high])];
  for (let bits = 6; bits <= 18; bits += 6) {
    const mask = (1 << bits) - 1;
    // Within one leading part, or over whole runs of what follows it: otherwise cut there.
    if ((low & ~mask) === (high & ~mask)) break;
    if ((low & mask) !== 0) return [...utf8Ranges(low, low | mask), ...utf8Ranges((low | mask) + 1, high)];
    if ((high & mask) !== mask) return [...utf8Ranges(low, (high & ~mask) - 1), ...utf8Ranges(high & ~mask, high)];
  }
  const encode = (point: number): Uint8Array => new TextEncoder().encode(String.fromCodePoint(point));
  const [first, last] = [encode(low), encode(high)];
  return [sequence(...Array.from(first, (byte, i) => bytes([byte, last[i] ?? byte])))];
}

const SHORT_ESCAPES: Readonly<Record<number, string>> = { 0x08: '\\b', 0x09: '\\t', 0x0a: '\\n', 0x0c: '\\f', 0x0d: '\\r', 0x22: '\\"', 0x5c: '\\\\' };

/** One of the characters inside a JSON string: itself, or its escape where it needs one (RFC 8259, section 7). */
export function jsonCharacter(set: CodePoints): Expression {
  const options: Expression[] = [];
  const plain = [...intersect(set, 0x20, 0x21), ...intersect(set, 0x23, 0x5b), ...intersect(set, 0x5d, LAST)];
  if (plain.length > 0) options.push(utf8(codePoints(plain)));
  for (const [low, high] of [...intersect(set, 0, 0x1f), ...intersect(set, 0x22, 0x22), ...intersect(set, 0x5c, 0x5c)]) {
    for (let point = low; point <= high; point++) options.push(literal(SHORT_ESCAPES[point] ?? `\\u${point.toString(16).padStart(4, '0')}`));
  }
  // Where every character may stand, so may escapes that nobody needs; halves of pairs only together, so not at all.
  if (set === ANY) options.push(literal('\\/'), sequence(literal('\\u'), choice(sequence(HEX_BUT_D, HEX, HEX, HEX), sequence(D, bytes([0x30, 0x37]), HEX, HEX))));
  return options.length === 1 ? (options[0] as Expression) : choice(...options);
}

const HEX = bytes([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]);
const HEX_BUT_D = bytes([0x30, 0x39], [0x41, 0x43], [0x45, 0x46], [0x61, 0x63], [0x65, 0x66]);
const D = bytes([0x44, 0x44], [0x64, 0x64]);
