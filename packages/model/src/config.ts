/**
 * The shape of a transformer, independent of any family's names for it.
 *
 * Sizes: vocabSize V tokens; rows of hiddenSize C; `layers` blocks, each with attention of H query heads and K key/value
 * heads of headSize D, and an MLP of intermediateSize F.
 */
import type { Activation } from '@parley/engine';
import { ConfigError } from './errors.ts';

export interface TransformerConfig {
  /** Whose config.json and weight names the model is stored under. */
  readonly family: 'gpt2' | 'llama';
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Fewer than `heads`: grouped-query attention (Ainslie et al., 2023); 1: multi-query. Divides `heads`. */
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly intermediateSize: number;
  /** The most positions a sequence may have. */
  readonly contextLength: number;
  /** `layer`: layer norm with bias (Ba et al., 2016). `rms`: RMS norm (Zhang & Sennrich, 2019). Always before the sublayer. */
  readonly norm: 'layer' | 'rms';
  readonly normEpsilon: number;
  readonly activation: Activation;
  /** down(act(gate(x)) · up(x)) (Shazeer, 2020) instead of down(act(up(x))). */
  readonly gated: boolean;
  /** `learned`: a table of positions added to the embedding. `rotary`: queries and keys are turned (Su et al., 2021). */
  readonly positions: 'learned' | 'rotary';
  /** Base of the rotary frequencies θ^(−2i/D). Read only with rotary positions. */
  readonly ropeTheta: number;
  /** The output matrix is the embedding table (Press & Wolf, 2017). */
  readonly tieEmbeddings: boolean;
  /** Biases on the query, key, value and output projections. */
  readonly attentionBias: boolean;
  /** Biases on the MLP's projections. */
  readonly mlpBias: boolean;
}

const POSITIVE_INTEGERS = [
  'vocabSize', 'hiddenSize', 'layers', 'heads', 'keyValueHeads', 'headSize', 'intermediateSize', 'contextLength',
] as const satisfies readonly (keyof TransformerConfig)[];

/** Throws ConfigError unless a transformer of this shape can exist. Returns the config. */
export function checkConfig(config: TransformerConfig): TransformerConfig {
  for (const field of POSITIVE_INTEGERS) {
    const value = config[field];
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ConfigError(`${field} is ${value}: it has to be a whole number from 1`, { field, value });
    }
  }
  if (config.heads % config.keyValueHeads !== 0) {
    throw new ConfigError(
      `${config.heads} heads cannot share ${config.keyValueHeads} key/value heads evenly: keyValueHeads has to divide heads`,
      { field: 'keyValueHeads', value: config.keyValueHeads },
    );
  }
  if (config.positions === 'rotary' && config.headSize % 2 !== 0) {
    throw new ConfigError(`headSize ${config.headSize} is odd: rotary positions turn pairs of elements, so it has to be even`, {
      field: 'headSize',
      value: config.headSize,
    });
  }
  for (const field of ['normEpsilon', 'ropeTheta'] as const) {
    const value = config[field];
    if (!Number.isFinite(value) || value <= 0) {
      throw new ConfigError(`${field} is ${value}: it has to be a finite number above 0`, { field, value });
    }
  }
  return config;
}
