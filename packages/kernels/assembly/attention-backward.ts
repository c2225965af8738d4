// @ts-nocheck
/**
 * Gradients of attention. Probabilities are computed again from logSumExp (Dao et al., 2022, arXiv:2205.14135, appendix B.4):
 * P = exp(q·kᵀ·scale − logSumExp), dP = dOut·vᵀ, Δ = dOut·out, dS = P·(dP − Δ),
 * dQ += dS·k·scale, dK += dSᵀ·q·scale, dV += Pᵀ·dOut, over the rows of a key head as in attention.ts.
 *
 * All five products are register blocks over pairs of a block of keys and a tile of rows, both of 48, a multiple of 6 and 8.
 * One writer a row of each gradient, and a fixed order: dK and dV are summed over tiles in a chunk's scratch and added once,
 * dQ is added to over blocks of keys in order.
 *
 * A chunk is (sequence, key head). Where these are too few for the threads, the host launches twice instead: for dK and dV
 * cut by blocks of keys, then for dQ cut by tiles of rows, which computes P and dP twice: 7 products for 5, and the same bits.
 */
import { align, copyRow, expToOne, hiddenKeys, rowOf, scaleRow } from './attention';
import { block, MR, NR, packColumns, PANEL_ROW } from './block';
import { madd, sumLanes } from './simd';

/** Keys to a block, and rows to a tile. */
const TILE: usize = 48;
const SCORE_ROW: usize = TILE * 4;

/** A row's numbers in whole panels of 8, so that blocks need no edges: bytes. */
@inline
function paddedRow(size: usize): usize {
  return (size + NR - 1) / NR * PANEL_ROW;
}

export function attentionBackward(args: usize, chunk: u32, scratch: usize): void {
  /** Gradients: 0 where not wanted. */
  const dQ = load<usize>(args);
  const dK = load<usize>(args, 4);
  const dV = load<usize>(args, 8);
  const dOut = load<usize>(args, 12);
  const out = load<usize>(args, 16);
  const logSumExp = load<usize>(args, 20);
  const q = load<usize>(args, 24);
  const k = load<usize>(args, 28);
  const v = load<usize>(args, 32);
  const sequences = load<usize>(args, 36);
  const heads = load<usize>(args, 40);
  const keyHeads = load<usize>(args, 44);
  const size = load<usize>(args, 48);
  const causal = load<u32>(args, 52) != 0;
  const scale = load<f32>(args, 56);
  /** Chunks among which a sequence and key head's blocks of keys, or tiles of rows, are dealt: one of the two is 1. */
  const keyParts = load<usize>(args, 60);
  const rowParts = load<usize>(args, 64);
  /** Most keys that a row sees, the last ones; 0: all. */
  const window = load<usize>(args, 68);

  const parts = keyParts * rowParts;
  const part = <usize>chunk % parts;
  const keyPart = part % keyParts;
  const rowPart = part / keyParts;
  const pair = <usize>chunk / parts;
  const keyHead = pair % keyHeads;
  const sequence = sequences + (pair / keyHeads) * 16;
  const queryStart = load<usize>(sequence);
  const queryLength = load<usize>(sequence, 4);
  const keyStart = load<usize>(sequence, 8);
  const keyLength = load<usize>(sequence, 12);
  const group = heads / keyHeads;
  const rowCount = queryLength * group;
  const past = keyLength - queryLength;

  const rowBytes = size * 4;
  const wide = paddedRow(size);
  const tileBytes = TILE * wide;
  const zeros = scratch; // 8 f32
  const sums = scratch + 64; // logSumExp of a tile's rows
  const deltas = sums + TILE * 4;
  const p = align(deltas + TILE * 4); // (rows, keys)
  const dS = p + TILE * SCORE_ROW; // (rows, keys), first as dP
  const keys = dS + TILE * SCORE_ROW; // (keys, D)
  const packedKeys = keys + tileBytes; // (keys / NR, D, NR), and so the values
  const packedValues = packedKeys + tileBytes;
  const queries = packedValues + tileBytes; // (rows, D), times scale
  const dOuts = queries + tileBytes; // (rows, D)
  const dKeys = dOuts + tileBytes; // (keys, D)
  const dValues = dKeys + tileBytes; // (keys, D)
  const dQueries = dValues + tileBytes; // (rows, D)

  memory.fill(zeros, 0, 32);
  // Columns past D are read by the blocks and never written.
  memory.fill(keys, 0, tileBytes);
  memory.fill(queries, 0, 2 * tileBytes);

  const keyStride = keyHeads * rowBytes;
  for (let j: usize = keyPart * TILE; j < keyLength; j += keyParts * TILE) {
    const width = min(TILE, keyLength - j);
    const keyOffset = ((keyStart + j) * keyHeads + keyHead) * rowBytes;
    for (let i: usize = 0; i < width; i++) copyRow(keys + i * wide, k + keyOffset + i * keyStride, size);
    for (let n: usize = 0; n < width; n += NR) {
      const at = keyOffset + n * keyStride;
      packColumns(k + at, keyStride, size, packedKeys + n * rowBytes, min(NR, width - n));
      packColumns(v + at, keyStride, size, packedValues + n * rowBytes, min(NR, width - n));
    }
    memory.fill(dKeys, 0, 2 * tileBytes);

    // The first row that sees a key of this block, in its tile.
    const firstSeeing = causal && j > past ? (j - past) * group : 0;
    for (let tile = rowPart; tile * TILE < rowCount; tile += rowParts) {
      const first = tile * TILE;
      if (first + TILE <= firstSeeing) continue;
      // From here on the window is past this block.
      if (hiddenKeys(past + first / group + 1, window) >= j + width) break;
      const count = min(TILE, rowCount - first);
      for (let r: usize = 0; r < count; r++) {
        const row = rowOf(first + r, group, queryStart, heads, keyHead);
        scaleRow(queries + r * wide, q + row * rowBytes, size, scale);
        copyRow(dOuts + r * wide, dOut + row * rowBytes, size);
        store<f32>(sums + r * 4, load<f32>(logSumExp + row * 4));
        store<f32>(deltas + r * 4, dot(dOut + row * rowBytes, out + row * rowBytes, size));
      }

      for (let r: usize = 0; r < count; r += MR) {
        const rows = min(MR, count - r);
        const x = p + r * SCORE_ROW;
        const y = dS + r * SCORE_ROW;
        let reach = width;
        if (causal) {
          const visible = past + (first + r + rows - 1) / group + 1;
          reach = visible <= j ? 0 : min(width, visible - j);
        }
        for (let n: usize = 0; n < reach; n += NR) {
          block(queries + r * wide, wide, 4, rows, packedKeys + n * rowBytes, PANEL_ROW, size, zeros, 0, x + n * 4, SCORE_ROW);
          block(dOuts + r * wide, wide, 4, rows, packedValues + n * rowBytes, PANEL_ROW, size, zeros, 0, y + n * 4, SCORE_ROW);
        }
        for (let i: usize = 0; i < rows; i++) {
          let visible = width;
          let hidden: usize = 0;
          if (causal) {
            const end = past + (first + r + i) / group + 1;
            visible = end <= j ? 0 : min(width, end - j);
            const unseen = hiddenKeys(end, window);
            hidden = unseen > j ? min(unseen - j, visible) : 0;
          }
          differentiate(x + i * SCORE_ROW, y + i * SCORE_ROW, visible, load<f32>(sums + (r + i) * 4), load<f32>(deltas + (r + i) * 4));
          for (let n: usize = 0; n < hidden * 4; n += 4) {
            store<f32>(x + i * SCORE_ROW + n, 0);
            store<f32>(y + i * SCORE_ROW + n, 0);
          }
        }
        if (dQ != 0 && reach != 0) {
          for (let d: usize = 0; d < wide; d += PANEL_ROW) {
            block(y, SCORE_ROW, 4, rows, keys + d, wide, reach, zeros, 0, dQueries + r * wide + d, wide);
          }
          for (let i: usize = 0; i < rows; i++) {
            addTo(dQ + rowOf(first + r + i, group, queryStart, heads, keyHead) * rowBytes, dQueries + (r + i) * wide, size, scale);
          }
        }
      }

      // Keys are the rows of these blocks: p and dS are read down their columns.
      for (let n: usize = 0; n < width; n += MR) {
        // Rows before the first that sees a key of the strip have zeros for it.
        const seeing = causal && j + n > past ? (j + n - past) * group : 0;
        const from = seeing > first ? seeing - first : 0;
        if (from >= count) break;
        if (dV != 0) sumOverRows(p + n * 4, dOuts, dValues + n * wide, from, count, wide);
        if (dK != 0) sumOverRows(dS + n * 4, queries, dKeys + n * wide, from, count, wide);
      }
    }

    for (let i: usize = 0; i < width; i++) {
      if (dV != 0) addTo(dV + keyOffset + i * keyStride, dValues + i * wide, size, 1);
      if (dK != 0) addTo(dK + keyOffset + i * keyStride, dKeys + i * wide, size, 1);
    }
  }
}

/** total (6, D) += weightsᵀ · x over rows `from` to `end`: weights (rows, 6 of TILE), x (rows, D). */
function sumOverRows(weights: usize, x: usize, total: usize, from: usize, end: usize, wide: usize): void {
  const a = weights + from * SCORE_ROW;
  const b = x + from * wide;
  for (let d: usize = 0; d < wide; d += PANEL_ROW) {
    block(a, 4, SCORE_ROW, MR, b + d, wide, end - from, total + d, wide, total + d, wide);
  }
}

/** A row's scores become probabilities and dP becomes dS, both zero past `visible`. */
function differentiate(p: usize, dS: usize, visible: usize, logSumExp: f32, delta: f32): void {
  const shift = f32x4.splat(logSumExp);
  const from = f32x4.splat(delta);
  const bytes = visible * 4;
  let i: usize = 0;
  for (; i < bytes; i += 16) {
    const probability = expToOne(f32x4.sub(v128.load(p + i), shift));
    v128.store(p + i, probability);
    v128.store(dS + i, f32x4.mul(probability, f32x4.sub(v128.load(dS + i), from)));
  }
  for (let at = bytes; at < i; at += 4) {
    store<f32>(p + at, 0);
    store<f32>(dS + at, 0);
  }
  for (; i < SCORE_ROW; i += 16) {
    v128.store(p + i, f32x4.splat(0));
    v128.store(dS + i, f32x4.splat(0));
  }
}

/** Σ a·b over `size` numbers. */
function dot(a: usize, b: usize, size: usize): f32 {
  let sum = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 4 <= size; i += 4) sum = madd(v128.load(a + i * 4), v128.load(b + i * 4), sum);
  let total = sumLanes(sum);
  for (; i < size; i++) total += load<f32>(a + i * 4) * load<f32>(b + i * 4);
  return total;
}

/** out += x · factor over `size` numbers. */
function addTo(out: usize, x: usize, size: usize, factor: f32): void {
  let i: usize = 0;
  for (; i + 4 <= size; i += 4) v128.store(out + i * 4, madd(v128.load(x + i * 4), f32x4.splat(factor), v128.load(out + i * 4)));
  for (; i < size; i++) store<f32>(out + i * 4, load<f32>(out + i * 4) + load<f32>(x + i * 4) * factor);
}
