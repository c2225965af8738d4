/** Softmax and cross-entropy in one, forward and backward. */
import { type Args, floats, integers } from './memory.ts';
import { at, integerAt } from './vectors.ts';

/** losses[n] = −log softmax(logits[n, :])[target] = logSumExp(logits[n, :]) − logits[n, target]. logits (N, V), the rest (N). */
export function crossEntropy({ losses, logSumExp, logits, targets, ignoreIndex }: Args<'crossEntropy'>): void {
  const [N, V] = [logits.dim(0), logits.dim(1)];
  const [lossValues, lse, logitValues] = [floats(losses), floats(logSumExp), floats(logits)];
  const targetValues = integers(targets);
  for (let n = 0; n < N; n++) {
    let largest = -Infinity;
    for (let v = 0; v < V; v++) largest = Math.max(largest, at(logitValues, n * V + v));
    let total = 0;
    for (let v = 0; v < V; v++) total += Math.exp(at(logitValues, n * V + v) - largest);
    const target = integerAt(targetValues, n);
    lse[n] = largest + Math.log(total);
    lossValues[n] = target === ignoreIndex ? 0 : largest - at(logitValues, n * V + target) + Math.log(total);
  }
}

/**
 * dLogits = scale · (softmax(logits)·(1 + 2·zLoss·logSumExp) − (1 − smoothing)·onehot(target) − smoothing/V); rows without a target
 * teach nothing.
 */
export function crossEntropyBackward(args: Args<'crossEntropyBackward'>): void {
  const { dLogits, logits, logSumExp, targets, ignoreIndex, scale, smoothing = 0, zLoss = 0 } = args;
  const [N, V] = [logits.dim(0), logits.dim(1)];
  const [dLogitValues, logitValues, lse] = [floats(dLogits), floats(logits), floats(logSumExp)];
  const targetValues = integers(targets);
  for (let n = 0; n < N; n++) {
    const target = integerAt(targetValues, n);
    if (target === ignoreIndex) {
      dLogitValues.fill(0, n * V, (n + 1) * V);
      continue;
    }
    const sum = at(lse, n);
    for (let v = 0; v < V; v++) {
      const probability = Math.exp(at(logitValues, n * V + v) - sum);
      dLogitValues[n * V + v] = scale * (probability * (1 + 2 * zLoss * sum) - (v === target ? 1 - smoothing : 0) - smoothing / V);
    }
  }
}
