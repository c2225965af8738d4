/**
 * Token files. A split of a source ("train" or "held-out") is
 *
 *   NAME.SPLIT.000.tokens   token ids, u16 little-endian (u32 where the vocabulary is over 65,536), documents end to end
 *   NAME.SPLIT.000.mask     only where there are conversations: one bit a token, lowest bit first, set where the assistant speaks
 *   NAME.SPLIT.index        per document two u32: its tokens · 2 + (1 for a conversation), and the part (000, 001, …) it is in
 *
 * A text is stored as <|endoftext|> text <|endoftext|>, so that its first token is predicted from something; a conversation
 * as the chat template renders it. A document never crosses from one part to the next.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { DataError } from './errors.ts';

/** Tokens after which the next document starts a new part. */
const PART_TOKENS = 1 << 26;
const BUFFER_TOKENS = 1 << 16;

export interface SplitSummary {
  readonly documents: number;
  readonly conversations: number;
  readonly tokens: number;
  /** Tokens the assistant speaks in conversations. */
  readonly answerTokens: number;
  /** UTF-8 bytes of the text that people wrote (no markers). */
  readonly bytes: number;
  readonly parts: number;
}

export interface EncodedDocument {
  readonly ids: readonly number[];
  /** Absent for a text. */
  readonly mask?: readonly boolean[];
  readonly bytes: number;
}

const partName = (base: string, part: number, kind: string): string => `${base}.${String(part).padStart(3, '0')}.${kind}`;

/** Writes a split's files. Dispose it: until `finish` it holds them open. */
export class ShardWriter implements Disposable {
  readonly #base: string;
  readonly #wide: boolean;
  readonly #vocabSize: number;
  readonly #withMask: boolean;
  #tokens: { fd: number; buffer: Uint16Array | Uint32Array; used: number; written: number } | null = null;
  /** One byte a token until it is written, then eight tokens a byte. */
  #mask: { fd: number; buffer: Uint8Array } | null = null;
  #part = -1;
  readonly #index: number[] = [];
  #summary = { documents: 0, conversations: 0, tokens: 0, answerTokens: 0, bytes: 0 };

  /** `base`: folder/NAME.SPLIT. `withMask`: whether conversations may come. */
  constructor(base: string, options: { vocabSize: number; withMask: boolean }) {
    this.#base = base;
    this.#vocabSize = options.vocabSize;
    this.#wide = options.vocabSize > 65_536;
    this.#withMask = options.withMask;
  }

  get tokens(): number {
    return this.#summary.tokens;
  }

  add(document: EncodedDocument): void {
    const { ids, mask } = document;
    const conversation = mask !== undefined;
    if (conversation && !this.#withMask) throw new DataError('this shard was opened for texts and got a conversation');
    if (this.#tokens === null || this.#tokens.written + this.#tokens.used + ids.length > PART_TOKENS) this.#openPart();
    for (let i = 0; i < ids.length; i++) this.#push(ids[i] ?? -1, mask?.[i] === true ? 1 : 0);
    this.#index.push(ids.length * 2 + (conversation ? 1 : 0), this.#part);
    this.#summary.documents++;
    if (conversation) this.#summary.conversations++;
    this.#summary.tokens += ids.length;
    this.#summary.answerTokens += mask?.reduce((sum, spoken) => sum + (spoken ? 1 : 0), 0) ?? 0;
    this.#summary.bytes += document.bytes;
  }

  /** Writes what is left and the index, synced to the disk. */
  finish(): SplitSummary {
    this.#closePart();
    const fd = openSync(`${this.#base}.index`, 'w');
    try {
      writeAll(fd, littleEndian(Uint32Array.from(this.#index)));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    return { ...this.#summary, parts: this.#part + 1 };
  }

  /** Closes the files as they are; after `finish` there is nothing to do. */
  [Symbol.dispose](): void {
    for (const open of [this.#tokens, this.#mask]) if (open !== null) closeSync(open.fd);
    this.#tokens = null;
    this.#mask = null;
  }

  #push(id: number, spoken: number): void {
    const tokens = this.#tokens;
    if (tokens === null) throw new DataError('no part is open');
    if (!(id >= 0 && id < this.#vocabSize)) throw new DataError(`token ${id} is outside the vocabulary of ${this.#vocabSize}`);
    tokens.buffer[tokens.used] = id;
    if (this.#mask !== null) this.#mask.buffer[tokens.used] = spoken;
    if (++tokens.used === BUFFER_TOKENS) this.#flush();
  }

  #flush(): void {
    const tokens = this.#tokens;
    if (tokens === null) return;
    writeAll(tokens.fd, littleEndian(tokens.buffer.subarray(0, tokens.used)));
    if (this.#mask !== null) {
      const bits = new Uint8Array(Math.ceil(tokens.used / 8));
      for (let i = 0; i < tokens.used; i++) bits[i >> 3] = (bits[i >> 3] ?? 0) | ((this.#mask.buffer[i] ?? 0) << (i & 7));
      writeAll(this.#mask.fd, bits);
    }
    tokens.written += tokens.used;
    tokens.used = 0;
  }

  #openPart(): void {
    this.#closePart();
    this.#part++;
    const buffer = this.#wide ? new Uint32Array(BUFFER_TOKENS) : new Uint16Array(BUFFER_TOKENS);
    this.#tokens = { fd: openSync(partName(this.#base, this.#part, 'tokens'), 'w'), buffer, used: 0, written: 0 };
    if (this.#withMask) this.#mask = { fd: openSync(partName(this.#base, this.#part, 'mask'), 'w'), buffer: new Uint8Array(BUFFER_TOKENS) };
  }

  #closePart(): void {
    this.#flush();
    for (const open of [this.#tokens, this.#mask]) if (open !== null) fsyncSync(open.fd);
    this[Symbol.dispose]();
  }
}

export interface DocumentEntry {
  readonly part: number;
  /** First token in the part. */
  readonly start: number;
  readonly length: number;
  readonly conversation: boolean;
}

/** Random access to a split. Holds the index in memory and file handles open; the tokens stay on the disk. */
export class ShardReader implements Disposable {
  readonly base: string;
  readonly documents: number;
  readonly #lengths: Uint32Array;
  readonly #parts: Uint32Array;
  readonly #starts: Float64Array;
  readonly #files: { tokens: number; mask: number | null }[] = [];
  readonly #width: 2 | 4;
  #bytes = Buffer.alloc(4096);

  /** `base`: folder/NAME.SPLIT. `parts`: how many the split's summary counts. Throws DataError for missing or damaged files. */
  constructor(base: string, options: { vocabSize: number; parts: number }) {
    this.base = base;
    this.#width = options.vocabSize > 65_536 ? 4 : 2;
    const path = `${base}.index`;
    if (!existsSync(path)) throw new DataError('there is no such file: prepare the data again', { path });
    const raw = readFileSync(path);
    if (raw.length % 8 !== 0) throw new DataError(`has ${raw.length} bytes, not a multiple of 8: prepare the data again`, { path });
    this.documents = raw.length / 8;
    this.#lengths = new Uint32Array(this.documents);
    this.#parts = new Uint32Array(this.documents);
    this.#starts = new Float64Array(this.documents);
    let start = 0;
    for (let i = 0; i < this.documents; i++) {
      const packed = raw.readUInt32LE(i * 8);
      const part = raw.readUInt32LE(i * 8 + 4);
      if (i > 0 && part !== this.#parts[i - 1]) start = 0;
      this.#lengths[i] = packed;
      this.#parts[i] = part;
      this.#starts[i] = start;
      start += packed >>> 1;
    }
    for (let part = 0; part < options.parts; part++) {
      const [tokens, mask] = [partName(base, part, 'tokens'), partName(base, part, 'mask')];
      try {
        const file: { tokens: number; mask: number | null } = { tokens: openSync(tokens, 'r'), mask: null };
        this.#files.push(file);
        if (existsSync(mask)) file.mask = openSync(mask, 'r');
      } catch (cause) {
        this.dispose();
        throw new DataError('cannot be opened: prepare the data again', { path: tokens, cause });
      }
    }
  }

  document(index: number): DocumentEntry {
    const packed = this.#lengths[index];
    if (packed === undefined) throw new DataError(`document ${index} of ${this.documents} was asked for`, { path: this.base });
    return {
      part: this.#parts[index] ?? 0, start: this.#starts[index] ?? 0, length: packed >>> 1, conversation: (packed & 1) === 1,
    };
  }

  /** `into.length` tokens of a part, from `start`. */
  readTokens(part: number, start: number, into: Int32Array): void {
    const bytes = this.#read(this.#files[part]?.tokens, start * this.#width, into.length * this.#width);
    for (let i = 0; i < into.length; i++) {
      into[i] = this.#width === 2 ? bytes.readUInt16LE(i * 2) : bytes.readUInt32LE(i * 4);
    }
  }

  /** `into.length` mask values (0 or 1) of a part, from `start`. */
  readMask(part: number, start: number, into: Uint8Array): void {
    const first = Math.floor(start / 8);
    const bytes = this.#read(this.#files[part]?.mask ?? undefined, first, Math.floor((start + into.length - 1) / 8) + 1 - first);
    const shift = start - first * 8;
    for (let i = 0; i < into.length; i++) into[i] = ((bytes[(i + shift) >> 3] ?? 0) >> ((i + shift) & 7)) & 1;
  }

  dispose(): void {
    for (const { tokens, mask } of this.#files.splice(0)) {
      closeSync(tokens);
      if (mask !== null) closeSync(mask);
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #read(fd: number | undefined, position: number, length: number): Buffer {
    if (fd === undefined) throw new DataError('a file of this shard is missing: prepare the data again', { path: this.base });
    if (this.#bytes.length < length) this.#bytes = Buffer.alloc(length * 2);
    let done = 0;
    while (done < length) {
      const got = readSync(fd, this.#bytes, done, length - done, position + done);
      if (got === 0) {
        throw new DataError(`ends at byte ${position + done}, ${length - done} too early: prepare the data again`, { path: this.base });
      }
      done += got;
    }
    return this.#bytes.subarray(0, length);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done);
}

/** The bytes of a typed array in little-endian order, whatever the machine's own. */
function littleEndian(array: Uint16Array | Uint32Array): Uint8Array {
  const bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return bytes;
  const copy = Buffer.from(bytes);
  return array.BYTES_PER_ELEMENT === 2 ? copy.swap16() : copy.swap32();
}
