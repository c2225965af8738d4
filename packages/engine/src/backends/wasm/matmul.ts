/** Launches the f32 matrix product: cuts the output into tiles, one chunk each. The arithmetic is in kernels' `matmul.ts`. */
import { operations } from '@parley/kernels';
import type { Args } from './launch.ts';
import { addressOf, addressOrZero, type WasmRuntime } from './runtime.ts';

/** Rows and columns of the kernel's register block: tiles are multiples of them. */
const BLOCK_ROWS = 6;
const BLOCK_COLUMNS = 8;
/** Most of k summed at a time: 8 columns of b, 12 KiB, then stay in the L1 cache. */
const LARGEST_DEPTH = 384;
/** With this depth a tile's operands, up to 0.9 MiB, stay in a 2 MiB L2 cache, and packing costs it some 3% of its time. */
const LARGEST_TILE = { rows: 192, columns: 192 };
/** A transposed `a` is packed once for each column of tiles: fewer of them. */
const LARGEST_TILE_TRANSPOSED = { rows: 192, columns: 384 };
/** Below 48 packing would cost over 10%. */
const SMALLEST_TILE = 48;
/** What keeps threads evenly busy. Where the output is too small for it, tiles shrink. */
const CHUNKS_PER_THREAD = 4;

export interface Tiling {
  readonly tileRows: number;
  readonly tileColumns: number;
  readonly depth: number;
  readonly chunks: number;
}

/** How an (M, K) · (K, N) product is cut. No bit of it depends on the tile; `depth`, which orders the sums, depends on K alone. */
export function tiling(shape: { M: number; N: number; K: number }, options: { threads: number; transposeA: boolean }): Tiling {
  const { M, N, K } = shape;
  const tile = { ...(options.transposeA ? LARGEST_TILE_TRANSPOSED : LARGEST_TILE) };
  for (;;) {
    const tileRows = evenParts(M, tile.rows, BLOCK_ROWS);
    const tileColumns = evenParts(N, tile.columns, BLOCK_COLUMNS);
    const chunks = Math.ceil(M / tileRows) * Math.ceil(N / tileColumns);
    const side = tile.columns >= tile.rows ? 'columns' : 'rows';
    if (chunks >= CHUNKS_PER_THREAD * options.threads || tile[side] === SMALLEST_TILE) {
      return { tileRows, tileColumns, depth: evenParts(K, LARGEST_DEPTH, 1), chunks };
    }
    tile[side] /= 2;
  }
}

/** The size, a multiple of `unit`, of as few parts of `extent` as are no larger than `largest`, of much the same size. */
function evenParts(extent: number, largest: number, unit: number): number {
  const parts = Math.max(1, Math.ceil(extent / largest));
  return Math.max(unit, Math.ceil(extent / parts / unit) * unit);
}

export function matmul(runtime: WasmRuntime, args: Args<'matmul'>): void {
  const { out, a, b, transposeA = false, transposeB = false, bias, accumulate = false } = args;
  const [M, N, K] = [out.dim(0), out.dim(1), a.dim(transposeA ? 0 : 1)];
  if (M === 0 || N === 0) return;
  const { tileRows, tileColumns, depth, chunks } = tiling({ M, N, K }, { threads: runtime.threads, transposeA });
  const { words } = runtime;
  words[0] = addressOf(out);
  words[1] = addressOf(a);
  words[2] = addressOf(b);
  words[3] = addressOrZero(bias);
  words[4] = M;
  words[5] = N;
  words[6] = K;
  words[7] = Number(transposeA);
  words[8] = Number(transposeB);
  words[9] = Number(accumulate);
  words[10] = tileRows;
  words[11] = tileColumns;
  words[12] = depth;
  runtime.run(operations.matmul, chunks);
}
