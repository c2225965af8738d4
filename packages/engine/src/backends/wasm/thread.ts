/** A pool thread, from its first breath: what every platform's worker script calls. Imports nothing, so that it starts fast. */
import type { KernelExports } from '@parley/kernels';
import type { PoolThreadStart } from '../../platform.ts';

/** Instantiates the kernels, calls `ready`, and serves operations until the pool stops. */
export function runPoolThread({ module, memory, thread }: PoolThreadStart, ready: () => void): void {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as KernelExports;
  ready();
  try {
    kernels.workerMain(thread);
  } catch (error) {
    kernels.fail();
    throw error;
  }
}
