/**
 * Rotary frequencies (Su et al., 2021): pair i of a head of D elements turns by θ^(−2i/D) a position. Models whose context was
 * stretched after training turn more slowly, each in the way it was stretched.
 */
import { ConfigError } from './errors.ts';

export type RopeScaling =
  /** All frequencies divided by `factor` (Chen et al., 2023, position interpolation). */
  | { readonly type: 'linear'; readonly factor: number }
  /**
   * Llama 3.1 and later: wavelengths above originalContext / lowFrequencyFactor are stretched by `factor`, those below
   * originalContext / highFrequencyFactor are left, the ones between are blended.
   */
  | {
      readonly type: 'llama3'; readonly factor: number; readonly lowFrequencyFactor: number; readonly highFrequencyFactor: number;
      readonly originalContext: number;
    }
  /**
   * YaRN (Peng et al., 2023): pairs that turn more than betaFast times in the original context are left, those that turn less than
   * betaSlow times stretched, a ramp between; queries and keys are multiplied with `attentionFactor` (default 0.1·ln(factor) + 1).
   * `truncate`: the ramp's ends are rounded to whole pairs, as by default.
   */
  | {
      readonly type: 'yarn'; readonly factor: number; readonly originalContext: number; readonly betaFast: number; readonly betaSlow: number;
      readonly attentionFactor?: number; readonly truncate?: boolean;
    }
  /** Each frequency divided by its own factor (D/2), as GGUF files keep Llama 3's. */
  | { readonly type: 'factors'; readonly factors: readonly number[] };

/** Throws ConfigError unless the scaling can be computed. */
export function checkRopeScaling(scaling: RopeScaling, config: { readonly headSize: number }): void {
  const numbers = scaling.type === 'factors' ? scaling.factors : Object.values(scaling).filter((value) => typeof value === 'number');
  if (!numbers.every((value) => Number.isFinite(value) && value > 0)) {
    throw new ConfigError(`ropeScaling is ${JSON.stringify(scaling)}: its numbers have to be finite and above 0`, { field: 'ropeScaling', value: scaling });
  }
  if (scaling.type === 'factors' && scaling.factors.length !== config.headSize / 2) {
    throw new ConfigError(`ropeScaling has ${scaling.factors.length} factors for heads of ${config.headSize}: it takes one for each pair`, {
      field: 'ropeScaling',
      value: scaling,
    });
  }
  if (scaling.type === 'llama3' && scaling.highFrequencyFactor <= scaling.lowFrequencyFactor) {
    throw new ConfigError(
      `ropeScaling's highFrequencyFactor ${scaling.highFrequencyFactor} is not above its lowFrequencyFactor ${scaling.lowFrequencyFactor}: correct them`,
      { field: 'ropeScaling', value: scaling },
    );
  }
}

/** Radians a position of each pair (headSize / 2), and what cos and sin are multiplied with. In float64. */
export function rotaryFrequencies(headSize: number, theta: number, scaling?: RopeScaling): { readonly frequencies: Float64Array; readonly magnitude: number } {
  const plain = Float64Array.from({ length: headSize / 2 }, (_, i) => theta ** ((-2 * i) / headSize));
  switch (scaling?.type) {
    case undefined:
      return { frequencies: plain, magnitude: 1 };
    case 'linear':
      return { frequencies: plain.map((frequency) => frequency / scaling.factor), magnitude: 1 };
    case 'factors':
      return { frequencies: plain.map((frequency, i) => frequency / (scaling.factors[i] ?? 1)), magnitude: 1 };
    case 'llama3': {
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
      const stretch = (frequency: number): number => {
        const turns = (originalContext * frequency) / (2 * Math.PI);
        const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
        return kept * frequency + ((1 - kept) * frequency) / factor;
      };
      return { frequencies: plain.map(stretch), magnitude: 1 };
    }
    case 'yarn': {
      const { factor, originalContext, betaFast, betaSlow, truncate = true } = scaling;
      /** The pair, between whole ones, that turns so many times in the original context. */
      const pairOf = (turns: number): number => (headSize * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
      const [first, last] = truncate ? [Math.floor(pairOf(betaFast)), Math.ceil(pairOf(betaSlow))] : [pairOf(betaFast), pairOf(betaSlow)];
      const low = Math.max(0, first);
      const high = Math.min(headSize - 1, last);
      const width = high === low ? 0.001 : high - low;
      const blend = (frequency: number, i: number): number => {
        const stretched = Math.min(1, Math.max(0, (i - low) / width));
        return frequency * (1 - stretched) + (frequency / factor) * stretched;
      };
      const magnitude = scaling.attentionFactor ?? (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1);
      return { frequencies: plain.map(blend), magnitude };
    }
    default:
      scaling satisfies never;
      return { frequencies: plain, magnitude: 1 };
  }
}
