/** Launches attention and its gradients, cut by sequence, key head and tile of query rows. The arithmetic is in kernels' `attention.ts`. */
import { operations } from '@parley/kernels';
import { EngineError } from '../../errors.ts';
import type { Args } from './launch.ts';
import { addressOf, addressOrZero, type WasmRuntime } from './runtime.ts';

/** Most query rows that share what a chunk packs of the keys. A multiple of the kernel's block of 6. */
const LARGEST_TILE = 48;
/** Of larger heads the tiles would not fit the threads' scratch memory. */
const LARGEST_HEAD = 1024;

/** Rows of a tile and how many of them the longest sequence takes; a key head's rows are `group` for each query. */
function rowTiles(maxQueryLength: number, group: number): { tileRows: number; tiles: number } {
  const rows = maxQueryLength * group;
  const tileRows = Math.min(LARGEST_TILE, Math.ceil(rows / 6) * 6);
  return { tileRows, tiles: Math.ceil(rows / tileRows) };
}

function checkHeadSize(size: number): void {
  if (size > LARGEST_HEAD) throw new EngineError(`heads of size ${size} are over the wasm backend's ${LARGEST_HEAD}: use more, smaller heads`);
}

export function attention(runtime: WasmRuntime, args: Args<'attention'>): void {
  const { out, logSumExp, q, k, v, sequences, maxQueryLength, causal, scale } = args;
  const [heads, size, keyHeads, count] = [q.dim(1), q.dim(2), k.dim(1), sequences.dim(0)];
  checkHeadSize(size);
  if (q.size === 0 || maxQueryLength === 0) return;
  const { tileRows, tiles } = rowTiles(maxQueryLength, heads / keyHeads);
  const { words, floats } = runtime;
  words[0] = addressOf(out);
  words[1] = addressOrZero(logSumExp);
  words[2] = addressOf(q);
  words[3] = addressOf(k);
  words[4] = addressOf(v);
  words[5] = addressOf(sequences);
  words[6] = count;
  words[7] = heads;
  words[8] = keyHeads;
  words[9] = size;
  words[10] = Number(causal);
  floats[11] = scale;
  words[12] = tileRows;
  words[13] = tiles;
  runtime.run(operations.attention, count * keyHeads * tiles);
}

export function attentionBackward(_runtime: WasmRuntime, _args: Args<'attentionBackward'>): void {
  throw new EngineError('wasm: attentionBackward is being built');
}
