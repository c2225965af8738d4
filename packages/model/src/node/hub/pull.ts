/** `parley pull`: a model from a hub into the cache. What was interrupted goes on; what is there is not fetched again. */
import { copyFile, link, mkdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { nearestName } from '../../nearest-name.ts';
import { type CachedModel, commitFolder, DEFAULT_REVISION, findCached, listCached, lockPath, modelFolder, partialFolder, readRecord, readRecords, writeRecord } from './cache.ts';
import { HubClient, type HubFile } from './client.ts';
import { diskFull, downloadFile, partialPath } from './download.ts';
import { HubError } from './errors.ts';
import { lock } from './lock.ts';
import { requireHubName } from './name.ts';
import { clock, type Wait } from './retry.ts';
import { selectGlobs, selectModel, shardsOf } from './select.ts';
import { cacheFolder, findToken, hubEndpoint, isOffline } from './settings.ts';

export type PullEvent =
  /** Another process fetches the same model. */
  | { readonly type: 'waiting'; readonly repository: string }
  | {
    readonly type: 'plan'; readonly repository: string; readonly revision: string; readonly commit: string; readonly folder: string;
    readonly files: readonly { readonly path: string; readonly size: number }[]; readonly bytes: number; readonly present: number;
  }
  /** Bytes of the whole plan, and of one file, that are there. */
  | { readonly type: 'progress'; readonly received: number; readonly bytes: number; readonly path: string; readonly fileReceived: number; readonly fileBytes: number }
  /** Whole, verified, and under its name. */
  | { readonly type: 'file'; readonly path: string; readonly size: number; readonly verified: 'sha256' | 'git-sha1' | 'size' }
  | { readonly type: 'retry'; readonly message: string; readonly pause: number };

export interface PullOptions {
  /** Globs of the files to fetch, in place of those that loading the model needs. */
  readonly files?: readonly string[];
  /** Fetch nothing: what is in the cache or an error. Default HF_HUB_OFFLINE. */
  readonly offline?: boolean;
  /** Default: HF_ENDPOINT or Hugging Face. */
  readonly endpoint?: string;
  /** Default: as `findToken` finds it; null for none. */
  readonly token?: string | null;
  /** Default: `cacheFolder()`. */
  readonly cache?: string;
  /** Files at a time. Default 4. */
  readonly parallel?: number;
  /** Further attempts after faults that may pass. Default 5, counted anew when an attempt came further than those before. */
  readonly retries?: number;
  /** Without a byte for so long, a connection counts as broken. Default 30,000 ms. */
  readonly stallTimeout?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: PullEvent) => void;
  /** The clock of pauses between attempts, and what is free on a disk: for tests. */
  readonly wait?: Wait;
  readonly freeBytes?: (folder: string) => Promise<number>;
}

/** Fetches `OWNER/NAME[@REVISION]` and returns what then is in the cache. Throws HubError, or the signal's reason when it is aborted. */
export async function pullModel(name: string, options: PullOptions = {}): Promise<CachedModel> {
  const { repository, revision = DEFAULT_REVISION } = requireHubName(name);
  const { cache = cacheFolder(), offline = isOffline(), onEvent, wait = clock } = options;
  if (offline) return await fromCache(cache, name);
  const token = options.token === undefined ? await findToken() : options.token ?? undefined;
  // The first error stops the downloads beside it, which then end with that error as well.
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])]);
  const client = new HubClient({
    endpoint: hubEndpoint(options.endpoint), token, signal, wait,
    ...(options.retries === undefined ? {} : { retries: options.retries }),
    ...(options.stallTimeout === undefined ? {} : { stallTimeout: options.stallTimeout }),
    onRetry: (message, pause) => onEvent?.({ type: 'retry', message, pause }),
  });
  try {
    const commit = await client.commit(repository, revision);
    const listed = await client.files(repository, commit);
    using _held = await lock(lockPath(cache, repository), { wait, signal, onWait: () => onEvent?.({ type: 'waiting', repository }) });
    const pull = new Pull(client, { ...options, signal, cache, repository, revision, commit }, failed);
    return await pull.run(listed);
  } catch (error) {
    if (!(error instanceof HubError) || error.kind !== 'model-not-found') throw error;
    const near = nearestName(repository, (await listCached(cache)).map((model) => model.repository));
    if (near === undefined || near === repository) throw error;
    throw new HubError(error.kind, `${error.message}. Did you mean ${near}, which is in the cache?`, { host: client.host, ...(error.status === null ? {} : { status: error.status }) });
  }
}

async function fromCache(cache: string, name: string): Promise<CachedModel> {
  const found = await findCached(cache, name);
  if (found === undefined) {
    const near = nearestName(name, (await listCached(cache)).map((model) => model.name));
    throw new HubError('offline', `${name} is not in the cache ${join(cache, 'models')}${near === undefined ? '' : `, but ${near} is`}, and offline nothing is fetched: pull it with the network (without --offline and HF_HUB_OFFLINE)`);
  }
  for (const file of found.files) {
    if (!(await isWhole(join(found.folder, file.path), file))) {
      throw new HubError('offline', `${join(found.folder, file.path)} is missing or was altered: pull ${name} again with the network`, { file: file.path });
    }
  }
  return found;
}

/** A file gets its name only when it was verified; a size that has changed since means that someone else has written to it. */
const isWhole = async (path: string, file: { size: number }): Promise<boolean> => {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && found.size === file.size;
};

const freeOn = async (folder: string): Promise<number> => {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
};

interface PullState extends PullOptions {
  readonly cache: string;
  readonly repository: string;
  readonly revision: string;
  readonly commit: string;
}

class Pull {
  readonly #client: HubClient;
  readonly #options: PullState;
  readonly #folder: string;
  readonly #received = new Map<string, number>();
  readonly #failed: AbortController;

  constructor(client: HubClient, options: PullState, failed: AbortController) {
    this.#client = client;
    this.#failed = failed;
    this.#options = options;
    this.#folder = commitFolder(options.cache, options.repository, options.commit);
  }

  async run(listed: readonly HubFile[]): Promise<CachedModel> {
    const { cache, repository, revision, commit, files: globs } = this.#options;
    const selection = globs === undefined || globs.length === 0 ? selectModel(listed, repository) : selectGlobs(listed, globs, repository);
    let files = selection.files;
    await this.#reuse(listed);
    if (selection.index) {
      // Which shards there are to fetch stands in this file.
      if (!(await isWhole(this.#target(selection.index), selection.index))) await this.#download(selection.index, () => undefined);
      files = [...files, ...shardsOf(await readFile(this.#target(selection.index), 'utf8'), listed, repository)];
    }
    await this.#fetch(files);
    const before = await readRecord(cache, repository, revision);
    const kept = before?.commit === commit ? before.files.filter(({ path }) => !files.some((file) => file.path === path)) : [];
    await writeRecord(cache, { repository, revision, commit, endpoint: this.#client.endpoint, files: [...kept, ...files] });
    await this.#prune(before);
    const record = await readRecord(cache, repository, revision);
    if (record === undefined) throw new HubError('cache', `the record of ${repository} was not written to ${modelFolder(cache, repository)}: is something else writing there?`);
    return record;
  }

  #target(file: HubFile): string {
    return join(this.#folder, file.path);
  }

  /** Files that another revision has already, byte for byte. */
  async #reuse(listed: readonly HubFile[]): Promise<void> {
    const { cache, repository, commit } = this.#options;
    const records = (await readRecords(cache, repository)).filter((record) => record.commit !== commit);
    for (const record of records) {
      for (const have of record.files) {
        const file = listed.find(({ path, size, checksum }) => path === have.path && size === have.size && checksum !== null && checksum.value === have.checksum?.value);
        const source = join(record.folder, have.path);
        if (file === undefined || !(await isWhole(source, file)) || (await isWhole(this.#target(file), file))) continue;
        await mkdir(dirname(this.#target(file)), { recursive: true });
        await rm(this.#target(file), { force: true });
        // Where the disk knows no second names, a copy is as good; where neither can be made, the file is fetched.
        await link(source, this.#target(file)).catch(() => copyFile(source, this.#target(file))).catch(() => rm(this.#target(file), { force: true }));
      }
    }
  }

  async #fetch(files: readonly HubFile[]): Promise<void> {
    const { cache, repository, revision, commit, parallel = 4, onEvent, freeBytes = freeOn } = this.#options;
    const missing: HubFile[] = [];
    let needed = 0;
    for (const file of files) {
      if (await isWhole(this.#target(file), file)) {
        this.#received.set(file.path, file.size);
        continue;
      }
      missing.push(file);
      const have = Math.min(file.size, await stat(partialPath(partialFolder(cache, repository), file)).then(({ size }) => size, () => 0));
      this.#received.set(file.path, have);
      needed += file.size - have;
    }
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    onEvent?.({
      type: 'plan', repository, revision, commit, folder: this.#folder, files: files.map(({ path, size }) => ({ path, size })), bytes, present: this.#total(),
    });
    await mkdir(this.#folder, { recursive: true });
    const free = needed === 0 ? Infinity : await freeBytes(this.#folder);
    if (needed > free) throw diskFull(needed, free, modelFolder(cache, repository));
    // Small ones first: what is wrong with the model or the token shows before gigabytes have come.
    const queue = missing.toSorted((a, b) => a.size - b.size);
    const worker = async (): Promise<void> => {
      for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
        const { path, size } = file;
        await this.#download(file, (received) => {
          this.#received.set(path, received);
          onEvent?.({ type: 'progress', received: this.#total(), bytes, path, fileReceived: received, fileBytes: size });
        });
      }
    };
    const workers = Array.from({ length: Math.max(1, Math.min(parallel, queue.length)) }, async () => {
      await worker().catch((error: unknown) => this.#failed.abort(error));
    });
    // All have ended before this does: nothing writes after the lock is gone.
    await Promise.all(workers);
    this.#failed.signal.throwIfAborted();
  }

  #total(): number {
    let sum = 0;
    for (const bytes of this.#received.values()) sum += bytes;
    return sum;
  }

  async #download(file: HubFile, onProgress: (received: number) => void): Promise<void> {
    const { cache, repository, commit, signal, onEvent } = this.#options;
    await downloadFile(this.#client, { repository, commit, file, target: this.#target(file), partials: partialFolder(cache, repository), signal, onProgress });
    onEvent?.({ type: 'file', path: file.path, size: file.size, verified: file.checksum?.algorithm ?? 'size' });
  }

  /** The commit that a branch was at before goes, unless another revision is at it. */
  async #prune(before: CachedModel | undefined): Promise<void> {
    const { cache, repository } = this.#options;
    if (before === undefined) return;
    const records = await readRecords(cache, repository);
    if (!records.some(({ commit }) => commit === before.commit)) await rm(before.folder, { recursive: true, force: true }).catch(() => undefined);
  }
}
