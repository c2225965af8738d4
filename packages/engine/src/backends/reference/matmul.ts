/** Matrix products. The gradients of `linear` are matrix products too, with other transposes, so there is one operation. */
import { type Args, floats } from './memory.ts';
import { addScaled, at, dot, doubleAt } from './vectors.ts';

/**
 * out (M, N) = op(a) (M, K) · op(b) (K, N). With y = x·Wᵀ (W (out, in), transposeB), the gradients are dX = dY·W and
 * dW = dYᵀ·x (transposeA).
 *
 * One row of `out` at a time, summed in double precision. Both inner loops walk `b` along its rows as they lie in memory:
 * where b is (K, N), a row of b is added to the row of sums, k times; where it is (N, K), a row of b gives one dot product.
 */
export function matmul({ out, a, b, transposeA = false, transposeB = false, bias, accumulate = false }: Args<'matmul'>): void {
  const [M, N] = [out.dim(0), out.dim(1)];
  const K = a.dim(transposeA ? 0 : 1);
  const outValues = floats(out); // (M, N)
  const aValues = floats(a); // (M, K), or (K, M)
  const bValues = floats(b); // (K, N), or (N, K)
  const biasValues = bias && floats(bias); // (N)
  const aRow = new Float32Array(K); // op(a)[m, :]
  const sums = new Float64Array(N); // out[m, :]

  for (let m = 0; m < M; m++) {
    for (let k = 0; k < K; k++) aRow[k] = at(aValues, transposeA ? k * M + m : m * K + k);
    if (transposeB) {
      for (let n = 0; n < N; n++) sums[n] = dot(aRow, 0, bValues, n * K, K);
    } else {
      sums.fill(0);
      for (let k = 0; k < K; k++) addScaled(sums, 0, at(aRow, k), bValues, k * N, N);
    }
    for (let n = 0; n < N; n++) {
      const start = biasValues ? at(biasValues, n) : accumulate ? at(outValues, m * N + n) : 0;
      outValues[m * N + n] = start + doubleAt(sums, n);
    }
  }
}

/** out (C) += Σ_n x[n, :]. */
export function sumRows({ out, x }: Args<'sumRows'>): void {
  const C = out.size;
  const N = x.dim(0);
  const outValues = floats(out);
  const xValues = floats(x);
  for (let c = 0; c < C; c++) {
    let sum = 0;
    for (let n = 0; n < N; n++) sum += at(xValues, n * C + c);
    outValues[c] = at(outValues, c) + sum;
  }
}
