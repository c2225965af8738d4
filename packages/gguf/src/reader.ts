/**
 * Reads the front of a GGUF file, versions 2 and 3, little-endian: magic, version, number of tensors, number of metadata pairs; the
 * pairs; the tensors' names, shapes, types and places. Their data follows, and is read by whoever wants it.
 *
 * A file may say anything, so nothing is taken on trust: every count is held against the bytes that are left in the file before
 * anything is allocated for it, every place against the file's end.
 */
import { count, GgufError } from './errors.ts';
import {
  GGUF_ALIGNMENT, type GgufArray, type GgufMetadata, type GgufType, type GgufValue, MINIMUM_BYTES, TENSOR_TYPES, type TensorType, tensorBytes,
  VALUE_TYPES,
} from './types.ts';

/** Random access to a file's bytes. */
export interface GgufSource {
  /** For messages: a path or an address. */
  readonly name: string;
  readonly size: number;
  /** Fills `into` with the bytes from `begin` on. Throws when there are not as many. */
  read(begin: number, into: Uint8Array): Promise<void>;
}

export interface GgufTensor {
  readonly type: TensorType;
  /** Rows first, as everywhere in Parley; the file names columns first. */
  readonly shape: readonly number[];
  /** Bytes within the file. */
  readonly begin: number;
  readonly end: number;
}

export interface GgufFile {
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** "GGUF" */
const MAGIC = 0x4655_4747;
/** As many as ggml's own tensors have. */
const MAXIMUM_DIMENSIONS = 4;
const MAXIMUM_DEPTH = 4;
/** A tensor: the length of a name, one dimension's number and extent, type and offset. */
const TENSOR_MINIMUM = 8 + 4 + 8 + 4 + 8;
/** A pair: the length of a key, a type, one byte. */
const PAIR_MINIMUM = 8 + 4 + 1;

const TYPE_BY_ID: ReadonlyMap<number, TensorType> = new Map(
  Object.entries(TENSOR_TYPES).map(([name, { id }]) => [id, name as TensorType]),
);

/** Reads and checks the front of a file. Throws GgufError naming the file and the field. */
export async function readGguf(source: GgufSource): Promise<GgufFile> {
  const cursor = new Cursor(source);
  if (source.size < 24) cursor.fail(null, `${count(source.size)} bytes are too few for a GGUF file: it is not one, or cut off; fetch it again`);
  await cursor.need(24, 'header');
  const magic = cursor.u32();
  if (magic !== MAGIC) cursor.fail('magic', 'the file does not begin with "GGUF": it is another format, or damaged');
  const version = cursor.u32();
  if (version > 0 && (version & 0xffff) === 0) {
    cursor.fail('version', 'the file is big-endian, and Parley reads little-endian ones: convert it with gguf-py\'s gguf-convert-endian');
  }
  if (version !== 2 && version !== 3) {
    cursor.fail('version', `version ${version} is not one that Parley reads, 2 and 3: convert the model again with a present llama.cpp`);
  }
  const tensorCount = cursor.u64('number of tensors');
  const pairCount = cursor.u64('number of metadata pairs');
  cursor.fits('number of tensors', tensorCount, TENSOR_MINIMUM);
  cursor.fits('number of metadata pairs', pairCount, PAIR_MINIMUM);

  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairCount; i++) {
    const key = await cursor.string(`key of metadata pair ${i}`);
    if (metadata.has(key)) cursor.fail(key, 'the key is there twice: the file is damaged or forged');
    await cursor.need(4, key);
    metadata.set(key, await readValue(cursor, key, cursor.type(key)));
  }
  const alignment = alignmentOf(cursor, metadata);
  const placed = await readTensors(cursor, tensorCount, alignment);
  const start = Math.ceil(cursor.position / alignment) * alignment;
  return { version, metadata, tensors: place(cursor, placed, start) };
}

async function readValue(cursor: Cursor, key: string, type: GgufType): Promise<GgufValue> {
  if (type === 'array') return await readArray(cursor, key, 1);
  if (type === 'string') return { type, value: await cursor.string(key) };
  await cursor.need(MINIMUM_BYTES[type], key);
  if (type === 'bool') return { type, value: cursor.boolean(key) };
  return type === 'u64' || type === 'i64' ? { type, value: cursor.big(type) } : { type, value: cursor.number(type) };
}

async function readArray(cursor: Cursor, key: string, depth: number): Promise<GgufArray> {
  if (depth > MAXIMUM_DEPTH) cursor.fail(key, `arrays lie in arrays ${depth} deep, and no file needs more than ${MAXIMUM_DEPTH}: the file is damaged or forged`);
  await cursor.need(12, key);
  const items = cursor.type(key);
  const length = cursor.u64(key);
  cursor.fits(key, length, MINIMUM_BYTES[items]);
  const value: (number | bigint | boolean | string | GgufArray)[] = [];
  for (let i = 0; i < length; i++) {
    // Strings that lie in the window already need no promise: vocabularies have hundreds of thousands.
    if (items === 'string') value.push(cursor.stringAtHand(key) ?? (await cursor.string(key)));
    else if (items === 'array') value.push(await readArray(cursor, key, depth + 1));
    else {
      if (cursor.atHand < 8) await cursor.need(MINIMUM_BYTES[items], key);
      if (items === 'bool') value.push(cursor.boolean(key));
      else value.push(items === 'u64' || items === 'i64' ? cursor.big(items) : cursor.number(items));
    }
  }
  return { type: 'array', items, value };
}

function alignmentOf(cursor: Cursor, metadata: GgufMetadata): number {
  const entry = metadata.get('general.alignment');
  if (entry === undefined) return GGUF_ALIGNMENT;
  const { value } = entry;
  if (entry.type !== 'u32' || typeof value !== 'number' || value < 8 || value > 1 << 20 || (value & (value - 1)) !== 0) {
    cursor.fail('general.alignment', `is ${typeof value === 'object' ? 'a list' : String(value)}: it has to be a power of two from 8, as an unsigned 32-bit number; the file is damaged`);
  }
  return value as number;
}

interface Placed {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly bytes: number;
}

async function readTensors(cursor: Cursor, tensorCount: number, alignment: number): Promise<Placed[]> {
  const tensors: Placed[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const name = await cursor.string(`name of tensor ${i}`);
    const field = `tensor ${name}`;
    if (names.has(name)) cursor.fail(field, 'the name is there twice: the file is damaged or forged');
    names.add(name);
    await cursor.need(4, field);
    const dimensions = cursor.u32();
    if (dimensions < 1 || dimensions > MAXIMUM_DIMENSIONS) {
      cursor.fail(field, `it has ${count(dimensions)} dimensions, and the format has 1 to ${MAXIMUM_DIMENSIONS}: the file is damaged`);
    }
    await cursor.need(8 * dimensions + 12, field);
    const extents = Array.from({ length: dimensions }, () => cursor.u64(field));
    const size = extents.reduce((product, extent) => product * extent, 1);
    if (size < 1 || !Number.isSafeInteger(size)) {
      cursor.fail(field, `its extents are ${extents.join(' × ')}, which no file holds: the file is damaged`);
    }
    const id = cursor.u32();
    const type = TYPE_BY_ID.get(id);
    if (type === undefined) return cursor.fail(field, `its type is number ${id}, which Parley does not know: use a file in Q8_0, Q4_K or F16`);
    const { values } = TENSOR_TYPES[type];
    const columns = extents[0] ?? 0;
    if (columns % values !== 0) cursor.fail(field, `${type} has blocks of ${values} values, and its rows have ${count(columns)}: the file is damaged`);
    const offset = cursor.u64(field);
    if (offset % alignment !== 0) cursor.fail(field, `its data is at ${count(offset)}, which is not a multiple of the alignment ${alignment}: the file is damaged`);
    tensors.push({ name, type, shape: extents.reverse(), offset, bytes: tensorBytes(type, size) });
  }
  return tensors;
}

/** Where the tensors lie in the file: within it, and none over another. */
function place(cursor: Cursor, placed: readonly Placed[], start: number): ReadonlyMap<string, GgufTensor> {
  const { size } = cursor.source;
  const tensors = new Map<string, GgufTensor>();
  for (const { name, type, shape, offset, bytes } of placed) {
    const begin = start + offset;
    if (begin + bytes > size) {
      cursor.fail(`tensor ${name}`, `its data ends at byte ${count(begin + bytes)}, the file at ${count(size)}: it is cut off; fetch it again`);
    }
    tensors.set(name, { type, shape, begin, end: begin + bytes });
  }
  let previous: readonly [string, GgufTensor] | undefined;
  for (const entry of [...tensors].sort(([, a], [, b]) => a.begin - b.begin)) {
    if (previous && entry[1].begin < previous[1].end) cursor.fail(`tensor ${entry[0]}`, `its data lies over that of ${previous[0]}: the file is damaged`);
    previous = entry;
  }
  return tensors;
}

const WINDOW = 1 << 18;

/** Reads a file from front to back through a window. `need` has to have been asked for what the plain readers take. */
class Cursor {
  readonly source: GgufSource;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  /** Where the window begins in the file, and the place in it. */
  #start = 0;
  #at = 0;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(source: GgufSource) {
    this.source = source;
  }

  get position(): number {
    return this.#start + this.#at;
  }

  get atHand(): number {
    return this.#window.length - this.#at;
  }

  fail(field: string | null, message: string, cause?: unknown): never {
    throw new GgufError(`${this.source.name}: ${field === null ? '' : `${printable(field)}: `}${message}`, { file: this.source.name, field, cause });
  }

  /** Throws unless so many items of at least `bytes` each can still come. */
  fits(field: string, items: number, bytes: number): void {
    const left = this.source.size - this.position;
    if (items * bytes > left) {
      this.fail(field, `it says ${count(items)}, which takes at least ${count(items * bytes)} bytes, and the file has ${count(left)} more: it is damaged or cut off; fetch it again`);
    }
  }

  /** Brings so many bytes into the window. */
  async need(bytes: number, field: string): Promise<void> {
    if (this.atHand >= bytes) return;
    const position = this.position;
    const left = this.source.size - position;
    if (bytes > left) {
      this.fail(field, `it takes ${count(bytes)} bytes from byte ${count(position)} on, and the file has ${count(left)} more: it is damaged or cut off; fetch it again`);
    }
    const window = new Uint8Array(Math.min(left, Math.max(bytes, WINDOW)));
    await this.source.read(position, window);
    this.#window = window;
    this.#view = new DataView(window.buffer);
    this.#start = position;
    this.#at = 0;
  }

  u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  /** A count or an offset: as a number, which no file is too large for. */
  u64(field: string): number {
    const low = this.u32();
    const high = this.u32();
    if (high >= 1 << 21) this.fail(field, `it says ${count(this.#view.getBigUint64(this.#at - 8, true))}, which is beyond any file: the file is damaged`);
    return high * 2 ** 32 + low;
  }

  type(field: string): GgufType {
    const id = this.u32();
    return VALUE_TYPES[id] ?? this.fail(field, `its type is number ${count(id)}, and the format has 0 to ${VALUE_TYPES.length - 1}: the file is damaged`);
  }

  boolean(field: string): boolean {
    const byte = this.#view.getUint8(this.#at++);
    if (byte > 1) this.fail(field, `a truth value is ${byte}, and may be 0 or 1: the file is damaged`);
    return byte === 1;
  }

  big(type: 'u64' | 'i64'): bigint {
    this.#at += 8;
    return type === 'u64' ? this.#view.getBigUint64(this.#at - 8, true) : this.#view.getBigInt64(this.#at - 8, true);
  }

  number(type: Exclude<GgufType, 'u64' | 'i64' | 'bool' | 'string' | 'array'>): number {
    const at = this.#at;
    this.#at += MINIMUM_BYTES[type];
    switch (type) {
      case 'u8': return this.#view.getUint8(at);
      case 'i8': return this.#view.getInt8(at);
      case 'u16': return this.#view.getUint16(at, true);
      case 'i16': return this.#view.getInt16(at, true);
      case 'u32': return this.#view.getUint32(at, true);
      case 'i32': return this.#view.getInt32(at, true);
      case 'f32': return this.#view.getFloat32(at, true);
      case 'f64': return this.#view.getFloat64(at, true);
    }
  }

  /** A string that lies in the window whole, or undefined; then nothing was taken. */
  stringAtHand(field: string): string | undefined {
    if (this.atHand < 8) return undefined;
    const length = this.u64(field);
    if (this.atHand < length) {
      this.#at -= 8;
      return undefined;
    }
    return this.#text(field, length);
  }

  async string(field: string): Promise<string> {
    await this.need(8, field);
    const length = this.u64(field);
    await this.need(length, field);
    return this.#text(field, length);
  }

  #text(field: string, length: number): string {
    const bytes = this.#window.subarray(this.#at, this.#at + length);
    this.#at += length;
    try {
      return this.#decoder.decode(bytes);
    } catch (cause) {
      return this.fail(field, `a text of ${count(length)} bytes is not UTF-8: the file is damaged`, cause);
    }
  }
}

/** A name from the file, short and on one line. */
function printable(name: string): string {
  // eslint-disable-next-line no-control-regex
  const plain = name.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return plain.length <= 100 ? plain : `${plain.slice(0, 100)}…`;
}
