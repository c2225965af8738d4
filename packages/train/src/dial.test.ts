import { llamaConfig, parameterCount } from '@parley/model';
import { expect, test } from 'vitest';
import { amount, deriveShape, deriveStage, muonOverhead } from './dial.ts';
import { RecipeError } from './errors.ts';
import { modelConfig, modelShape } from './plan.ts';
import { parseRecipe, type RecipeStage } from './recipe.ts';

const recipe = (model: string, stage = 'steps: 10') => parseRecipe(`
name: a
tokenizer: { vocab_size: 500 }
data: { sources: [{ name: s, path: s.txt }] }
model: ${model}
stages: [{ name: p, ${stage.includes('kind:') ? '' : 'kind: pretrain, '}${stage} }]
`);
const stageOf = (stage: string): RecipeStage => {
  const [only] = recipe('{ size: 2 }', stage).stages;
  if (only === undefined) throw new Error('no stage');
  return only;
};
const small = llamaConfig({ vocabSize: 4096, contextLength: 256, hiddenSize: 192, heads: 6, layers: 4, intermediateSize: 512 });
const facts = (tokens: number) => ({ model: small, tokens, openStages: 1 });

test.each([
  ['1M', 2048], ['3M', 4096], ['12M', 8192], ['12M', 16384], ['30M', 16384], ['60M', 32768], ['135M', 49152],
])('a size of %s over a vocabulary of %i is met from below by at most a fifth, with heads that divide and layers in proportion', (size, vocabulary) => {
  const { config, derived } = modelShape(recipe(`{ size: ${size} }`), vocabulary);
  const wanted = Number.parseFloat(size) * 1e6;
  const weights = parameterCount(config);
  expect(weights).toBeLessThanOrEqual(wanted);
  expect(weights).toBeGreaterThan(0.8 * wanted);
  expect(config.heads * config.headSize).toBe(config.hiddenSize);
  expect(config.heads % config.keyValueHeads).toBe(0);
  expect(config.hiddenSize / config.layers).toBeGreaterThanOrEqual(32);
  expect(config.hiddenSize / config.layers).toBeLessThanOrEqual(128);
  expect(derived.map(({ what }) => what)).toEqual(['hidden_size', 'layers', 'heads', 'key_value_heads', 'intermediate_size', 'context_length']);
});

test('a size in layers keeps its meaning: 64 of width to a layer, context 256', () => {
  expect(modelConfig(recipe('{ size: 6 }'), 500)).toMatchObject({ layers: 6, hiddenSize: 384, heads: 6, keyValueHeads: 6, intermediateSize: 1024, contextLength: 256 });
  expect(modelConfig(recipe('{ family: gpt2, size: 3 }'), 500)).toMatchObject({ family: 'gpt2', layers: 3, hiddenSize: 192, intermediateSize: 768, keyValueHeads: 3 });
});

test('what the recipe says of the shape wins, is not among what is derived, and the rest is fitted around it', () => {
  const { config, derived } = modelShape(recipe('{ size: 12M, hidden_size: 256, context_length: 1024 }'), 8192);
  expect(config).toMatchObject({ hiddenSize: 256, contextLength: 1024 });
  expect(config.layers).toBe(8); // As deep as is in proportion, though there are weights left.
  expect(derived.map(({ what }) => what)).not.toContain('hidden_size');
  expect(derived.map(({ what }) => what)).not.toContain('context_length');
});

test('a size that the vocabulary alone exceeds is refused with what the smallest has; one between layers and weights too', () => {
  expect(() => modelShape(recipe('{ size: 500k }'), 16_384)).toThrow(RecipeError);
  expect(() => modelShape(recipe('{ size: 500k }'), 16_384)).toThrow(/size 500k is too few weights: over a vocabulary of 16384 tokens the smallest has 1\.\d+M; make size larger/);
  expect(() => recipe('{ size: 5000 }')).toThrow(/model\.size has to be a number of layers up to 200, or of weights from 100k/);
});

test('an open pre-training stage takes 20 tokens a weight, or eleven passes where there is less text', () => {
  const weights = parameterCount(small);
  const rich = deriveStage(stageOf('data: [s]'), facts(1e9));
  expect(rich.stage.tokens).toBe(20 * weights);
  expect(rich.derived.map(({ what }) => what)).toEqual(expect.arrayContaining(['tokens', 'batch_tokens', 'learning_rate', 'warmup', 'weight_decay']));
  const poor = deriveStage(stageOf('data: [s]'), facts(1e6));
  expect(poor.stage.tokens).toBe(11e6);
  expect(poor.derived[0]?.why).toContain('Muennighoff');
  expect(deriveStage(stageOf('data: [s]'), { ...facts(1e9), openStages: 2 }).stage.tokens).toBe(10 * weights);
});

test('batches grow with the tokens of the run, are powers of two, hold two contexts, and are whole micro-batches where those are given', () => {
  const batch = (stage: string): number => deriveStage(stageOf(stage), facts(1e9)).stage.batch_tokens;
  expect([batch('tokens: 100k'), batch('tokens: 5M'), batch('tokens: 50M'), batch('tokens: 1B')]).toEqual([512, 2048, 8192, 65_536]);
  expect(batch('tokens: 50M, micro_batch_tokens: 3000')).toBe(9000);
});

test('the learning rate falls with the width and grows with the root of the batch, up to a bound; Muon\'s is twice AdamW\'s, fine-tuning takes a third', () => {
  const rate = (stage: string, width: number): number =>
    deriveStage(stageOf(stage), { ...facts(1e9), model: { ...small, hiddenSize: width } }).stage.learning_rate;
  expect(rate('steps: 10, batch_tokens: 2048, optimizer: adamw', 192)).toBe(0.0015);
  expect(rate('steps: 10, batch_tokens: 2048, optimizer: adamw', 384)).toBe(0.00075);
  expect(rate('steps: 10, batch_tokens: 8192, optimizer: adamw', 384)).toBe(0.0015);
  expect(rate('steps: 10, batch_tokens: 2048, optimizer: muon', 384)).toBe(0.0015);
  expect([rate('steps: 10, batch_tokens: 1M, optimizer: adamw', 384), rate('steps: 10, batch_tokens: 1M, optimizer: muon', 384)]).toEqual([0.003, 0.006]);
  expect(rate('kind: finetune, steps: 10, batch_tokens: 2048', 384)).toBe(0.00025);
});

test('Muon where its products add at most a third to a step, which the batch decides; a learning rate that is said was found for AdamW', () => {
  const optimizer = (stage: string): string => deriveStage(stageOf(stage), facts(1e9)).stage.optimizer;
  expect(muonOverhead(small, 2048)).toBeCloseTo(0.28, 2);
  expect([optimizer('steps: 10, batch_tokens: 2048'), optimizer('steps: 10, batch_tokens: 1024')]).toEqual(['muon', 'adamw']);
  expect(optimizer('steps: 10, batch_tokens: 2048, learning_rate: 0.001')).toBe('adamw');
  expect(optimizer('kind: finetune, steps: 10, batch_tokens: 65536')).toBe('adamw');
});

test('a stage that says everything is left as it is, and nothing is derived', () => {
  const said = stageOf('steps: 10, batch_tokens: 1000, optimizer: adamw, learning_rate: 0.01, warmup: 3, weight_decay: 0');
  expect(deriveStage(said, facts(1e6))).toEqual({ stage: said, derived: [] });
});

test('a fine-tuning stage of which nothing is said goes three times through its conversations, with AdamW', () => {
  const { stage } = deriveStage(stageOf('kind: finetune'), facts(40_000));
  expect(stage).toMatchObject({ tokens: 120_000, batch_tokens: 512, optimizer: 'adamw' });
});

test('amounts are said in three digits', () => {
  expect([amount(5_312_000), amount(999), amount(48_000), amount(1.5e9)]).toEqual(['5.31M', '999', '48k', '1.5B']);
  expect(deriveShape({ size: 2 }, {}, 500).config.layers).toBe(2);
});
