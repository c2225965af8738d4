/**
 * SentencePiece's normalization table (`precompiled_charsmap`): a double-array trie (Aoe, 1989; the layout of darts-clone) from strings
 * to places in a text of replacements. Little-endian: bytes of the trie (u32), the trie's units (u32 each), the replacements, each ended
 * by a zero. Applied as Hugging Face's tokenizers do: to a grapheme of under 6 bytes as a whole, else to each of its characters.
 */
import { TokenizerFormatError } from './errors.ts';

const LONGEST_GRAPHEME = 6;

/** @throws TokenizerFormatError for a table that is not one. */
export function parsePrecompiled(base64: string, path: string): (text: string) => string {
  const bytes = decodeBase64(base64, path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bytes.length < 4 ? -1 : view.getUint32(0, true);
  if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length) {
    throw new TokenizerFormatError(path, `is no table of characters: it says that its trie has ${size} of its ${bytes.length} bytes`);
  }
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = bytes.subarray(4 + size);
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const encoder = new TextEncoder();
  const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
  const known = new Map<string, string | undefined>();

  /** What stands for the first known prefix of a string, which stands for all of it. */
  const replacement = (text: string): string | undefined => {
    let at = offsetOf(units[0] as number);
    for (const byte of encoder.encode(text)) {
      if (byte === 0) return undefined;
      at ^= byte;
      const unit = units[at];
      if (unit === undefined || (unit & 0x800000ff) !== byte) return undefined;
      at ^= offsetOf(unit);
      if ((unit & 0x100) === 0) continue;
      const start = (units[at] ?? 0) & 0x7fffffff;
      const end = replacements.indexOf(0, start);
      return end < 0 ? undefined : decoder.decode(replacements.subarray(start, end));
    }
    return undefined;
  };
  const lookUp = (text: string): string | undefined => {
    if (!known.has(text)) {
      if (known.size >= 1 << 14) known.clear();
      known.set(text, replacement(text));
    }
    return known.get(text);
  };
  const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  return (text) => {
    let result = '';
    for (const { segment } of graphemes.segment(text)) {
      const whole = encoder.encode(segment).length < LONGEST_GRAPHEME ? lookUp(segment) : undefined;
      if (whole !== undefined) result += whole;
      else for (const character of segment) result += lookUp(character) ?? character;
    }
    return result;
  };
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function decodeBase64(text: string, path: string): Uint8Array {
  const digits = text.replace(/=+$/, '');
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let bits = 0;
  for (let i = 0, length = 0; i < digits.length; i++) {
    const value = ALPHABET.indexOf(digits[i] as string);
    if (value < 0) throw new TokenizerFormatError(path, `has ${JSON.stringify(digits[i])} at ${i}, which is not base64`);
    bits = ((bits << 6) | value) & 0xffffff;
    if (i % 4 !== 0) bytes[length++] = bits >> (6 - 2 * (i % 4));
  }
  return bytes;
}
