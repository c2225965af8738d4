/**
 * report.html in the run's folder: written again every few seconds while the run goes on, and once more when it has ended; or made
 * afterwards from what the run left. starts.jsonl beside it has a line for each time the run was started and each time it ended.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { type Manifest, readManifest } from '@parley/data';
import { parameterCount } from '@parley/model';
import packageJson from '../package.json' with { type: 'json' };
import { type Checkpoint, listCheckpoints } from './checkpoint.ts';
import type { Derived } from './dial.ts';
import { RecipeError, TrainError } from './errors.ts';
import type { TrainEvent } from './events.ts';
import { lockRun } from './lock.ts';
import { readMetrics } from './metrics.ts';
import { modelConfig, stageMixture } from './plan.ts';
import { parseRecipe, type Recipe, type RecipeStage } from './recipe.ts';
import { type PlannedStage, type RunReport, runReport } from './report.ts';
import { RunHistory } from './report-history.ts';
import { duration } from './report-html.ts';
import type { OpenRun, RunOptions } from './run.ts';

export const REPORT_FILE = 'report.html';
const STARTS_FILE = 'starts.jsonl';
/** As run.ts writes it. */
const DERIVED_FILE = 'derived.json';

/** Milliseconds between two versions, and how many times its own cost that is at least: half a percent of the run. */
const INTERVAL = 5000;
const TIMES_COST = 200;

type StartLine =
  | {
    readonly type: 'start'; readonly at: string; readonly engine: string; readonly parley: string; readonly node: string;
    readonly machine: string; readonly memory: string;
  }
  | { readonly type: 'end'; readonly at: string; readonly ended: 'finished' | 'aborted' | 'failed'; readonly message?: string };

/** What a report tells of a run beside its metrics. */
export interface ReportedRun extends Pick<OpenRun, 'output' | 'latest' | 'derived'> {
  readonly stages: readonly RecipeStage[];
  /** Null where there are items instead of shards. */
  readonly manifest: Manifest | null;
  readonly model: Pick<OpenRun['model'], 'config'>;
}

/**
 * Does the work of a run under a report. `work` gets an `onEvent` that keeps the report up to date and passes everything on. A report
 * that cannot be written is a note, not the end of the run.
 */
export async function reported<T extends { readonly ended: 'finished' | 'aborted' }>(
  opened: ReportedRun, options: RunOptions, args: { readonly engine: string; readonly work: (onEvent: (event: TrainEvent) => void) => Promise<T> },
): Promise<T> {
  const writer = new ReportWriter(opened, options, args.engine);
  try {
    const result = await args.work((event) => writer.event(event));
    await writer.end(result.ended);
    return result;
  } catch (error) {
    await writer.end(options.signal?.aborted === true ? 'aborted' : 'failed', error instanceof Error ? error.message : String(error));
    throw error;
  }
}

class ReportWriter {
  readonly #opened: ReportedRun;
  readonly #options: RunOptions;
  readonly #starts: StartLine[];
  readonly #passes = new Map<string, Readonly<Record<string, number>>>();
  #stages: readonly PlannedStage[];
  #history: RunHistory | null = null;
  #left: RunReport['left'] = { stage: null, run: null };
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> | null = null;
  #lastWrite = -Infinity;
  #cost = 0;
  #broken = false;

  constructor(opened: ReportedRun, options: RunOptions, engine: string) {
    this.#opened = opened;
    this.#options = options;
    for (const { stage, epochs } of opened.latest?.state.results ?? []) this.#passes.set(stage, epochs);
    this.#stages = plannedStages(opened.stages, opened.manifest, options.maxSteps);
    this.#starts = readStarts(opened.output);
    this.#record({ type: 'start', at: new Date().toISOString(), engine, ...environment() });
  }

  event(event: TrainEvent): void {
    this.#options.onEvent?.(event);
    // Only now: what came after the checkpoint that a run goes on from has been dropped from the file.
    this.#history ??= event.type === 'stage' || event.type === 'export' ? this.#load() : null;
    if (event.type === 'stage') {
      this.#passes.set(event.stage, event.epochs);
      this.#stages = this.#stages.map((stage) => (stage.name === event.stage ? { ...stage, steps: event.steps, batchTokens: event.tokensPerStep } : stage));
    } else if (this.#history !== null && (event.type === 'step' || event.type === 'held-out' || event.type === 'scores' || event.type === 'sample' || event.type === 'skip')) {
      this.#history.add(event);
      if (event.type === 'step') this.#left = timeLeft(this.#stages, event);
    } else if (event.type !== 'stage-end') {
      return;
    }
    this.#schedule();
  }

  async end(ended: 'finished' | 'aborted' | 'failed', message?: string): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#writing;
    this.#record({ type: 'end', at: new Date().toISOString(), ended, ...(message === undefined || ended !== 'failed' ? {} : { message }) });
    this.#left = { stage: null, run: null };
    await this.#write();
  }

  #load(): RunHistory {
    return readHistory(this.#opened.output);
  }

  #record(line: StartLine): void {
    this.#starts.push(line);
    try {
      appendFileSync(join(this.#opened.output, STARTS_FILE), `${JSON.stringify(line)}\n`);
    } catch (error) {
      this.#complain(error);
    }
  }

  /** A timer gets its turn between two steps, so nothing of this is in a step's time. */
  #schedule(): void {
    if (this.#timer !== null || this.#writing !== null) return;
    const due = this.#lastWrite + Math.max(INTERVAL, TIMES_COST * this.#cost);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#writing = this.#write().finally(() => {
        this.#writing = null;
      });
    }, Math.max(0, due - performance.now()));
    this.#timer.unref();
  }

  async #write(): Promise<void> {
    const started = performance.now();
    try {
      const html = runReport(this.#report());
      this.#cost = performance.now() - started;
      this.#lastWrite = performance.now();
      await replaceFile(join(this.#opened.output, REPORT_FILE), html);
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    if (!this.#broken) this.#options.onEvent?.({ type: 'note', text: `the report could not be written, training goes on without it: ${String(error)}` });
    this.#broken = true;
  }

  #report(): RunReport {
    const { recipe } = this.#options;
    const { manifest, model, latest } = this.#opened;
    return {
      name: recipe.name, title: recipe.title ?? recipe.name, description: recipe.description ?? null, ...stateOf(this.#starts, null),
      updated: new Date(), refresh: Math.max(INTERVAL, TIMES_COST * this.#cost) / 1000, stages: this.#stages, left: this.#left, parameters: parameterCount(model.config),
      history: this.#history ?? (this.#history = this.#load()), manifest, passes: this.#passes, results: latest?.state.results ?? [],
      recipe: this.#options.text ?? JSON.stringify(recipe, null, 2), derived: this.#opened.derived, environment: environmentRows(this.#starts, recipe),
    };
  }
}

/**
 * Makes report.html of a run from what is in its folder, for one that was trained before there were reports or that was killed.
 * Returns where it is. Throws TrainError where there is no run, CheckpointError while a process trains into it.
 */
export async function writeRunReport(folder: string, target?: string): Promise<string> {
  const metrics = join(folder, 'metrics.jsonl');
  if (!existsSync(metrics)) throw new TrainError(`${folder} holds no metrics.jsonl: give the folder of a run, such as runs/NAME`);
  using _lock = lockRun(folder);
  const text = await readFile(join(folder, 'recipe.yaml'), 'utf8').catch(() => null);
  const { recipe, problem } = readRecipe(text, join(folder, 'recipe.yaml'));
  const manifest = await readManifest(join(folder, 'data')).catch(() => null);
  const latest = (await listCheckpoints(join(folder, 'checkpoints'))).at(-1);
  const starts = readStarts(folder);
  const results = latest?.state.results ?? [];
  const history = readHistory(folder);
  const derived = await readDerived(folder);
  const open = recipe?.stages.map((stage) => ({ ...stage, ...Object.fromEntries((derived?.stages[stage.name] ?? []).map(({ what, value }) => [what, value])) }));
  const planned = plannedStages(open ?? [], manifest, undefined).map((stage, i) => {
    if (latest === undefined || i > latest.state.stage) return stage;
    return { ...stage, steps: i === latest.state.stage ? latest.state.steps : (results.find(({ stage: name }) => name === stage.name)?.steps ?? stage.steps) };
  });
  const name = recipe?.name ?? basename(resolve(folder));
  const path = target ?? join(folder, REPORT_FILE);
  const state = stateOf(starts, finished(latest, recipe));
  await replaceFile(path, runReport({
    name, title: recipe?.title ?? name, description: recipe?.description ?? null, ...state, message: state.message ?? problem,
    updated: new Date(), stages: planned, left: { stage: null, run: null }, parameters: recipe === null || manifest === null ? null : parametersOf(recipe, manifest.tokenizer.vocabSize),
    history, manifest, passes: new Map(results.map(({ stage, epochs }) => [stage, epochs])), results, recipe: text, derived,
    environment: environmentRows(starts.length > 0 || latest?.state.engine === undefined ? starts : [{ engine: latest.state.engine }], recipe),
  }));
  return path;
}

function readRecipe(text: string | null, path: string): { recipe: Recipe | null; problem: string | null } {
  if (text === null) return { recipe: null, problem: 'There is no recipe.yaml in the run’s folder.' };
  try {
    return { recipe: parseRecipe(text, path), problem: null };
  } catch (error) {
    if (!(error instanceof RecipeError)) throw error;
    return { recipe: null, problem: `The recipe was written for another version of Parley, so its stages are not known here: ${error.message}` };
  }
}

async function readDerived(folder: string): Promise<Derived | null> {
  const path = join(folder, DERIVED_FILE);
  return existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as Derived) : null;
}

function parametersOf(recipe: Recipe, vocabSize: number): number | null {
  if (typeof recipe.model === 'object' && recipe.model.from !== undefined) return null;
  return parameterCount(modelConfig(recipe, vocabSize));
}

function finished(latest: Checkpoint | undefined, recipe: Recipe | null): boolean | null {
  if (latest === undefined) return false;
  return recipe === null ? null : latest.state.stage === recipe.stages.length - 1 && latest.state.step === latest.state.steps;
}

/** By the last line that says so; `done`, where it is known, is what the checkpoints say of a run that nobody works on. */
function stateOf(starts: readonly StartLine[], done: boolean | null): Pick<RunReport, 'state' | 'message'> {
  const last = starts.at(-1);
  if (done === true) return { state: 'finished', message: null };
  if (last?.type === 'end') return { state: last.ended === 'aborted' ? 'stopped' : last.ended, message: last.message ?? null };
  if (done === null && last?.type === 'start') return { state: 'running', message: null };
  return { state: 'stopped', message: null };
}

/** What a run has measured so far. */
export function readHistory(folder: string): RunHistory {
  const history = new RunHistory();
  const path = join(folder, 'metrics.jsonl');
  if (existsSync(path)) for (const line of readMetrics(path)) history.add(line);
  return history;
}

/** What the recipe says of its stages' lengths. */
function plannedStages(stages: readonly RecipeStage[], manifest: Manifest | null, maxSteps: number | undefined): PlannedStage[] {
  return stages.map((stage) => {
    const { batch_tokens: batchTokens = null } = stage;
    let tokens = stage.tokens ?? null;
    if (stage.epochs !== undefined && manifest !== null) {
      const { epochTokens } = stageMixture(stage, manifest);
      tokens = epochTokens === null ? null : epochTokens * stage.epochs;
    }
    const steps = stage.steps ?? (tokens === null || batchTokens === null ? null : Math.max(1, Math.round(tokens / batchTokens)));
    return {
      name: stage.name, kind: stage.kind, batchTokens, seconds: stage.minutes === undefined ? null : stage.minutes * 60, clip: stage.clip ?? null,
      steps: steps === null ? null : Math.min(steps, maxSteps ?? Infinity),
    };
  });
}

/** Of the stage: what it says. Of the run: later stages' tokens at this stage's speed, or their minutes. */
function timeLeft(stages: readonly PlannedStage[], event: Extract<TrainEvent, { type: 'step' }>): RunReport['left'] {
  const index = stages.findIndex(({ name }) => name === event.stage);
  const here = stages[index];
  if (here === undefined) return { stage: event.secondsLeft, run: null };
  const perStep = event.step < event.steps ? event.secondsLeft / (event.steps - event.step) : event.timing.ms / 1000;
  let run: number | null = event.secondsLeft;
  for (const { steps, batchTokens, seconds } of stages.slice(index + 1)) {
    const needed = steps === null || batchTokens === null || here.batchTokens === null ? seconds : (steps * batchTokens * perStep) / here.batchTokens;
    run = run === null || needed === null ? null : run + needed;
  }
  return { stage: event.secondsLeft, run };
}

function environment(): Pick<Extract<StartLine, { type: 'start' }>, 'parley' | 'node' | 'machine' | 'memory'> {
  const model = cpus()[0]?.model.trim().replaceAll(/\s+/g, ' ');
  return {
    parley: packageJson.version, node: process.versions.node,
    machine: `${platform()} ${release()} ${arch()}, ${availableParallelism()} cores${model === undefined || model === '' || model === 'unknown' ? '' : ` of ${model}`}`,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
  };
}

/** As facts, the newest start's; and how often and how long the run was worked on. */
function environmentRows(starts: readonly (StartLine | { readonly engine: string; readonly type?: never })[], recipe: Recipe | null): [string, string][] {
  const rows: [string, string][] = [];
  const begun = starts.filter((line) => line.type !== 'end');
  const last = begun.at(-1);
  if (last !== undefined) rows.push(['computed by', last.engine]);
  if (last?.type === 'start') {
    rows.push(['versions', `Parley ${last.parley}, Node ${last.node}`], ['machine', `${last.machine}, ${last.memory} of memory`]);
    const first = begun[0];
    if (first?.type === 'start') rows.push(['started', first.at.slice(0, 16).replace('T', ' ') + ' UTC' + (begun.length > 1 ? `, and ${begun.length - 1} times again, last ${last.at.slice(0, 16).replace('T', ' ')} UTC` : '')]);
    let seconds = 0;
    let since: number | null = null;
    for (const line of starts) {
      if (line.type === 'start') since = Date.parse(line.at);
      if (line.type !== 'end' || since === null) continue;
      seconds += (Date.parse(line.at) - since) / 1000;
      since = null;
    }
    if (since !== null) seconds += (Date.now() - since) / 1000;
    rows.push(['time', duration(seconds)]);
  }
  if (recipe !== null) rows.push(['seed', String(recipe.seed)]);
  return rows;
}

function readStarts(folder: string): StartLine[] {
  const path = join(folder, STARTS_FILE);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as StartLine];
    } catch {
      return []; // Cut by a kill.
    }
  });
}

/** A reader finds the old file or the new one. It is not flushed to the disk: what is lost with the power is made again. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
