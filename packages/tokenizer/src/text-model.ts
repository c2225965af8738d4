/** What a tokenizer's model is asked for, whatever its type: ids of the text between added tokens, and bytes of tokens. */

export interface TextModel {
  /** token → id, as the model's own part of tokenizer.json has them. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Appends the ids of normalized, well-formed text. `first`: it stands at the beginning of the whole text. */
  append(ids: number[], text: string, first: boolean): void;
  /** How its tokens become text. */
  readonly decoder: PieceDecoder;
  /** The `model` of tokenizer.json. */
  json(): unknown;
}

export interface PieceDecoder {
  /**
   * The bytes of a token. `first`: it begins the text, and may then lose the space that marks a word. `isText`: it was added beside the
   * vocabulary, and stands for itself.
   */
  bytes(token: string, place: { readonly first: boolean; readonly isText: boolean }): Uint8Array;
  /** Whether tokens at the beginning have other bytes. */
  readonly dependsOnPlace: boolean;
  /** How many blanks at the beginning of a text are dropped. */
  readonly blanksDropped: number;
}

/** Cuts normalized text into words. */
export type Splitter = (text: string, first: boolean) => string[];

/** What a vocabulary has for a byte: `<0x0A>`. −1 where it has none. */
export function byteTokenIds(idOf: (token: string) => number | undefined): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => idOf(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`) ?? -1);
}

/** The ids of a text's bytes; undefined when one of them has none. */
export function fallBack(text: string, byteIds: Int32Array): number[] | undefined {
  const ids = Array.from(new TextEncoder().encode(text), (byte) => byteIds[byte] ?? -1);
  return ids.includes(-1) ? undefined : ids;
}

/** Remembers the ids of short words: text repeats itself. Emptied when it is full. */
export class WordCache {
  readonly #ids = new Map<string, readonly number[]>();
  readonly #encode: (word: string) => readonly number[];

  constructor(encode: (word: string) => readonly number[]) {
    this.#encode = encode;
  }

  append(ids: number[], word: string): void {
    let found = this.#ids.get(word);
    if (found === undefined) {
      found = this.#encode(word);
      if (word.length <= LONGEST_CACHED) {
        if (this.#ids.size >= MOST_CACHED) this.#ids.clear();
        this.#ids.set(word, found);
      }
    }
    for (const id of found) ids.push(id);
  }
}

const LONGEST_CACHED = 64;
const MOST_CACHED = 1 << 15;
