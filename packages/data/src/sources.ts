/** A named source of documents: its files, how they are read, filtered and cleaned, and the count of all that happened. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { SharedLines } from './boilerplate.ts';
import { type Change, cleanDocument } from './clean.ts';
import { dialogues } from './dialogue.ts';
import { convertDocument, type Conversion } from './convert.ts';
import { type Document, identity, splitIdentity } from './document.ts';
import { DataError } from './errors.ts';
import type { DropReason } from './filter.ts';
import { cutPoint } from './cut.ts';
import { findFiles, readDocuments, type ReadOptions } from './readers.ts';
import type { DigestSet } from './digest-set.ts';
import type { PersonalDataKind } from './personal-data/finding.ts';
import { deepClean, type OnChange, refineDocument, type Refinement } from './refine.ts';
import type { Screened, ScreenExceptions } from './screen.ts';

export interface SourceSpec extends Refinement, ScreenExceptions, Omit<ReadOptions, 'signal' | 'onSkip'> {
  /** Letters, digits, dots, dashes: it names the shard files. */
  readonly name: string;
  /** Files or folders. */
  readonly paths: readonly string[];
  /** Take only these of the documents that are there. */
  readonly only?: 'texts' | 'conversations' | undefined;
  /** Texts become conversations of successive passages (see `dialogues`). */
  readonly dialogue?: boolean | undefined;
  /** Longer texts become several documents of about this many characters, between paragraphs. Nothing is lost. */
  readonly splitCharacters?: number | undefined;
  /** One script for all of it (see convert.ts). */
  readonly convert?: Conversion | undefined;
  /** Stop after so many documents were kept. */
  readonly maxDocuments?: number | undefined;
  /** The share of its documents kept from training; default: the whole data's. */
  readonly heldOut?: number | undefined;
  readonly licence?: string | undefined;
  /** Whom to name, and where it came from. */
  readonly attribution?: string | undefined;
}

export interface SourceCounts {
  /** Documents that came out of the readers. */
  read: number;
  kept: number;
  dropped: Partial<Record<DropReason, number>>;
  /** Kept documents that cleaning changed, by what it changed. */
  changed: Partial<Record<Change, number>>;
  /** Texts cut to the source's limit. */
  cut: number;
  /** Kept documents by language, where a rule of the source asked for it. */
  languages: Record<string, number>;
  /** Near-duplicates dropped, by the source of the document they are like. */
  nearDuplicatesOf: Record<string, number>;
  /** Personal data masked, and the kept documents it was in. */
  masked: Partial<Record<PersonalDataKind, number>>;
  maskedDocuments: number;
  /** Texts that evaluation items were cut out of. */
  itemsCut: number;
}

export interface FileRecord {
  /** The file's name, without its folders. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface ReadSourceOptions {
  readonly clean?: boolean | undefined;
  /** Identities seen so far, when duplicates are to be dropped; shared between sources. */
  readonly seen?: DigestSet | undefined;
  /** The last look at what is left (see screen.ts), with the digest that decides its split. */
  readonly screen?: ((document: Document, digest: Buffer) => Screened) | undefined;
  /** Told of each document that is dropped, with a word more than the reason where there is one, and of each change by cleaning. */
  readonly onDrop?: ((reason: DropReason, document: Document, why: string) => void) | undefined;
  readonly onChange?: OnChange | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Counters to begin with. */
export function emptyCounts(): SourceCounts {
  return {
    read: 0, kept: 0, dropped: {}, changed: {}, cut: 0, languages: {}, nearDuplicatesOf: {}, masked: {}, maskedDocuments: 0, itemsCut: 0,
  };
}

/** All files of a source, in order. Throws DataError naming the source where one is missing. */
export async function sourceFiles(source: SourceSpec): Promise<{ files: string[]; ignored: string[] }> {
  const files: string[] = [];
  const ignored: string[] = [];
  for (const path of source.paths) {
    const found = await findFiles(path).catch((error: unknown) => {
      const origin = source.attribution === undefined ? '' : ` (it is ${source.attribution})`;
      const missing = error instanceof DataError && error.cause !== undefined ? `: put the data there${origin}, or change the source's path` : '';
      throw new DataError(`source "${source.name}": ${error instanceof Error ? error.message : String(error)}${missing}`);
    });
    files.push(...found.files);
    ignored.push(...found.ignored);
  }
  return { files, ignored };
}

/**
 * The documents of a source after cleaning and filters. `counts` is updated as they pass. `digest` is the SHA-256 by which a
 * document is held out or not: its own, or for conversations made of a text that text's, so that both go the same way.
 */
export async function* readSource(
  source: SourceSpec, counts: SourceCounts, options: ReadSourceOptions = {},
): AsyncGenerator<{ document: Document; digest: Buffer }> {
  const { clean = true, onChange } = options;
  const { files } = await sourceFiles(source);
  const onSkip = (): void => {
    counts.read++;
    count(counts.dropped, 'not_selected');
  };
  const drop = (reason: DropReason, document: Document, why = ''): void => {
    count(counts.dropped, reason);
    options.onDrop?.(reason, document, why);
  };
  const shared = clean ? await sharedLines(source, files, options) : undefined;
  for (const file of files) {
    for await (const found of readDocuments(file, { ...source, signal: options.signal, onSkip })) {
      const read = source.convert === undefined ? found : convertDocument(found, source.convert);
      if (source.only !== undefined && (read.kind === 'text') !== (source.only === 'texts')) continue;
      const deep = deepClean(read, source, { clean, onChange, shared });
      for (const part of splitText(deep.document, source.splitCharacters)) {
        const made = source.dialogue === true && part.kind === 'text';
        const origin = made ? splitDigest(clean ? cleanDocument(part).document : part) : null;
        for (const raw of made ? dialogues(part) : [part]) {
          counts.read++;
          if (counts.kept >= (source.maxDocuments ?? Infinity)) {
            drop('over_source_limit', raw);
            continue;
          }
          const refined = refineDocument(raw, source, { clean, onChange });
          if ('drop' in refined) {
            drop(refined.drop, refined.document, refined.why);
            continue;
          }
          if (options.seen?.add(digestOf(refined.keep)) === false) {
            drop('duplicate', refined.keep);
            continue;
          }
          const digest = origin ?? splitDigest(refined.keep);
          const screened = options.screen?.(refined.keep, digest) ?? { keep: refined.keep, masked: {}, cutItems: false };
          if ('drop' in screened) {
            drop(screened.drop, refined.keep, screened.why);
            if (screened.drop === 'near_duplicate') counts.nearDuplicatesOf[screened.of] = (counts.nearDuplicatesOf[screened.of] ?? 0) + 1;
            continue;
          }
          counts.kept++;
          const masked = Object.entries(screened.masked) as [PersonalDataKind, number][];
          for (const [kind, found] of masked) counts.masked[kind] = (counts.masked[kind] ?? 0) + found;
          if (masked.length > 0) counts.maskedDocuments++;
          if (screened.cutItems) counts.itemsCut++;
          if (refined.cut) counts.cut++;
          if (refined.language !== null) counts.languages[refined.language] = (counts.languages[refined.language] ?? 0) + 1;
          for (const change of new Set([...deep.changes, ...refined.changes])) count(counts.changed, change);
          yield { document: screened.keep, digest };
        }
      }
    }
  }
}

/** A pass over the source to find the lines that many of its documents have; undefined where that is not asked for. */
async function sharedLines(source: SourceSpec, files: readonly string[], { signal }: ReadSourceOptions): Promise<SharedLines | undefined> {
  if (source.sharedLines === undefined) return undefined;
  const lines = new SharedLines(source.sharedLines);
  for (const file of files) {
    for await (const found of readDocuments(file, { ...source, signal })) {
      const read = source.convert === undefined ? found : convertDocument(found, source.convert);
      if (read.kind !== 'text') continue;
      const { document } = deepClean(read, source, { clean: true });
      if (document.kind === 'text') lines.add(document.text);
    }
  }
  return lines;
}

function* splitText(document: Document, limit: number | undefined): Generator<Document> {
  if (document.kind !== 'text' || limit === undefined) {
    yield document;
    return;
  }
  let { text, line } = document;
  while (text.length > 0) {
    const part = text.slice(0, cutPoint(text, limit));
    yield { ...document, text: part, line };
    line += part.split('\n').length - 1;
    text = text.slice(part.length);
  }
}

const digestOf = (document: Document): Buffer => createHash('sha256').update(identity(document)).digest();
/** By which a document is held out or not. */
export const splitDigest = (document: Document): Buffer => createHash('sha256').update(splitIdentity(document)).digest();

/** Size and SHA-256 of a file; `path` in the record is the file's name alone, so that no machine's folders are recorded. */
export async function fileRecord(path: string, signal?: AbortSignal): Promise<FileRecord> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    signal?.throwIfAborted();
    const part = chunk as Buffer;
    bytes += part.length;
    hash.update(part);
  }
  return { path: basename(path), bytes, sha256: hash.digest('hex') };
}

function count<K extends string>(counters: Partial<Record<K, number>>, key: K): void {
  counters[key] = (counters[key] ?? 0) + 1;
}
