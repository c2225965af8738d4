/** LoRA stages of a recipe: which adapter is trained, when it is on the model, and what checkpoints then hold. */
import { type Backend, Random, type Tensor } from '@parley/engine';
import { LoraAdapter, type LoraOptions, type Transformer, type WeightDType } from '@parley/model';
import type { Recipe, RecipeStage } from './recipe.ts';

type StageLora = NonNullable<RecipeStage['lora']>;

/** The adapter's settings; all LoRA stages of a recipe have the same. Undefined where there is none. */
export const recipeLora = (recipe: Recipe): StageLora | undefined => recipe.stages.find(({ lora }) => lora !== undefined)?.lora;

/** How the base is held while it is trained on. */
export const baseDType = (recipe: Recipe): WeightDType => recipeLora(recipe)?.base_dtype ?? 'f32';

/** Whether the run ends in an adapter's folder, not a model's. */
export const endsInAdapter = (recipe: Recipe): boolean => recipeLora(recipe) !== undefined && !recipe.export.merge;

export const loraOptions = (lora: StageLora): LoraOptions => ({
  rank: lora.rank, alpha: lora.alpha ?? 2 * lora.rank, dropout: lora.dropout, rankStabilized: lora.rank_stabilized,
  ...(lora.targets && { targets: lora.targets }),
});

/** The adapter that a recipe trains, with its first values. Null where it trains whole models. Throws the model package's AdapterError. */
export function recipeAdapter(recipe: Recipe, model: { readonly backend: Backend; readonly config: Transformer['config'] }): LoraAdapter | null {
  const lora = recipeLora(recipe);
  if (lora === undefined) return null;
  // Beside the seed of fresh weights, not after it: the adapter does not depend on whether those were drawn.
  return LoraAdapter.initialize(model.backend, model.config, { ...loraOptions(lora), random: new Random(recipe.seed + 2 ** 40) });
}

/** What a stage trains, and what its checkpoints have to hold for the model to be as it was. */
export interface TrainedParameters {
  readonly trained: ReadonlyMap<string, Tensor>;
  readonly kept: ReadonlyMap<string, Tensor>;
}

/**
 * Sets a model up for a stage. With an adapter the base is frozen, and is kept in checkpoints only where earlier stages of this run
 * have changed it.
 */
export function beginStage(model: Transformer, adapter: LoraAdapter | null, place: { recipe: Recipe; index: number }): TrainedParameters {
  const { recipe, index } = place;
  if (adapter === null || recipe.stages[index]?.lora === undefined) return { trained: model.parameters, kept: model.parameters };
  model.freeze();
  adapter.trainable = true;
  model.setAdapters([{ adapter }]);
  const baseIsGiven = recipe.stages[0]?.lora !== undefined && typeof recipe.model === 'object' && recipe.model.from !== undefined;
  return { trained: adapter.parameters, kept: baseIsGiven ? adapter.parameters : new Map([...model.parameters, ...adapter.parameters]) };
}

/** What is wrong about the LoRA stages of a recipe. */
export function crossCheckLora(recipe: Recipe): string[] {
  const problems: string[] = [];
  const first = recipe.stages.findIndex(({ lora }) => lora !== undefined);
  if (first === -1) {
    return recipe.export.merge ? ['export.merge is for runs with an adapter, and no stage has lora: leave it out'] : [];
  }
  const from = typeof recipe.model === 'object' ? recipe.model.from : undefined;
  const settings = JSON.stringify(recipe.stages[first]?.lora);
  for (const [index, stage] of recipe.stages.entries()) {
    const at = `stages[${index}] (${stage.name})`;
    if (index > first && stage.lora === undefined) problems.push(`${at} trains all weights after a stage that trains an adapter beside them: put it before, or give it lora too`);
    else if (index > first && JSON.stringify(stage.lora) !== settings) problems.push(`${at} has other lora settings than the stage before: a run trains one adapter, make them equal`);
    if (stage.lora !== undefined && stage.optimizer === 'muon') problems.push(`${at} trains an adapter with muon, which is for whole matrices: use adamw`);
  }
  if (baseDType(recipe) !== 'f32' && (first > 0 || from === undefined)) {
    problems.push(`stages[${first}] has lora.base_dtype ${baseDType(recipe)}, and the base is trained in this run, which takes f32: start from a model (model.from)`);
  }
  if (!recipe.export.merge && (first > 0 || from === undefined)) {
    problems.push('the base of the adapter is trained in this run and would be lost: set export.merge, or train the base in a recipe of its own and start from it (model.from)');
  }
  return problems;
}
