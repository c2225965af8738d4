/**
 * The native kernels' operations and their arguments: the one place that lists them. An operation's number is its place in the
 * list. JavaScript writes the arguments in order into an array of doubles; the build writes a C++ struct for each operation
 * (`arguments.h`) that lies over it. An address is a number below 2^53; 0 stands for a tensor that is not there (`?`).
 *
 * Types: `f32*`, `i32*`, `u8*` what an operation writes, `const …*` what it reads, `int`, `number` (single precision there).
 * Shapes are those of `Backend` in packages/engine/src/backend.ts.
 */
const signatures = {
  fill: 'f32* out, int size, number value',
  copy: 'u8* out, const u8* x, int bytes',
  scatterRows: 'f32* out, const f32* x, const i32* rows, int count, int columns',
  /** out[n, :] = x[rows[n], :] */
  gatherRows: 'f32* out, const f32* x, const i32* rows, int count, int columns',
  gatherRowsBackward: 'f32* dTable, const f32* dOut, const i32* ids, int count, int columns',
  matmul: 'f32* out, const f32* a, const f32* b, const f32* bias?, int M, int N, int K, int transposeA, int transposeB, int accumulate',
  sumRows: 'f32* out, const f32* x, int rows, int columns',
  quantize: 'u8* out, const f32* x, int rows, int columns, int bits',
  dequantize: 'f32* out, const u8* x, int rows, int columns, int bits',
  /** out (tokens, rows) = a (tokens, columns) · wᵀ + bias (rows) */
  matmulQuantized: 'f32* out, const f32* a, const u8* w, const f32* bias?, int tokens, int rows, int columns, int bits',
  /** Of a table (rows, columns). */
  gatherQuantizedRows: 'f32* out, const u8* table, const i32* ids, int count, int rows, int columns, int bits',
  /** Layer norm; without `mean` RMS norm. */
  normalize: 'f32* out, f32* mean?, f32* rstd, const f32* x, const f32* weight, const f32* bias?, int rows, int columns, number epsilon',
  normalizeBackward:
    'f32* dX?, f32* dWeight?, f32* dBias?, const f32* dOut, const f32* x, const f32* weight, const f32* mean?, const f32* rstd, ' +
    'int rows, int columns',
  /** x (count, heads, 2·half). */
  rotary:
    'f32* out, const f32* x, const i32* positions, const f32* cos, const f32* sin, int count, int heads, int half, ' +
    'int inverse, int accumulate',
  /** q (queryRows, heads, headSize), k and v (keyRows, keyHeads, headSize), sequences (sequenceCount, 4). window: 0 for none. */
  attention:
    'f32* out, f32* logSumExp?, const f32* q, const f32* k, const f32* v, const i32* sequences, int sequenceCount, ' +
    'int queryRows, int keyRows, int heads, int keyHeads, int headSize, int maxQueryLength, int causal, int window, number scale',
  attentionBackward:
    'f32* dQ?, f32* dK?, f32* dV?, const f32* dOut, const f32* out, const f32* logSumExp, const f32* q, const f32* k, ' +
    'const f32* v, const i32* sequences, int sequenceCount, int queryRows, int keyRows, int heads, int keyHeads, int headSize, ' +
    'int maxQueryLength, int causal, int window, number scale',
  add: 'f32* out, const f32* a, const f32* b, int size',
  scale: 'f32* out, const f32* x, int size, number factor',
  /** kind: 0 gelu, 1 gelu_tanh, 2 silu */
  activation: 'f32* out, const f32* x, int size, int kind',
  activationBackward: 'f32* dX, const f32* dOut, const f32* x, int size, int kind',
  gated: 'f32* out, const f32* gate, const f32* up, int size, int kind',
  gatedBackward: 'f32* dGate?, f32* dUp?, const f32* dOut, const f32* gate, const f32* up, int size, int kind',
  crossEntropy: 'f32* losses, f32* logSumExp, const f32* logits, const i32* targets, int rows, int columns, int ignoreIndex',
  /** dLogits = softmax(logits)·scale·(1 + twiceZ·logSumExp) − ofTarget·onehot(targets) − ofEach */
  crossEntropyBackward:
    'f32* dLogits, const f32* logits, const f32* logSumExp, const i32* targets, int rows, int columns, int ignoreIndex, ' +
    'number scale, number ofTarget, number ofEach, number twiceZ',
  sumSquares: 'f32* out, const f32* x, int size',
  /** correction1 = 1 / (1 − β₁^t), rest1 = 1 − β₁, and so on. */
  adamw:
    'f32* parameter, const f32* gradient, f32* m, f32* v, int size, number gradientScale, number beta1, number rest1, ' +
    'number beta2, number rest2, number correction1, number correction2, number epsilon, number learningRate, number weightDecay',
} as const;

export type NativeOperationName = keyof typeof signatures;

export const nativeSignatures: readonly (readonly [name: NativeOperationName, signature: string])[] = Object.entries(
  signatures,
) as (readonly [NativeOperationName, string])[];

/** Numbers to pass to `run`. */
export const nativeOperations = Object.fromEntries(nativeSignatures.map(([name], index) => [name, index])) as Readonly<
  Record<NativeOperationName, number>
>;

/** Most arguments that an operation has. */
export const NATIVE_ARGUMENTS = 24;

/** Identifies this list (FNV-1a over its text), so that an addon built from another one is refused. */
export const nativeFingerprint: number = nativeSignatures
  .map(([name, signature]) => `${name}(${signature})`)
  .join(';')
  .split('')
  .reduce((hash, character) => Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0, 0x811c9dc5);

/** What the addon exports. */
export interface NativeAddon {
  readonly fingerprint: number;
  /** The instruction sets that this machine has of those the addon was built for, best first: 'avx512', 'avxvnni', 'avx2', 'baseline'. */
  readonly instructionSets: readonly string[];
  readonly compiler: string;
  /** A backend's threads and its arguments, which `run` reads. Throws where threads do not start. */
  create(threads: number, instructionSet: string, args: Float64Array): NativePool;
}

export interface NativePool {
  /** Runs `nativeOperations.name` with the arguments in the array given to `create`. */
  run(operation: number): void;
  quantizedBytes(rows: number, columns: number, bits: number): number;
  /** The address of zero-filled memory on a cache line, or 0 where there is none. */
  allocate(bytes: number): number;
  /** Throws where nothing lives at the address. */
  release(address: number): void;
  write(address: number, data: Float32Array | Int32Array): void;
  read(address: number, into: Float32Array | Int32Array): void;
  /** Ends the threads. Nothing else may be called afterwards, but `release`. */
  stop(): void;
}
