/** Every fast backend that this machine can run, by name: what tests hold to one definition. */
import type { InstructionSet } from '../backends/native/runtime.ts';
import type { BackendOptions } from './create-backend.ts';
import { nativeKernels } from './native.ts';

export function backendVariants(): Readonly<Record<string, BackendOptions>> {
  const sets = (nativeKernels().addon?.instructionSets ?? []) as readonly InstructionSet[];
  return {
    'wasm, relaxed SIMD': { backend: 'wasm', simd: 'relaxed' },
    'wasm, plain SIMD': { backend: 'wasm', simd: 'plain' },
    ...Object.fromEntries(sets.map((instructionSet) => [`native, ${instructionSet}`, { backend: 'native', instructionSet } as const])),
  };
}
