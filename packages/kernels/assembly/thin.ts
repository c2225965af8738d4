// @ts-nocheck
/**
 * Products of up to three rows, as decoding has them: so little is done with a number of `b` that packing it costs more than
 * the product. These read `b` where it lies, and sum in the same order as `block`, to the same bits.
 */
import { madd } from './simd';

/** Rows of a thin block, its columns where `b` lies transposed, and where it does not. */
export const THIN_ROWS: usize = 3;
export const THIN_COLUMNS: usize = 8;
export const THIN_WIDTH: usize = 16;

/**
 * out (3, 8) = start (3, 8) + a (3, length) · bᵀ, b (8, length). `b` is transposed in registers, 4 × 4 at a time.
 * Strides in bytes; reads `count` rows of `a` (1…3; the last stands in for the rest) and writes as many.
 */
export function thinTransposed(
  a0: usize, aStride: usize, count: usize, b: usize, bStride: usize, length: usize,
  start: usize, startStride: usize, out: usize, outStride: usize,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
  let a1 = count > 1 ? a0 + aStride : a0;
  let a2 = count > 2 ? a1 + aStride : a1;
  const twice = bStride * 2, thrice = bStride * 3;
  let d = b + bStride * 4;
  const end = b + (length & ~3) * 4;
  while (b != end) {
    let r0 = v128.load(b), r1 = v128.load(b + bStride), r2 = v128.load(b + twice), r3 = v128.load(b + thrice);
    let low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5), low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
    let x = i64x2.shuffle(low01, low23, 0, 2);
    c00 = madd(v128.load32_splat(a0), x, c00);
    c10 = madd(v128.load32_splat(a1), x, c10);
    c20 = madd(v128.load32_splat(a2), x, c20);
    x = i64x2.shuffle(low01, low23, 1, 3);
    c00 = madd(v128.load32_splat(a0, 4), x, c00);
    c10 = madd(v128.load32_splat(a1, 4), x, c10);
    c20 = madd(v128.load32_splat(a2, 4), x, c20);
    let high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7), high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
    x = i64x2.shuffle(high01, high23, 0, 2);
    c00 = madd(v128.load32_splat(a0, 8), x, c00);
    c10 = madd(v128.load32_splat(a1, 8), x, c10);
    c20 = madd(v128.load32_splat(a2, 8), x, c20);
    x = i64x2.shuffle(high01, high23, 1, 3);
    c00 = madd(v128.load32_splat(a0, 12), x, c00);
    c10 = madd(v128.load32_splat(a1, 12), x, c10);
    c20 = madd(v128.load32_splat(a2, 12), x, c20);

    r0 = v128.load(d), r1 = v128.load(d + bStride), r2 = v128.load(d + twice), r3 = v128.load(d + thrice);
    low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5), low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
    x = i64x2.shuffle(low01, low23, 0, 2);
    c01 = madd(v128.load32_splat(a0), x, c01);
    c11 = madd(v128.load32_splat(a1), x, c11);
    c21 = madd(v128.load32_splat(a2), x, c21);
    x = i64x2.shuffle(low01, low23, 1, 3);
    c01 = madd(v128.load32_splat(a0, 4), x, c01);
    c11 = madd(v128.load32_splat(a1, 4), x, c11);
    c21 = madd(v128.load32_splat(a2, 4), x, c21);
    high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7), high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
    x = i64x2.shuffle(high01, high23, 0, 2);
    c01 = madd(v128.load32_splat(a0, 8), x, c01);
    c11 = madd(v128.load32_splat(a1, 8), x, c11);
    c21 = madd(v128.load32_splat(a2, 8), x, c21);
    x = i64x2.shuffle(high01, high23, 1, 3);
    c01 = madd(v128.load32_splat(a0, 12), x, c01);
    c11 = madd(v128.load32_splat(a1, 12), x, c11);
    c21 = madd(v128.load32_splat(a2, 12), x, c21);
    a0 += 16; a1 += 16; a2 += 16;
    b += 16; d += 16;
  }
  for (let k: usize = 0; k < (length & 3); k++) {
    const x = gather(b, bStride), y = gather(d, bStride);
    let a = v128.load32_splat(a0);
    c00 = madd(a, x, c00); c01 = madd(a, y, c01);
    a = v128.load32_splat(a1);
    c10 = madd(a, x, c10); c11 = madd(a, y, c11);
    a = v128.load32_splat(a2);
    c20 = madd(a, x, c20); c21 = madd(a, y, c21);
    a0 += 4; a1 += 4; a2 += 4;
    b += 4; d += 4;
  }
  addPair(out, start, c00, c01);
  if (count > 1) addPair(out + outStride, start + startStride, c10, c11);
  if (count > 2) addPair(out + outStride * 2, start + startStride * 2, c20, c21);
}

/** Four numbers, `stride` bytes apart. */
@inline
function gather(x: usize, stride: usize): v128 {
  let y = v128.load32_zero(x);
  y = v128.load_lane<f32>(x + stride, y, 1);
  y = v128.load_lane<f32>(x + stride * 2, y, 2);
  return v128.load_lane<f32>(x + stride * 3, y, 3);
}

@inline
function addPair(out: usize, start: usize, c0: v128, c1: v128): void {
  v128.store(out, f32x4.add(v128.load(start), c0));
  v128.store(out, f32x4.add(v128.load(start, 16), c1), 16);
}

/** out (3, 16) = start (3, 16) + a (3, length) · b (length, 16), as above. */
export function thin(
  a0: usize, aStride: usize, count: usize, b: usize, bStride: usize, length: usize,
  start: usize, startStride: usize, out: usize, outStride: usize,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c02 = c00, c03 = c00;
  let c10 = c00, c11 = c00, c12 = c00, c13 = c00, c20 = c00, c21 = c00, c22 = c00, c23 = c00;
  let a1 = count > 1 ? a0 + aStride : a0;
  let a2 = count > 2 ? a1 + aStride : a1;
  const end = b + length * bStride;
  while (b != end) {
    let x = v128.load(b);
    c00 = madd(v128.load32_splat(a0), x, c00);
    c10 = madd(v128.load32_splat(a1), x, c10);
    c20 = madd(v128.load32_splat(a2), x, c20);
    x = v128.load(b, 16);
    c01 = madd(v128.load32_splat(a0), x, c01);
    c11 = madd(v128.load32_splat(a1), x, c11);
    c21 = madd(v128.load32_splat(a2), x, c21);
    x = v128.load(b, 32);
    c02 = madd(v128.load32_splat(a0), x, c02);
    c12 = madd(v128.load32_splat(a1), x, c12);
    c22 = madd(v128.load32_splat(a2), x, c22);
    x = v128.load(b, 48);
    c03 = madd(v128.load32_splat(a0), x, c03);
    c13 = madd(v128.load32_splat(a1), x, c13);
    c23 = madd(v128.load32_splat(a2), x, c23);
    a0 += 4; a1 += 4; a2 += 4;
    b += bStride;
  }
  addPair(out, start, c00, c01);
  addPair(out + 32, start + 32, c02, c03);
  if (count > 1) {
    addPair(out + outStride, start + startStride, c10, c11);
    addPair(out + outStride + 32, start + startStride + 32, c12, c13);
  }
  if (count > 2) {
    addPair(out + outStride * 2, start + startStride * 2, c20, c21);
    addPair(out + outStride * 2 + 32, start + startStride * 2 + 32, c22, c23);
  }
}
