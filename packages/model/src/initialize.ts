/**
 * First values of a model's parameters. Matrices and tables: normal with standard deviation 0.02 (GPT-2, Radford et al., 2019);
 * those that write into the residual stream, of which there are two a layer, 0.02/√(2·layers), so that the stream's
 * variance does not grow with depth. Gains 1, biases 0. The Llama papers give no scheme of their own; the same is used.
 */
import type { Random } from '@parley/engine';
import type { TransformerConfig } from './config.ts';
import type { ParameterSpec } from './parameters.ts';

const INITIAL_DEVIATION = 0.02;

/** The initial values of one parameter; draws from `random` only for matrices and tables. */
export function initialValues(spec: ParameterSpec, config: TransformerConfig, random: Random): Float32Array {
  const values = new Float32Array(spec.shape.reduce((product, extent) => product * extent, 1));
  switch (spec.kind) {
    case 'gain':
      return values.fill(1);
    case 'bias':
      return values;
    case 'tokens':
    case 'positions':
    case 'matrix':
      fillNormal(values, random, spec.residual ? INITIAL_DEVIATION / Math.sqrt(2 * config.layers) : INITIAL_DEVIATION);
      return values;
    default:
      spec.kind satisfies never;
      return values;
  }
}

/**
 * Normal values by Box–Muller, both of each pair, from 32-bit uniforms in (0, 1): a quarter of the draws of `random.normal()`
 * for the tens of millions of values needed here. The largest magnitude is 6.7 deviations.
 */
function fillNormal(out: Float32Array, random: Random, deviation: number): void {
  for (let i = 0; i < out.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log((random.uint32() + 0.5) * 2 ** -32));
    const angle = 2 * Math.PI * 2 ** -32 * random.uint32();
    out[i] = radius * Math.cos(angle);
    if (i + 1 < out.length) out[i + 1] = radius * Math.sin(angle);
  }
}
