/** Shapes with a name, for benchmarks, tests and recipes. */
import type { TransformerConfig } from './config.ts';

/** A GPT-2 of the given size (Radford et al., 2019): learned positions, layer norm, tanh GELU, four-fold MLP, tied embeddings. */
export function gpt2Config(
  size: Pick<TransformerConfig, 'vocabSize' | 'contextLength' | 'hiddenSize' | 'heads' | 'layers'> & Partial<TransformerConfig>,
): TransformerConfig {
  return {
    family: 'gpt2',
    keyValueHeads: size.heads,
    headSize: Math.floor(size.hiddenSize / size.heads),
    intermediateSize: 4 * size.hiddenSize,
    norm: 'layer',
    normEpsilon: 1e-5,
    activation: 'gelu_tanh',
    gated: false,
    positions: 'learned',
    ropeTheta: 10_000,
    tieEmbeddings: true,
    attentionBias: true,
    mlpBias: true,
    ...size,
  };
}

/** A Llama of the given size (Touvron et al., 2023): rotary positions, RMS norm, SwiGLU, no biases. */
export function llamaConfig(
  size: Pick<TransformerConfig, 'vocabSize' | 'contextLength' | 'hiddenSize' | 'heads' | 'layers' | 'intermediateSize'> &
    Partial<TransformerConfig>,
): TransformerConfig {
  return {
    family: 'llama',
    keyValueHeads: size.heads,
    headSize: Math.floor(size.hiddenSize / size.heads),
    norm: 'rms',
    normEpsilon: 1e-5,
    activation: 'silu',
    gated: true,
    positions: 'rotary',
    ropeTheta: 10_000,
    tieEmbeddings: true,
    attentionBias: false,
    mlpBias: false,
    ...size,
  };
}

/** A BERT of the given size (Devlin et al., 2018): bidirectional, norms behind the sublayers, learned positions, token types, masked-token head. */
export function bertConfig(
  size: Pick<TransformerConfig, 'vocabSize' | 'contextLength' | 'hiddenSize' | 'heads' | 'layers'> & Partial<TransformerConfig>,
): TransformerConfig {
  return {
    ...gpt2Config(size),
    family: 'bert',
    normEpsilon: 1e-12,
    activation: 'gelu',
    normPlacement: 'after',
    embeddingNorm: true,
    tokenTypes: 2,
    bidirectional: true,
    head: 'masked',
    ...size,
  };
}

export const presets = {
  /** 13.9 million parameters: the benchmark of a training step. */
  'gpt-14m': gpt2Config({ vocabSize: 8_192, contextLength: 256, hiddenSize: 384, heads: 6, layers: 6 }),
  /** The shape of SmolLM2-135M (Allal et al., 2025), 134.5 million parameters: the benchmark of decoding. */
  'smollm2-135m': llamaConfig({
    vocabSize: 49_152,
    contextLength: 8_192,
    hiddenSize: 576,
    heads: 9,
    keyValueHeads: 3,
    layers: 30,
    intermediateSize: 1_536,
    ropeTheta: 100_000,
  }),
} as const satisfies Record<string, TransformerConfig>;
