/** Launches everything that reads or writes q8 and q4, whose layout only this file and its kernels know. */
import { EngineError } from '../../errors.ts';
import type { Args } from './launch.ts';
import type { WasmRuntime } from './runtime.ts';

/** Bytes of a (rows, columns) matrix; columns are a multiple of 32. */
export function quantizedByteLength(_rows: number, _columns: number, _dtype: 'q8' | 'q4'): number {
  throw new EngineError('wasm: quantized tensors are being built');
}

export function quantize(_runtime: WasmRuntime, _args: Args<'quantize'>): void {
  throw new EngineError('wasm: quantize is being built');
}

export function dequantize(_runtime: WasmRuntime, _args: Args<'dequantize'>): void {
  throw new EngineError('wasm: dequantize is being built');
}

export function matmulQuantized(_runtime: WasmRuntime, _args: Args<'matmulQuantized'>): void {
  throw new EngineError('wasm: matmulQuantized is being built');
}

/** `embedding` with a q8 or q4 table. */
export function embeddingQuantized(_runtime: WasmRuntime, _args: Args<'embedding'>): void {
  throw new EngineError('wasm: embedding of quantized tables is being built');
}
