/**
 * One token's product with a quantized matrix: what decoding spends its time on. The limit for q4 is reading
 * 20 bytes per 32 weights (16 of nibbles, 4 of scale); in cache, the kernel's instructions.
 */
import { Tensor } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { BACKEND_FLAGS, type Benchmark, figure, machine, parseExtents, rates } from './harness.ts';

/** Products per timed repeat: one alone is too short for the clock. */
const PRODUCTS = 50;

export const benchmark: Benchmark = {
  name: 'matvec',
  summary: 'quantized matrix (R, C) times one row of activations; --shape RxC, --dtype q4|q8',
  takes: ['shape', 'dtype', ...BACKEND_FLAGS],
  async run(options) {
    const shape = options.shape ?? '1536x576';
    const dtype = options.dtype ?? 'q4';
    const [r = 0, c = 0] = parseExtents(shape, ['R', 'C']);
    await using backend = await createBackend(options);
    using dense = Tensor.allocate(backend, [r, c]);
    dense.write(Float32Array.from({ length: r * c }, (_, i) => Math.sin(i * 1.7)));
    using weights = Tensor.allocate(backend, [r, c], dtype);
    if (dtype !== 'f32') backend.quantize({ out: weights, x: dense });
    using x = Tensor.from(backend, Float32Array.from({ length: c }, (_, i) => Math.cos(i)), [1, c]);
    using out = Tensor.allocate(backend, [1, r]);
    const probe = new Float32Array(1);
    const spread = await rates(
      r * c * PRODUCTS,
      async () => {
        for (let i = 0; i < PRODUCTS; i++) {
          if (dtype === 'f32') backend.matmul({ out, a: x, b: dense, transposeB: true });
          else backend.matmulQuantized({ out, a: x, w: weights });
        }
        await backend.read(out.reshape(r).rows(0, 1), probe);
      },
      { repeats: options.repeats },
    );
    return {
      bench: 'matvec', shape, backend: backend.name, description: backend.description, dtype, threads: backend.threads,
      ...figure('weights_per_second', spread), ...machine(),
    };
  },
};
