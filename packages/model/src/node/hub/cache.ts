/**
 * Models that were fetched:
 *
 *     CACHE/models/OWNER--NAME/refs/REVISION.json   what a branch, tag or commit was when it was fetched whole: its record
 *                              COMMIT/…             the files of a commit, each whole and verified
 *                              partial/…            files that are not whole yet
 *     CACHE/locks/OWNER--NAME.lock
 *
 * The record is written last: what has one is complete. Files are plain files, so that a folder can be copied or given to any other program.
 */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { readJSON, writeJSON } from '../files.ts';
import type { HubFile } from './client.ts';
import { HubError } from './errors.ts';
import { lock } from './lock.ts';
import { isSafePath, parseHubName, requireHubName } from './name.ts';
import { clock } from './retry.ts';

export const DEFAULT_REVISION = 'main';

const recordSchema = z.object({
  repository: z.string().refine((name) => parseHubName(name)?.revision === undefined && parseHubName(name) !== undefined),
  revision: z.string(),
  commit: z.string().regex(/^[0-9a-f]{40,64}$/),
  endpoint: z.string(),
  files: z.array(z.object({
    path: z.string().refine(isSafePath),
    size: z.int().min(0),
    checksum: z.object({ algorithm: z.enum(['sha256', 'git-sha1']), value: z.string() }).nullable(),
  })),
});

/** What was fetched, from where. */
export type CacheRecord = z.infer<typeof recordSchema>;

export interface CachedModel extends CacheRecord {
  /** OWNER/NAME, with @REVISION where that is not main. */
  readonly name: string;
  /** With its files. */
  readonly folder: string;
  readonly bytes: number;
}

export const modelFolder = (cache: string, repository: string): string => join(cache, 'models', repository.replace('/', '--'));
export const commitFolder = (cache: string, repository: string, commit: string): string => join(modelFolder(cache, repository), commit);
export const partialFolder = (cache: string, repository: string): string => join(modelFolder(cache, repository), 'partial');
export const lockPath = (cache: string, repository: string): string => join(cache, 'locks', `${repository.replace('/', '--')}.lock`);
const recordPath = (cache: string, repository: string, revision: string): string => join(modelFolder(cache, repository), 'refs', `${encodeURIComponent(revision)}.json`);

export async function writeRecord(cache: string, record: CacheRecord): Promise<void> {
  await writeJSON(recordPath(cache, record.repository, record.revision), record);
}

/** The record of a revision; undefined where there is none, or none that can be read: fetching again mends that. */
export async function readRecord(cache: string, repository: string, revision: string): Promise<CachedModel | undefined> {
  const json = await readJSON(recordPath(cache, repository, revision)).catch(() => undefined);
  const parsed = recordSchema.safeParse(json);
  if (!parsed.success || parsed.data.repository !== repository || parsed.data.revision !== revision) return undefined;
  const record = parsed.data;
  return {
    ...record,
    name: revision === DEFAULT_REVISION ? repository : `${repository}@${revision}`,
    folder: commitFolder(cache, repository, record.commit),
    bytes: record.files.reduce((sum, { size }) => sum + size, 0),
  };
}

/** Records of one model, by revision. */
export async function readRecords(cache: string, repository: string): Promise<CachedModel[]> {
  const names = await readdir(join(modelFolder(cache, repository), 'refs')).catch((): string[] => []);
  const revisions = names.filter((name) => name.endsWith('.json')).map((name) => decodeURIComponent(name.slice(0, -'.json'.length)));
  const records = await Promise.all(revisions.sort().map((revision) => readRecord(cache, repository, revision)));
  return records.filter((record) => record !== undefined);
}

const repositoriesIn = async (cache: string): Promise<string[]> => {
  const names = await readdir(join(cache, 'models')).catch((): string[] => []);
  return names.sort().map((name) => name.replace('--', '/')).filter((name) => parseHubName(name)?.revision === undefined && parseHubName(name) !== undefined);
};

/** All that was fetched whole. */
export async function listCached(cache: string): Promise<CachedModel[]> {
  return (await Promise.all((await repositoriesIn(cache)).map((repository) => readRecords(cache, repository)))).flat();
}

export interface UnfinishedPull {
  readonly repository: string;
  /** Of the files that are not whole. */
  readonly bytes: number;
}

/** Models of which something is kept to go on with. */
export async function listUnfinished(cache: string): Promise<UnfinishedPull[]> {
  const found: UnfinishedPull[] = [];
  for (const repository of await repositoriesIn(cache)) {
    const folder = partialFolder(cache, repository);
    const names = (await readdir(folder).catch((): string[] => [])).filter((name) => name.endsWith('.partial'));
    const sizes = await Promise.all(names.map(async (name) => await stat(join(folder, name)).then(({ size }) => size, () => 0)));
    const whole = (await readRecords(cache, repository)).length > 0;
    if (names.length > 0 || !whole) found.push({ repository, bytes: sizes.reduce((sum, size) => sum + size, 0) });
  }
  return found;
}

/** The model of a name: without a revision main or, where that was not fetched, the only one that was. */
export async function findCached(cache: string, name: string): Promise<CachedModel | undefined> {
  const parsed = parseHubName(name);
  if (parsed === undefined) return undefined;
  const { repository, revision } = parsed;
  if (revision !== undefined) return await readRecord(cache, repository, revision);
  const records = await readRecords(cache, repository);
  return records.find((record) => record.revision === DEFAULT_REVISION) ?? (records.length === 1 ? records[0] : undefined);
}

/**
 * Deletes a model from the cache: one revision of it where the name has one, else all of it with what was half fetched. Returns the names
 * that are gone. Throws HubError `model-not-found` where there is nothing of it.
 */
export async function removeCached(cache: string, name: string, options: { signal?: AbortSignal; onWait?: () => void } = {}): Promise<{ names: string[]; bytes: number }> {
  const { repository, revision } = requireHubName(name);
  const folder = modelFolder(cache, repository);
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) throw missing(name, cache);
  using _held = await lock(lockPath(cache, repository), { wait: clock, ...options });
  const records = await readRecords(cache, repository);
  const before = await folderBytes(folder);
  if (revision === undefined) {
    await rm(folder, { recursive: true, force: true });
    return { names: records.length > 0 ? records.map((record) => record.name) : [repository], bytes: before };
  }
  const gone = records.find((record) => record.revision === revision);
  if (gone === undefined) throw missing(name, cache);
  await rm(recordPath(cache, repository, revision));
  const rest = records.filter((record) => record !== gone);
  if (rest.length === 0) await rm(folder, { recursive: true, force: true });
  else if (!rest.some(({ commit }) => commit === gone.commit)) await rm(gone.folder, { recursive: true, force: true });
  return { names: [gone.name], bytes: before - await folderBytes(folder) };
}

const missing = (name: string, cache: string): HubError =>
  new HubError('model-not-found', `${name} is not in the cache ${join(cache, 'models')}: parley models lists what is`);

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(entries.filter((entry) => entry.isFile())
    .map(async (entry) => await stat(join(entry.parentPath, entry.name)).then(({ size }) => size, () => 0)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

export type { HubFile };
