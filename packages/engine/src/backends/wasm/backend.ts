/**
 * The WebAssembly backend: SIMD kernels on a pool of threads over one shared memory. Here arguments are written and work is
 * cut; the kernels are in packages/kernels/assembly, matrix products, attention and quantized weights in the files beside this.
 */
import { operations } from '@parley/kernels';
import type { Activation, Backend, MemoryStats } from '../../backend.ts';
import { EngineError, ShapeError } from '../../errors.ts';
import type { DType, Shape, Tensor } from '../../tensor.ts';
import { attention, attentionBackward } from './attention.ts';
import { type Args, CHUNK_BYTES, rowGrain } from './launch.ts';
import { matmul } from './matmul.ts';
import { dequantize, embeddingQuantized, matmulQuantized, quantize, quantizedByteLength } from './quantized.ts';
import { addressOf, addressOrZero, type WasmRuntime, type WasmStorage } from './runtime.ts';

/** Elements to a chunk of elementwise work. */
const GRAIN = CHUNK_BYTES / 4;
/** Columns to a chunk where chunks are slices of the columns: whole cache lines. */
const SLICE_BYTES = 256;

const ACTIVATIONS = { gelu: 0, gelu_tanh: 1, silu: 2 } as const satisfies Record<Activation, number>;

export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly #runtime: WasmRuntime;

  constructor(runtime: WasmRuntime) {
    this.#runtime = runtime;
  }

  get threads(): number {
    return this.#runtime.threads;
  }

  get description(): string {
    return `wasm (${this.#runtime.variant} SIMD, ${this.threads} ${this.threads === 1 ? 'thread' : 'threads'})`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime.stop();
  }

  // ---- memory -------------------------------------------------------------------------------------------------
  byteLength(shape: Shape, dtype: DType): number {
    const size = shape.reduce((product, extent) => product * extent, 1);
    if (dtype === 'f32' || dtype === 'i32') return size * 4;
    const [rows, columns] = shape;
    if (shape.length !== 2 || rows === undefined || columns === undefined || columns % 32 !== 0) {
      throw new ShapeError(`a ${dtype} tensor is a matrix with columns in blocks of 32; [${shape.join(', ')}] is not`);
    }
    return quantizedByteLength(rows, columns, dtype);
  }

  allocate(bytes: number): WasmStorage {
    return this.#runtime.allocate(bytes);
  }

  release(storage: WasmStorage): void {
    this.#runtime.release(storage);
  }

  write(tensor: Tensor, data: Float32Array | Int32Array): void {
    const { buffer } = this.#runtime.bytes;
    const address = addressOf(tensor);
    if (data instanceof Int32Array) new Int32Array(buffer, address, data.length).set(data);
    else new Float32Array(buffer, address, data.length).set(data);
  }

  read(tensor: Tensor, into: Float32Array | Int32Array): Promise<void> {
    const { buffer } = this.#runtime.bytes;
    const address = addressOf(tensor);
    if (into instanceof Int32Array) into.set(new Int32Array(buffer, address, into.length));
    else into.set(new Float32Array(buffer, address, into.length));
    return Promise.resolve();
  }

  stats(): MemoryStats {
    return this.#runtime.stats;
  }

  // ---- movement -----------------------------------------------------------------------------------------------
  fill(out: Tensor, value: number): void {
    const { words, floats } = this.#runtime;
    words[0] = addressOf(out);
    words[1] = out.size;
    words[2] = GRAIN;
    floats[3] = value;
    this.#runtime.run(operations.fill, Math.ceil(out.size / GRAIN));
  }

  copy({ out, x }: Args<'copy'>): void {
    const { words } = this.#runtime;
    const bytes = this.byteLength(x.shape, x.dtype);
    words[0] = addressOf(out);
    words[1] = addressOf(x);
    words[2] = bytes;
    words[3] = CHUNK_BYTES;
    this.#runtime.run(operations.copy, Math.ceil(bytes / CHUNK_BYTES));
  }

  scatterRows({ out, x, rows }: Args<'scatterRows'>): void {
    this.#moveRows(operations.scatterRows, { out, x, rows });
  }

  // ---- matrix products ----------------------------------------------------------------------------------------
  matmul(args: Args<'matmul'>): void {
    matmul(this.#runtime, args);
  }

  sumRows({ out, x }: Args<'sumRows'>): void {
    const { words } = this.#runtime;
    const rowBytes = out.size * 4;
    words[0] = addressOf(out);
    words[1] = addressOf(x);
    words[2] = x.size / Math.max(out.size, 1);
    words[3] = rowBytes;
    words[4] = SLICE_BYTES;
    this.#runtime.run(operations.sumRows, Math.ceil(rowBytes / SLICE_BYTES));
  }

  quantize(args: Args<'quantize'>): void {
    quantize(this.#runtime, args);
  }

  dequantize(args: Args<'dequantize'>): void {
    dequantize(this.#runtime, args);
  }

  matmulQuantized(args: Args<'matmulQuantized'>): void {
    matmulQuantized(this.#runtime, args);
  }

  // ---- embedding ----------------------------------------------------------------------------------------------
  embedding(args: Args<'embedding'>): void {
    const { out, table, ids } = args;
    if (table.dtype === 'f32') this.#moveRows(operations.gatherRows, { out, x: table, rows: ids });
    else embeddingQuantized(this.#runtime, args);
  }

  embeddingBackward({ dTable, dOut, ids }: Args<'embeddingBackward'>): void {
    const { words } = this.#runtime;
    const rowBytes = dTable.dim(-1) * 4;
    words[0] = addressOf(dTable);
    words[1] = addressOf(dOut);
    words[2] = addressOf(ids);
    words[3] = ids.size;
    words[4] = rowBytes;
    words[5] = SLICE_BYTES;
    this.#runtime.run(operations.gatherRowsBackward, Math.ceil(rowBytes / SLICE_BYTES));
  }

  // ---- normalization ------------------------------------------------------------------------------------------
  layerNorm(_args: Args<'layerNorm'>): void {
    throw new EngineError('wasm: layerNorm is being built');
  }
  layerNormBackward(_args: Args<'layerNormBackward'>): void {
    throw new EngineError('wasm: layerNormBackward is being built');
  }
  rmsNorm(_args: Args<'rmsNorm'>): void {
    throw new EngineError('wasm: rmsNorm is being built');
  }
  rmsNormBackward(_args: Args<'rmsNormBackward'>): void {
    throw new EngineError('wasm: rmsNormBackward is being built');
  }

  // ---- attention ----------------------------------------------------------------------------------------------
  rotary(_args: Args<'rotary'>): void {
    throw new EngineError('wasm: rotary is being built');
  }

  attention(args: Args<'attention'>): void {
    attention(this.#runtime, args);
  }

  attentionBackward(args: Args<'attentionBackward'>): void {
    attentionBackward(this.#runtime, args);
  }

  // ---- elementwise --------------------------------------------------------------------------------------------
  add({ out, a, b }: Args<'add'>): void {
    const { words } = this.#runtime;
    words[0] = addressOf(out);
    words[1] = addressOf(a);
    words[2] = addressOf(b);
    words[3] = out.size;
    words[4] = GRAIN;
    this.#runtime.run(operations.add, Math.ceil(out.size / GRAIN));
  }

  activation({ out, x, kind }: Args<'activation'>): void {
    const { words } = this.#runtime;
    words[0] = addressOf(out);
    words[1] = addressOf(x);
    words[2] = out.size;
    words[3] = GRAIN;
    words[4] = ACTIVATIONS[kind];
    this.#runtime.run(operations.activation, Math.ceil(out.size / GRAIN));
  }

  activationBackward({ dX, dOut, x, kind }: Args<'activationBackward'>): void {
    const { words } = this.#runtime;
    words[0] = addressOf(dX);
    words[1] = addressOf(dOut);
    words[2] = addressOf(x);
    words[3] = x.size;
    words[4] = GRAIN;
    words[5] = ACTIVATIONS[kind];
    this.#runtime.run(operations.activationBackward, Math.ceil(x.size / GRAIN));
  }

  gated({ out, gate, up, kind }: Args<'gated'>): void {
    const { words } = this.#runtime;
    words[0] = addressOf(out);
    words[1] = addressOf(gate);
    words[2] = addressOf(up);
    words[3] = out.size;
    words[4] = GRAIN;
    words[5] = ACTIVATIONS[kind];
    this.#runtime.run(operations.gated, Math.ceil(out.size / GRAIN));
  }

  gatedBackward({ dGate, dUp, dOut, gate, up, kind }: Args<'gatedBackward'>): void {
    const { words } = this.#runtime;
    words[0] = addressOrZero(dGate);
    words[1] = addressOrZero(dUp);
    words[2] = addressOf(dOut);
    words[3] = addressOf(gate);
    words[4] = addressOf(up);
    words[5] = dOut.size;
    words[6] = GRAIN;
    words[7] = ACTIVATIONS[kind];
    this.#runtime.run(operations.gatedBackward, Math.ceil(dOut.size / GRAIN));
  }

  scale({ out, x, factor }: Args<'scale'>): void {
    const { words, floats } = this.#runtime;
    words[0] = addressOf(out);
    words[1] = addressOf(x);
    words[2] = out.size;
    words[3] = GRAIN;
    floats[4] = factor;
    this.#runtime.run(operations.scale, Math.ceil(out.size / GRAIN));
  }

  // ---- loss and optimizer -------------------------------------------------------------------------------------
  crossEntropy(_args: Args<'crossEntropy'>): void {
    throw new EngineError('wasm: crossEntropy is being built');
  }
  crossEntropyBackward(_args: Args<'crossEntropyBackward'>): void {
    throw new EngineError('wasm: crossEntropyBackward is being built');
  }
  sumSquares(_args: Args<'sumSquares'>): void {
    throw new EngineError('wasm: sumSquares is being built');
  }
  adamw(_args: Args<'adamw'>): void {
    throw new EngineError('wasm: adamw is being built');
  }

  /** One side's rows are in order (N), the other's where `rows` says. */
  #moveRows(operation: number, { out, x, rows }: { out: Tensor; x: Tensor; rows: Tensor }): void {
    const { words } = this.#runtime;
    const count = rows.size;
    const rowBytes = x.dim(-1) * 4;
    const grain = rowGrain(rowBytes);
    words[0] = addressOf(out);
    words[1] = addressOf(x);
    words[2] = addressOf(rows);
    words[3] = count;
    words[4] = rowBytes;
    words[5] = grain;
    this.#runtime.run(operation, Math.ceil(count / grain));
  }
}
