/**
 * Checkpoints: a folder each, `STAGE-NAME-STEP`, with weights.safetensors, optimizer.safetensors and state.json. It is written
 * under another name, synced and renamed, so whatever has its final name is whole. What a step computes depends on nothing
 * outside it and the data: a run that continues from one gives the same bits as one that never stopped.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from '@parley/engine';
import type { LoaderPlace } from '@parley/data';
import { CheckpointError } from './errors.ts';
import { readTensors, writeTensors } from './tensor-file.ts';

const VERSION = 1;
const WORK = '.writing-';

export interface CheckpointState {
  readonly version: number;
  /** Of everything that decides the run's bits: a checkpoint continues only its own recipe. */
  readonly recipe: string;
  /** The manifest's key: a checkpoint continues only on the data, tokens and all, that it was made with. */
  readonly data?: string;
  /** Index of the stage in the recipe, and its name. */
  readonly stage: number;
  readonly stageName: string;
  /** Optimizer steps taken in the stage, of how many. */
  readonly step: number;
  readonly steps: number;
  /** Tokens gone through in the stage. */
  readonly tokens: number;
  readonly loader: LoaderPlace;
  /** Held-out results of finished stages and this one, for the model card. */
  readonly results: readonly StageSummary[];
}

export interface StageSummary {
  readonly stage: string;
  readonly kind: 'pretrain' | 'finetune';
  readonly steps: number;
  readonly tokens: number;
  readonly contextLength: number;
  readonly loss: number | null;
  readonly bitsPerByte: number | null;
  readonly sources: Readonly<Record<string, { loss: number; bits_per_byte: number; targets: number; bytes: number }>>;
  /** Passes over each source. */
  readonly epochs: Readonly<Record<string, number>>;
}

export interface Checkpoint {
  readonly folder: string;
  readonly state: CheckpointState;
}

export async function saveCheckpoint(
  folder: string, state: Omit<CheckpointState, 'version'>, tensors: { weights: ReadonlyMap<string, Tensor>; moments: ReadonlyMap<string, Tensor> },
): Promise<Checkpoint> {
  const name = `${String(state.stage + 1).padStart(2, '0')}-${state.stageName}-${String(state.step).padStart(8, '0')}`;
  const work = join(folder, `${WORK}${name}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  await writeTensors(join(work, 'weights.safetensors'), tensors.weights);
  await writeTensors(join(work, 'optimizer.safetensors'), tensors.moments);
  const full: CheckpointState = { version: VERSION, ...state };
  const file = await open(join(work, 'state.json'), 'w');
  try {
    await file.writeFile(`${JSON.stringify(full, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  syncFolder(work);
  const final = join(folder, name);
  await rm(final, { recursive: true, force: true });
  await rename(work, final);
  syncFolder(folder);
  return { folder: final, state: full };
}

/** All whole checkpoints, oldest first. What a kill left half-written is removed. */
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
    const text = await readFile(join(path, 'state.json'), 'utf8').catch(() => null);
    if (text === null) continue;
    const state = JSON.parse(text) as CheckpointState;
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

/** Reads a checkpoint's tensors into those given; each map may be left out. */
export function restore(checkpoint: Checkpoint, tensors: { weights?: ReadonlyMap<string, Tensor>; moments?: ReadonlyMap<string, Tensor> }): void {
  if (tensors.weights !== undefined) readTensors(join(checkpoint.folder, 'weights.safetensors'), tensors.weights);
  if (tensors.moments !== undefined) readTensors(join(checkpoint.folder, 'optimizer.safetensors'), tensors.moments);
}

function syncFolder(path: string): void {
  if (process.platform === 'win32') return; // Windows has no handle of a folder to sync.
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
