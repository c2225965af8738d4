import type { Backend } from '../backend.ts';
import { ReferenceBackend } from '../backends/reference/reference.ts';
import { createWasmBackend, type WasmOptions } from '../backends/wasm/create.ts';
import { EngineError } from '../errors.ts';
import { nodePlatform } from './platform.ts';

export interface BackendOptions extends WasmOptions {
  /** `auto` is `wasm`. `reference` is slow and simple; it takes no other option. */
  backend?: 'auto' | 'wasm' | 'reference';
}

/**
 * A backend for Node. Dispose it: `await using backend = await createBackend()`.
 * Throws EngineError for options that do not go together, and where the kernels are not built.
 */
export async function createBackend(options: BackendOptions = {}): Promise<Backend> {
  const { backend = 'auto', ...wasm } = options;
  if (backend === 'reference') {
    if ((wasm.threads ?? 1) !== 1) throw new EngineError(`the reference backend has one thread, not ${wasm.threads}: leave threads out`);
    if ((wasm.simd ?? 'auto') !== 'auto') throw new EngineError('the reference backend has no SIMD: leave simd out');
    return new ReferenceBackend();
  }
  return createWasmBackend(nodePlatform, wasm);
}
