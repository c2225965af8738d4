/**
 * A text as a row of 32-bit hashes, one a word, or one a character where a script writes no spaces (Chinese, Japanese, Thai, Khmer,
 * Lao, Burmese, Tibetan). Case, punctuation, spacing and compatibility forms (full-width letters, ligatures) do not count. What
 * near-duplicates and decontamination compare: n-grams over this row are word n-grams in English and character n-grams in Chinese.
 */

/** A word; or a character that is one by itself. */
const WORD = 1;
const CHARACTER = 2;

// Per UTF-16 unit: what it is folded to, 0 where it separates words. Built at first use, in some 20 ms.
let folded: Uint16Array | undefined;
let classes: Uint8Array | undefined;

const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}]/u;
const SPOKEN = /[\p{L}\p{M}\p{N}]/u;

function tables(): { fold: Uint16Array; kind: Uint8Array } {
  if (folded === undefined || classes === undefined) {
    folded = new Uint16Array(65_536);
    classes = new Uint8Array(65_536);
    for (let code = 0; code < 65_536; code++) {
      const character = String.fromCharCode(code);
      if (!SPOKEN.test(character)) continue;
      const plain = character.normalize('NFKC').toLowerCase();
      folded[code] = plain.length === 1 ? plain.charCodeAt(0) : code;
      classes[code] = UNSPACED.test(character) ? CHARACTER : WORD;
    }
  }
  return { fold: folded, kind: classes };
}

/** Murmur3's finalizer: every input bit reaches every output bit. */
export function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** The hashes of one text at a time: the arrays are taken again for the next. */
export class WordHashes {
  /** Words in the text. The arrays are longer. */
  length = 0;
  hashes = new Uint32Array(1024);
  /** Where each word begins, in UTF-16 units. */
  starts = new Int32Array(1024);
  /** 1 where it is a character of a script without spaces. */
  characters = new Uint8Array(1024);

  /** Takes a text in place of the last one, or after it with `append`. */
  read(text: string, append = false): void {
    const { fold, kind } = tables();
    if (!append) this.length = 0;
    let hash = 0;
    let start = -1;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      const unit = at(fold, code);
      if (unit !== 0 && (code < 0xe00 || at(kind, code) === WORD)) {
        if (start < 0) {
          start = i;
          hash = 0;
        }
        hash = Math.imul(hash ^ unit, 0x01000193) + 0x2545f491;
        continue;
      }
      if (start >= 0) {
        this.#push(mix(hash), start, 0);
        start = -1;
      }
      if (unit !== 0) this.#push(mix(Math.imul(unit, 0x9e3779b1)), i, 1);
      else if (code >= 0xd800 && code < 0xdc00) {
        // Rare ideographs are words by themselves; emoji and the like are not spoken.
        const point = text.codePointAt(i) ?? 0;
        if (point > 0xffff) {
          if (SPOKEN.test(String.fromCodePoint(point))) this.#push(mix(Math.imul(point, 0x9e3779b1)), i, 1);
          i++;
        }
      }
    }
    if (start >= 0) this.#push(mix(hash), start, 0);
  }

  /** The first word that begins at or after a place in the text. */
  indexAt(place: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.starts[middle] as number) < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #push(hash: number, start: number, character: number): void {
    if (this.length === this.hashes.length) this.#grow();
    this.hashes[this.length] = hash;
    this.starts[this.length] = start;
    this.characters[this.length] = character;
    this.length++;
  }

  #grow(): void {
    const size = this.hashes.length * 2;
    const { hashes, starts, characters } = this;
    (this.hashes = new Uint32Array(size)).set(hashes);
    (this.starts = new Int32Array(size)).set(starts);
    (this.characters = new Uint8Array(size)).set(characters);
  }
}

/** An element that is known to be there: the loops here count within their arrays. */
function at(array: Uint8Array | Uint16Array, index: number): number {
  return array[index] as number;
}
