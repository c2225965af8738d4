/** Makes a wasm backend on a platform. */
import type { KernelVariant } from '@parley/kernels';
import { EngineError } from '../../errors.ts';
import type { Platform } from '../../platform.ts';
import { WasmBackend } from './backend.ts';
import { hasRelaxedSimd, hasSharedSimd } from './features.ts';
import { WasmRuntime } from './runtime.ts';

export interface WasmOptions {
  /** Threads that compute, the calling one included. Default: the platform's. */
  threads?: number;
  /** Which build of the kernels: `auto` takes `relaxed` where the runtime has it. */
  simd?: 'auto' | KernelVariant;
}

/** Throws EngineError where WebAssembly lacks SIMD or threads, or where the kernels are not built. */
export async function createWasmBackend(platform: Platform, options: WasmOptions = {}): Promise<WasmBackend> {
  if (!hasSharedSimd()) {
    throw new EngineError('this JavaScript runtime has no WebAssembly SIMD with threads: use a newer one, or the reference backend');
  }
  const simd = options.simd ?? 'auto';
  if (simd === 'relaxed' && !hasRelaxedSimd()) {
    throw new EngineError('this JavaScript runtime has no relaxed SIMD: pass simd: "plain" or "auto"');
  }
  const variant = simd === 'auto' ? (hasRelaxedSimd() ? 'relaxed' : 'plain') : simd;
  const module = await WebAssembly.compile(await platform.loadKernels(variant));
  return new WasmBackend(await WasmRuntime.create(module, { platform, variant, threads: options.threads ?? platform.defaultThreads }));
}
