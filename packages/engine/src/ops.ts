/**
 * The operations a model is made of. Each checks its shapes, takes its output from the arena, runs on the tensors' backend,
 * and, when an input requires a gradient and there is a tape, records its backward half right beside the forward one.
 *
 * Letters as in backend.ts: N tokens, C width, V vocabulary, H query heads, K key/value heads, D head size.
 */
import type { Arena } from './arena.ts';
import type { Activation, Backend } from './backend.ts';
import { ShapeError } from './errors.ts';
import type { Random } from './random.ts';
import type { Tape } from './tape.ts';
import type { DType, Tensor } from './tensor.ts';

/** Where a forward pass puts its results, and whether it remembers how to come back: null means inference. */
export interface Context {
  readonly arena: Arena;
  readonly tape: Tape | null;
  /** What dropout draws from, while training; without it nothing is dropped. */
  readonly random?: Random;
}

/** Targets with this value carry no loss (PyTorch's convention). */
export const IGNORE_INDEX = -100;

const show = (tensor: Tensor): string => `${tensor.dtype} [${tensor.shape.join(', ')}]`;

/** Throws unless `tensor` is alive and has this dtype and shape; null leaves an extent free. */
function expectShape(what: string, tensor: Tensor, shape: readonly (number | null)[], dtypes: readonly DType[] = ['f32']): void {
  tensor.assertAlive();
  const fits = tensor.shape.length === shape.length && shape.every((extent, axis) => extent === null || extent === tensor.shape[axis]);
  if (!fits || !dtypes.includes(tensor.dtype)) {
    const wanted = shape.map((extent) => extent ?? 'any').join(', ');
    throw new ShapeError(`${what} is ${show(tensor)}; this operation takes ${dtypes.join(' or ')} [${wanted}]`);
  }
}

/** The output's tensor, marked as part of the graph when any input is. */
function output(ctx: Context, shape: readonly number[], inputs: readonly (Tensor | undefined)[]): Tensor {
  const out = ctx.arena.tensor(shape);
  if (ctx.tape !== null && inputs.some((input) => input?.requiresGrad)) out.requiresGrad = true;
  return out;
}

/** Records the backward half: `run` gets the output's gradient, unless nothing downstream asked for it. */
function record(ctx: Context, out: Tensor, run: (dOut: Tensor) => void): void {
  if (ctx.tape === null || !out.requiresGrad) return;
  ctx.tape.record(() => {
    if (out.grad !== null) run(out.grad);
  });
}

/** Names an optional argument only when there is one, as exactOptionalPropertyTypes wants it. */
function optional<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: Value });
}

const backendOf = (ctx: Context): Backend => ctx.arena.backend;

/**
 * x (N, in) · weightᵀ, weight (out, in) in f32, q8 or q4, + bias (out) → (N, out). Quantized weights have no gradient, but one flows
 * through them to x.
 */
export function linear(ctx: Context, x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  expectShape('x', x, [null, null]);
  const n = x.dim(0);
  expectShape('weight', weight, [null, x.dim(1)], ['f32', 'q8', 'q4']);
  const outFeatures = weight.dim(0);
  if (bias) expectShape('bias', bias, [outFeatures]);
  const backend = backendOf(ctx);
  const out = output(ctx, [n, outFeatures], [x, weight, bias]);
  if (weight.dtype === 'f32') backend.matmul({ out, a: x, b: weight, transposeB: true, ...optional('bias', bias) });
  else backend.matmulQuantized({ out, a: x, w: weight, ...optional('bias', bias) });
  record(ctx, out, (dOut) => {
    const dX = x.gradient(ctx.arena);
    if (dX && weight.dtype === 'f32') backend.matmul({ out: dX, a: dOut, b: weight, accumulate: true });
    else if (dX) {
      // Through the weights as they are held, widened one matrix at a time; that x was rounded to 8 bits is passed over.
      ctx.arena.temporarily(() => {
        const wide = ctx.arena.tensor(weight.shape);
        backend.dequantize({ out: wide, x: weight });
        backend.matmul({ out: dX, a: dOut, b: wide, accumulate: true });
      });
    }
    const dWeight = weight.gradient(ctx.arena);
    if (dWeight) backend.matmul({ out: dWeight, a: dOut, b: x, transposeA: true, accumulate: true });
    const dBias = bias?.gradient(ctx.arena);
    if (dBias) backend.sumRows({ out: dBias, x: dOut });
  });
  return out;
}

/** Rows of table (V, C) at ids i32 (N) → (N, C). Every id must be below V: the caller checks what it uploads. */
export function embedding(ctx: Context, table: Tensor, ids: Tensor): Tensor {
  expectShape('table', table, [null, null], ['f32', 'q8', 'q4']);
  expectShape('ids', ids, [null], ['i32']);
  const backend = backendOf(ctx);
  const out = output(ctx, [ids.dim(0), table.dim(1)], [table]);
  backend.embedding({ out, table, ids });
  record(ctx, out, (dOut) => {
    const dTable = table.gradient(ctx.arena);
    if (dTable) backend.embeddingBackward({ dTable, dOut, ids });
  });
  return out;
}

/** Layer norm of x (N, C) with weight (C) and bias (C). */
export function layerNorm(ctx: Context, x: Tensor, args: { weight: Tensor; bias?: Tensor; epsilon: number }): Tensor {
  const { weight, bias, epsilon } = args;
  expectShape('x', x, [null, null]);
  const [n, c] = [x.dim(0), x.dim(1)];
  expectShape('weight', weight, [c]);
  if (bias) expectShape('bias', bias, [c]);
  const backend = backendOf(ctx);
  const out = output(ctx, [n, c], [x, weight, bias]);
  const mean = ctx.arena.tensor([n]);
  const rstd = ctx.arena.tensor([n]);
  backend.layerNorm({ out, mean, rstd, x, weight, epsilon, ...optional('bias', bias) });
  record(ctx, out, (dOut) => {
    backend.layerNormBackward({
      dOut, x, weight, mean, rstd,
      ...optional('dX', x.gradient(ctx.arena)),
      ...optional('dWeight', weight.gradient(ctx.arena)),
      ...optional('dBias', bias?.gradient(ctx.arena)),
    });
  });
  return out;
}

/** RMS norm of x (N, C) with weight (C). */
export function rmsNorm(ctx: Context, x: Tensor, args: { weight: Tensor; epsilon: number }): Tensor {
  const { weight, epsilon } = args;
  expectShape('x', x, [null, null]);
  const [n, c] = [x.dim(0), x.dim(1)];
  expectShape('weight', weight, [c]);
  const backend = backendOf(ctx);
  const out = output(ctx, [n, c], [x, weight]);
  const rstd = ctx.arena.tensor([n]);
  backend.rmsNorm({ out, rstd, x, weight, epsilon });
  record(ctx, out, (dOut) => {
    backend.rmsNormBackward({
      dOut, x, weight, rstd,
      ...optional('dX', x.gradient(ctx.arena)),
      ...optional('dWeight', weight.gradient(ctx.arena)),
    });
  });
  return out;
}

/** Rotary position embedding of x (N, H, D) at positions i32 (N); cos and sin (P, D/2). */
export function rotary(ctx: Context, x: Tensor, args: { positions: Tensor; cos: Tensor; sin: Tensor }): Tensor {
  const { positions, cos, sin } = args;
  expectShape('x', x, [null, null, null]);
  if (x.dim(2) % 2 !== 0) throw new ShapeError(`rotary embedding turns pairs: a head size of ${x.dim(2)} is odd`);
  expectShape('positions', positions, [x.dim(0)], ['i32']);
  expectShape('cos', cos, [null, x.dim(2) / 2]);
  expectShape('sin', sin, [cos.dim(0), x.dim(2) / 2]);
  const backend = backendOf(ctx);
  const out = output(ctx, x.shape, [x]);
  backend.rotary({ out, x, positions, cos, sin });
  record(ctx, out, (dOut) => {
    const dX = x.gradient(ctx.arena);
    if (dX) backend.rotary({ out: dX, x: dOut, positions, cos, sin, inverse: true, accumulate: true });
  });
  return out;
}

export interface AttentionArgs {
  /** (N, H, D) */
  readonly q: Tensor;
  /** (R, K, D): this batch's rows, or a KV cache's. */
  readonly k: Tensor;
  readonly v: Tensor;
  /** i32 (S, 4): queryStart, queryLength, keyStart, keyLength. */
  readonly sequences: Tensor;
  /** The largest queryLength in `sequences`. */
  readonly maxQueryLength: number;
  readonly causal: boolean;
  /** With causal: how many keys a query sees at most, itself the last. Default: all. */
  readonly window?: number;
  /** Usually 1/√D. */
  readonly scale: number;
}

/** Softmax attention of several sequences → (N, H, D). */
export function attention(ctx: Context, args: AttentionArgs): Tensor {
  const { q, k, v, sequences, ...rest } = args;
  expectShape('q', q, [null, null, null]);
  const [n, h, d] = [q.dim(0), q.dim(1), q.dim(2)];
  expectShape('k', k, [null, null, d]);
  expectShape('v', v, k.shape);
  expectShape('sequences', sequences, [null, 4], ['i32']);
  if (h % k.dim(1) !== 0) throw new ShapeError(`${h} query heads do not divide over ${k.dim(1)} key heads: make one a multiple of the other`);
  if (args.window !== undefined && !(args.causal && Number.isSafeInteger(args.window) && args.window >= 1)) {
    throw new ShapeError(`a window of ${args.window} keys${args.causal ? '' : ' without causal'}: it is a whole number from 1, and looks back only`);
  }
  const backend = backendOf(ctx);
  const out = output(ctx, [n, h, d], [q, k, v]);
  const logSumExp = out.requiresGrad ? ctx.arena.tensor([n, h]) : undefined;
  backend.attention({ out, q, k, v, sequences, ...rest, ...optional('logSumExp', logSumExp) });
  if (logSumExp) {
    record(ctx, out, (dOut) => {
      backend.attentionBackward({
        dOut, out, logSumExp, q, k, v, sequences, ...rest,
        ...optional('dQ', q.gradient(ctx.arena)),
        ...optional('dK', k.gradient(ctx.arena)),
        ...optional('dV', v.gradient(ctx.arena)),
      });
    });
  }
  return out;
}

/** a + b, same shape: the residual connection. */
export function add(ctx: Context, a: Tensor, b: Tensor): Tensor {
  expectShape('a', a, a.shape);
  expectShape('b', b, a.shape);
  const backend = backendOf(ctx);
  const out = output(ctx, a.shape, [a, b]);
  backend.add({ out, a, b });
  record(ctx, out, (dOut) => {
    for (const input of [a, b]) {
      const grad = input.gradient(ctx.arena);
      if (grad) backend.add({ out: grad, a: grad, b: dOut });
    }
  });
  return out;
}

/** x · factor. */
export function scale(ctx: Context, x: Tensor, factor: number): Tensor {
  expectShape('x', x, x.shape);
  const backend = backendOf(ctx);
  const out = output(ctx, x.shape, [x]);
  backend.scale({ out, x, factor });
  record(ctx, out, (dOut) => {
    const dX = x.gradient(ctx.arena);
    if (dX) {
      ctx.arena.temporarily(() => {
        const scaled = ctx.arena.tensor(x.shape);
        backend.scale({ out: scaled, x: dOut, factor });
        backend.add({ out: dX, a: dX, b: scaled });
      });
    }
  });
  return out;
}

/**
 * Dropout (Srivastava et al., 2014): each element becomes 0 with this probability, and the others grow by 1 / (1 − probability). It
 * acts only where the context has a `random`; otherwise it is x itself.
 */
export function dropout(ctx: Context, x: Tensor, probability: number): Tensor {
  if (ctx.random === undefined || probability === 0) return x;
  if (!(probability > 0 && probability < 1)) throw new ShapeError(`a dropout of ${probability} is none: it has to be from 0 to below 1`);
  expectShape('x', x, x.shape);
  // Backends have no plain product, but a gated one: SiLU of these gates is 0 or 1 / (1 − probability).
  const kept = inverseSilu(1 / (1 - probability));
  const gates = new Float32Array(x.size);
  // Half a draw each: a probability is met to within 2⁻¹⁷.
  const threshold = Math.round(probability * 2 ** 16);
  for (let i = 0; i < gates.length; i += 2) {
    const bits = ctx.random.uint32();
    if (bits >>> 16 >= threshold) gates[i] = kept;
    if ((bits & 0xffff) >= threshold && i + 1 < gates.length) gates[i + 1] = kept;
  }
  const backend = backendOf(ctx);
  const gate = ctx.arena.from(gates, x.shape);
  const out = output(ctx, x.shape, [x]);
  backend.gated({ out, gate, up: x, kind: 'silu' });
  record(ctx, out, (dOut) => {
    const dX = x.gradient(ctx.arena);
    if (dX) backend.gatedBackward({ dUp: dX, dOut, gate, up: x, kind: 'silu' });
  });
  return out;
}

/** The gate whose SiLU is `value` > 0, by Newton's method in float64. */
function inverseSilu(value: number): number {
  let gate = value;
  for (let i = 0; i < 50; i++) {
    const sigmoid = 1 / (1 + Math.exp(-gate));
    gate -= (gate * sigmoid - value) / (sigmoid * (1 + gate * (1 - sigmoid)));
  }
  return gate;
}

/** GELU (exact or tanh) or SiLU of every element. */
export function activation(ctx: Context, x: Tensor, kind: Activation): Tensor {
  expectShape('x', x, x.shape);
  const backend = backendOf(ctx);
  const out = output(ctx, x.shape, [x]);
  backend.activation({ out, x, kind });
  record(ctx, out, (dOut) => {
    const dX = x.gradient(ctx.arena);
    if (dX) backend.activationBackward({ dX, dOut, x, kind });
  });
  return out;
}

/** act(gate) · up, same shape. */
export function gated(ctx: Context, gate: Tensor, up: Tensor, kind: Activation): Tensor {
  expectShape('gate', gate, gate.shape);
  expectShape('up', up, gate.shape);
  const backend = backendOf(ctx);
  const out = output(ctx, gate.shape, [gate, up]);
  backend.gated({ out, gate, up, kind });
  record(ctx, out, (dOut) => {
    backend.gatedBackward({
      dOut, gate, up, kind,
      ...optional('dGate', gate.gradient(ctx.arena)),
      ...optional('dUp', up.gradient(ctx.arena)),
    });
  });
  return out;
}

export interface CrossEntropyArgs {
  /** i32 (N): the next token of each row, or `ignoreIndex`. */
  readonly targets: Tensor;
  readonly ignoreIndex?: number;
  /** What one target's loss weighs in the total: 1 / (targets in the whole batch) for a mean. */
  readonly scale: number;
  /** Label smoothing: the share of each target that is spread evenly over the vocabulary. Default 0. */
  readonly smoothing?: number;
  /** Weight of logSumExp² beside each loss, which keeps logits near where they are computed exactly. Default 0. */
  readonly zLoss?: number;
  /**
   * (N): what each row's loss weighs beside the others, negative to be driven up; default 1. Read when the backward pass runs,
   * so that it may be filled from the losses.
   */
  readonly weights?: Float32Array;
}

/**
 * Per-row loss (N), unscaled, of logits (N, V). It starts the backward pass: the gradient of scale · Σ losses flows from
 * here, with `smoothing` and `zLoss` that of the objective they make (backend.ts); the losses returned are free of both. Backward overwrites the logits with their gradient, which saves the largest buffer of a training step.
 */
export function crossEntropy(ctx: Context, logits: Tensor, args: CrossEntropyArgs): Tensor {
  const { targets, scale, ignoreIndex = IGNORE_INDEX, smoothing = 0, zLoss = 0, weights } = args;
  expectShape('logits', logits, [null, null]);
  const n = logits.dim(0);
  expectShape('targets', targets, [n], ['i32']);
  if (weights && weights.length !== n) throw new ShapeError(`${n} rows came with ${weights.length} weights: pass one for each row`);
  const backend = backendOf(ctx);
  const losses = ctx.arena.tensor([n]);
  const logSumExp = ctx.arena.tensor([n]);
  backend.crossEntropy({ losses, logSumExp, logits, targets, ignoreIndex });
  if (ctx.tape !== null && logits.requiresGrad) {
    ctx.tape.record(() => {
      backend.crossEntropyBackward({ dLogits: logits, logits, logSumExp, targets, ignoreIndex, scale, smoothing, zLoss });
      if (weights) scaleRows(backend, logits, weights);
      logits.becomeGradient();
    });
  }
  return losses;
}

/** x[n, :] *= factors[n], one operation for each run of rows with the same factor. */
function scaleRows(backend: Backend, x: Tensor, factors: Float32Array): void {
  for (let start = 0, end = 0; start < factors.length; start = end) {
    const factor = factors[start] as number;
    while (end < factors.length && factors[end] === factor) end++;
    if (end === start) throw new ShapeError(`the weight of row ${start} is ${factor}: it has to be a number`);
    if (factor === 1) continue;
    const rows = x.rows(start, end);
    backend.scale({ out: rows, x: rows, factor });
  }
}
