/**
 * What the wasm backend needs from where it runs, and cannot get in a portable way: the kernels' bytes, threads, and how many
 * of them are sensible. `node/` implements it with files and worker_threads; a browser would with fetch and Web Workers.
 */
import type { KernelVariant } from '@parley/kernels';

export interface PoolThreadStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** 1…threads−1; 0 is the thread that calls. */
  readonly thread: number;
}

export interface PoolThread {
  /** Why the thread ended before it was asked to; undefined while all is well. */
  readonly failure: Error | undefined;
  /** Resolves once the thread is gone. The caller has told it to stop through shared memory before. */
  join(): Promise<void>;
}

export interface Platform {
  /** Threads a backend gets when nobody says how many. */
  readonly defaultThreads: number;
  loadKernels(variant: KernelVariant): Promise<Uint8Array>;
  /** Starts a thread that runs `runPoolThread` (backends/wasm/thread.ts). Resolves once it has its instance. */
  spawn(start: PoolThreadStart): Promise<PoolThread>;
}
