/**
 * The reference backend: every operation in plain TypeScript, written to be read. It defines what the operations compute, and
 * the conformance suite (`testing/`) holds the fast backends to it. Values are f32 in memory; sums run in double precision.
 */
import type { Backend, MemoryStats } from '../../backend.ts';
import type { DType, Shape, Storage, Tensor } from '../../tensor.ts';
import { attention, attentionBackward } from './attention.ts';
import { activation, activationBackward, add, gated, gatedBackward, scale } from './elementwise.ts';
import { embedding, embeddingBackward } from './embedding.ts';
import { crossEntropy, crossEntropyBackward } from './loss.ts';
import { matmul, sumRows } from './matmul.ts';
import { read, ReferenceMemory, write } from './memory.ts';
import { copy, fill, scatterRows } from './movement.ts';
import { layerNorm, layerNormBackward, rmsNorm, rmsNormBackward } from './normalization.ts';
import { adamw, sumSquares } from './optimizer.ts';
import { dequantize, matmulQuantized, quantize } from './quantized.ts';
import { rotary } from './rotary.ts';

export interface ReferenceOptions {
  /** Allocations beyond it throw MemoryLimitError. Default: what the runtime can hold. */
  readonly limitBytes?: number;
}

export class ReferenceBackend implements Backend {
  readonly name = 'reference';
  readonly description = 'reference (plain TypeScript)';
  readonly threads = 1;
  readonly #memory: ReferenceMemory;

  readonly fill: Backend['fill'] = fill;
  readonly copy: Backend['copy'] = copy;
  readonly scatterRows: Backend['scatterRows'] = scatterRows;

  readonly matmul: Backend['matmul'] = matmul;
  readonly sumRows: Backend['sumRows'] = sumRows;
  readonly quantize: Backend['quantize'] = quantize;
  readonly dequantize: Backend['dequantize'] = dequantize;
  readonly matmulQuantized: Backend['matmulQuantized'] = matmulQuantized;

  readonly embedding: Backend['embedding'] = embedding;
  readonly embeddingBackward: Backend['embeddingBackward'] = embeddingBackward;

  readonly layerNorm: Backend['layerNorm'] = layerNorm;
  readonly layerNormBackward: Backend['layerNormBackward'] = layerNormBackward;
  readonly rmsNorm: Backend['rmsNorm'] = rmsNorm;
  readonly rmsNormBackward: Backend['rmsNormBackward'] = rmsNormBackward;

  readonly rotary: Backend['rotary'] = rotary;
  readonly attention: Backend['attention'] = attention;
  readonly attentionBackward: Backend['attentionBackward'] = attentionBackward;

  readonly add: Backend['add'] = add;
  readonly activation: Backend['activation'] = activation;
  readonly activationBackward: Backend['activationBackward'] = activationBackward;
  readonly gated: Backend['gated'] = gated;
  readonly gatedBackward: Backend['gatedBackward'] = gatedBackward;
  readonly scale: Backend['scale'] = scale;

  readonly crossEntropy: Backend['crossEntropy'] = crossEntropy;
  readonly crossEntropyBackward: Backend['crossEntropyBackward'] = crossEntropyBackward;
  readonly sumSquares: Backend['sumSquares'] = sumSquares;
  readonly adamw: Backend['adamw'] = adamw;

  constructor({ limitBytes = Number.POSITIVE_INFINITY }: ReferenceOptions = {}) {
    this.#memory = new ReferenceMemory(limitBytes);
  }

  byteLength(shape: Shape, dtype: DType): number {
    return this.#memory.byteLength(shape, dtype);
  }

  allocate(bytes: number): Storage {
    return this.#memory.allocate(bytes);
  }

  release(storage: Storage): void {
    this.#memory.release(storage);
  }

  write(tensor: Tensor, data: Float32Array | Int32Array): void {
    write(tensor, data);
  }

  async read(tensor: Tensor, into: Float32Array | Int32Array): Promise<void> {
    read(tensor, into);
  }

  stats(): MemoryStats {
    return this.#memory.stats();
  }

  /** Ends every storage still allocated. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#memory.releaseAll();
  }
}
