/** One stage of training: batches in, gradients, updates, measurements and checkpoints out. The loop itself. */
import { setImmediate } from 'node:timers/promises';
import { Arena, Random, Tape } from '@parley/engine';
import { IGNORED, keyOf, type Loader, type LongConversations, type MicroBatch, type ShardReader } from '@parley/data';
import type { Transformer } from '@parley/model';
import type { TrainedParameters } from './adapter.ts';
import { type Checkpoint, pruneCheckpoints, restore, saveCheckpoint, type StageSummary } from './checkpoint.ts';
import { DivergenceError } from './errors.ts';
import { evaluate } from './evaluate.ts';
import type { TrainEvent } from './events.ts';
import type { HeldOutMetrics, Metrics } from './metrics.ts';
import { MOST_IN_A_ROW, SpikeGuard } from './guard.ts';
import { Optimizer, type OptimizerSettings } from './optimizer.ts';
import { type Peak, trainingFlops, type TrainingWork } from './peak.ts';
import { learningRate, type Schedule } from './schedule.ts';

export interface StagePlan {
  readonly index: number;
  readonly name: string;
  readonly kind: StageSummary['kind'];
  readonly schedule: Schedule;
  readonly optimizer: OptimizerSettings;
  readonly objective: Objective;
  /** See guard.ts; null: only steps that are no number are left out. */
  readonly spikeThreshold: number | null;
  readonly contextLength: number;
  /** Rows of a micro-batch, and how many make a step. */
  readonly rows: number;
  readonly accumulate: number;
  readonly loss: 'all' | 'assistant';
  readonly longConversations: LongConversations;
  readonly evalEvery: number;
  readonly evalTokens: number;
  readonly sampleEvery: number;
  readonly samples: readonly SamplePrompt[];
  readonly checkpointEvery: number;
  readonly keepCheckpoints: number;
}

/** What is asked of the logits beside the target's probability (see ops.crossEntropy). */
export interface Objective {
  readonly zLoss: number;
  readonly smoothing: number;
}

/** A text to go on with, or what a user says. */
export type SamplePrompt = string | { readonly user: string };

/** Gives a continuation of each prompt. Injected by whoever can generate; the same model and seed give the same text. */
export type Sampler = (model: Transformer, prompts: readonly SamplePrompt[], seed: number) => Promise<string[]>;

export interface StageOptions {
  readonly plan: StagePlan;
  readonly model: Transformer;
  /** Default: all of the model's. */
  readonly parameters?: TrainedParameters | undefined;
  readonly loader: Loader;
  readonly heldOut: readonly { readonly name: string; readonly shards: ShardReader; readonly weight: number }[];
  readonly tokenBytes: Uint16Array;
  readonly turnStart: number | null;
  readonly padding: number;
  /** Where checkpoints go, the hashes they carry, and what trains. */
  readonly checkpoints: { readonly folder: string; readonly recipe: string; readonly data: string; readonly engine: string };
  /** Results of earlier stages. */
  readonly results: readonly StageSummary[];
  /** To continue from: a checkpoint of this stage. */
  readonly from?: Checkpoint | undefined;
  /** What speed is compared with; steps that are faster raise it. */
  readonly peak: Peak;
  readonly seed: number;
  readonly sample?: Sampler | undefined;
  readonly record: (metrics: Metrics) => void;
  readonly onEvent: (event: TrainEvent) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface StageResult {
  readonly summary: StageSummary;
  readonly step: number;
  /** All steps done, or told to stop. There is a checkpoint in both cases. */
  readonly ended: 'finished' | 'aborted';
}

/** Throws DivergenceError when step after step would do harm; the last checkpoint stays. */
export async function trainStage(options: StageOptions): Promise<StageResult> {
  const { plan, model, loader, onEvent, record, signal } = options;
  const { backend } = model;
  const { trained, kept } = options.parameters ?? { trained: model.parameters, kept: model.parameters };
  using arena = new Arena(backend);
  using optimizer = new Optimizer({ backend, parameters: trained }, plan.optimizer);
  const steps = plan.schedule.steps;
  const threshold = plan.spikeThreshold ?? Infinity;
  let guard = new SpikeGuard(threshold);
  let step = 0;
  let tokens = 0;
  let heldOut: HeldOutMetrics | null = null;
  let checkpointed = -1;
  if (options.from !== undefined) {
    const { state } = options.from;
    await restore(options.from, { weights: kept, moments: optimizer.moments });
    loader.seek(state.loader);
    ({ step, tokens } = state);
    guard = new SpikeGuard(threshold, state.guard);
    optimizer.step = step - guard.skipped;
    checkpointed = step;
    heldOut = fromSummary(state.results.find((result) => result.stage === plan.name), step, tokens);
  }
  /** Steps left out since the last one taken. */
  let owed: readonly number[] = Array.from({ length: guard.inRow }, (_, i) => step - i);
  const speed = new SpeedMeter();
  const losses = new Float32Array(plan.rows);

  const checkpoint = async (): Promise<void> => {
    if (checkpointed === step) return;
    const saved = await saveCheckpoint(
      options.checkpoints.folder,
      {
        recipe: options.checkpoints.recipe, data: options.checkpoints.data, engine: options.checkpoints.engine, stage: plan.index, stageName: plan.name, step, steps, tokens, loader: loader.place,
        guard: guard.state,
        results: [...options.results, summarize(options, { step, tokens, heldOut, skipped: guard.skipped })],
      },
      { weights: kept, moments: optimizer.moments },
    );
    await pruneCheckpoints(options.checkpoints.folder, plan.keepCheckpoints);
    checkpointed = step;
    onEvent({ type: 'checkpoint', stage: plan.name, step, folder: saved.folder });
  };

  while (step < steps) {
    // Backends may answer within the same turn of the event loop: without this, no signal and no timer would get its turn.
    await setImmediate();
    if (signal?.aborted === true) {
      await checkpoint();
      return { summary: summarize(options, { step, tokens, heldOut, skipped: guard.skipped }), step, ended: 'aborted' };
    }
    const started = performance.now();
    const batches = Array.from({ length: plan.accumulate }, () => loader.next());
    const targets = Math.max(1, batches.reduce((sum, batch) => sum + batch.targetCount, 0));
    // The gradient is that of the weighted mean; the loss that is recorded is the plain one, comparable whatever the weights.
    const scale = 1 / (batches.reduce((sum, batch) => sum + batch.targetWeight, 0) || 1);
    let nats = 0;
    for (const [index, batch] of batches.entries()) {
      // Dropout's chance is a function of the place, so that resuming needs no more of it.
      const random = new Random(keyOf(options.seed, plan.index, step, index));
      nats += await accumulateGradient(model, arena, { batch, scale, losses, objective: plan.objective, random });
    }
    arena.reset();
    const loss = nats / targets;
    const gradientNorm = await optimizer.gradientNorm();
    step++;
    const rate = learningRate(plan.schedule, step);
    const work = workOf(batches);
    tokens += work.tokens;
    const last = step === steps;
    const reason = guard.judge(loss, gradientNorm);
    if (reason === null) {
      await optimizer.update(rate, gradientNorm);
      const ms = performance.now() - started;
      speed.add(ms);
      const line = {
        type: 'step', stage: plan.name, step, tokens, loss, learning_rate: rate, gradient_norm: gradientNorm,
        timing: {
          ms: round(ms, 1), tokens_per_second: round((work.tokens / ms) * 1000, 1),
          peak_share: round(options.peak.share(trainingFlops(model.config, work) / ms / 1e6), 4),
        },
      } as const;
      record(line);
      onEvent({ ...line, steps, secondsLeft: ((steps - step) * speed.median) / 1000 });
    } else {
      optimizer.skip();
      const line = {
        type: 'skip', stage: plan.name, step, tokens, loss: orNull(loss), gradient_norm: orNull(gradientNorm), reason,
      } as const;
      record(line);
      onEvent({ ...line, skipped: guard.skipped });
      if (guard.inRow >= MOST_IN_A_ROW || (last && !Number.isFinite(loss))) {
        throw diverged({ plan, step, loss, gradientNorm, rate, inRow: guard.inRow, checkpointed });
      }
      // Whether the weights are still good is to be seen: what this step was due is done after the next one that is taken.
      if (!last) {
        owed = [...owed, step];
        continue;
      }
    }

    const due = (every: number): boolean => last || [...owed, step].some((one) => one % every === 0);
    if (due(plan.evalEvery)) {
      const measured = await measure(options, arena, { step, tokens });
      if (measured !== null) {
        heldOut = measured;
        record(measured);
        onEvent(measured);
      }
    }
    if (options.sample !== undefined && plan.samples.length > 0 && due(plan.sampleEvery)) {
      const texts = await options.sample(model, plan.samples, options.seed);
      for (const [index, text] of texts.entries()) {
        const prompt = plan.samples[index];
        const sample = {
          type: 'sample', stage: plan.name, step, prompt: typeof prompt === 'string' ? prompt : (prompt?.user ?? ''), text,
        } as const;
        record(sample);
        onEvent(sample);
      }
    }
    if (due(plan.checkpointEvery)) await checkpoint();
    owed = [];
  }
  await checkpoint();
  return { summary: summarize(options, { step, tokens, heldOut, skipped: guard.skipped }), step, ended: 'finished' };
}

/**
 * Adds one micro-batch's gradient, `scale` times its weight for each target, to the parameters'. Returns the sum of its losses in
 * nats, which are free of weights and of what `objective` adds.
 * `losses` is room for as many values as the batch has rows.
 */
export async function accumulateGradient(
  model: Transformer, arena: Arena, args: { batch: MicroBatch; scale: number; losses: Float32Array; objective?: Objective; random?: Random },
): Promise<number> {
  const { batch, scale, objective, random } = args;
  arena.reset();
  const tape = new Tape();
  const ctx = { arena, tape, ...(random && { random }) };
  const rows = batch.tokens.length;
  let losses: Float32Array;
  if (batch.targetCount > 0 && batch.targetCount < 0.9 * rows) {
    // Logits are a third of a small model's work: rows without a target go without.
    const logitRows = Int32Array.from(batch.targets.keys()).filter((row) => batch.targets[row] !== IGNORED);
    const targets = Int32Array.from(logitRows, (row) => batch.targets[row] ?? IGNORED);
    const weights = batch.weights && Float32Array.from(logitRows, (row) => batch.weights?.[row] ?? 1);
    const tensor = model.loss(ctx, { ...batch, logitRows }, { targets, scale, ...objective, ...(weights && { weights }) });
    tape.backward();
    losses = args.losses.subarray(0, logitRows.length);
    await model.backend.read(tensor, losses);
  } else {
    const { targets, weights } = batch;
    const tensor = model.loss(ctx, batch, { targets, scale, ...objective, ...(weights && { weights }) });
    tape.backward();
    losses = args.losses.subarray(0, rows);
    await model.backend.read(tensor, losses);
  }
  let sum = 0;
  for (const loss of losses) sum += loss;
  return sum;
}

/**
 * Seconds that a step of `accumulate` micro-batches takes, from a few of them after a warm-up and one update. Nothing is learned: the
 * update has the learning rate 0, the gradients are dropped, and the loader is the caller's to put back.
 */
export async function measureStepSeconds(
  model: Transformer, loader: Loader, args: { accumulate: number; optimizer: OptimizerSettings; trained?: TrainedParameters['trained'] },
): Promise<number> {
  using arena = new Arena(model.backend);
  using optimizer = new Optimizer({ backend: model.backend, parameters: args.trained ?? model.parameters }, args.optimizer);
  let micro = Infinity;
  for (let i = 0; i < 4; i++) {
    const batch = loader.next();
    const started = performance.now();
    await accumulateGradient(model, arena, { batch, scale: 1, losses: new Float32Array(batch.tokens.length) });
    if (i > 0) micro = Math.min(micro, performance.now() - started);
  }
  const started = performance.now();
  const norm = await optimizer.gradientNorm();
  if (Number.isFinite(norm)) await optimizer.update(0, norm);
  else optimizer.skip();
  const update = performance.now() - started;
  // Batches differ, and so does what else the machine does.
  return ((micro * args.accumulate + update) / 1000) * 1.05;
}

/**
 * Held-out loss after a step. It is not interrupted by the signal: the step's checkpoint would come without its measurement,
 * which a resumed run would then never make.
 */
async function measure(options: StageOptions, arena: Arena, at: { step: number; tokens: number }): Promise<HeldOutMetrics | null> {
  const { plan } = options;
  const result = await evaluate(options.model, arena, {
    sources: options.heldOut, contextLength: plan.contextLength, rows: plan.rows, tokens: plan.evalTokens, loss: plan.loss,
    longConversations: plan.longConversations, turnStart: options.turnStart, padding: options.padding, tokenBytes: options.tokenBytes,
  });
  if (result === null) return null;
  return {
    type: 'held-out', stage: plan.name, step: at.step, tokens: at.tokens, loss: result.loss, bits_per_byte: result.bitsPerByte,
    sources: result.sources,
  };
}

function summarize(
  options: StageOptions, at: { step: number; tokens: number; heldOut: HeldOutMetrics | null; skipped: number },
): StageSummary {
  const { plan, loader } = options;
  const epochs = loader.sources.map(({ name, tokens }, index) => [name, round((loader.place.sources[index]?.tokens ?? 0) / tokens, 3)] as const);
  return {
    stage: plan.name, kind: plan.kind, steps: at.step, tokens: at.tokens, ...(at.skipped > 0 ? { skipped: at.skipped } : {}), contextLength: plan.contextLength,
    loss: at.heldOut?.loss ?? null, bitsPerByte: at.heldOut?.bits_per_byte ?? null, sources: at.heldOut?.sources ?? {},
    epochs: Object.fromEntries(epochs),
  };
}

function fromSummary(summary: StageSummary | undefined, step: number, tokens: number): HeldOutMetrics | null {
  if (summary === undefined || summary.loss === null || summary.bitsPerByte === null) return null;
  return {
    type: 'held-out', stage: summary.stage, step, tokens, loss: summary.loss, bits_per_byte: summary.bitsPerByte, sources: summary.sources,
  };
}

/** What a step's batches ask for; padding (origin −1) is no work that anybody wanted. */
function workOf(batches: readonly MicroBatch[]): TrainingWork {
  const work = { tokens: 0, targets: 0, pairs: 0 };
  for (const { sequences, origins, targetCount } of batches) {
    work.targets += targetCount;
    for (const [index, { length }] of sequences.entries()) {
      if (origins[index] === -1) continue;
      work.tokens += length;
      work.pairs += (length * (length + 1)) / 2;
    }
  }
  return work;
}

/** The median of the last steps' times: one slow step does not move the estimate. */
class SpeedMeter {
  readonly #recent: number[] = [];

  add(ms: number): void {
    this.#recent.push(ms);
    if (this.#recent.length > 31) this.#recent.shift();
  }

  get median(): number {
    const sorted = this.#recent.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  }
}

function diverged(at: {
  plan: StagePlan; step: number; loss: number; gradientNorm: number; rate: number; inRow: number; checkpointed: number;
}): DivergenceError {
  const { plan, step, loss, gradientNorm, rate, inRow, checkpointed } = at;
  const kept = checkpointed > 0 ? `the checkpoint of step ${checkpointed} is kept` : 'there is no checkpoint of this stage yet';
  return new DivergenceError(
    `stage "${plan.name}" diverged at step ${step}: loss ${loss}, gradient norm ${gradientNorm}, learning rate ${rate.toPrecision(3)}, ` +
      `step ${inRow} in a row to be left out; ${kept}: lower learning_rate or lengthen warmup`,
    { step, loss, gradientNorm },
  );
}

const orNull = (value: number): number | null => (Number.isFinite(value) ? value : null);
const round = (value: number, digits: number): number => Number(value.toFixed(digits));
