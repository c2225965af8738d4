/**
 * Launches everything that reads or writes q8 and q4. Their layout is told in kernels' `quantized.ts`, the arithmetic in its
 * `quantized-matmul.ts`; here it is cut into chunks.
 */
import { operations } from '@parley/kernels';
import type { Tensor } from '../../tensor.ts';
import { type Args, CHUNK_BYTES } from './launch.ts';
import { addressOf, addressOrZero, type WasmRuntime } from './runtime.ts';

/** Columns that share a scale. */
const BLOCK = 32;
/** Rows of weights that stand side by side. */
const GROUP = 4;
/** Groups that the kernel for one token reads side by side: chunks are multiples of it. */
const STREAMS = 4;
/** Bytes of a block of a group: codes and scales. */
const BLOCK_BYTES = { q4: 64 + 16, q8: 128 + 16 } as const;
/** Bytes of a quantized activation's block: codes, scale, sum. */
const TOKEN_BLOCK_BYTES = 40;
/** The largest tile of tokens; chunks and slabs of tokens are multiples of it. */
const TILE = 8;
/** Tokens quantized at a time: at 1536 columns 1 MB, which stays in the second-level cache. */
const SLAB = 512;
/**
 * The most weights to a chunk, in bytes. For one tile of tokens they are read once and from memory: 64 KiB are some 5 µs for
 * one token. For more tiles they stay in the first-level cache while the tokens pass.
 */
const STREAMED_BYTES = 64 << 10;
const CACHED_BYTES = 24 << 10;
/** Chunks come in fours, so that a few threads end together, as long as each is worth handing out. */
const CHUNKS_AT_ONCE = 4;
const SMALLEST_CHUNK_BYTES = 16 << 10;

function bitsOf({ dtype }: Tensor): number {
  return dtype === 'q4' ? 4 : 8;
}

/** Bytes of a (rows, columns) matrix; columns are a multiple of 32. */
export function quantizedByteLength(rows: number, columns: number, dtype: 'q8' | 'q4'): number {
  return Math.ceil(rows / GROUP) * (columns / BLOCK) * BLOCK_BYTES[dtype];
}

export function quantize(runtime: WasmRuntime, { out, x }: Args<'quantize'>): void {
  convert(runtime, operations.quantizeWeights, { out, x, bits: bitsOf(out) });
}

export function dequantize(runtime: WasmRuntime, { out, x }: Args<'dequantize'>): void {
  convert(runtime, operations.dequantizeWeights, { out, x, bits: bitsOf(x) });
}

function convert(runtime: WasmRuntime, operation: number, { out, x, bits }: Args<'quantize'> & { bits: number }): void {
  const [rows, columns] = [out.dim(0), out.dim(1)];
  const grain = groupGrain(GROUP * columns * 4, CHUNK_BYTES);
  const { words } = runtime;
  words[0] = addressOf(out);
  words[1] = addressOf(x);
  words[2] = rows;
  words[3] = columns;
  words[4] = grain;
  words[5] = bits;
  runtime.run(operation, Math.ceil(rows / GROUP / grain));
}

/** Groups to a chunk of `chunkBytes`. */
function groupGrain(groupBytes: number, chunkBytes: number): number {
  return Math.max(1, Math.floor(chunkBytes / Math.max(groupBytes, 1)));
}

export function matmulQuantized(runtime: WasmRuntime, { out, a, w, bias }: Args<'matmulQuantized'>): void {
  const [tokens, rows, columns] = [a.dim(0), w.dim(0), w.dim(1)];
  if (rows === 0) return;
  const format = w.dtype === 'q4' ? 'q4' : 'q8';
  const blocks = columns / BLOCK;
  const slab = Math.min(tokens, SLAB);
  // One token more than there are, for a tile that is not full.
  const tiles = runtime.workspace((slab + 1) * blocks * TOKEN_BLOCK_BYTES);
  const groups = Math.ceil(rows / GROUP);
  const grain = productGrain(groups, blocks * BLOCK_BYTES[format], tokens);
  const tokenGrain = Math.max(TILE, Math.floor(CHUNK_BYTES / (columns * 4) / TILE) * TILE);
  const { words } = runtime;
  words[1] = addressOf(w);
  words[2] = tiles;
  words[3] = addressOrZero(bias);
  words[5] = rows;
  words[6] = blocks;
  words[7] = grain;
  words[9] = tokenGrain;
  words[10] = bitsOf(w);
  for (let token = 0; token < tokens; token += slab) {
    const count = Math.min(slab, tokens - token);
    words[0] = addressOf(out) + token * rows * 4;
    words[4] = count;
    words[8] = addressOf(a) + token * columns * 4;
    runtime.run(operations.quantizeActivations, Math.ceil(count / tokenGrain));
    runtime.run(format === 'q4' ? operations.matmulQ4 : operations.matmulQ8, Math.ceil(groups / grain));
  }
}

/** Groups of weights to a chunk. Depends on shapes only, and no result on it. */
function productGrain(groups: number, groupBytes: number, tokens: number): number {
  const bytes = groups * groupBytes;
  const fewest = Math.ceil(bytes / (tokens <= TILE ? STREAMED_BYTES : CACHED_BYTES));
  const most = Math.max(1, Math.floor(bytes / SMALLEST_CHUNK_BYTES));
  const chunks = Math.min(Math.ceil(fewest / CHUNKS_AT_ONCE) * CHUNKS_AT_ONCE, Math.max(fewest, most));
  return Math.ceil(groups / Math.max(chunks, 1) / STREAMS) * STREAMS;
}

/** `embedding` with a q8 or q4 table. */
export function embeddingQuantized(runtime: WasmRuntime, { out, table, ids }: Args<'embedding'>): void {
  const columns = table.dim(1);
  const grain = groupGrain(columns * 4, CHUNK_BYTES);
  const { words } = runtime;
  words[0] = addressOf(out);
  words[1] = addressOf(table);
  words[2] = addressOf(ids);
  words[3] = ids.size;
  words[4] = columns;
  words[5] = grain;
  words[6] = bitsOf(table);
  runtime.run(operations.gatherQuantizedRows, Math.ceil(ids.size / grain));
}
