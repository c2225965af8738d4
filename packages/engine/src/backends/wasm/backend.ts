/**
 * The WebAssembly backend: SIMD kernels on a pool of threads over one shared memory. Here arguments are written and work is
 * cut; the kernels are in packages/kernels/assembly, matrix products, attention and quantized weights in the files beside this.
 * Over 400 lines, as it is one short method after another for every operation of `Backend`.
 */
import { operations } from '@parley/kernels';
import type { Activation, Backend, MemoryStats } from '../../backend.ts';
import { ShapeError } from '../../errors.ts';
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

type Optional<Name extends string> = { readonly [Key in Name]: Tensor | undefined };

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
  layerNorm({ out, mean, rstd, x, weight, bias, epsilon }: Args<'layerNorm'>): void {
    this.#normalize({ out, mean, rstd, x, weight, bias, epsilon });
  }

  layerNormBackward({ dX, dWeight, dBias, dOut, x, weight, mean, rstd }: Args<'layerNormBackward'>): void {
    this.#normalizeBackward({ dX, dWeight, dBias, dOut, x, weight, mean, rstd });
  }

  rmsNorm({ out, rstd, x, weight, epsilon }: Args<'rmsNorm'>): void {
    this.#normalize({ out, mean: undefined, rstd, x, weight, bias: undefined, epsilon });
  }

  rmsNormBackward({ dX, dWeight, dOut, x, weight, rstd }: Args<'rmsNormBackward'>): void {
    this.#normalizeBackward({ dX, dWeight, dBias: undefined, dOut, x, weight, mean: undefined, rstd });
  }

  // ---- attention ----------------------------------------------------------------------------------------------
  rotary({ out, x, positions, cos, sin, inverse = false, accumulate = false }: Args<'rotary'>): void {
    const { words } = this.#runtime;
    const heads = x.dim(1);
    const half = x.dim(2) / 2;
    const grain = rowGrain(heads * half * 8);
    words[0] = addressOf(out);
    words[1] = addressOf(x);
    words[2] = addressOf(positions);
    words[3] = addressOf(cos);
    words[4] = addressOf(sin);
    words[5] = positions.size;
    words[6] = heads;
    words[7] = half;
    words[8] = grain;
    words[9] = (inverse ? 1 : 0) | (accumulate ? 2 : 0);
    this.#runtime.run(operations.rotary, Math.ceil(positions.size / grain));
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
  crossEntropy({ losses, logSumExp, logits, targets, ignoreIndex }: Args<'crossEntropy'>): void {
    const { words } = this.#runtime;
    const rows = targets.size;
    const columns = logits.dim(-1);
    const grain = rowGrain(columns * 4);
    words[0] = addressOf(losses);
    words[1] = addressOf(logSumExp);
    words[2] = addressOf(logits);
    words[3] = addressOf(targets);
    words[4] = rows;
    words[5] = columns;
    words[6] = grain;
    words[7] = ignoreIndex;
    this.#runtime.run(operations.crossEntropy, Math.ceil(rows / grain));
  }

  crossEntropyBackward(args: Args<'crossEntropyBackward'>): void {
    const { dLogits, logits, logSumExp, targets, ignoreIndex, scale, smoothing = 0, zLoss = 0 } = args;
    const { words, floats } = this.#runtime;
    const rows = targets.size;
    const columns = logits.dim(-1);
    const grain = rowGrain(columns * 4);
    words[0] = addressOf(dLogits);
    words[1] = addressOf(logits);
    words[2] = addressOf(logSumExp);
    words[3] = addressOf(targets);
    words[4] = rows;
    words[5] = columns;
    words[6] = grain;
    words[7] = ignoreIndex;
    floats[8] = scale;
    floats[9] = scale * (1 - smoothing);
    floats[10] = (scale * smoothing) / columns;
    floats[11] = 2 * zLoss;
    this.#runtime.run(operations.crossEntropyBackward, Math.ceil(rows / grain));
  }

  sumSquares({ out, x }: Args<'sumSquares'>): void {
    const { words } = this.#runtime;
    const chunks = Math.ceil(x.size / GRAIN);
    const partials = this.#runtime.workspace(chunks * 8);
    words[0] = partials;
    words[1] = addressOf(x);
    words[2] = x.size;
    words[3] = GRAIN;
    this.#runtime.run(operations.sumSquares, chunks);
    words[0] = addressOf(out);
    words[1] = partials;
    words[2] = chunks;
    this.#runtime.run(operations.sumPartials, 1);
  }

  adamw(args: Args<'adamw'>): void {
    const { words, floats } = this.#runtime;
    const { parameter, gradient, m, v, step, beta1, beta2 } = args;
    words[0] = addressOf(parameter);
    words[1] = addressOf(gradient);
    words[2] = addressOf(m);
    words[3] = addressOf(v);
    words[4] = parameter.size;
    words[5] = GRAIN;
    floats[6] = args.gradientScale;
    floats[7] = beta1;
    floats[8] = 1 - beta1;
    floats[9] = beta2;
    floats[10] = 1 - beta2;
    floats[11] = 1 / (1 - beta1 ** step);
    floats[12] = 1 / (1 - beta2 ** step);
    floats[13] = args.epsilon;
    floats[14] = args.learningRate;
    floats[15] = args.weightDecay;
    this.#runtime.run(operations.adamw, Math.ceil(parameter.size / GRAIN));
  }

  /** Layer norm, and without `mean` RMS norm. */
  #normalize(args: Pick<Args<'layerNorm'>, 'out' | 'rstd' | 'x' | 'weight' | 'epsilon'> & Optional<'mean' | 'bias'>): void {
    const { words, floats } = this.#runtime;
    const columns = args.weight.size;
    const rows = args.rstd.size;
    const grain = rowGrain(columns * 4);
    words[0] = addressOf(args.out);
    words[1] = addressOrZero(args.mean);
    words[2] = addressOf(args.rstd);
    words[3] = addressOf(args.x);
    words[4] = addressOf(args.weight);
    words[5] = addressOrZero(args.bias);
    words[6] = rows;
    words[7] = columns;
    words[8] = grain;
    floats[9] = args.epsilon;
    this.#runtime.run(operations.normalize, Math.ceil(rows / grain));
  }

  #normalizeBackward(
    args: Pick<Args<'layerNormBackward'>, 'dOut' | 'x' | 'weight' | 'rstd'> & Optional<'dX' | 'dWeight' | 'dBias' | 'mean'>,
  ): void {
    const { words } = this.#runtime;
    const columns = args.weight.size;
    const rows = args.rstd.size;
    if (args.dX !== undefined) {
      const grain = rowGrain(columns * 4);
      words[0] = addressOf(args.dX);
      words[1] = addressOf(args.dOut);
      words[2] = addressOf(args.x);
      words[3] = addressOf(args.weight);
      words[4] = addressOrZero(args.mean);
      words[5] = addressOf(args.rstd);
      words[6] = rows;
      words[7] = columns;
      words[8] = grain;
      this.#runtime.run(operations.normalizeBackward, Math.ceil(rows / grain));
    }
    if (args.dWeight !== undefined || args.dBias !== undefined) {
      words[0] = addressOrZero(args.dWeight);
      words[1] = addressOrZero(args.dBias);
      words[2] = addressOf(args.dOut);
      words[3] = addressOf(args.x);
      words[4] = addressOrZero(args.mean);
      words[5] = addressOf(args.rstd);
      words[6] = rows;
      words[7] = columns * 4;
      words[8] = SLICE_BYTES;
      this.#runtime.run(operations.normalizeBackwardWeight, Math.ceil((columns * 4) / SLICE_BYTES));
    }
  }

  /** One side's rows are in order (N), the other's where `rows` says. */
  #moveRows(operation: number, { out, x, rows }: { out: Tensor; x: Tensor; rows: Tensor }): void {
    const { words } = this.#runtime;
    const count = rows.size;
    const rowBytes = ((operation === operations.gatherRows ? out.size : x.size) / Math.max(count, 1)) * 4;
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
