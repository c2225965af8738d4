/** What the launching files share: argument types and how work is cut into chunks. */
export type { Args } from '../arguments.ts';

/**
 * Bytes a chunk of memory-bound work touches. At some 10 GB/s a thread this is several microseconds, some ten times what
 * handing it out costs; what fits in one chunk runs without waking anyone.
 */
export const CHUNK_BYTES = 1 << 16;

/** Rows to a chunk when a row takes `rowBytes`. */
export function rowGrain(rowBytes: number, chunkBytes = CHUNK_BYTES): number {
  return Math.max(1, Math.floor(chunkBytes / Math.max(rowBytes, 1)));
}
