/** What a kernels module exports, and the fixed places in its memory: the contract between `assembly/pool.ts` and its hosts. */

/** `relaxed` uses fused multiply-add and int8 dot products of relaxed SIMD; `plain` runs wherever WebAssembly SIMD does. */
export type KernelVariant = 'relaxed' | 'plain';

/** Pages of 64 KiB that the module declares: WebAssembly's 4 GiB. A memory must be made with this maximum. */
export const MAXIMUM_PAGES = 65536;
export const PAGE_BYTES = 65536;
/** Pages the module itself needs at least. */
export const MINIMUM_PAGES = 1;

export interface KernelExports {
  /** `operationsFingerprint` of the list these kernels were built from. */
  operationsFingerprint(): number;
  /** First byte after the module's own data. */
  heapBase(): number;
  /** Where operations find their arguments: `argumentWords()` words of 4 bytes. */
  argumentsAddress(): number;
  argumentWords(): number;
  /** Bytes of scratch memory each thread needs. */
  scratchBytes(): number;
  /** Call once, before any thread starts: `scratch` is the address of `threads` regions of `scratchBytes()`, on a cache line. */
  initialize(threads: number, scratch: number): void;
  /** Runs chunks 0…chunks−1 of an operation on all threads; returns when all are done. 0, or 1 after a thread has failed. */
  run(operation: number, chunks: number): number;
  /** A pool thread's life, for threads 1…threads−1: returns after `stop`. */
  workerMain(thread: number): void;
  /** Makes every `workerMain` return. */
  stop(): void;
  /** Called on a pool thread whose `workerMain` threw, so that `run` reports it instead of waiting for ever. */
  fail(): void;
}
