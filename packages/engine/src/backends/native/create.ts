/** Makes a native backend from an addon that the platform has loaded. */
import type { NativeAddon } from '@parley/kernels';
import { NativeBackend } from './backend.ts';
import { type InstructionSet, NativeRuntime } from './runtime.ts';

export interface NativeOptions {
  /** Threads that compute, the calling one included. */
  threads: number;
  /** Bytes that tensors may take together. */
  limitBytes: number;
  /** `auto` takes the best that the machine has. */
  instructionSet?: 'auto' | InstructionSet;
}

/** Throws EngineError where the addon is of another build, or the machine lacks the instruction set. */
export function createNativeBackend(addon: NativeAddon, { threads, limitBytes, instructionSet = 'auto' }: NativeOptions): NativeBackend {
  return new NativeBackend(new NativeRuntime(addon, { threads, limitBytes, instructionSet }));
}
