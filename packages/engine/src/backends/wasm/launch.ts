/** What the launching files share: argument types and how work is cut into chunks. */
import type { Backend } from '../../backend.ts';
import type { Tensor } from '../../tensor.ts';

type Operation = {
  [Name in keyof Backend]: Backend[Name] extends (args: infer A extends object) => void ? (A extends Tensor ? never : Name) : never;
}[keyof Backend];

/** The arguments of an operation of `Backend`. */
export type Args<Name extends Operation> = Parameters<Backend[Name]>[0];

/**
 * Bytes a chunk of memory-bound work touches. At some 10 GB/s a thread this is several microseconds, some ten times what
 * handing it out costs; what fits in one chunk runs without waking anyone.
 */
export const CHUNK_BYTES = 1 << 16;

/** Rows to a chunk when a row takes `rowBytes`. */
export function rowGrain(rowBytes: number, chunkBytes = CHUNK_BYTES): number {
  return Math.max(1, Math.floor(chunkBytes / Math.max(rowBytes, 1)));
}
