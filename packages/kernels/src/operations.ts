/**
 * The list of kernels, the one place that names them: source file in `assembly/` → exported functions. A kernel's number is
 * its place in this list. The build writes the WebAssembly side's dispatch from it; the engine launches `operations.name`.
 */
const sources = {
  elementwise: ['empty', 'fill', 'copy', 'add', 'scale', 'activation', 'activationBackward', 'gated', 'gatedBackward'],
  rows: ['scatterRows', 'gatherRows', 'gatherRowsBackward', 'sumRows'],
  norm: ['normalize', 'normalizeBackward', 'normalizeBackwardWeight'],
  rotary: ['rotary'],
  loss: ['crossEntropy', 'crossEntropyBackward'],
  optimizer: ['sumSquares', 'sumPartials', 'adamw'],
  matmul: ['matmul'],
  quantized: ['quantizeWeights', 'dequantizeWeights', 'gatherQuantizedRows'],
  'quantized-matmul': ['quantizeActivations', 'matmulQ4', 'matmulQ8'],
  attention: ['attention'],
  'attention-backward': ['attentionBackward'],
} as const;

type Sources = typeof sources;
export type OperationName = { [File in keyof Sources]: Sources[File][number] }[keyof Sources];

/** Source file of each kernel, in the order of their numbers. */
export const operationSources: readonly (readonly [name: OperationName, file: keyof Sources])[] = (
  Object.keys(sources) as (keyof Sources)[]
).flatMap((file) => sources[file].map((name) => [name, file] as const));

/** Numbers to pass to `run`. */
export const operations = Object.fromEntries(operationSources.map(([name], index) => [name, index])) as Readonly<
  Record<OperationName, number>
>;

/** Identifies this list (FNV-1a over the names in order), so that kernels built from another one are refused. */
export const operationsFingerprint: number = operationSources
  .map(([name]) => name)
  .join(' ')
  .split('')
  .reduce((hash, character) => Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0, 0x811c9dc5);
