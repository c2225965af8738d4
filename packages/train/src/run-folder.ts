/** A run's folder: whose it is, what is in it already, and that one process at a time works on it. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { resolveModel } from '@parley/model/node';
import { endsInAdapter } from './adapter.ts';
import { type Checkpoint, listCheckpoints } from './checkpoint.ts';
import { CheckpointError, TrainError } from './errors.ts';
import { refuseForeignTarget } from './export.ts';
import { lockRun } from './lock.ts';
import type { Recipe, RecipeStage } from './recipe.ts';
import type { RunOptions } from './run.ts';

/** Where a recipe's run lives. */
export function runFolder(recipe: Recipe, folder: string): string {
  return recipe.output === undefined ? resolve('runs', recipe.name) : resolve(folder, recipe.output);
}

/** A run's folder, held until disposed. */
export interface RunFolder extends Disposable {
  readonly output: string;
  /** Of the recipe, as checkpoints carry it. */
  readonly hash: string;
  readonly checkpointFolder: string;
  /** Where the model goes at the end. */
  readonly modelFolder: string;
  readonly latest: Checkpoint | undefined;
}

/** Makes the folder or takes it up again. Throws CheckpointError and TrainError where it is not this run's to take. */
export async function openFolder(options: RunOptions): Promise<RunFolder> {
  const { recipe, folder, onEvent = () => {} } = options;
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
  const kept = open.move();
  return { output, hash, checkpointFolder, modelFolder, latest, [Symbol.dispose]: () => kept.dispose() };
}

/** The folder of the model a recipe starts from; null where it starts from nothing. Throws ModelNotFoundError. */
export async function baseFolder(recipe: Recipe, folder: string): Promise<string | null> {
  const from = typeof recipe.model === 'object' ? recipe.model.from : undefined;
  return from === undefined ? null : await resolveModel(/^[./]/.test(from) ? resolve(folder, from) : from);
}

/** Everything in a recipe that decides the bits of its checkpoints. What is only printed, measured or exported is left out. */
export function recipeHash(recipe: Recipe, maxSteps?: number): string {
  const { title: _t, description: _d, licence: _l, output: _o, export: _e, ...rest } = recipe;
  const stages = rest.stages.map(({
    eval_every: every, eval_tokens: _2, sample_every: _3, samples: _4, checkpoint_every: _5, keep_checkpoints: _6, ...decisive
    // Where weights are kept by what was measured, when that was decides.
  }) => (decisive.best_by === undefined && decisive.early_stopping === undefined ? decisive : { ...decisive, eval_every: every }));
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
