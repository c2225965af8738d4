/** Layer norm (Ba et al., 2016, arXiv:1607.06450) and RMS norm (Zhang & Sennrich, 2019, arXiv:1910.07467) over the last axis. */
import { type Args, floats } from './memory.ts';
import { at, doubleAt } from './vectors.ts';

/**
 * out = x̂ · weight + bias with x̂ = (x − mean) · rstd, rstd = 1/√(variance + ε).
 * x, out (N, C); weight, bias (C); mean, rstd (N).
 */
export function layerNorm({ out, mean, rstd, x, weight, bias, epsilon }: Args<'layerNorm'>): void {
  const C = weight.size;
  const N = mean.size;
  const outValues = floats(out);
  const means = floats(mean);
  const rstds = floats(rstd);
  const xValues = floats(x);
  const weights = floats(weight);
  const biases = bias && floats(bias);
  for (let n = 0; n < N; n++) {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += at(xValues, n * C + c);
    const m = sum / C;
    let squares = 0;
    for (let c = 0; c < C; c++) squares += (at(xValues, n * C + c) - m) ** 2;
    const r = 1 / Math.sqrt(squares / C + epsilon);
    for (let c = 0; c < C; c++) {
      outValues[n * C + c] = (at(xValues, n * C + c) - m) * r * at(weights, c) + (biases ? at(biases, c) : 0);
    }
    means[n] = m;
    rstds[n] = r;
  }
}

/**
 * With g = dOut · weight: dX = rstd · (g − average(g) − x̂ · average(g · x̂)), where the averages over a row are what comes
 * back through the mean and through the variance. dWeight = Σ_n dOut · x̂, dBias = Σ_n dOut.
 */
export function layerNormBackward({ dX, dWeight, dBias, dOut, x, weight, mean, rstd }: Args<'layerNormBackward'>): void {
  const C = weight.size;
  const N = mean.size;
  const dXValues = dX && floats(dX);
  const dOutValues = floats(dOut);
  const xValues = floats(x);
  const weights = floats(weight);
  const means = floats(mean);
  const rstds = floats(rstd);
  const weightSums = new Float64Array(C);
  const biasSums = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    const m = at(means, n);
    const r = at(rstds, n);
    let sumG = 0;
    let sumGX = 0;
    for (let c = 0; c < C; c++) {
      const d = at(dOutValues, n * C + c);
      const normalized = (at(xValues, n * C + c) - m) * r;
      sumG += d * at(weights, c);
      sumGX += d * at(weights, c) * normalized;
      weightSums[c] = doubleAt(weightSums, c) + d * normalized;
      biasSums[c] = doubleAt(biasSums, c) + d;
    }
    if (!dXValues) continue;
    for (let c = 0; c < C; c++) {
      const i = n * C + c;
      const g = at(dOutValues, i) * at(weights, c);
      const normalized = (at(xValues, i) - m) * r;
      dXValues[i] = at(dXValues, i) + r * (g - sumG / C - normalized * (sumGX / C));
    }
  }
  if (dWeight) addTo(floats(dWeight), weightSums);
  if (dBias) addTo(floats(dBias), biasSums);
}

/** out = x · rstd · weight, rstd = 1/√(average(x²) + ε). x, out (N, C); weight (C); rstd (N). */
export function rmsNorm({ out, rstd, x, weight, epsilon }: Args<'rmsNorm'>): void {
  const C = weight.size;
  const N = rstd.size;
  const outValues = floats(out);
  const rstds = floats(rstd);
  const xValues = floats(x);
  const weights = floats(weight);
  for (let n = 0; n < N; n++) {
    let squares = 0;
    for (let c = 0; c < C; c++) squares += at(xValues, n * C + c) ** 2;
    const r = 1 / Math.sqrt(squares / C + epsilon);
    for (let c = 0; c < C; c++) outValues[n * C + c] = at(xValues, n * C + c) * r * at(weights, c);
    rstds[n] = r;
  }
}

/** With g = dOut · weight and x̂ = x · rstd: dX = rstd · (g − x̂ · average(g · x̂)), dWeight = Σ_n dOut · x̂. */
export function rmsNormBackward({ dX, dWeight, dOut, x, weight, rstd }: Args<'rmsNormBackward'>): void {
  const C = weight.size;
  const N = rstd.size;
  const dXValues = dX && floats(dX);
  const dOutValues = floats(dOut);
  const xValues = floats(x);
  const weights = floats(weight);
  const rstds = floats(rstd);
  const weightSums = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    const r = at(rstds, n);
    let sumGX = 0;
    for (let c = 0; c < C; c++) {
      const d = at(dOutValues, n * C + c);
      const normalized = at(xValues, n * C + c) * r;
      sumGX += d * at(weights, c) * normalized;
      weightSums[c] = doubleAt(weightSums, c) + d * normalized;
    }
    if (!dXValues) continue;
    for (let c = 0; c < C; c++) {
      const i = n * C + c;
      const g = at(dOutValues, i) * at(weights, c);
      dXValues[i] = at(dXValues, i) + r * (g - at(xValues, i) * r * (sumGX / C));
    }
  }
  if (dWeight) addTo(floats(dWeight), weightSums);
}

function addTo(values: Float32Array, sums: Float64Array): void {
  for (let i = 0; i < values.length; i++) values[i] = at(values, i) + doubleAt(sums, i);
}
