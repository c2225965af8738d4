/**
 * What a backend does: hold memory and run a short list of coarse operations over it.
 *
 * Conventions. N is the number of tokens in a packed batch (all sequences end to end, no padding), C a row's width,
 * V the vocabulary, H query heads, K key/value heads (H is a multiple of K), D the size of a head.
 * - Forward operations overwrite `out`.
 * - Backward operations ADD to the gradients they are given (`dX += …`) and skip those that are absent.
 * - `out` may be the same tensor as an input only where the operation says so.
 * - Arguments are checked by the caller (`ops.ts`); a backend may trust shapes and dtypes.
 * - Results do not depend on the number of threads.
 * - A row's result does not depend on the rows beside it: linear layers (matmul with transposeB, matmulQuantized), norms,
 *   activations, losses and attention give a batch of N the bits of N of one, and a cache those of a prompt.
 * The `reference` backend defines every operation; the conformance suite in `testing/` holds all others to it.
 */
import type { DType, Shape, Storage, Tensor } from './tensor.ts';

export type Activation = 'gelu' | 'gelu_tanh' | 'silu';

export interface MemoryStats {
  /** Live allocations and their bytes. A scope that leaves these higher than it found them leaks. */
  readonly allocations: number;
  readonly allocatedBytes: number;
  readonly peakBytes: number;
  readonly limitBytes: number;
}

export interface Backend extends AsyncDisposable {
  readonly name: string;
  /** How it runs here, for people: `wasm (relaxed SIMD, 2 threads)`. */
  readonly description: string;
  readonly threads: number;

  // ---- memory -------------------------------------------------------------------------------------------------
  /** Bytes a tensor takes. Throws ShapeError for q8/q4 unless 2-D with columns a multiple of 32. */
  byteLength(shape: Shape, dtype: DType): number;
  /** Zero-filled memory. Throws MemoryLimitError. */
  allocate(bytes: number): Storage;
  /** Throws LifetimeError when released twice. */
  release(storage: Storage): void;
  write(tensor: Tensor, data: Float32Array | Int32Array): void;
  /** Resolves once every operation before it is done. */
  read(tensor: Tensor, into: Float32Array | Int32Array): Promise<void>;
  stats(): MemoryStats;

  // ---- movement -----------------------------------------------------------------------------------------------
  /** Every f32 element becomes `value`. */
  fill(out: Tensor, value: number): void;
  /** Same size and dtype; the ranges may not overlap. */
  copy(args: { out: Tensor; x: Tensor }): void;
  /** out[rows[n], :] = x[n, :]. out (R, C), x (N, C), rows i32 (N), distinct. */
  scatterRows(args: { out: Tensor; x: Tensor; rows: Tensor }): void;

  // ---- matrix products ----------------------------------------------------------------------------------------
  /**
   * out (M, N) = op(a) (M, K) · op(b) (K, N) [+ bias (N)], or += with `accumulate` (then no bias).
   * transposeA: `a` is stored (K, M). transposeB: `b` is stored (N, K), as linear layers store weights.
   */
  matmul(args: { out: Tensor; a: Tensor; b: Tensor; transposeA?: boolean; transposeB?: boolean; bias?: Tensor; accumulate?: boolean }): void;
  /** out (C) += sum over rows of x (N, C): the gradient of a bias. */
  sumRows(args: { out: Tensor; x: Tensor }): void;

  /**
   * f32 (R, C) to q8 or q4, in blocks of 32 columns.
   * q8: d = max|x| / 127, q = roundTiesToEven(x / d) in −127…127.
   * q4: m the value of largest magnitude (the first, on a tie), d = m / −8, q = min(15, floor(x / d + 8.5)), value (q − 8)·d.
   * A block of zeros has d = 0 and dequantizes to zeros.
   */
  quantize(args: { out: Tensor; x: Tensor }): void;
  dequantize(args: { out: Tensor; x: Tensor }): void;
  /**
   * out (N, R) = a (N, C) · wᵀ [+ bias (R)], w (R, C) q8 or q4. Each row of `a` is first quantized to int8 in blocks of 32
   * as q8 above; products within a block are exact integers; blocks are summed in f32.
   */
  matmulQuantized(args: { out: Tensor; a: Tensor; w: Tensor; bias?: Tensor }): void;

  // ---- embedding ----------------------------------------------------------------------------------------------
  /** out[n, :] = table[ids[n], :]. table (V, C) f32, q8 or q4; ids i32 (N) within 0…V−1. Also gathers rows. */
  embedding(args: { out: Tensor; table: Tensor; ids: Tensor }): void;
  /** dTable[ids[n], :] += dOut[n, :], in the order of n. */
  embeddingBackward(args: { dTable: Tensor; dOut: Tensor; ids: Tensor }): void;

  // ---- normalization ------------------------------------------------------------------------------------------
  /** Layer norm over the last axis (Ba et al., 2016): x (N, C), weight (C), bias (C). Keeps mean (N) and rstd (N) for backward. */
  layerNorm(args: { out: Tensor; mean: Tensor; rstd: Tensor; x: Tensor; weight: Tensor; bias?: Tensor; epsilon: number }): void;
  layerNormBackward(args: {
    dX?: Tensor; dWeight?: Tensor; dBias?: Tensor;
    dOut: Tensor; x: Tensor; weight: Tensor; mean: Tensor; rstd: Tensor;
  }): void;
  /** RMS norm (Zhang & Sennrich, 2019): out = x · rstd · weight, rstd = 1/√(mean(x²) + ε). Keeps rstd (N). */
  rmsNorm(args: { out: Tensor; rstd: Tensor; x: Tensor; weight: Tensor; epsilon: number }): void;
  rmsNormBackward(args: { dX?: Tensor; dWeight?: Tensor; dOut: Tensor; x: Tensor; weight: Tensor; rstd: Tensor }): void;

  // ---- attention ----------------------------------------------------------------------------------------------
  /**
   * Rotary position embedding (Su et al., 2021), halves convention of Hugging Face's Llama: with i < D/2,
   * out[i] = x[i]·cos − x[i+D/2]·sin, out[i+D/2] = x[i+D/2]·cos + x[i]·sin, cos and sin at [positions[n], i].
   * x (N, H, D), positions i32 (N), cos and sin (P, D/2). `inverse` turns the other way, which is also the gradient.
   * `out` may be `x`. With `accumulate`, out += the result (then out is not x).
   */
  rotary(args: { out: Tensor; x: Tensor; positions: Tensor; cos: Tensor; sin: Tensor; inverse?: boolean; accumulate?: boolean }): void;
  /**
   * out (N, H, D) = softmax(q·kᵀ·scale) · v for several sequences at once. q (N, H, D); k, v (R, K, D), which are this
   * batch's own rows or a KV cache's. Query head h reads key head floor(h / (H/K)).
   * sequences i32 (S, 4): queryStart, queryLength, keyStart, keyLength, in rows. The i-th query of a sequence stands at key
   * index keyLength − queryLength + i; causal: it sees keys up to that index, otherwise all keyLength of them; with `window`, which
   * is with causal only and from 1 on, no more than the last `window` of these (Beltagy et al., 2020).
   * maxQueryLength: the largest queryLength in `sequences`. logSumExp (N, H): of the scaled scores, kept for backward.
   */
  attention(args: {
    out: Tensor; logSumExp?: Tensor; q: Tensor; k: Tensor; v: Tensor;
    sequences: Tensor; maxQueryLength: number; causal: boolean; window?: number; scale: number;
  }): void;
  /** Gradients of `attention`. Each row of k and v belongs to at most one sequence here. */
  attentionBackward(args: {
    dQ?: Tensor; dK?: Tensor; dV?: Tensor; dOut: Tensor; out: Tensor; logSumExp: Tensor; q: Tensor; k: Tensor; v: Tensor;
    sequences: Tensor; maxQueryLength: number; causal: boolean; window?: number; scale: number;
  }): void;

  // ---- elementwise --------------------------------------------------------------------------------------------
  /** out = a + b, same size. `out` may be `a` or `b`. */
  add(args: { out: Tensor; a: Tensor; b: Tensor }): void;
  /** gelu: x·Φ(x). gelu_tanh: its tanh approximation (GPT-2). silu: x·σ(x). `out` may be `x`. */
  activation(args: { out: Tensor; x: Tensor; kind: Activation }): void;
  activationBackward(args: { dX: Tensor; dOut: Tensor; x: Tensor; kind: Activation }): void;
  /** out = act(gate) · up (Shazeer, 2020). `out` may be `gate` or `up`. */
  gated(args: { out: Tensor; gate: Tensor; up: Tensor; kind: Activation }): void;
  gatedBackward(args: { dGate?: Tensor; dUp?: Tensor; dOut: Tensor; gate: Tensor; up: Tensor; kind: Activation }): void;
  /** out = x · factor. `out` may be `x`. */
  scale(args: { out: Tensor; x: Tensor; factor: number }): void;

  // ---- loss and optimizer -------------------------------------------------------------------------------------
  /**
   * losses[n] = logSumExp(logits[n, :]) − logits[n, targets[n]], 0 where targets[n] is `ignoreIndex`; logSumExp (N) is kept.
   * logits (N, V), targets i32 (N).
   */
  crossEntropy(args: { losses: Tensor; logSumExp: Tensor; logits: Tensor; targets: Tensor; ignoreIndex: number }): void;
  /**
   * dLogits = scale · ( softmax(logits)·(1 + 2·zLoss·logSumExp) − (1 − smoothing)·onehot(targets) − smoothing/V ), zeros on ignored
   * rows. OVERWRITES; dLogits may be logits. That is the gradient of scale · ( (1 − smoothing)·loss + smoothing·mean over v of
   * (logSumExp − logits[v]) + zLoss·logSumExp² ): label smoothing (Szegedy et al., 2016) and the z-loss that keeps logits from
   * drifting (Chowdhery et al., 2022). Both default to 0. `crossEntropy` knows neither: a loss is what the model says of the target.
   */
  crossEntropyBackward(args: {
    dLogits: Tensor; logits: Tensor; logSumExp: Tensor; targets: Tensor; ignoreIndex: number; scale: number; smoothing?: number; zLoss?: number;
  }): void;
  /** out (1) = Σ x². Summed in a fixed order. */
  sumSquares(args: { out: Tensor; x: Tensor }): void;
  /**
   * AdamW (Loshchilov & Hutter, 2019), g = gradient·gradientScale, `step` counted from 1:
   * m = β₁m + (1−β₁)g; v = β₂v + (1−β₂)g²; p −= lr·( (m/(1−β₁^t)) / (√(v/(1−β₂^t)) + ε) + weightDecay·p ).
   */
  adamw(args: {
    parameter: Tensor; gradient: Tensor; m: Tensor; v: Tensor; learningRate: number; beta1: number; beta2: number;
    epsilon: number; weightDecay: number; step: number; gradientScale: number;
  }): void;
}
