/** A recipe over items from its first line to a model folder: items → model → the stage → model folder and card. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer } from '@parley/tokenizer/node';
import { loadConfig } from '@parley/model/node';
import { CheckpointError } from '../errors.ts';
import { MetricsFile } from '../metrics.ts';
import type { CompleteStage } from '../dial.ts';
import { Peak } from '../peak.ts';
import { optimizerSettings } from '../plan.ts';
import type { Recipe, RecipeStage } from '../recipe.ts';
import { reported } from '../report-writer.ts';
import type { RunOptions, RunResult } from '../run.ts';
import { baseFolder, openFolder, stageSeed } from '../run-folder.ts';
import { isItemStage, type ItemKind } from './check.ts';
import { openClassify } from './open-classify.ts';
import { openDpo } from './open-dpo.ts';
import type { ItemDataOptions } from './labelled.ts';
import type { StageSummary } from '../checkpoint.ts';
import { endsInAdapter, type TrainedParameters } from '../adapter.ts';
import { type ItemObjective, type ItemPlan, trainItems } from './stage.ts';

/** What a kind of items brings to a run. Dispose it before the backend. */
export interface OpenItems extends Disposable {
  readonly objective: ItemObjective;
  readonly parameters: TrainedParameters;
  /** Of everything read. */
  readonly key: string;
  readonly notes: readonly string[];
  readonly parameterCount: number;
  /** Tokens of all items to train on. */
  readonly tokens: number;
  readonly learningRate: { readonly value: number; readonly why: string };
  export(target: string, result: { readonly summary: StageSummary; readonly engine: string }): Promise<void>;
}

export interface OpenItemsOptions extends RunOptions {
  readonly stage: RecipeStage;
  readonly base: string;
  /** The run's folder, and where a checkpoint is gone on from. */
  readonly output: string;
  readonly begun: boolean;
  readonly data: ItemDataOptions;
  readonly microTokens: number;
}

const DEFAULTS = { perStep: { classify: 32, dpo: 16 }, epochs: { classify: 8, dpo: 1 }, warmup: 0.1, weightDecay: 0.01 } as const;
/** Tokens computed at once, unless the stage says it. */
const MICRO_TOKENS = 4096;

/** Throws what `run` throws. */
export async function runItems(options: RunOptions): Promise<RunResult> {
  const { recipe, folder, backend, signal } = options;
  const stage = recipe.stages.find(isItemStage) as RecipeStage & { kind: ItemKind };
  using opened = await openFolder(options);
  const { output, hash, checkpointFolder, latest, modelFolder } = opened;
  const base = (await baseFolder(recipe, folder)) ?? '';
  const [tokenizer, config] = [await loadTokenizer(base), await loadConfig(base)];
  const contextLength = Math.min(stage.context ?? Infinity, config.contextLength);
  const { held_out: heldOut, deduplicate, clean } = recipe.data;
  const itemOptions = { ...options, stage, base, output, begun: latest !== undefined, data: { tokenizer, contextLength, heldOut, deduplicate, clean, signal }, microTokens: stage.micro_batch_tokens ?? MICRO_TOKENS };
  using items = await (stage.kind === 'classify' ? openClassify : openDpo)(itemOptions);
  if (latest?.state.data !== undefined && latest.state.data !== items.key) {
    throw new CheckpointError(`the items or the tokenizer have changed since the run in ${output} began: put them back, or start a new run under another name`);
  }
  const plan = planItems({ recipe, stage, items, contextLength, maxSteps: options.maxSteps });
  const derived = stage.learning_rate === undefined ? [{ what: 'learning_rate', ...items.learningRate }] : [];
  const before = latest?.state.engine;
  const engine = before === undefined || before.endsWith(backend.description) ? (before ?? backend.description) : `${before}, then ${backend.description}`;
  const told = { output, latest, stages: [{ ...stage, steps: plan.schedule.steps }], manifest: null, model: { config: items.objective.config }, derived: { model: [], stages: { [stage.name]: derived } } };
  const result = await reported(told, options, {
    engine: backend.description,
    work: async (onEvent) => {
      for (const text of items.notes) onEvent({ type: 'note', text });
      if (derived.length > 0) onEvent({ type: 'derived', of: stage.name, derived });
      const metrics = new MetricsFile(join(output, 'metrics.jsonl'));
      if (latest === undefined) await rm(join(output, 'metrics.jsonl'), { force: true });
      else metrics.keepUntil({ stages: [], stage: latest.state.stageName, step: latest.state.step });
      const peak = await Peak.measure(backend);
      const { steps } = plan.schedule;
      onEvent({
        type: 'stage', stage: plan.name, steps, step: latest?.state.step ?? 0, tokensPerStep: Math.round((items.tokens * plan.perStep) / items.objective.items),
        parameters: items.parameterCount, peakGflops: peak.gflops, epochs: { items: Number(((steps * plan.perStep) / items.objective.items).toFixed(2)) },
      });
      return await trainItems({
        plan, backend, peak, objective: items.objective, parameters: items.parameters, bestFile: join(output, 'best.safetensors'), from: latest, signal, onEvent,
        checkpoints: { folder: checkpointFolder, recipe: hash, data: items.key, engine },
        record: (line) => metrics.append(line),
      });
    },
  });
  if (result.ended === 'aborted') return { ended: 'aborted', runFolder: output, modelFolder: null, stages: [result.summary] };
  options.onEvent?.({ type: 'stage-end', summary: result.summary });
  await items.export(modelFolder, { summary: result.summary, engine });
  options.onEvent?.({ type: 'export', folder: modelFolder });
  return { ended: 'finished', runFolder: output, modelFolder, ...(endsInAdapter(recipe) && { adapterOf: base }), stages: [result.summary] };
}

function planItems(args: {
  recipe: Recipe; stage: RecipeStage & { kind: ItemKind }; items: OpenItems; contextLength: number; maxSteps: number | undefined;
}): ItemPlan {
  const { recipe, stage, items, contextLength } = args;
  const perStep = Math.min(stage.batch_items ?? DEFAULTS.perStep[stage.kind], items.objective.items);
  const planned = stage.steps ?? Math.max(1, Math.round(((stage.epochs ?? DEFAULTS.epochs[stage.kind]) * items.objective.items) / perStep));
  const steps = Math.min(planned, args.maxSteps ?? Infinity);
  const complete: CompleteStage = {
    ...stage, batch_tokens: 0, optimizer: stage.optimizer ?? 'adamw', learning_rate: stage.learning_rate ?? items.learningRate.value,
    warmup: stage.warmup ?? DEFAULTS.warmup, weight_decay: stage.weight_decay ?? DEFAULTS.weightDecay,
  };
  return {
    name: stage.name, kind: stage.kind, perStep, contextLength, seed: stageSeed(recipe, stage, 0), optimizer: optimizerSettings(complete),
    schedule: {
      shape: stage.schedule, peak: complete.learning_rate, finalShare: stage.final_learning_rate,
      warmup: complete.warmup < 1 ? Math.round(complete.warmup * steps) : complete.warmup, steps, decayShare: stage.decay_share,
    },
    evalEvery: stage.eval_every, checkpointEvery: stage.checkpoint_every, keepCheckpoints: stage.keep_checkpoints,
    bestBy: stage.best_by ?? (stage.early_stopping === undefined ? null : stage.kind === 'classify' ? 'accuracy' : 'loss'),
    earlyStopping: stage.early_stopping ?? null,
  };
}
