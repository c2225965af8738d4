/**
 * Streaming UTF-8: bytes in, whole characters out. Invalid bytes become U+FFFD exactly as in the WHATWG Encoding
 * standard (one for each maximal prefix of a character), which tests check against TextDecoder; a byte order mark is a
 * character like any other, since tokens have to come back as they were.
 */
import { at } from './unchecked.ts';

const REPLACEMENT = '\ufffd';

export class Utf8Decoder {
  /** The character under way: its bits so far, how many bytes it still lacks, and what the next one may be. */
  #point = 0;
  #missing = 0;
  #lower = 0x80;
  #upper = 0xbf;

  /** The characters that are complete with these bytes. */
  push(bytes: Uint8Array): string {
    let text = '';
    for (let i = 0; i < bytes.length; i++) {
      const byte = at(bytes, i);
      if (this.#missing === 0) {
        text += this.#begin(byte);
        continue;
      }
      if (byte < this.#lower || byte > this.#upper) {
        // The character ends here unfinished; this byte is looked at again as the beginning of another.
        this.#missing = 0;
        text += REPLACEMENT + this.#begin(byte);
        continue;
      }
      this.#lower = 0x80;
      this.#upper = 0xbf;
      this.#point = (this.#point << 6) | (byte & 0x3f);
      if (--this.#missing === 0) text += String.fromCodePoint(this.#point);
    }
    return text;
  }

  /** Ends the stream: U+FFFD when it stops inside a character. The decoder can then be used for another stream. */
  flush(): string {
    const text = this.#missing > 0 ? REPLACEMENT : '';
    this.#missing = 0;
    return text;
  }

  #begin(byte: number): string {
    if (byte < 0x80) return String.fromCharCode(byte);
    this.#lower = 0x80;
    this.#upper = 0xbf;
    if (byte >= 0xc2 && byte <= 0xdf) {
      this.#missing = 1;
      this.#point = byte & 0x1f;
    } else if (byte >= 0xe0 && byte <= 0xef) {
      if (byte === 0xe0) this.#lower = 0xa0; // shorter forms exist
      if (byte === 0xed) this.#upper = 0x9f; // surrogates
      this.#missing = 2;
      this.#point = byte & 0x0f;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      if (byte === 0xf0) this.#lower = 0x90; // shorter forms exist
      if (byte === 0xf4) this.#upper = 0x8f; // over U+10FFFF
      this.#missing = 3;
      this.#point = byte & 0x07;
    } else {
      return REPLACEMENT;
    }
    return '';
  }
}
