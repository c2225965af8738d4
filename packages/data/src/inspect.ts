/**
 * What is in a source or in shards: counts, languages, a histogram of lengths, a few documents to read, and of everything that
 * was dropped or changed one example.
 */
import { basename } from 'node:path';
import type { Tokenizer } from '@parley/tokenizer';
import type { Change } from './clean.ts';
import type { DigestSet } from './digest-set.ts';
import { type Document, plainText, textBytes } from './document.ts';
import { DataError } from './errors.ts';
import type { DropReason } from './filter.ts';
import { identifyLanguage } from './language.ts';
import { readManifest, splitBase } from './manifest.ts';
import { encodeDocument, isHeldOut, tokenizerDigest } from './prepare.ts';
import type { Screen } from './screen.ts';
import { ShardReader } from './shards.ts';
import { emptyCounts, readSource, type SourceCounts, type SourceSpec } from './sources.ts';

/** A document shown is cut to this many characters, an example of something dropped or changed to that many. */
const SAMPLE_CHARACTERS = 400;
const EXAMPLE_CHARACTERS = 160;

export interface Histogram {
  readonly unit: 'tokens' | 'bytes';
  /** Powers of two; `to` is exclusive. Empty ones at the ends are left out. */
  readonly buckets: readonly { readonly from: number; readonly to: number; readonly count: number }[];
}

export interface DropExample {
  /** The file's name, without its folders, and the line or row. */
  readonly path: string;
  readonly line: number;
  /** What was measured, where the reason does not say it all. */
  readonly why: string;
  readonly text: string;
}

/** The first place where cleaning changed a text, with what stands around it. */
export interface ChangeExample {
  readonly before: string;
  readonly after: string;
}

export interface Inspection {
  readonly name: string;
  /** Documents that came out of the readers. */
  readonly read: number;
  /** Of them, those that stayed; of shards, those in the training split. */
  readonly documents: number;
  readonly conversations: number;
  /** Null where only tokens are known. */
  readonly turns: number | null;
  /** UTF-8 bytes of text. */
  readonly bytes: number;
  /** Null without a tokenizer. */
  readonly tokens: number | null;
  readonly dropped: SourceCounts['dropped'];
  readonly changed: SourceCounts['changed'];
  readonly cut: number;
  /** What became of near-duplicates, personal data and evaluation items. */
  readonly screened: Pick<SourceCounts, 'nearDuplicatesOf' | 'masked' | 'maskedDocuments' | 'itemsCut'>;
  /** Documents that stayed, by language, most first; empty where it is not known. */
  readonly languages: Readonly<Record<string, number>>;
  readonly lengths: Histogram;
  readonly samples: readonly string[];
  /** One example each; none of shards. */
  readonly examples: {
    readonly dropped: Readonly<Partial<Record<DropReason, DropExample>>>;
    readonly changed: Readonly<Partial<Record<Change, ChangeExample>>>;
  };
}

export interface InspectOptions {
  readonly tokenizer?: Tokenizer | undefined;
  /** Documents to show, drawn by their hashes. */
  readonly samples: number;
  /** Other seeds show other documents. Default 0. */
  readonly seed?: number | undefined;
}

export interface InspectSourceOptions extends InspectOptions {
  /** Default true. */
  readonly clean?: boolean | undefined;
  /** Identities seen so far: with it, exact duplicates are dropped as in preparation. */
  readonly seen?: DigestSet | undefined;
  /** Near-duplicates, evaluation items and personal data, as in preparation; and the share held out there, in which items may stand. */
  readonly screen?: Screen | undefined;
  readonly heldOut?: number | undefined;
  readonly onProgress?: ((documents: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads all of a source, through its cleaning and filters. */
export async function inspectSource(source: SourceSpec, options: InspectSourceOptions): Promise<Inspection> {
  const { tokenizer, clean, seen, screen, signal } = options;
  const counts = emptyCounts();
  const lengths = new Lengths(tokenizer === undefined ? 'bytes' : 'tokens');
  const shown = new Smallest(options.samples);
  const end = tokenizer?.bosTokenId ?? tokenizer?.eosTokenId ?? 0;
  const dropped: Partial<Record<DropReason, DropExample>> = {};
  const changed: Partial<Record<Change, ChangeExample>> = {};
  const languages: Record<string, number> = {};
  let conversations = 0;
  let turns = 0;
  let bytes = 0;
  let tokens = 0;
  const passing = readSource(source, counts, {
    clean, seen, signal,
    screen: screen === undefined ? undefined : (document, digest) =>
      screen.look(document, { source: source.name, heldOut: isHeldOut(digest, source.heldOut ?? options.heldOut ?? 0), exceptions: source }),
    onDrop: (reason, document, why) => {
      // What is masked in the data is not shown either.
      const text = screen?.mask(document) ?? document;
      dropped[reason] ??= { path: basename(document.path), line: document.line, why, text: clip(plainText(text).trim(), EXAMPLE_CHARACTERS) };
    },
    onChange: (change, before, after) => {
      changed[change] ??= difference(before, after);
    },
  });
  for await (const { document, digest } of passing) {
    const size = textBytes(document);
    bytes += size;
    if (document.kind === 'conversation') {
      conversations++;
      turns += document.messages.length;
    }
    const length = tokenizer === undefined ? size : encodeDocument(document, tokenizer, end).ids.length;
    tokens += length;
    lengths.add(length);
    // A source that asks for languages has counted them itself.
    if (source.languages === undefined) {
      const { language } = identifyLanguage(plainText(document));
      languages[language] = (languages[language] ?? 0) + 1;
    }
    shown.offer(mix(digest.readUInt32BE(16), options.seed ?? 0), () => show(document));
    if (counts.kept % 500 === 0) {
      signal?.throwIfAborted();
      options.onProgress?.(counts.kept);
      await new Promise(setImmediate);
    }
  }
  return {
    name: source.name, read: counts.read, documents: counts.kept, conversations, turns, bytes, tokens: tokenizer === undefined ? null : tokens,
    dropped: counts.dropped, changed: counts.changed, cut: counts.cut, screened: screenedCounts(counts),
    languages: mostFirst(source.languages === undefined ? languages : counts.languages),
    lengths: lengths.histogram(), samples: shown.texts, examples: { dropped, changed },
  };
}

/** Each source's training split, from the shards alone; samples need the tokenizer they were made with. */
export async function inspectShards(folder: string, options: InspectOptions): Promise<Inspection[]> {
  const manifest = await readManifest(folder);
  if (options.tokenizer !== undefined && tokenizerDigest(options.tokenizer) !== manifest.tokenizer.sha256) {
    throw new DataError('was prepared with another tokenizer, so its tokens mean something else: name that one', { path: folder });
  }
  return manifest.sources.map(({ name, counts, splits: { train } }) => {
    using shards = new ShardReader(splitBase(folder, name, 'train'), { vocabSize: manifest.tokenizer.vocabSize, parts: train.parts });
    const lengths = new Lengths('tokens');
    const samples: string[] = [];
    for (let index = 0; index < shards.documents; index++) lengths.add(shards.document(index).length);
    for (let i = 0; i < Math.min(options.samples, shards.documents) && options.tokenizer !== undefined; i++) {
      // Spread evenly, from a place that the seed decides.
      const first = mix(0, options.seed ?? 0) / 2 ** 32;
      const { part, start, length } = shards.document(Math.floor(((i + first) * shards.documents) / options.samples) % shards.documents);
      const ids = new Int32Array(length);
      shards.readTokens(part, start, ids);
      samples.push(clip(options.tokenizer.decode(ids), SAMPLE_CHARACTERS));
    }
    return {
      name, read: counts.read, documents: train.documents, conversations: train.conversations, turns: null, bytes: train.bytes, tokens: train.tokens,
      // Manifests of before had no languages.
      dropped: counts.dropped, changed: counts.changed, cut: counts.cut, screened: screenedCounts(counts), languages: mostFirst((counts as Partial<SourceCounts>).languages ?? {}),
      lengths: lengths.histogram(), samples, examples: { dropped: {}, changed: {} },
    };
  });
}

const screenedCounts = ({ nearDuplicatesOf, masked, maskedDocuments, itemsCut }: SourceCounts): Inspection['screened'] =>
  ({ nearDuplicatesOf, masked, maskedDocuments, itemsCut });

/** Sources for files and folders named on a command line: called after them, numbered where two would be the same. */
export function uniqueSourceNames(paths: readonly string[]): SourceSpec[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const stem = basename(path).replace(/\.(?:gz|zst|xz)$/i, '').replace(/\.\w+$/, '').replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '') || 'source';
    let name = stem;
    for (let i = 2; taken.has(name); i++) name = `${stem}-${i}`;
    taken.add(name);
    return { name, paths: [path] };
  });
}

function mostFirst(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).toSorted((a, b) => b[1] - a[1]));
}

function show(document: Document): string {
  const text = document.kind === 'text' ? document.text : document.messages.map(({ role, content }) => `${role}: ${content}`).join('\n');
  return clip(text, SAMPLE_CHARACTERS);
}

const clip = (text: string, limit: number): string => (text.length > limit ? `${text.slice(0, limit).toWellFormed()}…` : text);

/** What differs between two texts, from the first difference to the last, with a little around it. */
function difference(before: string, after: string): ChangeExample {
  const around = 24;
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  const part = (text: string): string => {
    const from = Math.max(0, start - around);
    const to = Math.min(text.length, Math.max(start, text.length - end) + around);
    const piece = text.slice(from, Math.min(to, from + EXAMPLE_CHARACTERS)).toWellFormed();
    return `${from > 0 ? '…' : ''}${piece}${to > from + EXAMPLE_CHARACTERS || to < text.length ? '…' : ''}`;
  };
  return { before: part(before), after: part(after) };
}

/** 32 bits of a number and a seed; seed 0 leaves it as it is. */
function mix(value: number, seed: number): number {
  if (seed === 0) return value;
  let mixed = Math.imul((value ^ Math.imul(seed, 0x9e3779b1)) | 0, 0x85ebca6b);
  mixed ^= mixed >>> 15;
  return Math.imul(mixed, 0x2c1b3c6d) >>> 0;
}

class Lengths {
  readonly #unit: Histogram['unit'];
  readonly #counts: number[] = [];

  constructor(unit: Histogram['unit']) {
    this.#unit = unit;
  }

  add(length: number): void {
    const bucket = Math.floor(Math.log2(Math.max(1, length)));
    while (this.#counts.length <= bucket) this.#counts.push(0);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  histogram(): Histogram {
    const first = this.#counts.findIndex((count) => count > 0);
    const buckets = this.#counts.map((count, i) => ({ from: 2 ** i, to: 2 ** (i + 1), count }));
    return { unit: this.#unit, buckets: first === -1 ? [] : buckets.slice(first) };
  }
}

/** Keeps the texts with the smallest keys: a sample that does not depend on the order of the documents. */
class Smallest {
  readonly #limit: number;
  readonly #kept: { key: number; text: string }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get texts(): string[] {
    return this.#kept.map(({ text }) => text);
  }

  offer(key: number, text: () => string): void {
    if (this.#limit === 0 || (this.#kept.length === this.#limit && key >= (this.#kept.at(-1)?.key ?? 0))) return;
    this.#kept.push({ key, text: text() });
    this.#kept.sort((a, b) => a.key - b.key);
    this.#kept.length = Math.min(this.#kept.length, this.#limit);
  }
}
