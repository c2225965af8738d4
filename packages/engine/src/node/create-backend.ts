import type { Backend } from '../backend.ts';
import { createNativeBackend } from '../backends/native/create.ts';
import type { InstructionSet } from '../backends/native/runtime.ts';
import { ReferenceBackend } from '../backends/reference/reference.ts';
import { createWasmBackend, type WasmOptions } from '../backends/wasm/create.ts';
import { EngineError } from '../errors.ts';
import { memoryLimit, nativeKernels } from './native.ts';
import { nodePlatform } from './platform.ts';

export const BACKENDS = ['auto', 'native', 'wasm', 'reference'] as const;
export type BackendName = (typeof BACKENDS)[number];

export interface BackendOptions extends WasmOptions {
  /**
   * `auto` is `native` where its kernels are built and load, otherwise `wasm`; the environment variable PARLEY_BACKEND says
   * otherwise. `reference` is slow and simple; it takes no other option.
   */
  backend?: BackendName;
  /** Of the native backend; `auto` is the best the machine has. Others are for tests. */
  instructionSet?: 'auto' | InstructionSet;
}

/** Which backend `createBackend` makes of these options, and why. */
export interface BackendChoice {
  readonly name: Exclude<BackendName, 'auto'>;
  /** For people: "asked for", or "the native kernels are not there: …". */
  readonly reason: string;
}

/** Throws EngineError where PARLEY_BACKEND names no backend. */
export function chooseBackend({ backend = 'auto', simd = 'auto' }: Pick<BackendOptions, 'backend' | 'simd'> = {}): BackendChoice {
  if (backend !== 'auto') return { name: backend, reason: 'it was asked for' };
  if (simd !== 'auto') return { name: 'wasm', reason: `${simd} SIMD was asked for` };
  const named = process.env['PARLEY_BACKEND'] ?? 'auto';
  if (!BACKENDS.includes(named as BackendName)) {
    throw new EngineError(`the environment variable PARLEY_BACKEND is "${named}": set it to ${BACKENDS.join(', ')}, or unset it`);
  }
  if (named !== 'auto') return { name: named as BackendChoice['name'], reason: 'PARLEY_BACKEND says so' };
  const { addon, missing } = nativeKernels();
  return addon === undefined
    ? { name: 'wasm', reason: `the native kernels cannot be used: ${missing}` }
    : { name: 'native', reason: `the native kernels are built (${addon.compiler}), and this machine runs their ${addon.instructionSets[0]} code` };
}

/**
 * A backend for Node. Dispose it: `await using backend = await createBackend()`.
 * Throws EngineError for options that do not go together, and where the kernels are not built.
 */
export async function createBackend(options: BackendOptions = {}): Promise<Backend> {
  const { threads, simd = 'auto', instructionSet = 'auto' } = options;
  const { name } = chooseBackend(options);
  if (simd !== 'auto' && name !== 'wasm') throw new EngineError(`simd is for the wasm backend, not for ${name}: leave simd out`);
  if (instructionSet !== 'auto' && name !== 'native') {
    throw new EngineError(`instructionSet is for the native backend, not for ${name}: leave it out`);
  }
  if (name === 'reference') {
    if ((threads ?? 1) !== 1) throw new EngineError(`the reference backend has one thread, not ${threads}: leave threads out`);
    return new ReferenceBackend();
  }
  if (name === 'wasm') return createWasmBackend(nodePlatform, { simd, ...(threads === undefined ? {} : { threads }) });
  const { addon, missing } = nativeKernels();
  if (addon === undefined) throw new EngineError(`there are no native kernels: ${missing}; or use the wasm backend`);
  return createNativeBackend(addon, { threads: threads ?? nodePlatform.defaultThreads, limitBytes: memoryLimit(), instructionSet });
}
