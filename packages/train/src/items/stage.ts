/**
 * The loop of a stage over items, whatever is asked of them: steps, measurements, the best weights, checkpoints. It is the sibling of
 * ../stage.ts, whose steps are counted in tokens of packed documents.
 */
import { setImmediate } from 'node:timers/promises';
import { type Backend, Random } from '@parley/engine';
import { keyOf } from '@parley/data';
import type { TransformerConfig } from '@parley/model';
import type { TrainedParameters } from '../adapter.ts';
import { type Checkpoint, type CheckpointState, pruneCheckpoints, restore, saveCheckpoint, type StageSummary } from '../checkpoint.ts';
import { DivergenceError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import type { Metrics, ScoreMetrics } from '../metrics.ts';
import { Optimizer, type OptimizerSettings } from '../optimizer.ts';
import { type Peak, trainingFlops, type TrainingWork } from '../peak.ts';
import { learningRate, type Schedule } from '../schedule.ts';
import { readTensors, writeTensors } from '../tensor-file.ts';
import type { ItemKind } from './check.ts';
import { itemsOfStep } from './order.ts';

/** What is asked of items. */
export interface ItemObjective {
  readonly items: number;
  readonly config: TransformerConfig;
  /** Adds the gradient of the mean over these items to the parameters'. `random`: for dropout. */
  accumulate(items: readonly number[], random: Random): Promise<{ loss: number; work: TrainingWork; scores?: Readonly<Record<string, number>> }>;
  /** Of the held-out items; null where there are none. */
  measure(): Promise<{ loss: number; items: number; scores: Readonly<Record<string, number>> } | null>;
}

export interface ItemPlan {
  readonly name: string;
  readonly kind: ItemKind;
  readonly schedule: Schedule;
  readonly optimizer: OptimizerSettings;
  readonly perStep: number;
  readonly contextLength: number;
  readonly evalEvery: number;
  readonly checkpointEvery: number;
  readonly keepCheckpoints: number;
  /** Null: the last weights are kept. */
  readonly bestBy: 'accuracy' | 'macro_f1' | 'loss' | null;
  readonly earlyStopping: number | null;
  readonly seed: number;
}

export interface ItemStageOptions {
  readonly plan: ItemPlan;
  readonly backend: Backend;
  readonly peak: Peak;
  readonly objective: ItemObjective;
  readonly parameters: TrainedParameters;
  readonly checkpoints: { readonly folder: string; readonly recipe: string; readonly data: string; readonly engine: string };
  /** Where the best weights are kept while the stage goes on. */
  readonly bestFile: string;
  readonly from?: Checkpoint | undefined;
  readonly record: (metrics: Metrics) => void;
  readonly onEvent: (event: TrainEvent) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface ItemStageResult {
  readonly summary: StageSummary;
  readonly ended: 'finished' | 'aborted';
}

type Best = NonNullable<CheckpointState['best']>;

/** Leaves the best weights, or the last, in the parameters. Throws DivergenceError when the loss is no number. */
export async function trainItems(options: ItemStageOptions): Promise<ItemStageResult> {
  const { plan, backend, objective, parameters, signal, onEvent, record } = options;
  using optimizer = new Optimizer({ backend, parameters: parameters.trained }, plan.optimizer);
  let { steps } = plan.schedule;
  let step = 0;
  let tokens = 0;
  let measured: ScoreMetrics | null = null;
  let best: Best | undefined;
  let checkpointed = -1;
  if (options.from !== undefined) {
    const { state } = options.from;
    await restore(options.from, { weights: parameters.kept, moments: optimizer.moments });
    ({ step, steps, tokens, best } = state);
    optimizer.step = step;
    checkpointed = step;
    const last = state.results.at(-1);
    if (last !== undefined && last.loss !== null) measured = { type: 'scores', stage: plan.name, step, tokens, items: 0, loss: last.loss, scores: last.scores ?? {} };
  }
  const summary = (): StageSummary => {
    const kept = plan.bestBy === null ? measured : (best ?? measured);
    return {
      stage: plan.name, kind: plan.kind, steps: step, tokens, contextLength: plan.contextLength, loss: kept?.loss ?? null, bitsPerByte: null, sources: {},
      epochs: { items: Number(((step * plan.perStep) / objective.items).toFixed(3)) }, ...(kept ? { scores: kept.scores } : {}),
    };
  };
  const checkpoint = async (): Promise<void> => {
    if (checkpointed === step) return;
    const { folder, ...identity } = options.checkpoints;
    const saved = await saveCheckpoint(folder, {
      ...identity, stage: 0, stageName: plan.name, step, steps, tokens, loader: { sources: [], waiting: [], padding: 0 }, results: [summary()],
      ...(best && { best }),
    }, { weights: parameters.kept, moments: optimizer.moments });
    await pruneCheckpoints(folder, plan.keepCheckpoints);
    checkpointed = step;
    onEvent({ type: 'checkpoint', stage: plan.name, step, folder: saved.folder });
  };
  const times: number[] = [];

  while (step < steps) {
    await setImmediate();
    if (signal?.aborted === true) {
      await checkpoint();
      return { summary: summary(), ended: 'aborted' };
    }
    const started = performance.now();
    step++;
    const { loss, work, scores } = await objective.accumulate(
      itemsOfStep(step, { count: objective.items, perStep: plan.perStep, seed: plan.seed }), new Random(keyOf(plan.seed, step)),
    );
    const gradientNorm = await optimizer.gradientNorm();
    const rate = learningRate(plan.schedule, step);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw new DivergenceError(
        `stage "${plan.name}" diverged at step ${step} (loss ${loss}, gradient norm ${gradientNorm}, learning rate ${rate.toPrecision(3)}): ` +
          'lower learning_rate or lengthen warmup',
        { step, loss, gradientNorm },
      );
    }
    await optimizer.update(rate, gradientNorm);
    tokens += work.tokens;
    const ms = performance.now() - started;
    times.push(ms);
    const line = {
      type: 'step', stage: plan.name, step, tokens, loss, learning_rate: rate, gradient_norm: gradientNorm, ...(scores && { scores }),
      timing: {
        ms: Number(ms.toFixed(1)), tokens_per_second: Number(((work.tokens / ms) * 1000).toFixed(1)),
        peak_share: Number(options.peak.share(trainingFlops(objective.config, work) / ms / 1e6).toFixed(4)),
      },
    } as const;
    record(line);
    onEvent({ ...line, steps, secondsLeft: ((steps - step) * median(times.slice(-31))) / 1000 });

    if (step === steps || step % plan.evalEvery === 0) {
      const result = await objective.measure();
      if (result !== null) {
        measured = { type: 'scores', stage: plan.name, step, tokens, ...result };
        record(measured);
        onEvent(measured);
        if (plan.bestBy !== null) {
          const improved = best === undefined || isBetter(measured, best, plan.bestBy);
          if (improved) await writeTensors(options.bestFile, parameters.trained);
          best = improved || best === undefined ? { step, since: 0, loss: measured.loss, scores: measured.scores } : { ...best, since: best.since + 1 };
          if (best.since >= (plan.earlyStopping ?? Infinity)) {
            onEvent({ type: 'note', text: `${plan.name} ends at step ${step} of ${steps}: no measurement since step ${best.step} was better` });
            steps = step;
          }
        }
      }
    }
    if (step === steps || step % plan.checkpointEvery === 0) await checkpoint();
  }
  await checkpoint();
  if (plan.bestBy !== null && best !== undefined && best.step !== step) {
    await readTensors(options.bestFile, parameters.trained);
    onEvent({ type: 'note', text: `the weights of step ${best.step} are kept: the best by ${plan.bestBy}` });
  }
  return { summary: summary(), ended: 'finished' };
}

function isBetter(one: { loss: number; scores: Readonly<Record<string, number>> }, than: Best, by: 'accuracy' | 'macro_f1' | 'loss'): boolean {
  if (by === 'loss') return one.loss < than.loss;
  return (one.scores[by] ?? 0) > (than.scores[by] ?? 0);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
