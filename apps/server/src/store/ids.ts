/** Names that nobody has had before, and secrets that nobody guesses. */
import { createHash, randomBytes } from 'node:crypto';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Bytes as one number, most significant first, in base 62; as many digits as the largest of that many bytes needs. */
export function base62(bytes: Uint8Array): string {
  let value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  let text = '';
  for (let left = Math.ceil((bytes.length * 8) / Math.log2(62)); left > 0; left--) {
    text = DIGITS.charAt(Number(value % 62n)) + text;
    value /= 62n;
  }
  return text;
}

/** `conv_` and 22 digits: 128 random bits. */
export const newId = (prefix: string): string => `${prefix}_${base62(randomBytes(16))}`;

/** 256 random bits: no salt and no slow hash are needed for what cannot be guessed. */
export const newSecret = (): string => base62(randomBytes(32));

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
