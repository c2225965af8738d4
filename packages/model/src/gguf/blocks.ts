/**
 * ggml's tensor types to f32 and, for the three that Parley writes, back. The layouts are those of ggml (ggml-common.h and the
 * reference code beside it, llama.cpp): little-endian blocks of values along a row, with f16 scales. `d`: a block's scale, `m`: its
 * smallest value or what is taken off. Types of 256 values are in k-blocks.ts.
 */
import { tensorBytes, type TensorType } from '@parley/gguf';
import { bf16ToF32, f16At, f16Bits, f16ToF32, f32ToF16 } from '../float16.ts';
import { decodeQ2K, decodeQ3K, decodeQ4K, decodeQ5K, decodeQ6K } from './k-blocks.ts';

/** Decodes the whole blocks in `bytes` into `out`, which has as many values. */
export type BlockDecoder = (bytes: Uint8Array, out: Float32Array) => void;

/** Values of a block of the small types. */
const BLOCK = 32;

const halves = (bytes: Uint8Array): Uint16Array => {
  if (bytes.byteOffset % 2 === 0) return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  return new Uint16Array(bytes.slice().buffer);
};

/** d, then a signed byte for each value: d · q. */
function decodeQ80(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 34, o += BLOCK) {
    const d = f16At(bytes, at);
    for (let i = 0; i < BLOCK; i++) out[o + i] = d * ((bytes[at + 2 + i]! << 24) >> 24);
  }
}

/** d, then 16 bytes: value i in the low half of byte i, value i + 16 in the high: d · (q − 8). */
function decodeQ40(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 18, o += BLOCK) {
    const d = f16At(bytes, at);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[at + 2 + i]!;
      out[o + i] = d * ((byte & 15) - 8);
      out[o + i + 16] = d * ((byte >> 4) - 8);
    }
  }
}

/** d, m, then as Q4_0: d · q + m. */
function decodeQ41(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 20, o += BLOCK) {
    const d = f16At(bytes, at);
    const m = f16At(bytes, at + 2);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[at + 4 + i]!;
      out[o + i] = d * (byte & 15) + m;
      out[o + i + 16] = d * (byte >> 4) + m;
    }
  }
}

/** d, 32 bits that are each value's fifth, then as Q4_0: d · (q − 16). */
function decodeQ50(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 22, o += BLOCK) {
    const d = f16At(bytes, at);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[at + 6 + i]!;
      out[o + i] = d * (((byte & 15) | fifthBit(bytes, at + 2, i)) - 16);
      out[o + i + 16] = d * (((byte >> 4) | fifthBit(bytes, at + 2, i + 16)) - 16);
    }
  }
}

/** d, m, 32 bits that are each value's fifth, then as Q4_0: d · q + m. */
function decodeQ51(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 24, o += BLOCK) {
    const d = f16At(bytes, at);
    const m = f16At(bytes, at + 2);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[at + 8 + i]!;
      out[o + i] = d * ((byte & 15) | fifthBit(bytes, at + 4, i)) + m;
      out[o + i + 16] = d * ((byte >> 4) | fifthBit(bytes, at + 4, i + 16)) + m;
    }
  }
}

const fifthBit = (bytes: Uint8Array, at: number, i: number): number => ((bytes[at + (i >> 3)]! >> (i & 7)) & 1) << 4;

const DECODERS: Readonly<Partial<Record<TensorType, BlockDecoder>>> = {
  F32: (bytes, out) => new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes),
  F16: (bytes, out) => f16ToF32(halves(bytes), out),
  BF16: (bytes, out) => bf16ToF32(halves(bytes), out),
  Q8_0: decodeQ80, Q4_0: decodeQ40, Q4_1: decodeQ41, Q5_0: decodeQ50, Q5_1: decodeQ51,
  Q2_K: decodeQ2K, Q3_K: decodeQ3K, Q4_K: decodeQ4K, Q5_K: decodeQ5K, Q6_K: decodeQ6K,
};

/** Types whose values Parley reads. */
export const READ_TYPES = Object.keys(DECODERS) as readonly TensorType[];

/** Undefined for types that are not read. */
export const decoderOf = (type: TensorType): BlockDecoder | undefined => DECODERS[type];

/** Types that Parley writes. */
export type WrittenType = 'F32' | 'F16' | 'Q8_0' | 'Q4_0';

/** d = max|x| / 127, q = round(x / d), halves away from zero; d is rounded to f16 after the q are chosen, as ggml does. */
function encodeQ80(values: Float32Array, bytes: Uint8Array): void {
  for (let at = 0, v = 0; v < values.length; at += 34, v += BLOCK) {
    let largest = 0;
    for (let i = 0; i < BLOCK; i++) largest = Math.max(largest, Math.abs(values[v + i]!));
    const d = Math.fround(largest / 127);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    writeHalf(bytes, at, d);
    for (let i = 0; i < BLOCK; i++) {
      const scaled = Math.fround(values[v + i]! * inverse);
      bytes[at + 2 + i] = Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5);
    }
  }
}

/** m the value of largest magnitude, d = m / −8, q = min(15, ⌊x / d + 8.5⌋). */
function encodeQ40(values: Float32Array, bytes: Uint8Array): void {
  for (let at = 0, v = 0; v < values.length; at += 18, v += BLOCK) {
    let m = 0;
    for (let i = 0; i < BLOCK; i++) if (Math.abs(values[v + i]!) > Math.abs(m)) m = values[v + i]!;
    const d = Math.fround(m / -8);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    writeHalf(bytes, at, d);
    const code = (i: number): number => Math.min(15, Math.floor(Math.fround(Math.fround(values[v + i]! * inverse) + 8.5)));
    for (let i = 0; i < 16; i++) bytes[at + 2 + i] = code(i) | (code(i + 16) << 4);
  }
}

function writeHalf(bytes: Uint8Array, at: number, value: number): void {
  const bits = f16Bits(value);
  bytes[at] = bits & 0xff;
  bytes[at + 1] = bits >> 8;
}

/** The bytes of whole blocks of values. Values beyond what f16 holds become infinite: the caller checks for them. */
export function encodeBlocks(type: WrittenType, values: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(tensorBytes(type, values.length));
  switch (type) {
    case 'F32':
      bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      break;
    case 'F16':
      f32ToF16(values, new Uint16Array(bytes.buffer));
      break;
    case 'Q8_0':
      encodeQ80(values, bytes);
      break;
    case 'Q4_0':
      encodeQ40(values, bytes);
      break;
  }
  return bytes;
}
