/** Launches attention and its gradients, cut by sequence, key head and tile of query rows. The arithmetic is in kernels' `attention.ts`. */
import { operations } from '@parley/kernels';
import { EngineError } from '../../errors.ts';
import type { Tensor } from '../../tensor.ts';
import type { Args } from './launch.ts';
import { addressOf, addressOrZero, type WasmRuntime } from './runtime.ts';

/** Most query rows that share what a chunk packs of the keys. A multiple of the kernel's block of 6. */
const LARGEST_TILE = 48;
/** The backward kernel's tiles of rows and blocks of keys. */
const BACKWARD_TILE = 48;
/** Computing probabilities twice, 7 products for 5, is worth it when it keeps threads from idling more than that. */
const SPLIT_COST = 1.4;
const MOST_PARTS = 64;
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
  const { out, logSumExp, q, k, v, sequences, maxQueryLength, causal, window = 0, scale } = args;
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
  words[14] = window;
  runtime.run(operations.attention, count * keyHeads * tiles);
}

export function attentionBackward(runtime: WasmRuntime, args: Args<'attentionBackward'>): void {
  const { dQ, dK, dV, q, k, sequences, maxQueryLength } = args;
  const [heads, size, keyHeads, count] = [q.dim(1), q.dim(2), k.dim(1), sequences.dim(0)];
  checkHeadSize(size);
  if (q.size === 0 || maxQueryLength === 0) return;
  const pairs = count * keyHeads;
  // The bits are the same either way, so this may depend on the number of threads.
  if (Math.ceil(pairs / runtime.threads) <= (SPLIT_COST * pairs) / runtime.threads) {
    launchBackward(runtime, args, { dQ, dK, dV, keyParts: 1, rowParts: 1 });
    return;
  }
  const keyParts = Math.min(MOST_PARTS, Math.ceil(k.dim(0) / BACKWARD_TILE));
  const rowParts = Math.min(MOST_PARTS, Math.ceil((maxQueryLength * (heads / keyHeads)) / BACKWARD_TILE));
  if (dK || dV) launchBackward(runtime, args, { dQ: undefined, dK, dV, keyParts, rowParts: 1 });
  if (dQ) launchBackward(runtime, args, { dQ, dK: undefined, dV: undefined, keyParts: 1, rowParts });
}

interface BackwardLaunch {
  readonly dQ: Tensor | undefined;
  readonly dK: Tensor | undefined;
  readonly dV: Tensor | undefined;
  readonly keyParts: number;
  readonly rowParts: number;
}

function launchBackward(runtime: WasmRuntime, args: Args<'attentionBackward'>, launch: BackwardLaunch): void {
  const { dOut, out, logSumExp, q, k, v, sequences, causal, window = 0, scale } = args;
  const { words, floats } = runtime;
  words[0] = addressOrZero(launch.dQ);
  words[1] = addressOrZero(launch.dK);
  words[2] = addressOrZero(launch.dV);
  words[3] = addressOf(dOut);
  words[4] = addressOf(out);
  words[5] = addressOf(logSumExp);
  words[6] = addressOf(q);
  words[7] = addressOf(k);
  words[8] = addressOf(v);
  words[9] = addressOf(sequences);
  words[10] = q.dim(1);
  words[11] = k.dim(1);
  words[12] = q.dim(2);
  words[13] = Number(causal);
  floats[14] = scale;
  words[15] = launch.keyParts;
  words[16] = launch.rowParts;
  words[17] = window;
  runtime.run(operations.attentionBackward, sequences.dim(0) * k.dim(1) * launch.keyParts * launch.rowParts);
}
