/**
 * Weights in 8 and 4 bits, in blocks of 32 columns with one scale each: the formats known as Q8_0 and Q4_0 from ggml, with
 * f32 scales. This backend's layout, for q8 and q4 alike: a signed byte for every weight, row-major, then the scales (f32).
 *
 * Codes are computed in single precision (`Math.fround` after every step), so that every backend arrives at the same ones.
 */
import type { Tensor } from '../../tensor.ts';
import { type Args, BLOCK, floats, place } from './memory.ts';
import { at, codeAt, dotCodes } from './vectors.ts';

interface Blocks {
  /** (R, C): −127…127 in q8, −8…7 in q4; a weight is code · scale. */
  readonly codes: Int8Array;
  /** (R, C / 32) */
  readonly scales: Float32Array;
}

function blocks(tensor: Tensor): Blocks {
  const { buffer, byteOffset } = place(tensor);
  return {
    codes: new Int8Array(buffer, byteOffset, tensor.size),
    scales: new Float32Array(buffer, byteOffset + tensor.size, tensor.size / BLOCK),
  };
}

export function quantize({ out, x }: Args<'quantize'>): void {
  const to = blocks(out);
  const values = floats(x);
  const quantizeBlock = out.dtype === 'q4' ? quantizeBlock4 : quantizeBlock8;
  for (let block = 0; block < to.scales.length; block++) quantizeBlock(to, block, values);
}

export function dequantize({ out, x }: Args<'dequantize'>): void {
  dequantizeRow(x, 0, x.size, floats(out), 0);
}

/** into[start…] = `count` weights of x from element `from` on, a multiple of 32. */
export function dequantizeRow(x: Tensor, from: number, count: number, into: Float32Array, start: number): void {
  const { codes, scales } = blocks(x);
  for (let i = 0; i < count; i++) {
    into[start + i] = codeAt(codes, from + i) * at(scales, Math.floor((from + i) / BLOCK));
  }
}

/** q8: d = max|x| / 127, code = roundTiesToEven(x / d). */
function quantizeBlock8(to: Blocks, block: number, x: Float32Array): void {
  const start = block * BLOCK;
  let largest = 0;
  for (let i = start; i < start + BLOCK; i++) largest = Math.max(largest, Math.abs(at(x, i)));
  const d = Math.fround(largest / 127);
  to.scales[block] = d;
  for (let i = start; i < start + BLOCK; i++) {
    // d is 0 for a block of zeros, and where max|x| / 127 is too small for a single-precision number.
    const code = d === 0 ? 0 : roundTiesToEven(Math.fround(at(x, i) / d));
    to.codes[i] = Math.max(-127, Math.min(127, code));
  }
}

/** q4: m the value of largest magnitude, d = m / −8, code = min(15, floor(x / d + 8.5)) − 8. So m itself is exact: −8 · d. */
function quantizeBlock4(to: Blocks, block: number, x: Float32Array): void {
  const start = block * BLOCK;
  let m = 0;
  for (let i = start; i < start + BLOCK; i++) if (Math.abs(at(x, i)) > Math.abs(m)) m = at(x, i);
  const d = Math.fround(m / -8);
  to.scales[block] = d;
  for (let i = start; i < start + BLOCK; i++) {
    const code = d === 0 ? 8 : Math.floor(Math.fround(Math.fround(at(x, i) / d) + 8.5));
    to.codes[i] = Math.max(0, Math.min(15, code)) - 8;
  }
}

/** IEEE 754's default rounding: 0.5 → 0, 1.5 → 2, 2.5 → 2. */
export function roundTiesToEven(x: number): number {
  const floor = Math.floor(x);
  const fraction = x - floor;
  if (fraction !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * out (N, R) = a (N, C) · wᵀ. Each row of `a` is quantized to q8 first: with a ≈ codeA·dA and w ≈ codeW·dW, a block's part of
 * the dot product is dA · dW · Σ codeA·codeW, and the sum is one of whole numbers.
 */
export function matmulQuantized({ out, a, w, bias }: Args<'matmulQuantized'>): void {
  const [N, R, C] = [a.dim(0), w.dim(0), w.dim(1)];
  const rowBlocks = C / BLOCK;
  const outValues = floats(out); // (N, R)
  const aValues = floats(a); // (N, C)
  const biasValues = bias && floats(bias); // (R)
  const weights = blocks(w);
  const row: Blocks = { codes: new Int8Array(C), scales: new Float32Array(rowBlocks) }; // a[n, :]

  for (let n = 0; n < N; n++) {
    const aRow = aValues.subarray(n * C, (n + 1) * C);
    for (let block = 0; block < rowBlocks; block++) quantizeBlock8(row, block, aRow);
    for (let r = 0; r < R; r++) {
      let sum = biasValues ? at(biasValues, r) : 0;
      for (let block = 0; block < rowBlocks; block++) {
        const dot = dotCodes(row.codes, block * BLOCK, weights.codes, r * C + block * BLOCK, BLOCK);
        sum += at(row.scales, block) * at(weights.scales, r * rowBlocks + block) * dot;
      }
      outValues[n * R + r] = sum;
    }
  }
}
