/**
 * Documents to shards: clean, filter, drop duplicates, split off the held-out part, tokenize, write, describe.
 * The folder appears whole or not at all: it is written beside its place and renamed.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Tokenizer } from '@parley/tokenizer';
import { DigestSet } from './digest-set.ts';
import { type Document, textBytes } from './document.ts';
import { DataError } from './errors.ts';
import { type Manifest, MANIFEST_VERSION, type ManifestSource, readManifest, splitBase } from './manifest.ts';
import { Screen, type Screened, type ScreenOptions } from './screen.ts';
import { type EncodedDocument, ShardWriter } from './shards.ts';
import { emptyCounts, fileRecord, type FileRecord, readSource, sourceFiles, type SourceSpec } from './sources.ts';

export const DEFAULT_HELD_OUT = 0.01;

/** Of what the manifest's key is made of. Data prepared before there was screening, without it, keeps its key. */
const KEY_VERSION = 1;

export interface PrepareProgress {
  readonly source: string;
  readonly documents: number;
  readonly tokens: number;
}

export interface PrepareOptions extends ScreenOptions {
  readonly sources: readonly SourceSpec[];
  readonly tokenizer: Tokenizer;
  /**
   * The folder to make. One that holds the same data already is kept as it is, other prepared data is replaced; a folder with
   * anything else in it is an error.
   */
  readonly folder: string;
  /** The share of documents (by hash) kept from training. Default 0.01. */
  readonly heldOut?: number | undefined;
  /** Drop documents that are exactly the same as an earlier one, across sources. Default true. */
  readonly deduplicate?: boolean | undefined;
  /** Default true. */
  readonly clean?: boolean | undefined;
  readonly onProgress?: ((progress: PrepareProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Throws DataError for unreadable sources, a source that is empty or all held out, names used twice and a folder with other
 * files in it, and the signal's reason when aborted; then the folder is as it was.
 */
export async function prepare(options: PrepareOptions): Promise<{ manifest: Manifest; reused: boolean }> {
  const { sources, tokenizer, folder, heldOut = DEFAULT_HELD_OUT, deduplicate = true, clean = true, signal } = options;
  checkNames(sources);
  const files = new Map<string, { records: FileRecord[]; ignored: number }>();
  for (const source of sources) {
    const found = await sourceFiles(source);
    const records: FileRecord[] = [];
    for (const file of found.files) records.push(await fileRecord(file, signal));
    files.set(source.name, { records, ignored: found.ignored.length });
  }
  const tokenizerHash = tokenizerDigest(tokenizer);
  const screen = await Screen.of(options);
  const key = sha256({
    version: KEY_VERSION, tokenizer: tokenizerHash, heldOut, deduplicate, clean,
    sources: sources.map((source) => ({
      ...source, paths: undefined, exclude: source.exclude?.map(String), files: files.get(source.name)?.records,
    })),
    screen: screen.key,
  });
  const existing = await readManifest(folder).catch(() => null);
  if (existing?.key === key) return { manifest: existing, reused: true };
  await checkReplaceable(folder);

  const end = tokenizer.bosTokenId ?? tokenizer.eosTokenId;
  if (end === undefined) throw new DataError('the tokenizer has neither a bos nor an eos token to end documents with: give it one');
  const work = `${folder}.${process.pid}.tmp`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    const seen = deduplicate ? new DigestSet() : undefined;
    const summaries: ManifestSource[] = [];
    for (const source of sources) {
      const counts = emptyCounts();
      const shard = { vocabSize: tokenizer.vocabSize, withMask: true };
      using train = new ShardWriter(splitBase(work, source.name, 'train'), shard);
      using kept = new ShardWriter(splitBase(work, source.name, 'held-out'), shard);
      const writers = { train, 'held-out': kept };
      const keptFromTraining = (digest: Buffer): boolean => isHeldOut(digest, source.heldOut ?? heldOut);
      const look = (document: Document, digest: Buffer): Screened =>
        screen.look(document, { source: source.name, heldOut: keptFromTraining(digest), exceptions: source });
      for await (const { document, digest } of readSource(source, counts, { clean, seen, screen: look, signal })) {
        const split = keptFromTraining(digest) ? 'held-out' : 'train';
        writers[split].add(encodeDocument(document, tokenizer, end));
        if (counts.kept % 500 === 0) {
          options.onProgress?.({ source: source.name, documents: counts.kept, tokens: writers.train.tokens + writers['held-out'].tokens });
          signal?.throwIfAborted();
          await new Promise(setImmediate);
        }
      }
      const splits = { train: writers.train.finish(), 'held-out': writers['held-out'].finish() };
      if (splits.train.documents === 0) {
        throw new DataError(
          `source "${source.name}" has no document left to train on (read ${counts.read}, dropped ${JSON.stringify(counts.dropped)}, ` +
            `held out ${splits['held-out'].documents}): loosen its filters or lower held_out`,
        );
      }
      options.onProgress?.({ source: source.name, documents: counts.kept, tokens: splits.train.tokens + splits['held-out'].tokens });
      summaries.push({
        name: source.name,
        ...(source.licence === undefined ? {} : { licence: source.licence }),
        ...(source.attribution === undefined ? {} : { attribution: source.attribution }),
        files: files.get(source.name)?.records ?? [],
        ignored: files.get(source.name)?.ignored ?? 0,
        counts,
        splits,
      });
    }
    const manifest: Manifest = {
      version: MANIFEST_VERSION, key,
      tokenizer: { sha256: tokenizerHash, vocabSize: tokenizer.vocabSize },
      tokenBytes: tokenizer.vocabSize > 65_536 ? 4 : 2,
      turnStart: tokenizer.tokenToId('<|im_start|>') ?? null,
      padding: tokenizer.padTokenId ?? end,
      heldOut, deduplicated: deduplicate, cleaned: clean, screened: screen.report,
      sources: summaries,
    };
    await writeSynced(join(work, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    await mkdir(dirname(folder), { recursive: true });
    await rm(folder, { recursive: true, force: true });
    await rename(work, folder);
    return { manifest, reused: false };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Nobody's files are lost by naming the wrong folder. */
async function checkReplaceable(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw new DataError('cannot be the folder of the prepared data', { path: folder, cause: error });
  });
  const foreign = names.find((name) => !/^manifest\.json$|\.(?:index|tokens|mask)$/.test(name));
  if (foreign === undefined) return;
  throw new DataError(`holds ${foreign}, which is no prepared data and would be lost: choose a folder that is new or empty`, { path: folder });
}

/** Whether a document is kept from training, by its SHA-256 (see readSource) and the share that is. */
export const isHeldOut = (digest: Buffer, share: number): boolean => digest.readUInt32BE(24) < share * 2 ** 32;

/** A text between end-of-document tokens; a conversation in the chat template, with what the assistant speaks marked. */
export function encodeDocument(document: Document, tokenizer: Tokenizer, end: number): EncodedDocument {
  const bytes = textBytes(document);
  if (document.kind === 'text') return { ids: [end, ...tokenizer.encode(document.text), end], bytes };
  const { ids, mask } = tokenizer.encodeConversation([...document.messages]);
  return { ids, mask, bytes };
}

/** What the shards' token ids mean: SHA-256 of the tokenizer and its chat template. */
export function tokenizerDigest(tokenizer: Tokenizer): string {
  return sha256({ tokenizer: tokenizer.toJSON(), template: tokenizer.chatTemplate ?? null });
}

function checkNames(sources: readonly SourceSpec[]): void {
  if (sources.length === 0) throw new DataError('there are no sources: name at least one file or folder');
  const names = new Set<string>();
  for (const { name } of sources) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
      throw new DataError(`the source name ${JSON.stringify(name)} cannot name files: use letters, digits, dots and dashes`);
    }
    if (names.has(name)) throw new DataError(`two sources are called "${name}": names tell them apart in mixtures`);
    names.add(name);
  }
}

function sha256(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
