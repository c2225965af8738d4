/** manifest.json: what a folder of shards holds, from what, and what became of every document that is not in it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from './errors.ts';
import { NOT_SCREENED, type ScreenReport } from './screen.ts';
import type { SplitSummary } from './shards.ts';
import { emptyCounts, type FileRecord, type SourceCounts } from './sources.ts';

export const MANIFEST_VERSION = 2;
export type Split = 'train' | 'held-out';

export interface ManifestSource {
  readonly name: string;
  readonly licence?: string;
  readonly attribution?: string;
  readonly files: readonly FileRecord[];
  /** Files of folders that were passed over because of their names. */
  readonly ignored: number;
  readonly counts: SourceCounts;
  readonly splits: Readonly<Record<Split, SplitSummary>>;
}

export interface Manifest {
  readonly version: number;
  /** Of everything that decides the contents: sources, their files, tokenizer, settings. The same key, the same shards. */
  readonly key: string;
  readonly tokenizer: { readonly sha256: string; readonly vocabSize: number };
  readonly tokenBytes: 2 | 4;
  /** Marks the start of a turn; where long conversations may be cut. */
  readonly turnStart: number | null;
  /** What fills up a batch. */
  readonly padding: number;
  readonly heldOut: number;
  readonly deduplicated: boolean;
  readonly cleaned: boolean;
  /** What was asked of near-duplicates, personal data and evaluation items; what became of each is in the sources' counts. */
  readonly screened: ScreenReport;
  readonly sources: readonly ManifestSource[];
}

/** Throws DataError where there is none, or one of another version. */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, 'manifest.json');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new DataError('there is no prepared data here: make it with parley data prepare', { path, cause: error });
  });
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text) as Manifest;
  } catch (error) {
    throw new DataError('is damaged: prepare the data again', { path, cause: error });
  }
  // Version 1 had no screening and fewer counts.
  if (manifest.version === 1) return upgrade(manifest);
  if (manifest.version !== MANIFEST_VERSION) {
    throw new DataError(`has version ${manifest.version}, this Parley reads ${MANIFEST_VERSION}: prepare the data again`, { path });
  }
  return manifest;
}

function upgrade(manifest: Manifest): Manifest {
  return {
    ...manifest, version: MANIFEST_VERSION, screened: NOT_SCREENED,
    sources: manifest.sources.map((source) => ({ ...source, counts: { ...emptyCounts(), ...source.counts } })),
  };
}

/** Where a split's files begin: folder/NAME.SPLIT. */
export function splitBase(folder: string, source: string, split: Split): string {
  return join(folder, `${source}.${split}`);
}
