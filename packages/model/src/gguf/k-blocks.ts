/**
 * ggml's "k" types: superblocks of 256 values whose sub-blocks of 16 or 32 have small integer scales, themselves scaled by one f16, `d`
 * (and `dmin` for what is taken off). Layouts: ggml-common.h. Whole blocks are the caller's affair. Products of a scale and its factor have
 * at most 19 bits, so they are the same in f32 as here.
 */
import { f16At } from '../float16.ts';

const VALUES = 256;

const signed = (byte: number): number => (byte << 24) >> 24;

/** scales (16): low half scale, high half minimum; q (64): 2 bits a value; d; dmin. */
export function decodeQ2K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 84, o += VALUES) {
    const d = f16At(bytes, at + 80);
    const dmin = f16At(bytes, at + 82);
    for (let i = 0; i < VALUES; i++) {
      const scale = bytes[at + (i >> 4)]!;
      const q = (bytes[at + 16 + byteOf(i)]! >> shiftOf(i)) & 3;
      out[o + i] = d * (scale & 15) * q - dmin * (scale >> 4);
    }
  }
}

/** Of 2-bit codes: value i of a half of 128 is in byte i mod 32 of the half's 32, at bits 2·⌊i / 32⌋. */
const byteOf = (i: number): number => ((i >> 7) << 5) + (i & 31);
const shiftOf = (i: number): number => ((i >> 5) & 3) << 1;

/** high bits (32): bit ⌊i / 32⌋ of byte i mod 32; low bits (64) as in Q2_K; scales (12): 16 of 6 bits, less 32; d. */
export function decodeQ3K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 110, o += VALUES) {
    const d = f16At(bytes, at + 108);
    for (let j = 0; j < 16; j++) {
      const low = (bytes[at + 96 + (j & 7)]! >> ((j >> 3) << 2)) & 15;
      const high = (bytes[at + 104 + (j & 3)]! >> ((j >> 2) << 1)) & 3;
      const scale = d * ((low | (high << 4)) - 32);
      const q = at + 32 + byteOf(16 * j);
      const shift = shiftOf(16 * j);
      const mask = at + ((16 * j) & 31);
      for (let i = 0; i < 16; i++) {
        const absent = (bytes[mask + i]! >> (j >> 1)) & 1 ? 0 : 4;
        out[o + 16 * j + i] = scale * (((bytes[q + i]! >> shift) & 3) - absent);
      }
    }
  }
}

/** Of Q4_K and Q5_K: scale j of 8, in 6 bits; the minimum is four bytes on. The last four have two bits each with the first four. */
function scaleAt(bytes: Uint8Array, at: number, j: number): number {
  return j < 4 ? bytes[at + j]! & 63 : (bytes[at + j + 4]! & 15) | ((bytes[at + j - 4]! >> 6) << 4);
}

function minimumAt(bytes: Uint8Array, at: number, j: number): number {
  return j < 4 ? bytes[at + j + 4]! & 63 : (bytes[at + j + 4]! >> 4) | ((bytes[at + j]! >> 6) << 4);
}

/** d; dmin; scales and minima (12) of 8 sub-blocks of 32; q (128): two sub-blocks share 32 bytes, the first in the low halves. */
export function decodeQ4K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 144, o += VALUES) {
    const d = f16At(bytes, at);
    const dmin = f16At(bytes, at + 2);
    for (let j = 0; j < 8; j++) {
      const scale = d * scaleAt(bytes, at + 4, j);
      const minimum = dmin * minimumAt(bytes, at + 4, j);
      const q = at + 16 + ((j >> 1) << 5);
      const shift = (j & 1) << 2;
      for (let i = 0; i < 32; i++) out[o + 32 * j + i] = scale * ((bytes[q + i]! >> shift) & 15) - minimum;
    }
  }
}

/** As Q4_K, with the fifth bits (32) before the codes: of value i in sub-block j, bit j of byte i. */
export function decodeQ5K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 176, o += VALUES) {
    const d = f16At(bytes, at);
    const dmin = f16At(bytes, at + 2);
    for (let j = 0; j < 8; j++) {
      const scale = d * scaleAt(bytes, at + 4, j);
      const minimum = dmin * minimumAt(bytes, at + 4, j);
      const q = at + 48 + ((j >> 1) << 5);
      const shift = (j & 1) << 2;
      for (let i = 0; i < 32; i++) {
        const code = ((bytes[q + i]! >> shift) & 15) | (((bytes[at + 16 + i]! >> j) & 1) << 4);
        out[o + 32 * j + i] = scale * code - minimum;
      }
    }
  }
}

/** low bits (128); high bits (64); signed scales (16) of sub-blocks of 16; d. Of each half of 128: four quarters of 32 side by side. */
export function decodeQ6K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, o = 0; o < out.length; at += 210, o += VALUES) {
    const d = f16At(bytes, at + 208);
    for (let j = 0; j < 16; j++) {
      const half = j >> 3;
      const quarter = (j >> 1) & 3;
      const lane = (j & 1) << 4;
      const low = at + 64 * half + 32 * (quarter & 1) + lane;
      const high = at + 128 + 32 * half + lane;
      const lowShift = (quarter >> 1) << 2;
      const highShift = quarter << 1;
      const scale = d * signed(bytes[at + 192 + j]!);
      for (let i = 0; i < 16; i++) {
        const code = ((bytes[low + i]! >> lowShift) & 15) | (((bytes[high + i]! >> highShift) & 3) << 4);
        out[o + 16 * j + i] = scale * (code - 32);
      }
    }
  }
}
