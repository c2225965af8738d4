/**
 * Recipes over items: texts with labels (kind classify), or pairs of answers of which one is preferred (kind dpo). Items are read
 * into memory, some tens of thousands of them; a recipe has one such stage and starts from a model.
 */
import type { Recipe, RecipeStage } from '../recipe.ts';

export type ItemKind = Extract<RecipeStage['kind'], 'classify' | 'dpo'>;

export const isItemStage = ({ kind }: Pick<RecipeStage, 'kind'>): boolean => kind === 'classify' || kind === 'dpo';

export const isItemRecipe = (recipe: Recipe): boolean => recipe.stages.some(isItemStage);

/** Fields of a stage that only one kind has a use for. */
const ONLY: Readonly<Partial<Record<keyof RecipeStage, readonly RecipeStage['kind'][]>>> = {
  batch_items: ['classify', 'dpo'], class_weights: ['classify'], beta: ['dpo'], best_by: ['classify', 'dpo'], early_stopping: ['classify', 'dpo'],
  tokens: ['pretrain', 'finetune'], minutes: ['pretrain', 'finetune'], batch_tokens: ['pretrain', 'finetune'], loss: ['pretrain', 'finetune'],
  sample_every: ['pretrain', 'finetune'], z_loss: ['pretrain', 'finetune'], skip_spikes: ['pretrain', 'finetune'],
};

/** What is wrong about the stages over items, and about fields that are only for them. */
export function crossCheckItems(recipe: Recipe): string[] {
  const problems: string[] = [];
  for (const [index, stage] of recipe.stages.entries()) {
    for (const [field, kinds] of Object.entries(ONLY)) {
      if (stage[field as keyof RecipeStage] !== undefined && !kinds.includes(stage.kind)) {
        problems.push(`stages[${index}] (${stage.name}) has ${field}, which is for stages of kind ${kinds.join(' and ')}: leave it out`);
      }
    }
  }
  const stage = recipe.stages.find(isItemStage);
  if (stage === undefined) {
    const labelled = recipe.data.sources.find(({ label }) => label !== undefined);
    return labelled === undefined ? problems : [...problems, `source "${labelled.name}" has a label, which is for a stage of kind classify: leave it out`];
  }
  if (recipe.stages.length > 1) problems.push(`a stage of kind ${stage.kind} is a recipe of its own: put the other stages into another, and start from its model (model.from)`);
  if (typeof recipe.model !== 'object' || recipe.model.from === undefined) problems.push(`a stage of kind ${stage.kind} starts from a model: give model.from`);
  if (stage.data?.some((item) => typeof item !== 'string')) problems.push(`stage "${stage.name}" mixes its sources, and items are all taken once an epoch: name them only`);
  if (stage.samples.length > 0) problems.push(`stage "${stage.name}" has samples, which are for stages of kind pretrain and finetune: leave them out`);
  for (const source of recipe.data.sources) {
    const idle = (['prompt', 'completion', 'system', 'dialogue', 'split_characters', 'only', 'max_turn_characters'] as const)
      .filter((field) => source[field] !== undefined && !(stage.kind === 'dpo' && field === 'system'));
    if (idle.length > 0) problems.push(`source "${source.name}" has ${idle.join(', ')}, which items of kind ${stage.kind} have no use for: leave it out`);
    if (stage.kind === 'dpo' && (source.label !== undefined || source.text !== undefined)) problems.push(`source "${source.name}" has text or label, and preferences have messages or prompt, chosen and rejected: leave it out`);
  }
  if (stage.kind === 'dpo' && (stage.best_by === 'macro_f1')) problems.push(`stage "${stage.name}" has best_by macro_f1, which preferences have not: choose accuracy or loss`);
  if (stage.early_stopping !== undefined && recipe.data.held_out === 0) problems.push(`stage "${stage.name}" has early_stopping, and nothing is held out to stop by: raise data.held_out`);
  if (stage.kind === 'classify') {
    if (stage.lora !== undefined && stage.lora.base_dtype !== 'f32') problems.push(`stage "${stage.name}" has lora.base_dtype ${stage.lora.base_dtype}, and a classifier is written whole, from f32 weights: leave it out`);
    if (stage.lora !== undefined && !recipe.export.merge) problems.push('a classifier is written whole, with what lora has trained in its weights: set export.merge: true');
    if (recipe.export.generation !== undefined) problems.push('export.generation is for models that write: leave it out');
  }
  return problems;
}
