/**
 * The native backend: kernels in C++ on threads of their own. Here arguments are written, in the order that
 * packages/kernels/src/native.ts lists; how work is cut and done is in packages/kernels/native.
 */
import { nativeOperations as operations } from '@parley/kernels';
import type { Activation, Backend, MemoryStats } from '../../backend.ts';
import { EngineError, ShapeError } from '../../errors.ts';
import type { DType, Shape, Tensor } from '../../tensor.ts';
import type { Args } from '../arguments.ts';
import { addressOf, addressOrZero, type NativeRuntime, type NativeStorage } from './runtime.ts';

type Optional<Name extends string> = { readonly [Key in Name]: Tensor | undefined };

const ACTIVATIONS = { gelu: 0, gelu_tanh: 1, silu: 2 } as const satisfies Record<Activation, number>;

/** Of larger heads the tiles would not fit the threads' scratch memory: LARGEST_HEAD in blocks.h. */
const LARGEST_HEAD = 1024;

function checkHeadSize(size: number): void {
  if (size > LARGEST_HEAD) throw new EngineError(`heads of size ${size} are over the native backend's ${LARGEST_HEAD}: use more, smaller heads`);
}

function bitsOf({ dtype }: Tensor): number {
  return dtype === 'q4' ? 4 : 8;
}

export class NativeBackend implements Backend {
  readonly name = 'native';
  readonly #runtime: NativeRuntime;

  constructor(runtime: NativeRuntime) {
    this.#runtime = runtime;
  }

  get threads(): number {
    return this.#runtime.threads;
  }

  get description(): string {
    return `native (${this.#runtime.instructionSet}, ${this.threads} ${this.threads === 1 ? 'thread' : 'threads'})`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#runtime.stop();
    return Promise.resolve();
  }

  // ---- memory -------------------------------------------------------------------------------------------------
  byteLength(shape: Shape, dtype: DType): number {
    const size = shape.reduce((product, extent) => product * extent, 1);
    if (dtype === 'f32' || dtype === 'i32') return size * 4;
    const [rows, columns] = shape;
    if (shape.length !== 2 || rows === undefined || columns === undefined || columns % 32 !== 0) {
      throw new ShapeError(`a ${dtype} tensor is a matrix with columns in blocks of 32; [${shape.join(', ')}] is not`);
    }
    return this.#runtime.quantizedBytes(rows, columns, dtype === 'q4' ? 4 : 8);
  }

  allocate(bytes: number): NativeStorage {
    return this.#runtime.allocate(bytes);
  }

  release(storage: NativeStorage): void {
    this.#runtime.release(storage);
  }

  write(tensor: Tensor, data: Float32Array | Int32Array): void {
    this.#runtime.write(addressOf(tensor), data);
  }

  read(tensor: Tensor, into: Float32Array | Int32Array): Promise<void> {
    this.#runtime.read(addressOf(tensor), into);
    return Promise.resolve();
  }

  stats(): MemoryStats {
    return this.#runtime.stats;
  }

  // ---- movement -----------------------------------------------------------------------------------------------
  fill(out: Tensor, value: number): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = out.size;
    args[2] = value;
    this.#runtime.run(operations.fill);
  }

  copy({ out, x }: Args<'copy'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(x);
    args[2] = this.byteLength(x.shape, x.dtype);
    this.#runtime.run(operations.copy);
  }

  scatterRows({ out, x, rows }: Args<'scatterRows'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(x);
    args[2] = addressOf(rows);
    args[3] = rows.size;
    args[4] = x.size / Math.max(rows.size, 1);
    this.#runtime.run(operations.scatterRows);
  }

  // ---- matrix products ----------------------------------------------------------------------------------------
  matmul({ out, a, b, transposeA = false, transposeB = false, bias, accumulate = false }: Args<'matmul'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(a);
    args[2] = addressOf(b);
    args[3] = addressOrZero(bias);
    args[4] = out.dim(0);
    args[5] = out.dim(1);
    args[6] = a.dim(transposeA ? 0 : 1);
    args[7] = Number(transposeA);
    args[8] = Number(transposeB);
    args[9] = Number(accumulate);
    this.#runtime.run(operations.matmul);
  }

  sumRows({ out, x }: Args<'sumRows'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(x);
    args[2] = x.size / Math.max(out.size, 1);
    args[3] = out.size;
    this.#runtime.run(operations.sumRows);
  }

  quantize({ out, x }: Args<'quantize'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(x);
    args[2] = out.dim(0);
    args[3] = out.dim(1);
    args[4] = bitsOf(out);
    this.#runtime.run(operations.quantize);
  }

  dequantize({ out, x }: Args<'dequantize'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(x);
    args[2] = out.dim(0);
    args[3] = out.dim(1);
    args[4] = bitsOf(x);
    this.#runtime.run(operations.dequantize);
  }

  matmulQuantized({ out, a, w, bias }: Args<'matmulQuantized'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(a);
    args[2] = addressOf(w);
    args[3] = addressOrZero(bias);
    args[4] = a.dim(0);
    args[5] = w.dim(0);
    args[6] = w.dim(1);
    args[7] = bitsOf(w);
    this.#runtime.run(operations.matmulQuantized);
  }

  // ---- embedding ----------------------------------------------------------------------------------------------
  embedding({ out, table, ids }: Args<'embedding'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(table);
    args[2] = addressOf(ids);
    args[3] = ids.size;
    if (table.dtype === 'f32') {
      args[4] = out.size / Math.max(ids.size, 1);
      this.#runtime.run(operations.gatherRows);
      return;
    }
    args[4] = table.dim(0);
    args[5] = table.dim(1);
    args[6] = bitsOf(table);
    this.#runtime.run(operations.gatherQuantizedRows);
  }

  embeddingBackward({ dTable, dOut, ids }: Args<'embeddingBackward'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(dTable);
    args[1] = addressOf(dOut);
    args[2] = addressOf(ids);
    args[3] = ids.size;
    args[4] = dTable.dim(-1);
    this.#runtime.run(operations.gatherRowsBackward);
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
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(x);
    args[2] = addressOf(positions);
    args[3] = addressOf(cos);
    args[4] = addressOf(sin);
    args[5] = positions.size;
    args[6] = x.dim(1);
    args[7] = x.dim(2) / 2;
    args[8] = Number(inverse);
    args[9] = Number(accumulate);
    this.#runtime.run(operations.rotary);
  }

  attention({ out, logSumExp, q, k, v, sequences, maxQueryLength, causal, window = 0, scale }: Args<'attention'>): void {
    const { args } = this.#runtime;
    checkHeadSize(q.dim(2));
    args[0] = addressOf(out);
    args[1] = addressOrZero(logSumExp);
    args[2] = addressOf(q);
    args[3] = addressOf(k);
    args[4] = addressOf(v);
    args[5] = addressOf(sequences);
    args[6] = sequences.dim(0);
    args[7] = q.dim(0);
    args[8] = k.dim(0);
    args[9] = q.dim(1);
    args[10] = k.dim(1);
    args[11] = q.dim(2);
    args[12] = maxQueryLength;
    args[13] = Number(causal);
    args[14] = window;
    args[15] = scale;
    this.#runtime.run(operations.attention);
  }

  attentionBackward(of: Args<'attentionBackward'>): void {
    const { args } = this.#runtime;
    checkHeadSize(of.q.dim(2));
    args[0] = addressOrZero(of.dQ);
    args[1] = addressOrZero(of.dK);
    args[2] = addressOrZero(of.dV);
    args[3] = addressOf(of.dOut);
    args[4] = addressOf(of.out);
    args[5] = addressOf(of.logSumExp);
    args[6] = addressOf(of.q);
    args[7] = addressOf(of.k);
    args[8] = addressOf(of.v);
    args[9] = addressOf(of.sequences);
    args[10] = of.sequences.dim(0);
    args[11] = of.q.dim(0);
    args[12] = of.k.dim(0);
    args[13] = of.q.dim(1);
    args[14] = of.k.dim(1);
    args[15] = of.q.dim(2);
    args[16] = of.maxQueryLength;
    args[17] = Number(of.causal);
    args[18] = of.window ?? 0;
    args[19] = of.scale;
    this.#runtime.run(operations.attentionBackward);
  }

  // ---- elementwise --------------------------------------------------------------------------------------------
  add({ out, a, b }: Args<'add'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(a);
    args[2] = addressOf(b);
    args[3] = out.size;
    this.#runtime.run(operations.add);
  }

  activation({ out, x, kind }: Args<'activation'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(x);
    args[2] = out.size;
    args[3] = ACTIVATIONS[kind];
    this.#runtime.run(operations.activation);
  }

  activationBackward({ dX, dOut, x, kind }: Args<'activationBackward'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(dX);
    args[1] = addressOf(dOut);
    args[2] = addressOf(x);
    args[3] = x.size;
    args[4] = ACTIVATIONS[kind];
    this.#runtime.run(operations.activationBackward);
  }

  gated({ out, gate, up, kind }: Args<'gated'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(gate);
    args[2] = addressOf(up);
    args[3] = out.size;
    args[4] = ACTIVATIONS[kind];
    this.#runtime.run(operations.gated);
  }

  gatedBackward({ dGate, dUp, dOut, gate, up, kind }: Args<'gatedBackward'>): void {
    const { args } = this.#runtime;
    args[0] = addressOrZero(dGate);
    args[1] = addressOrZero(dUp);
    args[2] = addressOf(dOut);
    args[3] = addressOf(gate);
    args[4] = addressOf(up);
    args[5] = dOut.size;
    args[6] = ACTIVATIONS[kind];
    this.#runtime.run(operations.gatedBackward);
  }

  scale({ out, x, factor }: Args<'scale'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(x);
    args[2] = out.size;
    args[3] = factor;
    this.#runtime.run(operations.scale);
  }

  // ---- loss and optimizer -------------------------------------------------------------------------------------
  crossEntropy({ losses, logSumExp, logits, targets, ignoreIndex }: Args<'crossEntropy'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(losses);
    args[1] = addressOf(logSumExp);
    args[2] = addressOf(logits);
    args[3] = addressOf(targets);
    args[4] = targets.size;
    args[5] = logits.dim(-1);
    args[6] = ignoreIndex;
    this.#runtime.run(operations.crossEntropy);
  }

  crossEntropyBackward(of: Args<'crossEntropyBackward'>): void {
    const { dLogits, logits, logSumExp, targets, ignoreIndex, scale, smoothing = 0, zLoss = 0 } = of;
    const { args } = this.#runtime;
    const columns = logits.dim(-1);
    args[0] = addressOf(dLogits);
    args[1] = addressOf(logits);
    args[2] = addressOf(logSumExp);
    args[3] = addressOf(targets);
    args[4] = targets.size;
    args[5] = columns;
    args[6] = ignoreIndex;
    args[7] = scale;
    args[8] = scale * (1 - smoothing);
    args[9] = (scale * smoothing) / columns;
    args[10] = 2 * zLoss;
    this.#runtime.run(operations.crossEntropyBackward);
  }

  sumSquares({ out, x }: Args<'sumSquares'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(out);
    args[1] = addressOf(x);
    args[2] = x.size;
    this.#runtime.run(operations.sumSquares);
  }

  adamw(of: Args<'adamw'>): void {
    const { parameter, gradient, m, v, step, beta1, beta2 } = of;
    const { args } = this.#runtime;
    args[0] = addressOf(parameter);
    args[1] = addressOf(gradient);
    args[2] = addressOf(m);
    args[3] = addressOf(v);
    args[4] = parameter.size;
    args[5] = of.gradientScale;
    args[6] = beta1;
    args[7] = 1 - beta1;
    args[8] = beta2;
    args[9] = 1 - beta2;
    args[10] = 1 / (1 - beta1 ** step);
    args[11] = 1 / (1 - beta2 ** step);
    args[12] = of.epsilon;
    args[13] = of.learningRate;
    args[14] = of.weightDecay;
    this.#runtime.run(operations.adamw);
  }

  /** Layer norm, and without `mean` RMS norm. */
  #normalize(of: Pick<Args<'layerNorm'>, 'out' | 'rstd' | 'x' | 'weight' | 'epsilon'> & Optional<'mean' | 'bias'>): void {
    const { args } = this.#runtime;
    args[0] = addressOf(of.out);
    args[1] = addressOrZero(of.mean);
    args[2] = addressOf(of.rstd);
    args[3] = addressOf(of.x);
    args[4] = addressOf(of.weight);
    args[5] = addressOrZero(of.bias);
    args[6] = of.rstd.size;
    args[7] = of.weight.size;
    args[8] = of.epsilon;
    this.#runtime.run(operations.normalize);
  }

  #normalizeBackward(
    of: Pick<Args<'layerNormBackward'>, 'dOut' | 'x' | 'weight' | 'rstd'> & Optional<'dX' | 'dWeight' | 'dBias' | 'mean'>,
  ): void {
    const { args } = this.#runtime;
    args[0] = addressOrZero(of.dX);
    args[1] = addressOrZero(of.dWeight);
    args[2] = addressOrZero(of.dBias);
    args[3] = addressOf(of.dOut);
    args[4] = addressOf(of.x);
    args[5] = addressOf(of.weight);
    args[6] = addressOrZero(of.mean);
    args[7] = addressOf(of.rstd);
    args[8] = of.rstd.size;
    args[9] = of.weight.size;
    this.#runtime.run(operations.normalizeBackward);
  }
}
