/** Models small enough for an oracle in plain loops, with weights large enough that every part of the model matters. */
import { Arena, type Backend, Random, type Tensor } from '@parley/engine';
import { type Batch, gpt2Config, llamaConfig, Transformer, type TransformerConfig } from '../index.ts';

export const tinyConfigs = {
  gpt2: gpt2Config({ vocabSize: 41, contextLength: 24, hiddenSize: 32, heads: 4, layers: 2 }),
  llama: llamaConfig({ vocabSize: 41, contextLength: 24, hiddenSize: 32, heads: 4, keyValueHeads: 2, layers: 2, intermediateSize: 64 }),
  /** Everything unusual at once: untied, one key/value head, heads wider than C/H, biases, another θ and ε. */
  'llama untied': llamaConfig({
    vocabSize: 41, contextLength: 24, hiddenSize: 32, heads: 3, keyValueHeads: 1, headSize: 32, layers: 2, intermediateSize: 96,
    tieEmbeddings: false, attentionBias: true, mlpBias: true, ropeTheta: 500, normEpsilon: 1e-3,
  }),
} as const satisfies Record<string, TransformerConfig>;

/** Every parameter ~ N(0, deviation²), gains ~ N(1, deviation²). */
export function randomize(model: Transformer, seed: number, deviation: number): void {
  const random = new Random(seed);
  for (const [name, tensor] of model.parameters) {
    const center = name.endsWith('norm.weight') ? 1 : 0;
    tensor.write(Float32Array.from({ length: tensor.size }, () => center + deviation * random.normal()));
  }
}

export function tinyModel(backend: Backend, config: TransformerConfig, seed = 1, deviation = 0.3): Transformer {
  const model = Transformer.initialize(backend, config, new Random(seed));
  randomize(model, seed, deviation);
  return model;
}

export async function readWeights(model: Transformer): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const [name, tensor] of model.parameters) weights.set(name, await tensor.read());
  return weights;
}

/** Names of the weights that differ in any bit. */
export function differingWeights(a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): string[] {
  const names = new Set([...a.keys(), ...b.keys()]);
  return [...names].filter((name) => {
    const [x, y] = [a.get(name), b.get(name)];
    return x?.length !== y?.length || !x?.every((value, i) => Object.is(value, y?.[i]));
  });
}

/** `length` token ids below `vocabSize`. */
export function randomTokens(length: number, vocabSize: number, seed: number): Int32Array {
  const random = new Random(seed);
  return Int32Array.from({ length }, () => random.below(vocabSize));
}

/** Logits (rows, V) of an inference pass. */
export async function logitsOf(model: Transformer, batch: Batch): Promise<Float32Array> {
  using arena = new Arena(model.backend);
  const logits: Tensor = model.forward({ arena, tape: null }, batch);
  return await logits.read();
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
