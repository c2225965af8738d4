/** Matrix products. The gradients of `linear` are matrix products too, with other transposes, so there is one operation. */
import { type Args, at, doubleAt, floats } from './memory.ts';

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
  const aRow = new Float64Array(K); // op(a)[m, :]
  const sums = new Float64Array(N); // out[m, :]

  for (let m = 0; m < M; m++) {
    for (let k = 0; k < K; k++) aRow[k] = at(aValues, transposeA ? k * M + m : m * K + k);
    sums.fill(0);
    if (transposeB) {
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += doubleAt(aRow, k) * at(bValues, n * K + k);
        sums[n] = sum;
      }
    } else {
      for (let k = 0; k < K; k++) {
        const factor = doubleAt(aRow, k);
        for (let n = 0; n < N; n++) sums[n] = doubleAt(sums, n) + factor * at(bValues, k * N + n);
      }
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
