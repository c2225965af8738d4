import { expect, test } from 'vitest';
import { Utf8Decoder } from './decoder.ts';
import { nastyText, numbers } from './testing/corpus.ts';

const whole = (bytes: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);

/** Pushes the bytes in pieces of the lengths that `next` gives. */
function stream(bytes: Uint8Array, next: () => number): { text: string; pieces: string[] } {
  const decoder = new Utf8Decoder();
  const pieces: string[] = [];
  for (let i = 0; i < bytes.length;) {
    const length = next();
    pieces.push(decoder.push(bytes.subarray(i, i + length)));
    i += length;
  }
  pieces.push(decoder.flush());
  return { text: pieces.join(''), pieces };
}

test.each([1, 2, 3, 4])('random bytes, in pieces of any length, give what TextDecoder gives at once, seed %i', (seed) => {
  const below = numbers(seed);
  // Bytes that begin and continue characters meet more often than at random.
  const kinds = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff];
  for (let round = 0; round < 3000; round++) {
    const bytes = Uint8Array.from({ length: below(12) }, () => (below(3) === 0 ? below(256) : (kinds[below(kinds.length)] ?? 0)));
    expect(stream(bytes, () => 1 + below(3)).text, `bytes ${bytes.join(' ')}`).toBe(whole(bytes));
  }
});

test('every sequence of two bytes, and each with a continuation after it, is decoded as TextDecoder does', () => {
  const different: string[] = [];
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second++) {
      for (const bytes of [Uint8Array.of(first, second), Uint8Array.of(first, second, 0x80), Uint8Array.of(first, second, 0x80, 0x80)]) {
        if (stream(bytes, () => 1).text !== whole(bytes)) different.push(bytes.join(' '));
      }
    }
  }
  expect(different).toEqual([]);
});

test.each([5, 6])('valid text comes back in whole characters, seed %i', (seed) => {
  const below = numbers(seed);
  const text = `\ufeff${nastyText(seed, 5000)}`;
  const { text: decoded, pieces } = stream(new TextEncoder().encode(text), () => 1 + below(4));
  expect(decoded).toBe(text.toWellFormed());
  for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
});

test('a character is given with its last byte, and what is left at the end becomes U+FFFD', () => {
  const decoder = new Utf8Decoder();
  expect([0xf0, 0x9f, 0x99, 0x82].map((byte) => decoder.push(Uint8Array.of(byte)))).toEqual(['', '', '', '🙂']);
  decoder.push(Uint8Array.of(0xe4, 0xbd));
  expect(decoder.flush()).toBe('\ufffd');
  expect(decoder.push(Uint8Array.of(0x41))).toBe('A');
});
