/** The optimizer's step and what clipping by global norm needs. */
import { type Args, floats } from './memory.ts';
import { at } from './vectors.ts';

export function sumSquares({ out, x }: Args<'sumSquares'>): void {
  const values = floats(x);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += at(values, i) ** 2;
  floats(out)[0] = sum;
}

/**
 * AdamW (Loshchilov & Hutter, 2019, arXiv:1711.05101, algorithm 2): moving averages m of the gradient and v of its square,
 * freed from their start at zero, and weight decay apart from both.
 */
export function adamw(args: Args<'adamw'>): void {
  const { parameter, gradient, learningRate, beta1, beta2, epsilon, weightDecay, step, gradientScale } = args;
  const [parameters, gradients, m, v] = [floats(parameter), floats(gradient), floats(args.m), floats(args.v)];
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  for (let i = 0; i < parameters.length; i++) {
    const g = at(gradients, i) * gradientScale;
    const p = at(parameters, i);
    m[i] = beta1 * at(m, i) + (1 - beta1) * g;
    v[i] = beta2 * at(v, i) + (1 - beta2) * g * g;
    parameters[i] = p - learningRate * (at(m, i) / correction1 / (Math.sqrt(at(v, i) / correction2) + epsilon) + weightDecay * p);
  }
}
