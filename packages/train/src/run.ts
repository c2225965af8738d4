/**
 * A recipe from its first line to a model folder:
 *
 *   tokenizer → shards → model → each stage (train, measure, checkpoint, report) → model folder, card, loss curve
 *
 * Everything goes to the run's folder. Each part is kept when it is there already and belongs to the same recipe, which is
 * what resuming is.
 */
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Backend, Random } from '@parley/engine';
import { Loader, type Manifest, type ManifestSource, prepare, ShardReader, type Split, splitBase } from '@parley/data';
import { type LoraAdapter, parameterCount, Transformer } from '@parley/model';
import { loadModel, writeAtomic } from '@parley/model/node';
import type { Tokenizer } from '@parley/tokenizer';
import { baseDType, beginStage, endsInAdapter, recipeAdapter, type TrainedParameters } from './adapter.ts';
import type { Checkpoint, StageSummary } from './checkpoint.ts';
import { type CompleteStage, type Derivation, type Derived, deriveStage } from './dial.ts';
import { CheckpointError, TrainError } from './errors.ts';
import { screenOptions } from './evaluation/decontamination.ts';
import type { TrainEvent } from './events.ts';
import { exportModel } from './export.ts';
import { isItemRecipe } from './items/check.ts';
import { runItems } from './items/run.ts';
import { lossCurve } from './chart.ts';
import { MetricsFile, readMetrics } from './metrics.ts';
import { Peak } from './peak.ts';
import { microRows, modelShape, optimizerSettings, planStage, sourceSpecs, stageLoss, stageMixture } from './plan.ts';
import type { Recipe } from './recipe.ts';
import { reported } from './report-writer.ts';
import { baseFolder, openFolder, type RunFolder, stageSeed } from './run-folder.ts';
import { measureStepSeconds, type Sampler, type StagePlan, type StageResult, trainStage } from './stage.ts';
import { prepareTokenizer, tokenByteLengths } from './vocabulary.ts';

/** In the run's folder: steps measured for stages that are given in minutes; what the recipe left open. */
const LENGTHS = 'lengths.json';
const DERIVED = 'derived.json';

/** A stage of fewer micro-batches shows soon enough how long it takes. */
const WORTH_MEASURING = 24;

export interface RunOptions {
  readonly recipe: Recipe;
  /** Where the recipe's relative paths start. */
  readonly folder: string;
  /** The recipe as it was written, kept in the run's folder. */
  readonly text?: string | undefined;
  /** The run's folder. Default: the recipe's `output`, or runs/NAME in the working directory. */
  readonly output?: string | undefined;
  readonly backend: Backend;
  /** Go on with a run that is there. Without it such a run is an error. */
  readonly resume?: boolean | undefined;
  /** Make every stage at most so many steps long, its schedule included: for trying a recipe out. Resuming takes the same. */
  readonly maxSteps?: number | undefined;
  readonly sample?: ((tokenizer: Tokenizer) => Sampler) | undefined;
  readonly onEvent?: ((event: TrainEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RunResult {
  /** `aborted`: by the signal; a checkpoint was written and `resume` goes on from it. */
  readonly ended: 'finished' | 'aborted';
  readonly runFolder: string;
  /** Null when aborted. */
  readonly modelFolder: string | null;
  /** Where `modelFolder` is that of an adapter: the model it stands beside. */
  readonly adapterOf?: string;
  readonly stages: readonly StageSummary[];
}

/** A run with its tokenizer, shards and model at hand, whoever trains it. Until disposed, no other process takes its folder. */
export interface OpenRun extends RunFolder {
  readonly tokenizer: Tokenizer;
  readonly dataFolder: string;
  readonly manifest: Manifest;
  /** With its first weights, not the checkpoint's. */
  readonly model: Transformer;
  /** What its LoRA stages train. */
  readonly adapter: LoraAdapter | null;
  /** The folder of the model it starts from. */
  readonly base: string | null;
  /** The recipe's, with nothing left open. */
  readonly stages: readonly CompleteStage[];
  readonly derived: Derived;
}

/** Everything before the first stage; what is there already is taken. Throws as `run` does. */
export async function openRun(options: RunOptions): Promise<OpenRun> {
  const { recipe, folder, backend, signal, onEvent = () => {} } = options;
  using open = new DisposableStack();
  const { output, hash, checkpointFolder, modelFolder, latest } = open.use(await openFolder(options));
  const specs = sourceSpecs(recipe, folder);
  const base = await baseFolder(recipe, folder);
  const tokenizer = await prepareTokenizer({ recipe, folder, specs, base, target: join(output, 'tokenizer'), begun: latest !== undefined, onEvent, signal });
  const dataFolder = join(output, 'data');
  const prepared = await prepare({
    sources: specs, tokenizer, folder: dataFolder, heldOut: recipe.data.held_out, deduplicate: recipe.data.deduplicate,
    clean: recipe.data.clean, signal, onProgress: (progress) => onEvent({ type: 'prepare', ...progress }),
    ...screenOptions(recipe, { folder, specs, signal, onNote: (text) => onEvent({ type: 'note', text }) }),
  });
  if (latest?.state.data !== undefined && latest.state.data !== prepared.manifest.key) {
    throw new CheckpointError(
      `the texts or the tokenizer have changed since the run in ${output} began, so going on would mix two data sets: ` +
        'put them back, or start a new run under another name',
    );
  }
  for (const source of prepared.manifest.sources) onEvent({ type: 'note', text: describeSource(source) });
  for (const { set, items, found, dropped } of prepared.manifest.screened.decontamination ?? []) {
    if (found > 0) onEvent({ type: 'note', text: `${set}: ${found} of ${items} items were in ${dropped} training documents, which are left out` });
  }

  const shape = base === null ? modelShape(recipe, tokenizer.vocabSize) : null;
  const model = open.use(shape === null
    ? await loadModel(base ?? '', { backend, dtype: baseDType(recipe) })
    : Transformer.initialize(backend, shape.config, new Random(recipe.seed)));
  if (model.config.vocabSize < tokenizer.vocabSize) {
    throw new TrainError(`the tokenizer has ${tokenizer.vocabSize} tokens, the model ${model.config.vocabSize}: they do not belong together`);
  }
  const { stages, derived } = await settle({ recipe, output, hash, manifest: prepared.manifest, model, shape: shape?.derived ?? [] });
  if (derived.model.length > 0) onEvent({ type: 'derived', of: 'model', derived: derived.model });
  const adapter = recipeAdapter(recipe, model);
  if (adapter !== null) open.use(adapter);
  const kept = open.move();
  return {
    output, hash, checkpointFolder, modelFolder, latest, tokenizer, dataFolder, manifest: prepared.manifest, model, adapter, base, stages, derived,
    [Symbol.dispose]: () => kept.dispose(),
  };
}

/**
 * Everything that the recipe leaves open, derived once: a run that goes on takes what it began with, whatever the rules have become.
 * Throws RecipeError.
 */
async function settle(args: {
  recipe: Recipe; output: string; hash: string; manifest: Manifest; model: Transformer; shape: readonly Derivation[];
}): Promise<{ stages: CompleteStage[]; derived: Derived }> {
  const { recipe, output, hash, manifest, model } = args;
  const path = join(output, DERIVED);
  const kept = existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as Derived & { recipe: string }) : null;
  const before = kept?.recipe === hash ? kept : null;
  const openStages = recipe.stages.filter((stage) =>
    stage.kind === 'pretrain' && [stage.steps, stage.tokens, stage.epochs, stage.minutes].every((length) => length === undefined)).length;
  const stages: CompleteStage[] = [];
  const derivedStages: Record<string, readonly Derivation[]> = {};
  for (const stage of recipe.stages) {
    const known = before?.stages[stage.name] ?? [];
    const said = { ...stage, ...Object.fromEntries(known.map(({ what, value }) => [what, value])) };
    const { items } = stageMixture(stage, manifest);
    const tokens = items.reduce((sum, { source }) => sum + source.splits.train.tokens, 0);
    const settled = deriveStage(said, { model: model.config, tokens, openStages });
    stages.push(settled.stage);
    derivedStages[stage.name] = [...known, ...settled.derived];
  }
  const derived: Derived = { model: args.shape, stages: derivedStages };
  await writeAtomic(path, [Buffer.from(`${JSON.stringify({ recipe: hash, ...derived }, null, 2)}\n`)]);
  return { stages, derived };
}

/**
 * Throws RecipeError, DataError, CheckpointError, DivergenceError, what the engine and the model throw, and, when the signal is
 * aborted before the first step, its reason.
 */
export async function run(options: RunOptions): Promise<RunResult> {
  if (isItemRecipe(options.recipe)) return await runItems(options);
  using opened = await openRun(options);
  return await reported(opened, options, { engine: options.backend.description, work: (onEvent) => trainStages(opened, { ...options, onEvent }) });
}

/** The same without writing a report: to finish what somebody else has trained and reported. */
export async function runUnreported(options: RunOptions): Promise<RunResult> {
  using opened = await openRun(options);
  return await trainStages(opened, options);
}

async function trainStages(opened: OpenRun, options: RunOptions): Promise<RunResult> {
  const { recipe, backend, signal, onEvent = () => {} } = options;
  const { output, hash, checkpointFolder, modelFolder, latest, tokenizer, dataFolder, manifest, model, derived } = opened;
  const tokenBytes = tokenByteLengths(tokenizer);
  const metrics = new MetricsFile(join(output, 'metrics.jsonl'));
  const peak = await Peak.measure(backend);
  const results: StageSummary[] = [];
  const before = latest?.state.engine;
  const engine = before === undefined || before.endsWith(backend.description) ? (before ?? backend.description) : `${before}, then ${backend.description}`;
  let trained = false;
  if (latest !== undefined) {
    const finished = recipe.stages.slice(0, latest.state.stage).map((stage) => stage.name);
    metrics.keepUntil({ stages: finished, stage: latest.state.stageName, step: latest.state.step });
  } else {
    await rm(join(output, 'metrics.jsonl'), { force: true });
  }

  for (const [index, stage] of opened.stages.entries()) {
    if (latest !== undefined && index < latest.state.stage) {
      results.push(...latest.state.results.filter((result) => result.stage === stage.name));
      continue;
    }
    const from = latest?.state.stage === index ? latest : undefined;
    const parameters = beginStage(model, opened.adapter, { recipe, index });
    using data = openStage(dataFolder, manifest, stage, { recipe, index, contextLength: stage.context ?? model.config.contextLength });
    const open = derived.stages[stage.name] ?? [];
    if (open.length > 0) onEvent({ type: 'derived', of: stage.name, derived: open });
    const measured = new StepMeasurement(stage, model, { loader: data.loader, parameters });
    const plan = planStage({
      recipe, stage, index, model: model.config, mixtureTokens: data.epochTokens, maxSteps: options.maxSteps,
      steps: await stageSteps(stage, { output, hash, from, data, measured }),
    });
    const epochs = stageEpochs(data, plan.schedule.steps * stage.batch_tokens);
    onEvent({
      type: 'stage', stage: stage.name, steps: plan.schedule.steps, step: from?.state.step ?? 0, tokensPerStep: stage.batch_tokens,
      parameters: parameterCount(model.config), peakGflops: peak.gflops, epochs,
    });
    for (const text of describeLong(data, plan)) onEvent({ type: 'note', text });
    const stepsLeft = plan.schedule.steps - (from?.state.step ?? 0);
    if (stepsLeft * plan.accumulate >= WORTH_MEASURING) {
      const seconds = await measured.seconds();
      const measurements = Math.ceil(stepsLeft / plan.evalEvery) * (plan.evalTokens / stage.batch_tokens / 3);
      onEvent({
        type: 'estimate', stage: stage.name, steps: stepsLeft, tokens: stepsLeft * stage.batch_tokens, seconds: (stepsLeft + measurements) * seconds,
      });
    }
    const result: StageResult = await trainStage({
      plan, model, parameters, loader: data.loader, heldOut: data.heldOut, tokenBytes, turnStart: manifest.turnStart, padding: manifest.padding,
      checkpoints: { folder: checkpointFolder, recipe: hash, data: manifest.key, engine }, results, from, peak,
      seed: stageSeed(recipe, stage, index), sample: options.sample?.(tokenizer), onEvent, signal,
      record: (line) => {
        trained ||= line.type === 'step';
        metrics.append(line);
      },
    });
    results.push(result.summary);
    if (result.ended === 'finished') {
      onEvent({ type: 'stage-end', summary: result.summary });
      continue;
    }
    await writeLossCurve(output, recipe);
    return { ended: 'aborted', runFolder: output, modelFolder: null, stages: results };
  }
  await writeLossCurve(output, recipe);
  await exportModel({
    model, adapter: opened.adapter, base: opened.base, tokenizer, recipe, manifest, results, derived, target: modelFolder, backend: trained ? engine : (before ?? engine),
  });
  onEvent({ type: 'export', folder: modelFolder });
  return { ended: 'finished', runFolder: output, modelFolder, ...(endsInAdapter(recipe) && { adapterOf: opened.base ?? '' }), stages: results };
}

export interface OpenStage extends Disposable {
  readonly loader: Loader;
  readonly mixture: readonly { source: string; weight: number; lossWeight: number; tokens: number }[];
  readonly heldOut: readonly { name: string; shards: ShardReader; weight: number }[];
  /** Tokens of one epoch, or null where the mixture is by weights. */
  readonly epochTokens: number | null;
}

export function openStage(
  folder: string, manifest: Manifest, stage: CompleteStage, place: { recipe: Recipe; index: number; contextLength: number },
): OpenStage {
  using open = new DisposableStack();
  const reader = (source: ManifestSource, split: Split): ShardReader => open.use(
    new ShardReader(splitBase(folder, source.name, split), { vocabSize: manifest.tokenizer.vocabSize, parts: source.splits[split].parts }),
  );
  const mixture = stageMixture(stage, manifest);
  const loader = new Loader({
    sources: mixture.items.map(({ source, weight, lossWeight }) => ({ name: source.name, shards: reader(source, 'train'), weight, lossWeight })),
    contextLength: place.contextLength, rows: microRows(stage), seed: stageSeed(place.recipe, stage, place.index), loss: stageLoss(stage),
    longConversations: stage.long_conversations, turnStart: manifest.turnStart, padding: manifest.padding,
  });
  const heldOut = mixture.items.map(({ source, weight }) => ({ name: source.name, shards: reader(source, 'held-out'), weight }));
  const kept = open.move();
  return {
    loader, heldOut,
    mixture: mixture.items.map(({ source, weight, lossWeight }, i) => ({ source: source.name, weight, lossWeight, tokens: loader.sources[i]?.tokens ?? 1 })),
    epochTokens: mixture.epochTokens,
    [Symbol.dispose]: () => kept.dispose(),
  };
}

/**
 * Steps of a stage that is given in minutes: measured once on this machine and kept in the run's folder, so that resuming
 * trains by the same schedule. Null where the recipe says it otherwise.
 */
async function stageSteps(
  stage: CompleteStage, place: { output: string; hash: string; from: Checkpoint | undefined; data: OpenStage; measured: StepMeasurement },
): Promise<number | null> {
  if (place.from !== undefined) return place.from.state.steps;
  if (stage.minutes === undefined) return null;
  const known = await measuredSteps(place.output, place.hash);
  const kept = known[stage.name];
  if (kept !== undefined) return kept;
  const seconds = await place.measured.seconds();
  const steps = Math.max(LEAST_STEPS, Math.min(mostSteps(stage, place.data), Math.round((stage.minutes * 60) / seconds)));
  await writeAtomic(join(place.output, LENGTHS), [Buffer.from(JSON.stringify({ recipe: place.hash, steps: { ...known, [stage.name]: steps } }))]);
  return steps;
}

/** A stage given in minutes is no shorter than this. */
export const LEAST_STEPS = 20;

/** What max_epochs allows a stage given in minutes. */
export const mostSteps = (stage: CompleteStage, data: OpenStage): number =>
  (stage.max_epochs === undefined || data.epochTokens === null ? Infinity : Math.ceil((stage.max_epochs * data.epochTokens) / stage.batch_tokens));

/** Seconds that a step of a stage takes on this machine: measured when first asked for, the loader put back. */
class StepMeasurement {
  readonly #measure: () => Promise<number>;
  #seconds: Promise<number> | null = null;

  constructor(stage: CompleteStage, model: Transformer, { loader, parameters }: { loader: Loader; parameters: TrainedParameters }) {
    this.#measure = async () => {
      const before = loader.place;
      const seconds = await measureStepSeconds(model, loader, {
        accumulate: stage.batch_tokens / microRows(stage), optimizer: optimizerSettings(stage), trained: parameters.trained,
      });
      loader.seek(before);
      return seconds;
    };
  }

  seconds(): Promise<number> {
    return (this.#seconds ??= this.#measure());
  }
}

/** Steps, by stage, of stages given in minutes whose length has been measured in this run. */
export async function measuredSteps(output: string, hash: string): Promise<Readonly<Record<string, number>>> {
  const path = join(output, LENGTHS);
  const file = existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as { recipe: string; steps: Record<string, number> }) : null;
  return file?.recipe === hash ? file.steps : {};
}

/** Passes over each source that so many tokens of its mixture make. */
export function stageEpochs(data: OpenStage, tokens: number): Record<string, number> {
  const whole = data.mixture.reduce((sum, { weight }) => sum + weight, 0);
  return Object.fromEntries(data.mixture.map((entry) => [entry.source, Number(((tokens * entry.weight) / whole / entry.tokens).toFixed(2))]));
}

/** What became of conversations over the context, a line a source that has some. */
export function describeLong(data: OpenStage, plan: StagePlan): string[] {
  return data.loader.sources.filter(({ report }) => report.longConversations > 0 || report.tooShort > 0).map(({ name, report }) =>
    `${name}: ${report.longConversations} conversations are over the context of ${plan.contextLength} tokens (${plan.longConversations}); ` +
      `${report.droppedTokens} of their tokens are left out`);
}

/** loss-curve.svg of what the run has measured so far. */
export async function writeLossCurve(output: string, recipe: Recipe): Promise<void> {
  const metrics = join(output, 'metrics.jsonl');
  if (existsSync(metrics)) await writeFile(join(output, 'loss-curve.svg'), lossCurve(readMetrics(metrics), recipe.title ?? recipe.name));
}

function describeSource(source: ManifestSource): string {
  const { counts, splits } = source;
  const dropped = Object.entries(counts.dropped).map(([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`);
  const masked = Object.entries(counts.masked).map(([kind, count]) => `${count} ${kind}`);
  return `${source.name} (${source.files.map((file) => basename(file.path)).slice(0, 3).join(', ')}${source.files.length > 3 ? ', …' : ''}): ` +
    `${splits.train.documents.toLocaleString('en')} documents, ${splits.train.tokens.toLocaleString('en')} tokens to train on, ` +
    `${splits['held-out'].documents} held out${dropped.length === 0 ? '' : `; dropped: ${dropped.join(', ')}`}${masked.length === 0 ? '' : `; masked: ${masked.join(', ')}`}`;
}
