/**
 * Checkpoints: a folder each, `STAGE-NAME-STEP`, with weights.safetensors, optimizer.safetensors and state.json. It is written
 * under another name, synced and renamed, so whatever has its final name is whole. What a step computes depends on nothing
 * outside it and the data: a run that continues from one gives the same bits as one that never stopped.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoaderPlace } from '@parley/data';
import type { Tensor } from '@parley/engine';
import { writeAtomic } from '@parley/model/node';
import { CheckpointError } from './errors.ts';
import type { SourceEvaluation } from './evaluate.ts';
import type { GuardState } from './guard.ts';
import { readTensors, writeTensors } from './tensor-file.ts';

const VERSION = 1;
const WORK = '.writing-';

export interface CheckpointState {
  readonly version: number;
  /** Of everything that decides the run's bits: a checkpoint continues only its own recipe. */
  readonly recipe: string;
  /** The manifest's key: a checkpoint continues only on the data, tokens and all, that it was made with. */
  readonly data?: string;
  /** What has trained the run so far, for the model card. */
  readonly engine?: string;
  /** Index of the stage in the recipe, and its name. */
  readonly stage: number;
  readonly stageName: string;
  /** Optimizer steps taken in the stage, of how many. */
  readonly step: number;
  readonly steps: number;
  /** Tokens gone through in the stage. */
  readonly tokens: number;
  readonly loader: LoaderPlace;
  /** What the next step is judged by. */
  readonly guard?: GuardState;
  /** Of a stage that keeps its best weights: when they were measured, and how many measurements ago. */
  readonly best?: { readonly step: number; readonly since: number; readonly loss: number; readonly scores: Readonly<Record<string, number>> };
  /** Held-out results of finished stages and this one, for the model card. */
  readonly results: readonly StageSummary[];
}

/** What came out of a stage, or has by now. */
export interface StageSummary {
  readonly stage: string;
  readonly kind: 'pretrain' | 'finetune' | 'classify' | 'dpo';
  readonly steps: number;
  readonly tokens: number;
  /** Steps left out because they would have done harm. */
  readonly skipped?: number;
  readonly contextLength: number;
  readonly loss: number | null;
  readonly bitsPerByte: number | null;
  readonly sources: Readonly<Record<string, SourceEvaluation>>;
  /** Passes over each source. */
  readonly epochs: Readonly<Record<string, number>>;
  /** What was measured of items: accuracy and its like. */
  readonly scores?: Readonly<Record<string, number>>;
}

export interface Checkpoint {
  readonly folder: string;
  readonly state: CheckpointState;
}

/** What a checkpoint holds beside its state, by name. */
export interface CheckpointTensors {
  readonly weights: ReadonlyMap<string, Tensor>;
  readonly moments: ReadonlyMap<string, Tensor>;
}

const fileName = (kind: keyof CheckpointTensors): string => `${{ weights: 'weights', moments: 'optimizer' }[kind]}.safetensors`;

/** Adds a checkpoint to `folder`; one of the same stage and step is replaced. */
export async function saveCheckpoint(
  folder: string, state: Omit<CheckpointState, 'version'>, tensors: CheckpointTensors,
): Promise<Checkpoint> {
  const name = `${String(state.stage + 1).padStart(2, '0')}-${state.stageName}-${String(state.step).padStart(8, '0')}`;
  const work = join(folder, `${WORK}${name}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  await writeTensors(join(work, fileName('weights')), tensors.weights);
  await writeTensors(join(work, fileName('moments')), tensors.moments);
  const full: CheckpointState = { version: VERSION, ...state };
  await writeAtomic(join(work, 'state.json'), [Buffer.from(`${JSON.stringify(full, null, 2)}\n`)]);
  await syncFolder(work);
  const final = join(folder, name);
  await rm(final, { recursive: true, force: true });
  await rename(work, final);
  await syncFolder(folder);
  return { folder: final, state: full };
}

/** All whole checkpoints, oldest first. What a kill left half-written is removed. Throws CheckpointError for a damaged one. */
export async function listCheckpoints(folder: string): Promise<Checkpoint[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const checkpoints: Checkpoint[] = [];
  for (const name of names) {
    const path = join(folder, name);
    if (name.startsWith(WORK)) {
      await rm(path, { recursive: true, force: true });
      continue;
    }
    const text = await readFile(join(path, 'state.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null; // Something else that lies here.
      throw error;
    });
    if (text === null) continue;
    const state = parseState(text, path);
    if (state.version !== VERSION) throw new CheckpointError(`${path} has version ${state.version}, this Parley reads ${VERSION}: start a new run`);
    checkpoints.push({ folder: path, state });
  }
  return checkpoints.toSorted((a, b) => a.state.stage - b.state.stage || a.state.step - b.state.step);
}

/** Removes all but the newest `keep`. */
export async function pruneCheckpoints(folder: string, keep: number): Promise<void> {
  const checkpoints = await listCheckpoints(folder);
  for (const { folder: old } of checkpoints.slice(0, Math.max(0, checkpoints.length - keep))) await rm(old, { recursive: true, force: true });
}

/** Reads a checkpoint's tensors into those given. Throws CheckpointError where they do not fit. */
export async function restore(checkpoint: Checkpoint, tensors: CheckpointTensors): Promise<void> {
  for (const kind of ['weights', 'moments'] as const) await readTensors(join(checkpoint.folder, fileName(kind)), tensors[kind]);
}

function parseState(text: string, folder: string): CheckpointState {
  try {
    return JSON.parse(text) as CheckpointState;
  } catch (cause) {
    throw new CheckpointError(`${join(folder, 'state.json')} is damaged: remove its folder, and the run goes on from the checkpoint before`, { cause });
  }
}

/** Makes the names in a folder as durable as the files. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return; // Windows has no handle of a folder to sync.
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
