/** Node's platform: kernels from files, threads from worker_threads. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { EngineError } from '../errors.ts';
import type { Platform, PoolThread } from '../platform.ts';

/** More threads than this have not been seen to help models of the sizes Parley runs. */
const MOST_DEFAULT_THREADS = 16;

export const nodePlatform: Platform = {
  get defaultThreads() {
    return Math.min(availableParallelism(), MOST_DEFAULT_THREADS);
  },

  async loadKernels(variant) {
    try {
      return await readFile(createRequire(import.meta.url).resolve(`@parley/kernels/${variant}.wasm`));
    } catch (cause) {
      throw new EngineError(`the kernels (${variant}.wasm) are not built: run "npm run build -w @parley/kernels"`, { cause });
    }
  },

  spawn(start) {
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url), {
        workerData: start,
        name: `parley-pool-${start.thread}`,
        execArgv: [],
      });
      let failure: Error | undefined;
      let joining = false;
      const exited = new Promise<void>((done) => worker.once('exit', () => done()));
      const thread: PoolThread = {
        get failure() {
          return failure;
        },
        async join() {
          joining = true;
          // While this is awaited the thread's end must be able to hold the process open.
          worker.ref();
          await exited;
        },
      };
      worker.once('message', () => {
        // Idle threads do not keep a process alive that forgot to dispose its backend.
        worker.unref();
        resolve(thread);
      });
      worker.once('error', (cause: unknown) => {
        failure = new EngineError(`pool thread ${start.thread} failed: ${String(cause)}`, { cause });
        reject(failure);
      });
      worker.once('exit', (code) => {
        if (!joining) failure ??= new EngineError(`pool thread ${start.thread} ended by itself with status ${code}`);
        if (failure !== undefined) reject(failure);
      });
    });
  },
};
