/**
 * GPT-2's alphabet of bytes (Radford et al., 2019): every byte is written as one printable character, so that a token
 * of any bytes is a string a JSON file can hold. Printable Latin-1 bytes stand for themselves; the other 68 are
 * U+0100, U+0101, … in order, so that the space is `Ġ` and the newline `Ċ`.
 */
import { at } from './unchecked.ts';

const isPrintable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

/** byte → its character's code unit. */
const UNIT_OF_BYTE = new Uint16Array(256);
/** code unit below 512 → byte + 1, 0 where the character is not in the alphabet. */
const BYTE_OF_UNIT = new Uint16Array(512);
{
  let unused = 0x100;
  for (let byte = 0; byte < 256; byte++) UNIT_OF_BYTE[byte] = isPrintable(byte) ? byte : unused++;
  for (let byte = 0; byte < 256; byte++) BYTE_OF_UNIT[at(UNIT_OF_BYTE, byte)] = byte + 1;
}

/** The 256 characters, in the order GPT-2 numbers them: by code point, so printable bytes come first. */
export const BYTES_IN_TOKEN_ORDER: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte).sort(
  (a, b) => at(UNIT_OF_BYTE, a) - at(UNIT_OF_BYTE, b),
);

/** The character of one byte. */
export const byteToCharacter = (byte: number): string => String.fromCharCode(at(UNIT_OF_BYTE, byte));

/** Bytes written in the alphabet. */
export function bytesToToken(bytes: Uint8Array): string {
  let token = '';
  for (const byte of bytes) token += byteToCharacter(byte);
  return token;
}

/** The bytes that a token stands for, or undefined when it has a character outside the alphabet. */
export function tokenToBytes(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const unit = token.charCodeAt(i);
    const byte = unit < 512 ? at(BYTE_OF_UNIT, unit) : 0;
    if (byte === 0) return undefined;
    bytes[i] = byte - 1;
  }
  return bytes;
}
