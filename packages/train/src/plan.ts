/** From a recipe's words to what the loop, the data package and the model package take. */
import { resolve } from 'node:path';
import type { Manifest, ManifestSource, SourceSpec } from '@parley/data';
import { checkConfig, presets, type TransformerConfig } from '@parley/model';
import { type CompleteStage, type Derivation, deriveShape } from './dial.ts';
import { RecipeError } from './errors.ts';
import type { OptimizerSettings } from './optimizer.ts';
import type { Recipe, RecipeStage } from './recipe.ts';
import type { StagePlan } from './stage.ts';

/** The sources, with their paths resolved. Throws RecipeError for a pattern that is no regular expression. */
export function sourceSpecs(recipe: Recipe, folder: string): SourceSpec[] {
  return recipe.data.sources.map((source) => ({
    name: source.name,
    paths: source.path.map((path) => resolve(folder, path)),
    licence: source.licence,
    attribution: source.attribution,
    text: source.text,
    prompt: source.prompt,
    completion: source.completion,
    system: source.system,
    where: source.where,
    map: source.map,
    heldOutBy: source.held_out_by,
    convert: source.convert,
    only: source.only,
    dialogue: source.dialogue,
    splitCharacters: source.split_characters,
    minCharacters: source.min_characters,
    maxCharacters: source.max_characters,
    cutCharacters: source.cut_characters,
    maxTurnCharacters: source.max_turn_characters,
    maxDocuments: source.max_documents,
    heldOut: source.held_out,
    nearDuplicates: source.near_duplicates,
    maskPersonalData: source.mask_personal_data,
    columns: source.columns,
    quotes: source.quotes,
    clean: source.clean,
    sharedLines: source.shared_lines,
    languages: source.languages,
    quality: source.quality,
    exclude: source.exclude?.map((pattern) => {
      try {
        return new RegExp(pattern, 'u');
      } catch (error) {
        throw new RecipeError(recipe.name, [`source "${source.name}" excludes ${JSON.stringify(pattern)}, which is no regular expression`], { cause: error });
      }
    }),
  }));
}

/** The model a recipe asks for, over this vocabulary. Throws RecipeError and the model package's ConfigError. */
export function modelConfig(recipe: Recipe, vocabSize: number): TransformerConfig {
  return modelShape(recipe, vocabSize).config;
}

/** The same, with what was derived of it. */
export function modelShape(recipe: Recipe, vocabSize: number): { config: TransformerConfig; derived: readonly Derivation[] } {
  const fields = typeof recipe.model === 'string' ? { preset: recipe.model } : recipe.model;
  const { preset } = fields;
  const sizes = {
    hiddenSize: fields.hidden_size, layers: fields.layers, heads: fields.heads, keyValueHeads: fields.key_value_heads,
    headSize: fields.head_size, intermediateSize: fields.intermediate_size, contextLength: fields.context_length,
    ropeTheta: fields.rope_theta, tieEmbeddings: fields.tie_embeddings,
  };
  const given = Object.fromEntries(Object.entries(sizes).filter(([, value]) => value !== undefined)) as Partial<TransformerConfig>;
  if (preset !== undefined) {
    if (!Object.hasOwn(presets, preset)) {
      throw new RecipeError(recipe.name, [`model preset "${preset}" is not known: there are ${Object.keys(presets).join(', ')}`]);
    }
    return { config: checkConfig({ ...presets[preset as keyof typeof presets], ...given, vocabSize }), derived: [] };
  }
  const { config, derived } = deriveShape(fields, given, vocabSize);
  return { config: checkConfig(config), derived };
}

/** Which sources a stage draws from, and how much of each. Weights are tokens for one epoch where it is given in epochs. */
export function stageMixture(stage: Pick<RecipeStage, 'name' | 'data' | 'epochs'>, manifest: Manifest): {
  items: { source: ManifestSource; weight: number; lossWeight: number }[];
  epochTokens: number | null;
} {
  const named = (stage.data ?? manifest.sources.map((source) => source.name)).map((item) => (typeof item === 'string' ? { source: item } : item));
  const weighted = named.filter((item) => 'weight' in item && item.weight !== undefined).length;
  if (weighted > 0 && weighted < named.length) {
    throw new RecipeError(stage.name, ['some of the stage\'s sources have a weight and some have not: give all of them one, or none']);
  }
  if (weighted > 0 && stage.epochs !== undefined) {
    throw new RecipeError(stage.name, ['a mixture by weights has no epochs: say how long the stage is in steps or tokens, or give its sources epochs']);
  }
  const items = named.map((item) => {
    const source = manifest.sources.find((entry) => entry.name === item.source);
    if (source === undefined) throw new RecipeError(stage.name, [`there is no source "${item.source}"`]);
    const epochs = 'epochs' in item ? (item.epochs ?? 1) : 1;
    return {
      source, weight: ('weight' in item ? item.weight : undefined) ?? source.splits.train.tokens * epochs,
      lossWeight: ('loss_weight' in item ? item.loss_weight : undefined) ?? 1,
    };
  });
  return { items, epochTokens: weighted > 0 ? null : items.reduce((sum, { weight }) => sum + weight, 0) };
}

/** Spreads above the usual: healthy runs of small batches have stayed below 7 of loss and of gradient norm (see guard.ts). */
const DEFAULT_SPIKE_THRESHOLD = 10;

/** The numbers of a stage. `steps`: where they were measured or continue; otherwise as the recipe says. */
export function planStage(args: {
  recipe: Recipe; stage: CompleteStage; index: number; model: TransformerConfig; mixtureTokens: number | null; steps: number | null;
  maxSteps?: number | undefined;
}): StagePlan {
  const { stage, index, model } = args;
  const contextLength = stage.context ?? model.contextLength;
  if (contextLength > model.contextLength) {
    throw new RecipeError(args.recipe.name, [`stage "${stage.name}" has a context of ${contextLength}, the model's is ${model.contextLength}: lower it`]);
  }
  const rows = microRows(stage);
  const planned = args.steps ?? stage.steps ??
    Math.max(1, Math.round((stage.tokens ?? (stage.epochs ?? 1) * (args.mixtureTokens ?? 0)) / stage.batch_tokens));
  const steps = Math.min(planned, args.maxSteps ?? Infinity);
  return {
    index, name: stage.name, kind: stage.kind,
    schedule: {
      shape: stage.schedule, peak: stage.learning_rate, finalShare: stage.final_learning_rate,
      warmup: stage.warmup < 1 ? Math.round(stage.warmup * steps) : stage.warmup, steps, decayShare: stage.decay_share,
    },
    optimizer: optimizerSettings(stage),
    objective: { zLoss: stage.z_loss ?? 0, smoothing: stage.label_smoothing ?? 0 },
    spikeThreshold: stage.skip_spikes === false ? null : (stage.skip_spikes ?? DEFAULT_SPIKE_THRESHOLD),
    contextLength, rows, accumulate: stage.batch_tokens / rows, loss: stageLoss(stage), longConversations: stage.long_conversations,
    evalEvery: stage.eval_every, evalTokens: stage.eval_tokens, sampleEvery: stage.sample_every ?? stage.eval_every, samples: stage.samples,
    checkpointEvery: stage.checkpoint_every, keepCheckpoints: stage.keep_checkpoints,
  };
}

export const optimizerSettings = (stage: CompleteStage): OptimizerSettings => ({
  kind: stage.optimizer, beta1: stage.beta1, beta2: stage.beta2, epsilon: stage.epsilon, weightDecay: stage.weight_decay, clip: stage.clip,
  momentum: stage.momentum ?? 0.95, matrixRate: stage.matrix_rate ?? 1,
});

/** Rows of a micro-batch: as many as is asked for, or the largest even part of the batch up to 4,096. */
export function microRows(stage: { readonly batch_tokens: number; readonly micro_batch_tokens?: number | undefined }): number {
  if (stage.micro_batch_tokens !== undefined) return stage.micro_batch_tokens;
  for (let parts = Math.ceil(stage.batch_tokens / 4096); parts < stage.batch_tokens; parts++) {
    if (stage.batch_tokens % parts === 0) return stage.batch_tokens / parts;
  }
  return stage.batch_tokens;
}

/** What is learned of conversations: by default everything in pre-training, the assistant's words in fine-tuning. */
export const stageLoss = (stage: RecipeStage): StagePlan['loss'] => stage.loss ?? (stage.kind === 'finetune' ? 'assistant' : 'all');
