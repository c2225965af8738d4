/** How fast this machine multiplies matrices at best: what a training step's speed is compared with. */
import { type Backend, Tensor } from '@parley/engine';
import { parameterSpecs, type TransformerConfig } from '@parley/model';

/**
 * GFLOP/s of the backend's own f32 matmul at (n, n, n), the best of a few tries. Takes about half a second.
 * Other programs that run at the time make it too low, and shares of it too high.
 * The share of it that training reaches says how much is lost outside of matrix products.
 */
export async function measurePeak(backend: Backend, n = 512): Promise<number> {
  using a = Tensor.allocate(backend, [n, n]);
  using b = Tensor.allocate(backend, [n, n]);
  using out = Tensor.allocate(backend, [n, n]);
  backend.fill(a, 0.5);
  backend.fill(b, 0.25);
  const corner = out.rows(0, 1).reshape(n).rows(0, 1);
  const value = new Float32Array(1);
  let best = 0;
  const end = performance.now() + 500;
  do {
    const started = performance.now();
    backend.matmul({ out, a, b, transposeB: true });
    await backend.read(corner, value);
    best = Math.max(best, (2 * n ** 3) / (performance.now() - started) / 1e6);
  } while (performance.now() < end);
  return best;
}

/**
 * Floating-point operations of training on one token, forward and backward: 6 for each weight of a matrix product, and for
 * attention 12 · layers · width for each token looked at (Chowdhery et al., 2022, appendix B), of which there are
 * contextLength / 2 on average.
 */
export function trainingFlops(config: TransformerConfig, contextLength: number): number {
  let weights = config.tieEmbeddings ? config.vocabSize * config.hiddenSize : 0;
  for (const { kind, shape } of parameterSpecs(config)) {
    if (kind === 'matrix') weights += shape.reduce((product, extent) => product * extent, 1);
  }
  return 6 * weights + 12 * config.layers * config.heads * config.headSize * (contextLength / 2);
}
