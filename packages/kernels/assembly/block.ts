// @ts-nocheck
/**
 * The arithmetic of matrix products and attention: a block of 6 × 8 sums in registers, and the packing that feeds it.
 *
 * 12 of the 15 vector registers that V8 gives a loop hold sums, two hold a row of b and one a number of a. Larger blocks
 * spill, smaller ones wait for loads, and unrolling spills too: docs/decisions.md has the table.
 */
import { madd } from './simd';

/** Rows and columns of the block. */
export const MR: usize = 6;
export const NR: usize = 8;
/** Bytes of a packed row of b. */
export const PANEL_ROW: usize = NR * 4;

/**
 * out (6, 8) = start (6, 8) + a (6, length) · b (length, 8), each element summed from the first product to the last and then
 * added to its start. All strides are in bytes: between rows, and for `a` also the step from one k to the next, so that a
 * transposed `a` is read where it lies. Reads `count` rows of `a` (1…6; the last stands in for the rest) and writes 6 of `out`.
 */
export function block(
  a0: usize, aStride: usize, aStep: usize, count: usize, b: usize, bStride: usize, length: usize,
  start: usize, startStride: usize, out: usize, outStride: usize,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
  let c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  let a1 = count > 1 ? a0 + aStride : a0;
  let a2 = count > 2 ? a1 + aStride : a1;
  let a3 = count > 3 ? a2 + aStride : a2;
  let a4 = count > 4 ? a3 + aStride : a3;
  let a5 = count > 5 ? a4 + aStride : a4;
  const end = b + length * bStride;
  while (b != end) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let a = v128.load32_splat(a0);
    c00 = madd(a, b0, c00); c01 = madd(a, b1, c01);
    a = v128.load32_splat(a1);
    c10 = madd(a, b0, c10); c11 = madd(a, b1, c11);
    a = v128.load32_splat(a2);
    c20 = madd(a, b0, c20); c21 = madd(a, b1, c21);
    a = v128.load32_splat(a3);
    c30 = madd(a, b0, c30); c31 = madd(a, b1, c31);
    a = v128.load32_splat(a4);
    c40 = madd(a, b0, c40); c41 = madd(a, b1, c41);
    a = v128.load32_splat(a5);
    c50 = madd(a, b0, c50); c51 = madd(a, b1, c51);
    a0 += aStep; a1 += aStep; a2 += aStep; a3 += aStep; a4 += aStep; a5 += aStep;
    b += bStride;
  }
  addRow(out, start, c00, c01);
  addRow(out += outStride, start += startStride, c10, c11);
  addRow(out += outStride, start += startStride, c20, c21);
  addRow(out += outStride, start += startStride, c30, c31);
  addRow(out += outStride, start += startStride, c40, c41);
  addRow(out + outStride, start + startStride, c50, c51);
}

@inline
function addRow(out: usize, start: usize, c0: v128, c1: v128): void {
  v128.store(out, f32x4.add(v128.load(start), c0));
  v128.store(out, f32x4.add(v128.load(start, 16), c1), 16);
}

/** panel (length, 8) from the rows of x (length, …): `columns` of each, the others zero. */
export function packRows(x: usize, stride: usize, length: usize, panel: usize, columns: usize): void {
  const end = panel + length * PANEL_ROW;
  if (columns == NR) {
    for (; panel != end; panel += PANEL_ROW) {
      v128.store(panel, v128.load(x));
      v128.store(panel, v128.load(x, 16), 16);
      x += stride;
    }
    return;
  }
  memory.fill(panel, 0, end - panel);
  for (; panel != end; panel += PANEL_ROW) {
    for (let j: usize = 0; j < columns; j++) store<f32>(panel + j * 4, load<f32>(x + j * 4));
    x += stride;
  }
}

/** panel (length, 8) from x (…, length) transposed: `columns` rows of it, the other columns zero. */
export function packColumns(x: usize, stride: usize, length: usize, panel: usize, columns: usize): void {
  if (columns < NR) memory.fill(panel, 0, length * PANEL_ROW);
  let j: usize = 0;
  for (; j + 4 <= columns; j += 4) packFourColumns(x + j * stride, stride, length, panel + j * 4);
  for (; j < columns; j++) {
    const from = x + j * stride;
    const to = panel + j * 4;
    for (let i: usize = 0; i < length; i++) store<f32>(to + i * PANEL_ROW, load<f32>(from + i * 4));
  }
}

function packFourColumns(x0: usize, stride: usize, length: usize, out: usize): void {
  let x1 = x0 + stride, x2 = x1 + stride, x3 = x2 + stride;
  let i: usize = 0;
  for (; i + 4 <= length; i += 4) {
    const r0 = v128.load(x0), r1 = v128.load(x1), r2 = v128.load(x2), r3 = v128.load(x3);
    const low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5), low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
    const high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7), high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
    v128.store(out, i64x2.shuffle(low01, low23, 0, 2));
    v128.store(out, i64x2.shuffle(low01, low23, 1, 3), PANEL_ROW);
    v128.store(out, i64x2.shuffle(high01, high23, 0, 2), 2 * PANEL_ROW);
    v128.store(out, i64x2.shuffle(high01, high23, 1, 3), 3 * PANEL_ROW);
    out += 4 * PANEL_ROW;
    x0 += 16; x1 += 16; x2 += 16; x3 += 16;
  }
  for (; i < length; i++) {
    store<f32>(out, load<f32>(x0));
    store<f32>(out, load<f32>(x1), 4);
    store<f32>(out, load<f32>(x2), 8);
    store<f32>(out, load<f32>(x3), 12);
    out += PANEL_ROW;
    x0 += 4; x1 += 4; x2 += 4; x3 += 4;
  }
}
