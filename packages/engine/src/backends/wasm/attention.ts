/** Launches attention and its gradients. */
import { EngineError } from '../../errors.ts';
import type { Args } from './launch.ts';
import type { WasmRuntime } from './runtime.ts';

export function attention(_runtime: WasmRuntime, _args: Args<'attention'>): void {
  throw new EngineError('wasm: attention is being built');
}

export function attentionBackward(_runtime: WasmRuntime, _args: Args<'attentionBackward'>): void {
  throw new EngineError('wasm: attentionBackward is being built');
}
