/**
 * f32 matrix product. The limit: two 128-bit fused multiply-adds a cycle and thread, 16 operations; at 2.6 GHz, 42 GFLOP/s.
 */
import { Tensor } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { BACKEND_FLAGS, type Benchmark, figure, machine, parseExtents, rates } from './harness.ts';

export const benchmark: Benchmark = {
  name: 'matmul',
  summary: 'f32 matrix product (M, K) · (K, N), B stored (N, K) as linear layers store it; --shape MxKxN',
  takes: ['shape', ...BACKEND_FLAGS],
  async run(options) {
    const shape = options.shape ?? '1024x1024x1024';
    const [m = 0, k = 0, n = 0] = parseExtents(shape, ['M', 'K', 'N']);
    await using backend = await createBackend(options);
    using a = Tensor.allocate(backend, [m, k]);
    using b = Tensor.allocate(backend, [n, k]);
    using out = Tensor.allocate(backend, [m, n]);
    a.write(Float32Array.from({ length: m * k }, (_, i) => Math.sin(i)));
    b.write(Float32Array.from({ length: n * k }, (_, i) => Math.cos(i)));
    const probe = new Float32Array(1);
    const spread = await rates(
      2 * m * n * k,
      async () => {
        backend.matmul({ out, a, b, transposeB: true });
        await backend.read(out.reshape(m * n).rows(0, 1), probe);
      },
      { repeats: options.repeats },
    );
    return {
      bench: 'matmul', shape, backend: backend.name, description: backend.description, dtype: 'f32', threads: backend.threads,
      ...figure('gflops', spread, 1e9), ...machine(),
    };
  },
};
