/**
 * Training past what the embedded engine can do: a recipe's stages on PyTorch, by torch/runner.py. Parley decides everything that
 * is to be decided (tokens, first weights, schedule, which pieces of documents each step takes) and writes it to the run's folder:
 *
 *   RUN/torch/runner.py, plan.json, initial.safetensors, and per stage NN-NAME.{pieces,order,steps,places,held-out}
 *
 * The runner computes, and writes the checkpoints and metrics that this package knows. So a prepared folder can be carried to a
 * machine that has only Python, and brought back. Just over 400 lines: what is written here is one format, which runner.py reads.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { IGNORED, type Loader, splitBase } from '@parley/data';
import { optionalFeatures, parameterCount, parameterSpecs } from '@parley/model';
import { writeAtomic } from '@parley/model/node';
import { listCheckpoints } from './checkpoint.ts';
import { DivergenceError, RecipeError, TrainError } from './errors.ts';
import { heldOutBatches } from './evaluate.ts';
import type { TrainEvent } from './events.ts';
import { planStage } from './plan.ts';
import type { Recipe } from './recipe.ts';
import type { CompleteStage } from './dial.ts';
import { reported } from './report-writer.ts';
import {
  describeLong, LEAST_STEPS, measuredSteps, mostSteps, type OpenRun, openRun, openStage, type OpenStage, type RunOptions, type RunResult, runUnreported, stageEpochs,
  writeLossCurve,
} from './run.ts';
import type { StagePlan } from './stage.ts';
import { writeTensors } from './tensor-file.ts';
import { tokenByteLengths } from './vocabulary.ts';

const RUNNER = fileURLToPath(new URL('../torch/runner.py', import.meta.url));
const PLAN_VERSION = 3;

/** Nothing trains faster: so many steps of a stage in minutes are ordered, and the runner measures how many there will be. */
const MOST_STEPS_A_SECOND = 40;
const MOST_TOKENS_A_SECOND = 4e6;

export interface TorchOptions extends RunOptions {
  /** The Python to run; default: python3, then /usr/bin/python3, the first that has PyTorch. */
  readonly python?: string | undefined;
  /** Processes on this machine, one a GPU; above 1 under torchrun. Default 1. */
  readonly processes?: number | undefined;
  /** Further arguments of runner.py, such as --device cpu. */
  readonly runnerArguments?: readonly string[] | undefined;
}

/**
 * Trains a recipe on PyTorch and exports the model. `backend` makes the first weights and reads the last ones. Throws what `run`
 * throws, and TrainError where there is no Python with PyTorch or the runner fails.
 */
export async function runTorch(options: TorchOptions): Promise<RunResult> {
  const { onEvent = () => {}, signal } = options;
  refuseForeignStages(options.recipe);
  const python = await findPython(options.python); // Before the hours that preparing may take.
  {
    using opened = await openRun(options);
    await writeRunnerFolder(opened, options);
    onEvent({ type: 'note', text: `training on PyTorch ${python.torch} (${python.path})` });
    const { ended } = await reported(opened, options, {
      engine: `PyTorch ${python.torch}`, work: async (told) => ({ ended: await runRunner(python, opened, { ...options, onEvent: told }) }),
    });
    if (ended === 'aborted') {
      await writeLossCurve(opened.output, options.recipe);
      const last = (await listCheckpoints(opened.checkpointFolder)).at(-1);
      return { ended, runFolder: opened.output, modelFolder: null, stages: last?.state.results ?? [] };
    }
  }
  // What is left of a run whose last step is done: the model folder, the card, the curve.
  const { sample: _, ...rest } = options;
  return runUnreported({
    ...rest, resume: true, signal,
    onEvent: (event) => {
      if (event.type === 'export') onEvent(event);
    },
  });
}

/**
 * Only fills the run's folder, for a machine without Node: there `python RUN/torch/runner.py` or `torchrun … RUN/torch/runner.py`
 * trains, and with the folder back here `run` with `resume` exports the model.
 */
export async function prepareTorch(options: RunOptions): Promise<{ runFolder: string; runner: string }> {
  refuseForeignStages(options.recipe);
  using opened = await openRun(options);
  await writeRunnerFolder(opened, options);
  return { runFolder: opened.output, runner: join(opened.output, 'torch', 'runner.py') };
}

/** Throws RecipeError for what the runner does not train. */
function refuseForeignStages(recipe: Recipe): void {
  const foreign = recipe.stages.find(({ kind, lora }) => lora !== undefined || (kind !== 'pretrain' && kind !== 'finetune'));
  if (foreign === undefined) return;
  const what = foreign.lora === undefined ? `of kind ${foreign.kind}` : 'with lora';
  throw new RecipeError(recipe.name, [`stage "${foreign.name}" is ${what}, which the torch engine does not train: leave --engine torch out`]);
}

export interface Python {
  readonly path: string;
  /** The version of its PyTorch. */
  readonly torch: string;
}

/** Asking takes seconds, the time that importing PyTorch takes. */
const asked = new Map<string, Promise<Python | string>>();

/** The first Python that can run the runner. Throws TrainError that says what each one lacks. */
export async function findPython(wanted?: string): Promise<Python> {
  const problems: string[] = [];
  for (const path of wanted === undefined ? ['python3', '/usr/bin/python3', 'python'] : [wanted]) {
    const answer = asked.get(path) ?? askPython(path);
    asked.set(path, answer);
    const found = await answer;
    if (typeof found !== 'string') return found;
    problems.push(found);
    asked.delete(path); // It may be installed meanwhile.
  }
  throw new TrainError(`${problems.join('; ')}: install PyTorch (pip install torch numpy), or name the Python that has it with --python PATH`);
}

/** The Python at a path, or what is wrong with it. */
async function askPython(path: string): Promise<Python | string> {
  const script = 'import sys\nif sys.version_info < (3, 9): sys.exit("is Python " + sys.version.split()[0] + ", and 3.9 is the oldest that serves")\n' +
    'try:\n import numpy, torch\nexcept ImportError as error: sys.exit("has no PyTorch (" + str(error) + ")")\nprint(torch.__version__)';
  return new Promise((resolve) => {
    execFile(path, ['-c', script], (error, stdout, stderr) => {
      if (error !== null) {
        const last = stderr.trim().split('\n').at(-1) ?? '';
        resolve(`${path} ${error.code === 'ENOENT' ? 'is not there' : last || error.message}`);
        return;
      }
      const torch = stdout.trim();
      const [major = 0, minor = 0] = torch.split('.').map(Number);
      resolve(major > 1 || minor >= 13 ? { path, torch } : `${path} has PyTorch ${torch}, and 1.13 is the oldest that serves`);
    });
  });
}

/** Writes everything in RUN/torch, plan.json last: what the runner starts from is whole. */
async function writeRunnerFolder(opened: OpenRun, options: RunOptions): Promise<void> {
  const { output, hash, latest, model, manifest } = opened;
  const { recipe, signal, onEvent = () => {} } = options;
  const features = optionalFeatures(model.config);
  if (features.length > 0) {
    throw new TrainError(`the ${model.config.family} model has ${features.join(', ')}, which runner.py does not compute: train it without --engine torch`);
  }
  for (const { name } of recipe.stages) {
    const open = opened.derived.stages[name] ?? [];
    if (open.length > 0) onEvent({ type: 'derived', of: name, derived: open });
  }
  const target = join(output, 'torch');
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  await copyFile(RUNNER, join(target, 'runner.py'));
  await writeTensors(join(target, 'initial.safetensors'), model.parameters);
  const measured = await measuredSteps(output, hash);
  const stages: object[] = [];
  for (const [index, stage] of opened.stages.entries()) {
    if (latest !== undefined && index < latest.state.stage) continue;
    const steps = latest?.state.stage === index ? latest.state.steps : (measured[stage.name] ?? null);
    using data = openStage(opened.dataFolder, manifest, stage, { recipe, index, contextLength: stage.context ?? model.config.contextLength });
    const longest = steps === null && stage.minutes !== undefined ? longestSteps(stage, stage.minutes, data) : null;
    const plan = planStage({
      recipe, stage, index, model: model.config, mixtureTokens: data.epochTokens, maxSteps: options.maxSteps, steps: steps ?? longest,
    });
    for (const text of describeLong(data, plan)) onEvent({ type: 'note', text });
    stages.push(await writeStage({ opened, target, stage, plan, data, measure: longest !== null, signal }));
  }
  const written = {
    version: PLAN_VERSION, recipe: hash, data: manifest.key, model: model.config, parameterCount: parameterCount(model.config),
    parameters: parameterSpecs(model.config).map(({ name, shape, kind }) => ({ name, shape, kind, decays: shape.length > 1 })),
    tokenBytes: manifest.tokenBytes, padding: manifest.padding, stageNames: recipe.stages.map(({ name }) => name), stages,
  };
  await writeAtomic(join(target, 'plan.json'), [Buffer.from(`${JSON.stringify(written, null, 1)}\n`)]);
}

/** More steps than a stage in minutes can have. */
const longestSteps = (stage: CompleteStage, minutes: number, data: OpenStage): number => Math.max(LEAST_STEPS, Math.ceil(Math.min(
  mostSteps(stage, data), minutes * 60 * MOST_STEPS_A_SECOND, (minutes * 60 * MOST_TOKENS_A_SECOND) / stage.batch_tokens,
)));

interface StageFolder {
  readonly opened: OpenRun;
  readonly target: string;
  readonly stage: CompleteStage;
  readonly plan: StagePlan;
  readonly data: OpenStage;
  /** Whether the plan has more steps than there will be, and the runner finds out how many. */
  readonly measure: boolean;
  readonly signal: AbortSignal | undefined;
}

/** One stage's files, and its part of plan.json. */
async function writeStage(args: StageFolder): Promise<object> {
  const { opened, target, stage, plan, data } = args;
  const { loader } = data;
  const base = `${String(plan.index + 1).padStart(2, '0')}-${plan.name}`;
  const files = { pieces: `${base}.pieces`, order: `${base}.order`, steps: `${base}.steps`, places: `${base}.places` };
  const { shards, first } = await writePieces(join(target, files.pieces), args);
  await writeOrder(target, files, { loader, plan, first, signal: args.signal });
  return {
    index: plan.index, name: plan.name, kind: plan.kind, schedule: plan.schedule, optimizer: plan.optimizer, objective: plan.objective,
    spikeThreshold: plan.spikeThreshold, minutes: args.measure ? stage.minutes : null, warmupShare: stage.warmup < 1 ? stage.warmup : null,
    contextLength: plan.contextLength,
    rows: plan.rows, batchTokens: stage.batch_tokens, evalEvery: plan.evalEvery, checkpointEvery: plan.checkpointEvery,
    keepCheckpoints: plan.keepCheckpoints, files, shards, epochs: stageEpochs(data, plan.schedule.steps * stage.batch_tokens),
    sources: loader.sources.map(({ name, tokens }) => ({ name, tokens })), heldOut: await writeHeldOut(opened, { target, base, plan, data }),
  };
}

/**
 * NN-NAME.pieces: 16 bytes a piece, little-endian: f64 first token in its file, u32 tokens, u16 file (an index into `shards`), u16 1
 * where the loss mask counts. `first`: the number of each source's first piece.
 */
async function writePieces(path: string, { opened, plan, data }: StageFolder): Promise<{ shards: object[]; first: number[] }> {
  const shards: { tokens: string; mask: string | null; lossWeight: number }[] = [];
  const first: number[] = [];
  let count = 0;
  const out = new Output(path);
  for (const [source, { name }] of data.loader.sources.entries()) {
    const pieces = data.loader.pieces(source);
    const { lossWeight = 1 } = data.mixture[source] ?? {};
    first.push(count);
    count += pieces.count;
    const { parts } = opened.manifest.sources.find((entry) => entry.name === name)?.splits.train ?? { parts: 0 };
    const offset = shards.length;
    for (let part = 0; part < parts; part++) {
      const file = `${splitBase(opened.dataFolder, name, 'train')}.${String(part).padStart(3, '0')}`;
      // Forward slashes: another machine may read them.
      const inRun = (kind: string): string => relative(opened.output, `${file}.${kind}`).replaceAll('\\', '/');
      shards.push({ tokens: inRun('tokens'), mask: existsSync(`${file}.mask`) ? inRun('mask') : null, lossWeight });
    }
    const bytes = Buffer.alloc(16 * pieces.count);
    for (let index = 0; index < pieces.count; index++) {
      const { part, start, length, conversation } = pieces.piece(index);
      bytes.writeDoubleLE(start, 16 * index);
      bytes.writeUInt32LE(length, 16 * index + 8);
      bytes.writeUInt16LE(offset + part, 16 * index + 12);
      bytes.writeUInt16LE(conversation && plan.loss === 'assistant' ? 1 : 0, 16 * index + 14);
    }
    out.write(bytes);
  }
  out.close();
  return { shards, first };
}

/**
 * NN-NAME.order: the pieces' numbers (u32) in the order they are learned; .steps: how many of them each step takes (u32);
 * .places: the loader's place as a JSON line before the first step and after each.
 */
async function writeOrder(
  target: string, files: { order: string; steps: string; places: string },
  { loader, plan, first, signal }: { loader: Loader; plan: StagePlan; first: readonly number[]; signal: AbortSignal | undefined },
): Promise<void> {
  const order = new Output(join(target, files.order));
  const steps = new Output(join(target, files.steps));
  const places = new Output(join(target, files.places));
  const place = (): void => places.write(Buffer.from(`${JSON.stringify(loader.place)}\n`));
  place();
  for (let step = 0; step < plan.schedule.steps; step++) {
    if (step % 64 === 0) {
      await setImmediate();
      signal?.throwIfAborted();
    }
    const taken: number[] = [];
    for (let part = 0; part < plan.accumulate; part++) {
      for (const [source, piece] of loader.nextPieces()) taken.push((first[source] ?? 0) + piece);
    }
    order.write(integers(taken));
    steps.write(integers([taken.length]));
    place();
  }
  for (const file of [order, steps, places]) file.close();
}

/** NN-NAME-SOURCE.held-out: for each batch i32 tokens (rows), targets (rows), positions (rows). */
async function writeHeldOut(
  opened: OpenRun, { target, base, plan, data }: { target: string; base: string; plan: StagePlan; data: OpenStage },
): Promise<object[]> {
  const { manifest, tokenizer } = opened;
  const tokenBytes = tokenByteLengths(tokenizer);
  const present = data.heldOut.filter(({ shards }) => shards.documents > 0);
  const whole = present.reduce((sum, { weight }) => sum + weight, 0);
  const options = {
    contextLength: plan.contextLength, rows: plan.rows, tokens: plan.evalTokens, loss: plan.loss, longConversations: plan.longConversations,
    turnStart: manifest.turnStart, padding: manifest.padding, tokenBytes,
  };
  return present.map(({ name, shards, weight }) => {
    const file = `${base}-${name}.held-out`;
    const out = new Output(join(target, file));
    const counts = { batches: 0, targets: 0, bytes: 0 };
    for (const batch of heldOutBatches(shards, options, weight / whole)) {
      for (const values of [batch.tokens, batch.targets, batch.positions]) out.write(integers(values));
      counts.batches++;
      counts.targets += batch.targetCount;
      for (const id of batch.targets) if (id !== IGNORED) counts.bytes += tokenBytes[id] ?? 0;
    }
    out.close();
    return { name, weight, file, ...counts };
  });
}

/** A file that is written from its beginning to its end, in large pieces. */
class Output {
  readonly #file: number;
  #waiting: Uint8Array[] = [];
  #bytes = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  write(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes > 1 << 20) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#waiting);
    for (let done = 0; done < bytes.length;) done += writeSync(this.#file, bytes, done);
    this.#waiting = [];
    this.#bytes = 0;
  }
}

/** 32-bit integers, little-endian, whatever the machine's own order. */
function integers(values: ArrayLike<number> & Iterable<number>): Uint8Array {
  const bytes = Buffer.alloc(4 * values.length);
  let at = 0;
  for (const value of values) at = bytes.writeInt32LE(value | 0, at);
  return bytes;
}

/** What the runner says beside the events of training. */
type RunnerEvent =
  | TrainEvent
  | { readonly type: 'finished' }
  | { readonly type: 'aborted' }
  | { readonly type: 'error'; readonly message: string; readonly kind?: 'divergence'; readonly step?: number };

/** Runs the runner to its end. An aborted signal lets it finish its step; events go through. Throws TrainError, DivergenceError. */
async function runRunner(python: Python, { output }: OpenRun, options: TorchOptions): Promise<'finished' | 'aborted'> {
  const { onEvent = () => {}, signal, processes = 1 } = options;
  const stop = join(output, 'torch', 'stop');
  // torchrun of PyTorch 1 does not understand its own default of these two under Python 3.11; the second process says nothing anyway.
  const old = python.torch.startsWith('1.') ? ['--redirects', '1:1', '--tee', '1:1'] : [];
  const launcher = processes === 1 ? [] : ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', String(processes), ...old];
  const child = spawn(python.path, [...launcher, join(output, 'torch', 'runner.py'), output, '--json', ...(options.runnerArguments ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Of its own group: a Ctrl-C on the terminal is ours to pass on, once.
    detached: process.platform !== 'win32',
    env: { ...process.env, PYTHONUNBUFFERED: '1' },
  });
  // A file reaches every process, however they were started, and waits for the end of the step.
  const onAbort = (): void => void writeFile(stop, '').catch((error: unknown) => {
    onEvent({ type: 'note', text: `the runner could not be told to stop (${String(error)}): stop process ${child.pid} yourself` });
  });
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  const onExit = (): void => void child.kill('SIGTERM'); // Then it ends with a checkpoint.
  process.once('exit', onExit);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => void (errors = (errors + chunk.toString()).slice(-20_000)));
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  closed.catch(() => {}); // An error of spawning is told below, in its turn.
  let ended: 'finished' | 'aborted' | null = null;
  let failure: Extract<RunnerEvent, { type: 'error' }> | null = null;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith('{')) continue;
      const event = JSON.parse(line) as RunnerEvent;
      if (event.type === 'finished' || event.type === 'aborted') ended = event.type;
      else if (event.type === 'error') failure = event;
      else onEvent(event);
    }
    const [code, killed] = await closed;
    if (failure !== null) {
      if (failure.kind !== 'divergence') throw new TrainError(failure.message);
      throw new DivergenceError(failure.message, { step: failure.step ?? 0, loss: Number.NaN, gradientNorm: Number.NaN });
    }
    if (ended === null) {
      throw new TrainError(`the PyTorch runner ended ${killed === null ? `with status ${code}` : `by ${killed}`}: ${errors.trim().split('\n').slice(processes === 1 ? -12 : -40).join('\n')}`);
    }
    return ended;
  } finally {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    process.off('exit', onExit);
    signal?.removeEventListener('abort', onAbort);
    await rm(stop, { force: true });
  }
}
