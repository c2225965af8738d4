/**
 * A recipe from its first line to a model folder:
 *
 *   tokenizer → shards → model → each stage (train, measure, checkpoint, report) → model folder, card, loss curve
 *
 * Everything goes to the run's folder. Each part is kept when it is there already and belongs to the same recipe, which is
 * what resuming is.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type Backend, Random } from '@parley/engine';
import { Loader, type Manifest, type ManifestSource, prepare, ShardReader, type Split, splitBase } from '@parley/data';
import { type LoraAdapter, parameterCount, Transformer } from '@parley/model';
import { loadModel, resolveModel, writeAtomic } from '@parley/model/node';
import type { Tokenizer } from '@parley/tokenizer';
import { baseDType, beginStage, endsInAdapter, recipeAdapter, type TrainedParameters } from './adapter.ts';
import { type Checkpoint, listCheckpoints, type StageSummary } from './checkpoint.ts';
import { type CompleteStage, type Derivation, type Derived, deriveStage } from './dial.ts';
import { CheckpointError, TrainError } from './errors.ts';
import type { TrainEvent } from './events.ts';
import { exportModel, refuseForeignTarget } from './export.ts';
import { lossCurve } from './chart.ts';
import { lockRun } from './lock.ts';
import { MetricsFile, readMetrics } from './metrics.ts';
import { Peak } from './peak.ts';
import { microRows, modelShape, optimizerSettings, planStage, sourceSpecs, stageLoss, stageMixture } from './plan.ts';
import type { Recipe, RecipeStage } from './recipe.ts';
import { reported } from './report-writer.ts';
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

/** Where a recipe's run lives. */
export function runFolder(recipe: Recipe, folder: string): string {
  return recipe.output === undefined ? resolve('runs', recipe.name) : resolve(folder, recipe.output);
}

/** A run with its tokenizer, shards and model at hand, whoever trains it. Until disposed, no other process takes its folder. */
export interface OpenRun extends Disposable {
  readonly output: string;
  /** Of the recipe, as checkpoints carry it. */
  readonly hash: string;
  readonly checkpointFolder: string;
  /** Where the model goes at the end. */
  readonly modelFolder: string;
  readonly latest: Checkpoint | undefined;
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
  const output = options.output ?? runFolder(recipe, folder);
  const hash = recipeHash(recipe, options.maxSteps);
  const checkpointFolder = join(output, 'checkpoints');
  // A trial run does not take a finished model's place.
  const trial = options.maxSteps !== undefined || recipe.export.path === undefined;
  const modelFolder = trial ? join(output, endsInAdapter(recipe) ? 'adapter' : 'model') : resolve(folder, recipe.export.path ?? '');
  await mkdir(output, { recursive: true });
  await refuseForeignFolder(output);
  await refuseForeignTarget(modelFolder);
  using open = new DisposableStack();
  open.use(lockRun(output));
  const checkpoints = await listCheckpoints(checkpointFolder);
  const latest = checkpoints.at(-1);
  guard({ output, hash, latest, stages: recipe.stages.length, resume: options.resume ?? false });
  if (options.resume === true && latest === undefined) onEvent({ type: 'note', text: `There is no checkpoint in ${output} to go on from: starting at the beginning.` });
  await writeFile(join(output, 'recipe.yaml'), options.text ?? JSON.stringify(recipe, null, 2));

  const specs = sourceSpecs(recipe, folder);
  const base = typeof recipe.model === 'object' && recipe.model.from !== undefined ? await resolveModel(modelPath(recipe.model.from, folder)) : null;
  const tokenizer = await prepareTokenizer({ recipe, folder, specs, base, target: join(output, 'tokenizer'), begun: latest !== undefined, onEvent, signal });
  const dataFolder = join(output, 'data');
  const prepared = await prepare({
    sources: specs, tokenizer, folder: dataFolder, heldOut: recipe.data.held_out, deduplicate: recipe.data.deduplicate,
    clean: recipe.data.clean, signal, onProgress: (progress) => onEvent({ type: 'prepare', ...progress }),
  });
  if (latest?.state.data !== undefined && latest.state.data !== prepared.manifest.key) {
    throw new CheckpointError(
      `the texts or the tokenizer have changed since the run in ${output} began, so going on would mix two data sets: ` +
        'put them back, or start a new run under another name',
    );
  }
  for (const source of prepared.manifest.sources) onEvent({ type: 'note', text: describeSource(source) });

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

/** Everything in a recipe that decides the bits of its checkpoints. What is only printed, measured or exported is left out. */
export function recipeHash(recipe: Recipe, maxSteps?: number): string {
  const { title: _t, description: _d, licence: _l, output: _o, export: _e, ...rest } = recipe;
  const stages = rest.stages.map(({
    eval_every: _1, eval_tokens: _2, sample_every: _3, samples: _4, checkpoint_every: _5, keep_checkpoints: _6, ...decisive
  }) => decisive);
  return createHash('sha256').update(JSON.stringify({ ...rest, stages, maxSteps })).digest('hex');
}

/** A run writes and removes parts of its folder by their names, so the folder is its own. */
async function refuseForeignFolder(output: string): Promise<void> {
  const names = await readdir(output);
  const foreign = names.find((name) => name !== 'lock');
  if (foreign === undefined || names.includes('recipe.yaml')) return;
  throw new TrainError(`${output} holds ${foreign} and no run: a run needs a folder of its own, choose another`);
}

/** Nothing is overwritten and nothing is continued unless that is what was asked. */
function guard(run: { output: string; hash: string; latest: Checkpoint | undefined; stages: number; resume: boolean }): void {
  const { output, latest, stages, resume } = run;
  // A run may have ended before its first checkpoint: starting again and going on are then the same.
  if (latest === undefined) return;
  const at = `step ${latest.state.step} of ${latest.state.steps} of stage "${latest.state.stageName}"`;
  const finished = latest.state.stage === stages - 1 && latest.state.step === latest.state.steps;
  if (!resume && finished) {
    throw new CheckpointError(`${output} holds a run that is finished: train under another name, or remove the folder to train again`);
  }
  if (!resume) throw new CheckpointError(`${output} holds a run at ${at}: pass --resume to go on with it, or remove the folder to start again`);
  if (latest.state.recipe !== run.hash) {
    throw new CheckpointError(
      `the recipe has changed since the run in ${output} (at ${at}) began, so going on would give neither model: ` +
        'undo the change (flags such as --minutes count; the old recipe is recipe.yaml there), or train under another name',
    );
  }
}

export const stageSeed = (recipe: Recipe, stage: RecipeStage, index: number): number => stage.seed ?? recipe.seed * 1000 + index;

export interface OpenStage extends Disposable {
  readonly loader: Loader;
  readonly mixture: readonly { source: string; weight: number; tokens: number }[];
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
    sources: mixture.items.map(({ source, weight }) => ({ name: source.name, shards: reader(source, 'train'), weight })),
    contextLength: place.contextLength, rows: microRows(stage), seed: stageSeed(place.recipe, stage, place.index), loss: stageLoss(stage),
    longConversations: stage.long_conversations, turnStart: manifest.turnStart, padding: manifest.padding,
  });
  const heldOut = mixture.items.map(({ source, weight }) => ({ name: source.name, shards: reader(source, 'held-out'), weight }));
  const kept = open.move();
  return {
    loader, heldOut,
    mixture: mixture.items.map(({ source, weight }, i) => ({ source: source.name, weight, tokens: loader.sources[i]?.tokens ?? 1 })),
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

const modelPath = (from: string, folder: string): string => (/^[./]/.test(from) ? resolve(folder, from) : from);

function describeSource(source: ManifestSource): string {
  const { counts, splits } = source;
  const dropped = Object.entries(counts.dropped).map(([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`);
  return `${source.name} (${source.files.map((file) => basename(file.path)).slice(0, 3).join(', ')}${source.files.length > 3 ? ', …' : ''}): ` +
    `${splits.train.documents.toLocaleString('en')} documents, ${splits.train.tokens.toLocaleString('en')} tokens to train on, ` +
    `${splits['held-out'].documents} held out${dropped.length === 0 ? '' : `; dropped: ${dropped.join(', ')}`}`;
}
