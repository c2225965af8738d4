import { Random, ReferenceBackend, Tensor } from '@parley/engine';
import { TENSOR_TYPES, type TensorType, tensorBytes } from '@parley/gguf';
import { describe, expect, test } from 'vitest';
import golden from '../testing/gguf-blocks.golden.json' with { type: 'json' };
import { largestDifference } from '../testing/tiny.ts';
import { f32ToF16 } from '../float16.ts';
import { decoderOf, encodeBlocks, READ_TYPES } from './blocks.ts';

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
const floatsOf = (text: string): Float32Array => new Float32Array(bytesOf(text).slice().buffer);
const bits = (values: Float32Array): number[] => Array.from(new Uint32Array(values.buffer, values.byteOffset, values.length));

function decode(type: TensorType, bytes: Uint8Array): Float32Array {
  const out = new Float32Array((bytes.length / TENSOR_TYPES[type].bytes) * TENSOR_TYPES[type].values);
  decoderOf(type)!(bytes, out);
  return out;
}

/** Bytes of a block from its parts: numbers are bytes, {half} is an f16. */
function block(type: TensorType, ...parts: readonly (number | number[] | { half: number })[]): Uint8Array {
  const bytes: number[] = [];
  for (const part of parts) {
    if (typeof part === 'number') bytes.push(part);
    else if (Array.isArray(part)) bytes.push(...part);
    else {
      const half = new Uint16Array(1);
      f32ToF16(Float32Array.of(part.half), half);
      bytes.push(half[0]! & 0xff, half[0]! >> 8);
    }
  }
  expect(bytes.length).toBe(TENSOR_TYPES[type].bytes);
  return Uint8Array.from(bytes);
}

const times = (length: number, value: (i: number) => number): number[] => Array.from({ length }, (_, i) => value(i));

describe('every bit is gguf-py\'s', () => {
  test.each(Object.entries(golden.decoded))('%s read', (type, { bytes, values }) => {
    expect(bits(decode(type as TensorType, bytesOf(bytes)))).toEqual(bits(floatsOf(values)));
  });

  test.each(Object.entries(golden.encoded))('%s written, a block of zeros and one of a single value among them', (type, { bytes, values }) => {
    expect(Buffer.from(encodeBlocks(type as 'Q8_0' | 'Q4_0', floatsOf(values))).toString('base64')).toBe(bytes);
  });

  test('and all types that are read are among them, but F32', () => {
    expect(new Set(['F32', ...Object.keys(golden.decoded)])).toEqual(new Set(READ_TYPES));
  });
});

describe('blocks worked out by hand', () => {
  test('Q8_0: d · q, q signed', () => {
    const out = decode('Q8_0', block('Q8_0', { half: 0.5 }, 0, 1, 255, 127, 128, times(27, () => 2)));
    expect(Array.from(out.subarray(0, 6))).toEqual([0, 0.5, -0.5, 63.5, -64, 1]);
  });

  test('Q4_0: low halves are values 0 to 15, high ones 16 to 31, less 8', () => {
    const out = decode('Q4_0', block('Q4_0', { half: 2 }, 0xf0, 0x81, times(14, () => 0x88)));
    expect([out[0], out[16], out[1], out[17], out[2], out[31]]).toEqual([-16, 14, -14, 0, 0, 0]);
  });

  test('Q5_1: the fifth bits are little-endian, value 0 in the lowest', () => {
    const out = decode('Q5_1', block('Q5_1', { half: 1 }, { half: -3 }, 0x01, 0, 0x01, 0x80, 0x21, times(15, () => 0)));
    // value 0: 1 | 16; value 16: 2 | 16; value 31: 0 | 16; the others 0.
    expect([out[0], out[16], out[31], out[1]]).toEqual([14, 15, 13, -3]);
  });

  test('Q4_K: scales and minima of 6 bits, the last four spread over two bytes', () => {
    // Scale 0 is 63, minimum 0 is 1; scale 4 is 0b10_0011 and minimum 4 is 0b01_0100: their upper bits lie above scale 0 and minimum 0.
    const scales = [0b10_111111, 0, 0, 0, 0b01_000001, 0, 0, 0, 0b0100_0011, 0, 0, 0];
    const out = decode('Q4_K', block('Q4_K', { half: 0.5 }, { half: 0.25 }, scales, times(128, (i) => (i < 32 ? 0x03 : i === 64 ? 0x05 : 0))));
    expect([out[0], out[31]]).toEqual([0.5 * 63 * 3 - 0.25, 0.5 * 63 * 3 - 0.25]);
    expect([out[128], out[129]]).toEqual([0.5 * 35 * 5 - 0.25 * 20, -0.25 * 20]);
    expect(out[32]).toBe(0);
  });

  test('Q6_K: a value is four low and two high bits, less 32, times a signed scale', () => {
    const low = times(128, (i) => (i === 0 ? 0x21 : 0));
    const high = times(64, (i) => (i === 0 ? 0b01_00_00_11 : 0));
    const out = decode('Q6_K', block('Q6_K', low, high, [1, 1, 1, 1, 254, 1, 1, 1, ...times(8, () => 0)], { half: 1 }));
    // value 0: 1 | 3·16 = 49; value 64, in the high half of the same byte, with sub-block scale −2 and no high bits: 2; value 96: 0 | 1·16.
    expect([out[0], out[64], out[96], out[1]]).toEqual([17, -2 * (2 - 32), -16, -32]);
  });
});

describe('properties, over 200 random rows of 64 of very different sizes', () => {
  const random = new Random(5);
  const rows = Array.from({ length: 200 }, () => {
    const size = Math.exp(1 + 1.5 * random.normal());
    return Float32Array.from({ length: 64 }, () => size * random.normal());
  });
  /** Their scales are f16 numbers of few bits, or none. */
  const tiny = rows.map((row) => row.map((value) => value * 1e-6));

  test('Q8_0 is within 0.57 of a step, max/127 (0.5, and 127 times the scale\'s 2⁻¹¹); Q4_0 within half a step of max/8, or one where it is clipped', () => {
    for (const row of rows) {
      for (const [type, steps, share] of [['Q8_0', 127, 0.57], ['Q4_0', 8, 1.01]] as const) {
        const back = decode(type, encodeBlocks(type, row));
        for (let start = 0; start < 64; start += 32) {
          const part = row.subarray(start, start + 32);
          const largest = Math.max(...part.map(Math.abs));
          const error = Math.max(...part.map((value, i) => Math.abs(back[start + i]! - value)));
          expect(error).toBeLessThanOrEqual((share * largest) / steps);
        }
      }
    }
  });

  test('what was read and is written again reads the same, so nothing is lost by a second turn', () => {
    for (const row of [...rows, ...tiny]) {
      for (const type of ['F32', 'F16', 'Q8_0', 'Q4_0'] as const) {
        const bytes = encodeBlocks(type, row);
        expect(bytes).toHaveLength(tensorBytes(type, row.length));
        const values = decode(type, bytes);
        expect(largestDifference(decode(type, encodeBlocks(type, values)), values)).toBe(0);
      }
    }
  });

  test('Parley\'s q8 holds exactly the values of a Q8_0 file, and q4 those of a Q4_0 file', async () => {
    const backend = new ReferenceBackend();
    for (const [type, dtype] of [['Q8_0', 'q8'], ['Q4_0', 'q4']] as const) {
      const all = [...rows, ...tiny];
      const values = new Float32Array(all.length * 64);
      all.forEach((row, i) => values.set(decode(type, encodeBlocks(type, row)), i * 64));
      using x = Tensor.from(backend, values, [all.length, 64]);
      using held = Tensor.allocate(backend, [all.length, 64], dtype);
      using back = Tensor.allocate(backend, [all.length, 64]);
      backend.quantize({ out: held, x });
      backend.dequantize({ out: back, x: held });
      expect(largestDifference(await back.read(), values)).toBe(0);
    }
  });
});
