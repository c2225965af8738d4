import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parameterCount } from '@parley/model';
import { deriveStage } from './dial.ts';
import { RecipeError } from './errors.ts';
import { microRows, modelConfig, planStage } from './plan.ts';
import { parseRecipe } from './recipe.ts';
import { loadRecipe } from './recipe-file.ts';

const MINIMAL = `
name: a
tokenizer: { vocab_size: 500 }
data: { sources: [{ name: s, path: s.txt }] }
model: { size: 2 }
stages: [{ name: p, kind: pretrain, steps: 10 }]
`;

const recipes = fileURLToPath(new URL('../../../recipes', import.meta.url));

test.each(readdirSync(recipes).filter((name) => name.endsWith('.yaml') && !name.endsWith('.sources.yaml')))('the recipe %s that comes with Parley is a recipe, and its model can exist', async (name) => {
  const { recipe } = await loadRecipe(join(recipes, name));
  expect(recipe.name).toBe(name.replace('.yaml', ''));
  expect(parameterCount(modelConfig(recipe, 8192))).toBeGreaterThan(1e5);
});

test('defaults, amounts and one path or several', () => {
  const recipe = parseRecipe(MINIMAL.replace('steps: 10', 'tokens: 2.5M, batch_tokens: 8k, eval_tokens: 16 KB'));
  expect(recipe.stages[0]).toMatchObject({ tokens: 2_500_000, batch_tokens: 8000, eval_tokens: 16_000, schedule: 'cosine' });
  expect(recipe.data.sources[0]?.path).toEqual(['s.txt']);
  expect(recipe.export.dtype).toBe('bf16');
  expect(modelConfig(recipe, 500)).toMatchObject({ hiddenSize: 128, layers: 2, heads: 2, intermediateSize: 352, vocabSize: 500 });
});

test.each([
  ['steps: 10', 'stepz: 10', /line 6, stages\[0\] has the unknown field "stepz" \(did you mean "steps"\?\)/],
  ['steps: 10', 'steps: 10, tokens: 5', /at most one of steps, tokens, epochs and minutes/],
  ['steps: 10', 'steps: ten', /line 6, stages\[0\]\.steps is "ten": .*amount/],
  ['steps: 10', 'steps: 10, learning_rate: fast', /stages\[0\]\.learning_rate is "fast": it has to be a number/],
  ['kind: pretrain', 'kind: train', /stages\[0\]\.kind is "train": it has to be one of pretrain, finetune/],
  ['steps: 10', 'steps: 10, data: [t]', /stages\[0\] \(p\) mixes in "t", which is no source: data\.sources has s/],
  ['steps: 10', 'steps: 10, batch_tokens: 100, micro_batch_tokens: 30', /micro_batch_tokens 30 does not divide/],
  ['name: a', 'name: a b', /name is "a b": it may have letters, digits, dots and dashes/],
  ['vocab_size: 500', 'vocab_size: 100', /tokenizer\.vocab_size is 100: it has to be at least 260/],
  ['path: s.txt', 'file: s.txt', /data\.sources\[0\]/],
  ['tokenizer: { vocab_size: 500 }', '', /tokenizer is missing/],
  ['model: { size: 2 }', 'model: { from: x }', /brings its own tokenizer/],
  ['model: { size: 2 }', 'model: { from: x, layers: 3, preset: gpt-14m }', /model\.from brings the model's shape: leave out preset, layers/],
  ['model: { size: 2 }', 'model: { preset: gpt-14m, size: 3, layers: 2 }', /model\.preset "gpt-14m" decides size: leave that out/],
  ['steps: 10', 'steps: 10, max_epochs: 3', /max_epochs 3, which only bounds a stage given in minutes/],
  ['steps: 10', 'minutes: 1, max_epochs: 3, data: [{ source: s, weight: 1 }]', /max_epochs 3, but a mixture by weights has no epochs/],
  ['steps: 10', 'steps: 10, data: [{ source: s, wieght: 1 }]', /has the unknown field "wieght" \(did you mean "weight"\?\)/],
  ['name: a', 'name: [', /recipe:? /],
])('%j written as %j is refused with place and remedy', (from, to, message) => {
  expect(() => parseRecipe(MINIMAL.replace(from, to))).toThrow(RecipeError);
  expect(() => parseRecipe(MINIMAL.replace(from, to))).toThrow(message);
});

test('a model preset that is not known is named with those that are', () => {
  const recipe = parseRecipe(MINIMAL.replace('{ size: 2 }', 'gpt-15m'));
  expect(() => modelConfig(recipe, 500)).toThrow(/"gpt-15m" is not known: there are gpt-14m/);
});

test('a batch is computed in the largest even parts of at most 4,096 tokens', () => {
  const rows = (batch: number): number => microRows({ ...parseRecipe(MINIMAL).stages[0]!, batch_tokens: batch });
  expect([rows(4096), rows(8192), rows(6000), rows(5), rows(12288)]).toEqual([4096, 4096, 3000, 5, 4096]);
});

test('epochs become steps by the tokens of the mixture; --max-steps bounds the schedule too', () => {
  const recipe = parseRecipe(MINIMAL.replace('steps: 10', 'epochs: 3, batch_tokens: 1000, warmup: 0.1'));
  const model = modelConfig(recipe, 500);
  const { stage } = deriveStage(recipe.stages[0]!, { model, tokens: 50_000, openStages: 0 });
  const base = { recipe, stage, index: 0, model, mixtureTokens: 50_000, steps: null };
  expect(planStage(base).schedule).toMatchObject({ steps: 150, warmup: 15 });
  expect(planStage({ ...base, maxSteps: 20 }).schedule).toMatchObject({ steps: 20, warmup: 2 });
});
