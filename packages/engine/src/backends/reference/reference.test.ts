/** The oracle itself, against formulas written another way and values worked out by hand. Within 1e-6 unless a name says otherwise. */
import { describe, expect, test } from 'vitest';
import { LifetimeError, MemoryLimitError, ShapeError } from '../../errors.ts';
import { Random } from '../../random.ts';
import { type Shape, Tensor } from '../../tensor.ts';
import { normalCumulative } from './elementwise.ts';
import { roundTiesToEven } from './quantized.ts';
import { ReferenceBackend } from './reference.ts';

const backend = new ReferenceBackend();
const random = new Random(11);

const f32 = (values: readonly number[], shape: Shape = [values.length]): Tensor => Tensor.from(backend, Float32Array.from(values), shape);
const i32 = (values: readonly number[], shape: Shape = [values.length]): Tensor => Tensor.from(backend, Int32Array.from(values), shape);
const empty = (...shape: number[]): Tensor => Tensor.allocate(backend, shape);
const normal = (...shape: number[]): number[] => Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(random.normal()));

async function expectValues(tensor: Tensor, expected: readonly number[], tolerance = 1e-6): Promise<void> {
  const actual = await tensor.read();
  expect(actual.length).toBe(expected.length);
  actual.forEach((value, i) => {
    const error = Math.abs(value - (expected[i] ?? Number.NaN));
    expect(error, `[${i}] is ${value}, not ${expected[i]}`).toBeLessThanOrEqual(tolerance * (1 + Math.abs(value)));
  });
}

describe('matmul', () => {
  const [M, N, K] = [3, 4, 5];
  for (const transposeA of [false, true]) {
    for (const transposeB of [false, true]) {
      test(`out[m, n] is Σ a·b with transposeA ${transposeA}, transposeB ${transposeB}; bias and accumulate add`, async () => {
        const [a, b, bias, before] = [normal(M, K), normal(K, N), normal(N), normal(M, N)];
        const product = Array.from({ length: M * N }, (_, i) => {
          const [m, n] = [Math.floor(i / N), i % N];
          return Array.from({ length: K }, (_unused, k) =>
            (a[transposeA ? k * M + m : m * K + k] ?? 0) * (b[transposeB ? n * K + k : k * N + n] ?? 0)).reduce((sum, x) => sum + x, 0);
        });
        const args = { a: f32(a, transposeA ? [K, M] : [M, K]), b: f32(b, transposeB ? [N, K] : [K, N]), transposeA, transposeB };
        const out = f32(before, [M, N]);
        backend.matmul({ ...args, out, accumulate: true });
        await expectValues(out, product.map((x, i) => x + (before[i] ?? 0)));
        backend.matmul({ ...args, out, bias: f32(bias) });
        await expectValues(out, product.map((x, i) => x + (bias[i % N] ?? 0)));
        backend.matmul({ ...args, out });
        await expectValues(out, product);
      });
    }
  }

  test('sumRows adds the columns of [[1, 2], [3, 4], [5, 6]] to what was there', async () => {
    const out = f32([100, 200]);
    backend.sumRows({ out, x: f32([1, 2, 3, 4, 5, 6], [3, 2]) });
    await expectValues(out, [109, 212]);
  });
});

describe('quantized', () => {
  const block = (f: (i: number) => number): Tensor => f32(Array.from({ length: 32 }, (_, i) => f(i)), [1, 32]);
  async function roundTrip(x: Tensor, dtype: 'q8' | 'q4'): Promise<number[]> {
    const q = Tensor.allocate(backend, x.shape, dtype);
    const out = empty(...x.shape);
    backend.quantize({ out: q, x });
    backend.dequantize({ out, x: q });
    return [...(await out.read())];
  }

  test('q8: with max 127 the scale is 1, and halves go to the even neighbour', async () => {
    const values = [127, 0.5, 1.5, 2.5, -0.5, -1.5, -126.4, 0.49];
    expect((await roundTrip(block((i) => values[i] ?? 0), 'q8')).slice(0, 8)).toEqual([127, 0, 2, 2, 0, -2, -126, 0]);
  });

  test('q4: the value of largest magnitude is exact at code 0, and its opposite is clipped to code 15', async () => {
    const values = [8, -8, 3.4, 3.6, -1, 0];
    // d = 8 / −8 = −1: code = floor(−x + 8.5), value (code − 8)·(−1).
    expect((await roundTrip(block((i) => values[i] ?? 0), 'q4')).slice(0, 6)).toEqual([8, -7, 3, 4, -1, -0]);
  });

  test('a block of zeros stays zeros', async () => {
    for (const dtype of ['q8', 'q4'] as const) expect((await roundTrip(block(() => 0), dtype)).every((x) => x === 0)).toBe(true);
  });

  test('every value is within half a step: max/254 in q8, max/16 in q4 (one step, max/8, at the clipped end)', async () => {
    const x = normal(8, 64);
    for (const [dtype, share] of [['q8', 0.5 / 127], ['q4', 1 / 8]] as const) {
      const back = await roundTrip(f32(x, [8, 64]), dtype);
      back.forEach((value, i) => {
        const start = i - (i % 32);
        const largest = Math.max(...x.slice(start, start + 32).map(Math.abs));
        expect(Math.abs(value - (x[i] ?? 0))).toBeLessThanOrEqual(largest * share * 1.0001);
      });
    }
  });

  test('matmulQuantized is the product of the dequantized matrices, activations in q8 too', async () => {
    const [N, R, C] = [3, 5, 64];
    const [a, w, bias] = [normal(N, C), normal(R, C), normal(R)];
    for (const dtype of ['q8', 'q4'] as const) {
      const [aBack, wBack] = [await roundTrip(f32(a, [N, C]), 'q8'), await roundTrip(f32(w, [R, C]), dtype)];
      const quantized = Tensor.allocate(backend, [R, C], dtype);
      backend.quantize({ out: quantized, x: f32(w, [R, C]) });
      const out = empty(N, R);
      backend.matmulQuantized({ out, a: f32(a, [N, C]), w: quantized, bias: f32(bias) });
      const expected = empty(N, R);
      backend.matmul({ out: expected, a: f32(aBack, [N, C]), b: f32(wBack, [R, C]), transposeB: true, bias: f32(bias) });
      await expectValues(out, [...(await expected.read())]);
      const rows = empty(2, C);
      backend.embedding({ out: rows, table: quantized, ids: i32([4, 1]) });
      await expectValues(rows, [...wBack.slice(4 * C, 5 * C), ...wBack.slice(C, 2 * C)], 0);
    }
  });

  test('roundTiesToEven', () => {
    expect([-2.5, -1.5, 0.5, 1.5, 2.5, 2.4999, 2.5001, -2.4999].map(roundTiesToEven)).toEqual([-2, -2, 0, 2, 2, 2, 3, -2]);
  });
});

describe('normalization', () => {
  test('layerNorm of [1, 2, 3] is ∓√1.5: mean 2, variance 2/3', async () => {
    const [out, mean, rstd] = [empty(1, 3), empty(1), empty(1)];
    backend.layerNorm({ out, mean, rstd, x: f32([1, 2, 3], [1, 3]), weight: f32([1, 2, 3]), bias: f32([0, 5, 0]), epsilon: 0 });
    await expectValues(out, [-Math.sqrt(1.5), 5, 3 * Math.sqrt(1.5)]);
    await expectValues(mean, [2]);
    await expectValues(rstd, [Math.sqrt(1.5)]);
  });

  test('rmsNorm of [3, 4] divides by √12.5', async () => {
    const [out, rstd] = [empty(1, 2), empty(1)];
    backend.rmsNorm({ out, rstd, x: f32([3, 4], [1, 2]), weight: f32([1, 10]), epsilon: 0 });
    await expectValues(out, [3 / Math.sqrt(12.5), 40 / Math.sqrt(12.5)]);
  });
});

describe('attention', () => {
  test('rotary is multiplication by e^(iθ), and the inverse undoes it', async () => {
    const x = normal(2, 1, 4);
    const [angle0, angle1] = [0.7, 2.1]; // of position 1, for the pairs (0, 2) and (1, 3)
    const table = (f: (angle: number) => number): Tensor => f32([1, 1, f(angle0), f(angle1)], [2, 2]);
    const args = { positions: i32([1, 1]), cos: table(Math.cos), sin: table(Math.sin) };
    const out = f32(x, [2, 1, 4]);
    backend.rotary({ ...args, out, x: out });
    const expected = x.map((value, i) => {
      const partner = x[i % 4 < 2 ? i + 2 : i - 2] ?? 0;
      const angle = i % 2 === 0 ? angle0 : angle1;
      return i % 4 < 2 ? value * Math.cos(angle) - partner * Math.sin(angle) : value * Math.cos(angle) + partner * Math.sin(angle);
    });
    await expectValues(out, expected);
    backend.rotary({ ...args, out, x: out, inverse: true });
    await expectValues(out, x);
  });

  test('equal scores average the visible values; scores ln 1 and ln 3 weigh them 1 : 3', async () => {
    const [out, logSumExp] = [empty(2, 1, 1), empty(2, 1)];
    const args = { out, logSumExp, maxQueryLength: 2, scale: 1, sequences: i32([0, 2, 0, 2], [1, 4]), v: f32([10, 20], [2, 1, 1]) };
    backend.attention({ ...args, q: f32([0, 0], [2, 1, 1]), k: f32([5, 7], [2, 1, 1]), causal: true });
    await expectValues(out, [10, 15]);
    await expectValues(logSumExp, [0, Math.log(2)]);
    backend.attention({ ...args, q: f32([1, 1], [2, 1, 1]), k: f32([0, Math.log(3)], [2, 1, 1]), causal: false });
    await expectValues(out, [17.5, 17.5]);
    await expectValues(logSumExp, [Math.log(4), Math.log(4)]);
  });

  test('grouped heads, past and two sequences: as softmax(q·kᵀ)·v written out with a mask', async () => {
    const [H, K, D] = [4, 2, 3];
    const [q, k, v] = [normal(5, H, D), normal(12, K, D), normal(12, K, D)];
    const spans = [[0, 2, 6, 5], [2, 3, 1, 3]] as const; // queryStart, queryLength, keyStart, keyLength
    const expected: number[] = [];
    for (const [queryStart, queryLength, keyStart, keyLength] of spans) {
      for (let i = 0; i < queryLength; i++) {
        for (let h = 0; h < H; h++) {
          const group = h < 2 ? 0 : 1;
          const scores = Array.from({ length: keyLength }, (_, j) => {
            if (j > keyLength - queryLength + i) return 0; // masked
            let score = 0;
            for (let d = 0; d < D; d++) score += (q[((queryStart + i) * H + h) * D + d] ?? 0) * (k[((keyStart + j) * K + group) * D + d] ?? 0);
            return Math.exp(score / Math.sqrt(D));
          });
          const total = scores.reduce((sum, x) => sum + x, 0);
          for (let d = 0; d < D; d++) {
            expected.push(scores.reduce((sum, p, j) => sum + (p / total) * (v[((keyStart + j) * K + group) * D + d] ?? 0), 0));
          }
        }
      }
    }
    const out = empty(5, H, D);
    backend.attention({
      out, q: f32(q, [5, H, D]), k: f32(k, [12, K, D]), v: f32(v, [12, K, D]),
      sequences: i32(spans.flat(), [2, 4]), maxQueryLength: 3, causal: true, scale: 1 / Math.sqrt(D),
    });
    await expectValues(out, expected);
  });
});

describe('elementwise', () => {
  test('Φ to 1e-13: tabulated values and symmetry', () => {
    const table: [number, number][] = [
      [0, 0.5], [0.5, 0.691462461274013], [1, 0.841344746068543], [1.959963984540054, 0.975], [2, 0.977249868051821], [3, 0.998650101968370],
    ];
    for (const [x, phi] of table) {
      expect(Math.abs(normalCumulative(x) - phi)).toBeLessThan(1e-13);
      expect(Math.abs(normalCumulative(-x) - (1 - phi))).toBeLessThan(1e-13);
    }
    expect(Math.abs(normalCumulative(-5) / 2.866515718791939e-7 - 1)).toBeLessThan(1e-11);
    expect(Math.abs(normalCumulative(-3.6) - normalCumulative(-3.5 - 0.1))).toBeLessThan(1e-18);
  });

  test('gelu(1) = 0.8413447, gelu_tanh(1) = 0.8411920, silu(1) = 0.7310586; all are 0 at 0 and vanish far below', async () => {
    for (const [kind, at1] of [['gelu', 0.8413447], ['gelu_tanh', 0.841192], ['silu', 0.7310586]] as const) {
      const out = empty(4);
      backend.activation({ out, x: f32([1, 0, -1e4, 1e4]), kind });
      await expectValues(out, [at1, 0, 0, 1e4]);
      backend.gated({ out, gate: f32([1, 0, 1e4, 1]), up: f32([2, 3, 2, 0]), kind });
      await expectValues(out, [2 * at1, 0, 2e4, 0]);
    }
  });
});

describe('loss and optimizer', () => {
  test('crossEntropy: ln V for equal logits, ln(1 + e⁻¹) for one ahead, 0 for ignored; exact where logits are 1e4 apart', async () => {
    const [losses, logSumExp] = [empty(4), empty(4)];
    const logits = f32([2, 2, 1, 0, 5, 9, 1e4, 0], [4, 2]);
    const args = { logits, logSumExp, targets: i32([0, 0, -100, 1]), ignoreIndex: -100 };
    backend.crossEntropy({ ...args, losses });
    await expectValues(losses, [Math.log(2), Math.log(1 + Math.exp(-1)), 0, 1e4]);
    backend.crossEntropyBackward({ ...args, dLogits: logits, scale: 2 });
    const p = 1 / (1 + Math.exp(-1));
    await expectValues(logits, [-1, 1, 2 * (p - 1), 2 * (1 - p), 0, 0, 2, -2]);
  });

  test.each([
    { smoothing: 0.1, zLoss: 0 }, { smoothing: 0, zLoss: 0.05 }, { smoothing: 0.3, zLoss: 0.02 },
  ])('crossEntropyBackward with $smoothing smoothing and a z-loss of $zLoss is the objective\'s gradient by differences, within 1e-6', async ({ smoothing, zLoss }) => {
    const [rows, columns, scale] = [3, 7, 0.5];
    const random = new Random(5);
    const values = Float64Array.from({ length: rows * columns }, () => Math.fround(2 * random.normal()));
    const targets = [4, -100, 0];
    const objective = (x: Float64Array): number => targets.reduce((total, target, n) => {
      if (target < 0) return total;
      const row = x.subarray(n * columns, (n + 1) * columns);
      const lse = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
      const spread = lse - row.reduce((sum, value) => sum + value, 0) / columns;
      return total + scale * ((1 - smoothing) * (lse - (row[target] ?? 0)) + smoothing * spread + zLoss * lse ** 2);
    }, 0);
    const [logits, losses, logSumExp, dLogits] = [f32([...values], [rows, columns]), empty(rows), empty(rows), f32(Array(21).fill(0), [rows, columns])];
    const args = { logits, logSumExp, targets: i32(targets), ignoreIndex: -100 };
    backend.crossEntropy({ ...args, losses });
    backend.crossEntropyBackward({ ...args, dLogits, scale, smoothing, zLoss });
    const gradient = await dLogits.read();
    for (let i = 0; i < values.length; i++) {
      const at = (distance: number): number => objective(values.with(i, (values[i] ?? 0) + distance));
      expect(Math.abs((gradient[i] ?? 0) - (at(1e-4) - at(-1e-4)) / 2e-4)).toBeLessThan(1e-6);
    }
  });

  test('the first step of AdamW is the sign of the gradient times the learning rate, and decay', async () => {
    const [parameter, m, v] = [f32([1, -2, 3]), empty(3), empty(3)];
    backend.adamw({
      parameter, gradient: f32([4, -0.5, 0]), m, v,
      learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-12, weightDecay: 0.5, step: 1, gradientScale: 0.5,
    });
    await expectValues(parameter, [1 - 0.1 - 0.05, -2 + 0.1 + 0.1, 3 - 0.15]);
    await expectValues(m, [0.2, -0.025, 0]);
    await expectValues(v, [0.04, 0.000625, 0]);
  });

  test('sumSquares of [3, 4] is 25', async () => {
    const out = empty(1);
    backend.sumSquares({ out, x: f32([3, 4]) });
    await expectValues(out, [25]);
  });
});

describe('memory', () => {
  test('a limit of 100 bytes holds 25 numbers, not 26', () => {
    const small = new ReferenceBackend({ limitBytes: 100 });
    using tensor = Tensor.allocate(small, [20]);
    expect(() => Tensor.allocate(small, [6])).toThrow(MemoryLimitError);
    expect(() => Tensor.allocate(small, [6])).toThrow('needs 24 B with 80 B in use; 100 B is the limit');
    using rest = Tensor.allocate(small, [5]);
    expect(tensor.size + rest.size).toBe(25);
  });

  test('every use of a released tensor, or of another backend\'s, is a LifetimeError', () => {
    const tensor = empty(4);
    tensor.dispose();
    expect(() => backend.fill(tensor, 1)).toThrow(LifetimeError);
    const other = new ReferenceBackend();
    expect(() => backend.release(other.allocate(4))).toThrow(LifetimeError);
  });

  test('reading i32 as f32, or into an array of another length, is a ShapeError', async () => {
    await expect(backend.read(i32([1, 2]), new Float32Array(2))).rejects.toThrow(ShapeError);
    await expect(backend.read(i32([1, 2]), new Int32Array(3))).rejects.toThrow(ShapeError);
  });

  test('disposing the backend ends what it still holds', async () => {
    const mine = new ReferenceBackend();
    const tensor = Tensor.allocate(mine, [4]);
    await mine[Symbol.asyncDispose]();
    expect(tensor.alive).toBe(false);
    expect(mine.stats()).toMatchObject({ allocations: 0, allocatedBytes: 0 });
  });
});
