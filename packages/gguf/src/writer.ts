/** Writes the front of a GGUF file of version 3; the tensors' data follows, each tensor's padded with `padding`. */
import { GgufError } from './errors.ts';
import {
  GGUF_ALIGNMENT, type GgufArray, type GgufMetadata, type GgufType, type GgufValue, TENSOR_TYPES, type TensorType, tensorBytes, VALUE_TYPES,
} from './types.ts';

export interface GgufHeader {
  readonly metadata: GgufMetadata;
  /** In the order in which their data follows. Shapes are rows first. */
  readonly tensors: readonly { readonly name: string; readonly type: TensorType; readonly shape: readonly number[] }[];
}

/** Zero bytes to put behind so many, so that the next tensor is aligned. */
export const padding = (bytes: number): Uint8Array<ArrayBuffer> => new Uint8Array(Math.ceil(bytes / GGUF_ALIGNMENT) * GGUF_ALIGNMENT - bytes);

/** Throws GgufError for a name used twice, rows that are no whole blocks, and numbers that their type cannot hold. */
export function encodeGgufHeader({ metadata, tensors }: GgufHeader): Uint8Array<ArrayBuffer> {
  const out = new Bytes();
  out.u32(0x4655_4747);
  out.u32(3);
  out.u64(BigInt(tensors.length));
  out.u64(BigInt(metadata.size));
  for (const [key, value] of metadata) {
    out.string(key);
    out.u32(VALUE_TYPES.indexOf(value.type));
    writeValue(out, key, value);
  }
  const names = new Set<string>();
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    const columns = shape.at(-1) ?? 0;
    if (names.has(name)) fail(`tensor ${name}`, 'the name is taken: give each tensor its own');
    if (shape.length < 1 || shape.length > 4 || columns % TENSOR_TYPES[type].values !== 0) {
      fail(`tensor ${name}`, `[${shape.join(', ')}] cannot be written in ${type}, whose blocks are ${TENSOR_TYPES[type].values} values along a row: choose F16`);
    }
    names.add(name);
    out.string(name);
    out.u32(shape.length);
    for (const extent of shape.toReversed()) out.u64(BigInt(extent));
    out.u32(TENSOR_TYPES[type].id);
    out.u64(BigInt(offset));
    const bytes = tensorBytes(type, shape.reduce((product, extent) => product * extent, 1));
    offset += bytes + padding(bytes).length;
  }
  out.append(padding(out.length));
  return out.bytes();
}

function fail(field: string, message: string): never {
  throw new GgufError(`${field}: ${message}`, { file: '', field });
}

function writeValue(out: Bytes, key: string, value: GgufValue): void {
  if (value.type === 'array') writeArray(out, key, value);
  else writeScalar(out, key, value.type, value.value);
}

function writeArray(out: Bytes, key: string, { items, value }: GgufArray): void {
  out.u32(VALUE_TYPES.indexOf(items));
  out.u64(BigInt(value.length));
  for (const item of value) {
    if (typeof item === 'object') writeArray(out, key, item);
    else writeScalar(out, key, items, item);
  }
}

/** First and last value of the whole-number types. */
const RANGES: Readonly<Partial<Record<GgufType, readonly [first: bigint, last: bigint]>>> = {
  u8: [0n, 0xffn], i8: [-0x80n, 0x7fn], u16: [0n, 0xffffn], i16: [-0x8000n, 0x7fffn],
  u32: [0n, 0xffff_ffffn], i32: [-0x8000_0000n, 0x7fff_ffffn], u64: [0n, (1n << 64n) - 1n], i64: [-(1n << 63n), (1n << 63n) - 1n],
};

function writeScalar(out: Bytes, key: string, type: GgufType, value: number | bigint | boolean | string): void {
  const range = RANGES[type];
  if (range) {
    const whole = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value)) ? BigInt(value) : undefined;
    if (whole === undefined || whole < range[0] || whole > range[1]) return fail(key, `${String(value)} is no ${type}: correct it`);
    return out.whole(type, whole);
  }
  if (type === 'string' && typeof value === 'string') return out.string(value);
  if (type === 'bool' && typeof value === 'boolean') return out.whole('u8', value ? 1n : 0n);
  if ((type === 'f32' || type === 'f64') && typeof value === 'number') return out.float(type, value);
  return fail(key, `${typeof value} is no ${type}: correct it`);
}

/** Bytes that grow. */
class Bytes {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length);
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: bigint): void {
    const at = this.#take(8);
    this.#view.setBigUint64(at, value, true);
  }

  whole(type: GgufType, value: bigint): void {
    const size = type.endsWith('8') ? 1 : type.endsWith('16') ? 2 : type.endsWith('32') ? 4 : 8;
    const at = this.#take(size);
    for (let i = 0; i < size; i++) this.#bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }

  float(type: 'f32' | 'f64', value: number): void {
    const at = this.#take(type === 'f32' ? 4 : 8);
    if (type === 'f32') this.#view.setFloat32(at, value, true);
    else this.#view.setFloat64(at, value, true);
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(BigInt(bytes.length));
    this.append(bytes);
  }

  append(bytes: Uint8Array): void {
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
  }

  #take(size: number): number {
    const at = this.length;
    this.length += size;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
