// @ts-nocheck
/**
 * out = softmax(q·kᵀ·scale)·v as matrix products of register blocks, over blocks of keys, with the softmax kept up as they come
 * (Milakov & Gimelshein, 2018, arXiv:1805.02867; Dao et al., 2022, arXiv:2205.14135): no score leaves the L1 cache.
 *
 * The rows of one key head are its queries times the query heads that read it, query by query: row r is query r / group, head
 * r % group of the group. So grouped heads share what is packed of k, in decoding too. A chunk is a tile of such rows.
 *
 * A row's result is the same bits whatever rows are beside it and however the sequence was cut into past and present: blocks
 * of keys begin at multiples of KEYS of the sequence's own, every sum goes over keys in order, and a key that a row does not
 * see adds an exact zero.
 */
import { block, MR, NR, packColumns, packRows, PANEL_ROW } from './block';
import { log } from './math';
import { madd, maxLanes, nmadd, sumLanes } from './simd';
import { thin, THIN_COLUMNS, THIN_ROWS, thinTransposed, THIN_WIDTH } from './thin';

/** Keys to a block: scores of 6 rows are 1.5 KiB, packed keys of size 64 are 16 KiB. */
const KEYS: usize = 64;
const SCORE_ROW: usize = KEYS * 4;

export function attention(args: usize, chunk: u32, scratch: usize): void {
  const out = load<usize>(args);
  /** 0: not wanted. */
  const logSumExp = load<usize>(args, 4);
  const q = load<usize>(args, 8);
  const k = load<usize>(args, 12);
  const v = load<usize>(args, 16);
  const sequences = load<usize>(args, 20);
  const sequenceCount = load<usize>(args, 24);
  const heads = load<usize>(args, 28);
  const keyHeads = load<usize>(args, 32);
  const size = load<usize>(args, 36);
  const causal = load<u32>(args, 40) != 0;
  const scale = load<f32>(args, 44);
  /** Rows to a tile, and tiles of the longest sequence. */
  const tileRows = load<usize>(args, 48);
  const tiles = load<usize>(args, 52);
  /** Most keys that a row sees, the last ones; 0: all. */
  const window = load<usize>(args, 56);

  // The last tiles first: where attention is causal they see the most keys.
  const pair = <usize>chunk % (sequenceCount * keyHeads);
  const tile = tiles - 1 - <usize>chunk / (sequenceCount * keyHeads);
  const keyHead = pair % keyHeads;
  const sequence = sequences + (pair / keyHeads) * 16;
  const queryStart = load<usize>(sequence);
  const queryLength = load<usize>(sequence, 4);
  const keyStart = load<usize>(sequence, 8);
  const keyLength = load<usize>(sequence, 12);

  const group = heads / keyHeads;
  const firstRow = tile * tileRows;
  if (firstRow >= queryLength * group) return;
  const count = min(tileRows, queryLength * group - firstRow);
  const past = keyLength - queryLength;

  const rowBytes = size * 4;
  const outRow = (size + NR - 1) / NR * PANEL_ROW; // columns in whole panels
  const zeros = scratch; // 16 f32
  memory.fill(zeros, 0, 64);
  const scores = scratch + 64; // (MR, KEYS)
  const largest = scores + MR * SCORE_ROW; // (rows)
  const totals = largest + tileRows * 4; // (rows)
  const queries = align(totals + tileRows * 4); // (rows, D), times scale
  const sums = align(queries + tileRows * rowBytes); // (rows, D in panels)
  const keys = align(sums + tileRows * outRow); // (KEYS / NR, D, NR)
  const values = align(keys + KEYS * rowBytes); // (D / NR, KEYS, NR), where D is not a multiple of NR

  for (let r: usize = 0; r < count; r++) {
    scaleRow(queries + r * rowBytes, q + rowOf(firstRow + r, group, queryStart, heads, keyHead) * rowBytes, size, scale);
    store<f32>(largest + r * 4, -Infinity);
    store<f32>(totals + r * 4, 0);
  }
  memory.fill(sums, 0, tileRows * outRow);

  // With few rows k and v are read where they lie.
  const few = count <= THIN_ROWS;
  const keyStride = keyHeads * rowBytes;
  const seen = causal ? past + (firstRow + count - 1) / group + 1 : keyLength;
  const unseen = hiddenKeys(past + firstRow / group + 1, window); // by the first row, and so by all
  for (let j: usize = unseen / KEYS * KEYS; j < seen; j += KEYS) {
    const width = min(KEYS, seen - j);
    const keyRow = ((keyStart + j) * keyHeads + keyHead) * rowBytes;
    for (let n: usize = 0; n < width; n += NR) {
      if (few && width - n >= THIN_COLUMNS) continue;
      packColumns(k + keyRow + n * keyStride, keyStride, size, keys + n * rowBytes, min(NR, width - n));
    }
    let b = v + keyRow;
    let bStride = keyStride;
    let bNext = PANEL_ROW; // from 8 columns of v to the next
    if (size % NR != 0) {
      for (let d: usize = 0; d < size; d += NR) {
        packRows(v + keyRow + d * 4, keyStride, width, values + d * SCORE_ROW, min(NR, size - d));
      }
      b = values;
      bStride = PANEL_ROW;
      bNext = KEYS * PANEL_ROW;
    }
    for (let r: usize = 0; r < count; r += MR) {
      const rows = min(MR, count - r);
      // Keys of this block that the strip's last row sees; the others see no more.
      let reach = width;
      if (causal) {
        const visible = past + (firstRow + r + rows - 1) / group + 1;
        if (visible <= j) continue;
        reach = min(width, visible - j);
      }
      for (let n: usize = 0; n < reach; n += NR) {
        const x = queries + r * rowBytes;
        const y = scores + n * 4;
        if (few && width - n >= THIN_COLUMNS) {
          thinTransposed(x, rowBytes, rows, k + keyRow + n * keyStride, keyStride, size, zeros, 0, y, SCORE_ROW);
        } else {
          block(x, rowBytes, 4, rows, keys + n * rowBytes, PANEL_ROW, size, zeros, 0, y, SCORE_ROW);
        }
      }
      for (let i: usize = 0; i < rows; i++) {
        let visible = reach;
        if (causal) {
          const end = past + (firstRow + r + i) / group + 1;
          visible = end <= j ? 0 : min(reach, end - j);
          const first = hiddenKeys(end, window);
          if (first > j) {
            if (first - j >= visible) visible = 0;
            else for (let n: usize = 0; n < first - j; n++) store<f32>(scores + i * SCORE_ROW + n * 4, -Infinity);
          }
        }
        const at = (r + i) * 4;
        updateSoftmax(scores + i * SCORE_ROW, visible, reach, largest + at, totals + at, sums + (r + i) * outRow, outRow);
      }
      const y = sums + r * outRow;
      let d: usize = 0;
      if (few) {
        for (; d + THIN_WIDTH <= size; d += THIN_WIDTH) {
          thin(scores, SCORE_ROW, rows, v + keyRow + d * 4, keyStride, reach, y + d * 4, outRow, y + d * 4, outRow);
        }
      }
      for (; d < size; d += NR) {
        block(scores, SCORE_ROW, 4, rows, b + d / NR * bNext, bStride, reach, y + d * 4, outRow, y + d * 4, outRow);
      }
    }
  }

  for (let r: usize = 0; r < count; r++) {
    const row = rowOf(firstRow + r, group, queryStart, heads, keyHead);
    const total = load<f32>(totals + r * 4);
    const x = sums + r * outRow;
    multiply(x, outRow, 1 / total);
    copyRow(out + row * rowBytes, x, size);
    if (logSumExp != 0) store<f32>(logSumExp + row * 4, load<f32>(largest + r * 4) + log(total));
  }
}

/** Keys before the window of a row that sees none from `end` on. */
@inline
export function hiddenKeys(end: usize, window: usize): usize {
  return window != 0 && end > window ? end - window : 0;
}

@inline
export function align(address: usize): usize {
  return (address + 63) & ~63;
}

/** Where a key head's row r is in q and out as (N·H, D). */
@inline
export function rowOf(r: usize, group: usize, queryStart: usize, heads: usize, keyHead: usize): usize {
  return (queryStart + r / group) * heads + keyHead * group + r % group;
}

/** `size` numbers: for short rows a loop beats memory.copy, which is a call out of WebAssembly. */
@inline
export function copyRow(to: usize, from: usize, size: usize): void {
  const end = from + size * 4;
  for (; from + 16 <= end; from += 16) {
    v128.store(to, v128.load(from));
    to += 16;
  }
  for (; from < end; from += 4) {
    store<f32>(to, load<f32>(from));
    to += 4;
  }
}

/** to = from · factor, `size` numbers. */
@inline
export function scaleRow(to: usize, from: usize, size: usize, factor: f32): void {
  const end = from + size * 4;
  for (; from + 16 <= end; from += 16) {
    v128.store(to, f32x4.mul(v128.load(from), f32x4.splat(factor)));
    to += 16;
  }
  for (; from < end; from += 4) {
    store<f32>(to, load<f32>(from) * factor);
    to += 4;
  }
}

/**
 * Turns a row's scores into exp(score − m), m the largest up to now, and zeros from `visible` to `reach`; moves what the row has
 * summed before to the new m, and adds the new ones to its total.
 */
function updateSoftmax(scores: usize, visible: usize, reach: usize, largest: usize, total: usize, sums: usize, sumBytes: usize): void {
  const end = scores + ((visible + 7) & ~7) * 4;
  for (let x = end; x < scores + reach * 4; x += 16) v128.store(x, f32x4.splat(0));
  if (visible == 0) return;
  for (let x = scores + visible * 4; x < end; x += 4) store<f32>(x, -Infinity);

  let most0 = f32x4.splat(-Infinity), most1 = most0;
  for (let x = scores; x < end; x += 32) {
    most0 = f32x4.pmax(most0, v128.load(x));
    most1 = f32x4.pmax(most1, v128.load(x, 16));
  }
  const before = load<f32>(largest);
  const m = max(before, maxLanes(f32x4.pmax(most0, most1)));
  const shift = f32x4.splat(m);
  let sum0 = f32x4.splat(0), sum1 = sum0;
  for (let x = scores; x < end; x += 32) {
    const p0 = expToOne(f32x4.sub(v128.load(x), shift));
    const p1 = expToOne(f32x4.sub(v128.load(x, 16), shift));
    v128.store(x, p0);
    v128.store(x, p1, 16);
    sum0 = f32x4.add(sum0, p0);
    sum1 = f32x4.add(sum1, p1);
  }
  if (m != before) {
    const shrink = f32x4.extract_lane(expToOne(f32x4.splat(before - m)), 0);
    store<f32>(total, load<f32>(total) * shrink);
    multiply(sums, sumBytes, shrink);
    store<f32>(largest, m);
  }
  store<f32>(total, load<f32>(total) + sumLanes(f32x4.add(sum0, sum1)));
}

/** e^x for x up to a little over 0, within 1.5e-7 of its value and exactly 0 below −87.7: two thirds of the work of `exp`. */
@inline
export function expToOne(x: v128): v128 {
  const bounded = f32x4.pmax(x, f32x4.splat(-88));
  // As in `exp`; at −88 the exponent is −127, whose bits are those of 0.
  const shifted = madd(bounded, f32x4.splat(1.44269504), f32x4.splat(12582912));
  const n = f32x4.sub(shifted, f32x4.splat(12582912));
  const r = madd(n, f32x4.splat(2.12194440e-4), nmadd(n, f32x4.splat(0.693359375), bounded));
  let q = madd(r, f32x4.splat(1.38144669e-3), f32x4.splat(8.36878055e-3));
  q = madd(q, r, f32x4.splat(4.16683942e-2));
  q = madd(q, r, f32x4.splat(1.66665201e-1));
  q = madd(q, r, f32x4.splat(4.99999934e-1));
  const p = f32x4.add(f32x4.splat(1), madd(f32x4.mul(r, r), q, r));
  return f32x4.mul(p, i32x4.shl(i32x4.sub(shifted, i32x4.splat(0x4b400000 - 127)), 23));
}

/** x *= factor. `bytes` is a multiple of 16. */
@inline
function multiply(x: usize, bytes: usize, factor: f32): void {
  const by = f32x4.splat(factor);
  const end = x + bytes;
  for (; x < end; x += 16) v128.store(x, f32x4.mul(v128.load(x), by));
}
