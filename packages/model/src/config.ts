/**
 * The shape of a transformer, independent of any family's names for it.
 *
 * Sizes: vocabSize V tokens; rows of hiddenSize C; `layers` blocks, each with attention of H query heads and K key/value
 * heads of headSize D, and an MLP of intermediateSize F. What only some families have is optional; absent means without it.
 */
import type { Activation } from '@parley/engine';
import { ConfigError } from './errors.ts';
import { checkRopeScaling, type RopeScaling } from './rope.ts';

/** By the `model_type` of their config.json. */
export type FamilyName = 'gpt2' | 'llama' | 'mistral' | 'qwen2' | 'qwen3' | 'gemma' | 'gemma3_text' | 'bert';

export interface TransformerConfig extends OptionalFeatures {
  /** Whose config.json and weight names the model is stored under. */
  readonly family: FamilyName;
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
  /** `layer`: layer norm with bias (Ba et al., 2016). `rms`: RMS norm (Zhang & Sennrich, 2019). Where it stands: `normPlacement`. */
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
  /** Biases on the query, key, value and output projections; the last may be told apart by `attentionOutputBias`. */
  readonly attentionBias: boolean;
  /** Biases on the MLP's projections. */
  readonly mlpBias: boolean;
}

/** What GPT-2 and the first Llama do without. */
export interface OptionalFeatures {
  /** Bias of the output projection of attention. Default: as `attentionBias`. Qwen2 has biases on q, k and v alone. */
  readonly attentionOutputBias?: boolean;
  /** What the scores q·k are multiplied with. Default 1/√D. */
  readonly attentionScale?: number;
  /** An RMS norm over each head's query and key, before they are turned (Henry et al., 2020; Qwen3, Gemma 3). */
  readonly queryKeyNorm?: boolean;
  /** A token sees itself and the window − 1 tokens before it (Beltagy et al., 2020; Mistral), in the layers of `slidingLayers`. */
  readonly slidingWindow?: number;
  /** (layers): which layers have the window. Default: all. */
  readonly slidingLayers?: readonly boolean[];
  /** θ of the layers with a window; their frequencies are not scaled (Gemma 3). Default: like the others. */
  readonly slidingRopeTheta?: number;
  /** How the rotary frequencies were stretched for a longer context. */
  readonly ropeScaling?: RopeScaling;
  /** Embeddings are multiplied with it (Gemma: √C). */
  readonly embeddingScale?: number;
  /** A further norm on what each sublayer gives, before it is added (Gemma 3). With `normPlacement` "before" only. */
  readonly outputNorms?: boolean;
  /** `before`, the default: x + f(norm(x)) and a last norm behind all blocks. `after`: norm(x + f(x)) (Vaswani et al., 2017; BERT). */
  readonly normPlacement?: 'before' | 'after';
  /** A norm on the sum of the embeddings (BERT). */
  readonly embeddingNorm?: boolean;
  /** Rows of a table of segments, added to the embedding (BERT's token types). */
  readonly tokenTypes?: number;
  /** Every token sees the whole sequence. Such a model has no use for a cache. */
  readonly bidirectional?: boolean;
  /**
   * What turns the last states into logits. Default: one matrix. `masked`: BERT's dense layer, activation and norm before the tied
   * embedding table, with a bias. `none`: the model has states and no logits.
   */
  readonly head?: 'masked' | 'none';
  /** A dense layer with tanh over the first token's state (BERT), for classifiers. */
  readonly pooler?: boolean;
}

/** Deeper than any model; a number beyond is a mistake, and would take its time to be found out otherwise. */
const MOST_LAYERS = 10_000;

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
  if (config.layers > MOST_LAYERS) {
    throw new ConfigError(`layers is ${config.layers}: no model has over ${MOST_LAYERS}, correct it`, { field: 'layers', value: config.layers });
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
  for (const field of ['normEpsilon', 'ropeTheta', 'attentionScale', 'slidingRopeTheta', 'embeddingScale'] as const) {
    const value = config[field];
    if (value !== undefined && (!Number.isFinite(value) || value <= 0)) {
      throw new ConfigError(`${field} is ${value}: it has to be a finite number above 0`, { field, value });
    }
  }
  for (const field of ['slidingWindow', 'tokenTypes'] as const) {
    const value = config[field];
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1)) {
      throw new ConfigError(`${field} is ${value}: it has to be a whole number from 1`, { field, value });
    }
  }
  if (config.slidingLayers && config.slidingLayers.length !== config.layers) {
    throw new ConfigError(`slidingLayers speaks of ${config.slidingLayers.length} layers, the model has ${config.layers}: name each`, {
      field: 'slidingLayers',
      value: config.slidingLayers,
    });
  }
  if (config.slidingWindow !== undefined && config.bidirectional) {
    throw new ConfigError('a window looks back, and a bidirectional model both ways: leave slidingWindow out', {
      field: 'slidingWindow',
      value: config.slidingWindow,
    });
  }
  if (config.outputNorms && config.normPlacement === 'after') {
    throw new ConfigError('outputNorms stand beside norms before the sublayers, and normPlacement is "after": choose one', {
      field: 'outputNorms',
      value: true,
    });
  }
  if (config.head === 'masked' && !config.tieEmbeddings) {
    throw new ConfigError('a masked-token head reads the embedding table: tieEmbeddings has to be true', { field: 'tieEmbeddings', value: false });
  }
  if (config.ropeScaling) checkRopeScaling(config.ropeScaling, config);
  return config;
}

const OPTIONAL_FEATURES: Readonly<Record<keyof OptionalFeatures, true>> = {
  attentionOutputBias: true, attentionScale: true, queryKeyNorm: true, slidingWindow: true, slidingLayers: true, slidingRopeTheta: true, ropeScaling: true,
  embeddingScale: true, outputNorms: true, normPlacement: true, embeddingNorm: true, tokenTypes: true, bidirectional: true, head: true, pooler: true,
};

/** Which optional features a model has. */
export function optionalFeatures(config: TransformerConfig): (keyof OptionalFeatures)[] {
  return (Object.keys(OPTIONAL_FEATURES) as (keyof OptionalFeatures)[]).filter((name) => config[name] !== undefined && config[name] !== false);
}

/** The window of a layer's attention, null where it has none. */
export function windowOf(config: TransformerConfig, layer: number): number | null {
  return config.slidingWindow !== undefined && (config.slidingLayers?.[layer] ?? true) ? config.slidingWindow : null;
}

/** Whether some layers turn queries and keys by other angles than the rest. */
export function hasSlidingTheta(config: TransformerConfig): boolean {
  return config.slidingWindow !== undefined && config.slidingRopeTheta !== undefined;
}
