/** Launches the f32 matrix product. */
import { EngineError } from '../../errors.ts';
import type { Args } from './launch.ts';
import type { WasmRuntime } from './runtime.ts';

export function matmul(_runtime: WasmRuntime, _args: Args<'matmul'>): void {
  throw new EngineError('wasm: matmul is being built');
}
