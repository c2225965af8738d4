/** A model of a named shape with random weights: speed does not depend on what the weights are. */
import { type Backend, Random } from '@parley/engine';
import { presets, Transformer, type TransformerConfig } from '@parley/model';

export function shapeConfig(name: string): TransformerConfig {
  const config = (presets as Readonly<Record<string, TransformerConfig>>)[name];
  if (!config) throw new Error(`there is no model shape "${name}": choose one of ${Object.keys(presets).join(', ')}`);
  return config;
}

export function randomModel(backend: Backend, name: string, dtype: 'f32' | 'q8' | 'q4'): Transformer {
  return Transformer.initialize(backend, shapeConfig(name), new Random(1), { dtype });
}

export function randomTokens(config: TransformerConfig, count: number): Int32Array {
  const random = new Random(2);
  return Int32Array.from({ length: count }, () => random.below(config.vocabSize));
}

export function positions(start: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => start + i);
}
