/** What is in a source or in shards: counts, a histogram of lengths, a few documents to read. */
import { basename } from 'node:path';
import type { Tokenizer } from '@parley/tokenizer';
import { type Document, textBytes } from './document.ts';
import { DataError } from './errors.ts';
import { readManifest, splitBase } from './manifest.ts';
import { encodeDocument, tokenizerDigest } from './prepare.ts';
import { ShardReader } from './shards.ts';
import { emptyCounts, readSource, type SourceCounts, type SourceSpec } from './sources.ts';

/** A document shown is cut to this many characters. */
const SAMPLE_CHARACTERS = 400;

export interface Histogram {
  readonly unit: 'tokens' | 'bytes';
  /** Powers of two; `to` is exclusive. Empty ones at the ends are left out. */
  readonly buckets: readonly { readonly from: number; readonly to: number; readonly count: number }[];
}

export interface Inspection {
  readonly name: string;
  readonly documents: number;
  readonly conversations: number;
  /** Null where only tokens are known. */
  readonly turns: number | null;
  /** UTF-8 bytes of text. */
  readonly bytes: number;
  /** Null without a tokenizer. */
  readonly tokens: number | null;
  readonly dropped: SourceCounts['dropped'];
  readonly lengths: Histogram;
  readonly samples: readonly string[];
}

export interface InspectOptions {
  readonly tokenizer?: Tokenizer | undefined;
  /** Documents to show, spread evenly by their hashes. */
  readonly samples: number;
}

/** Reads all of a source, after its cleaning and filters. */
export async function inspectSource(source: SourceSpec, options: InspectOptions): Promise<Inspection> {
  const { tokenizer } = options;
  const counts = emptyCounts();
  const lengths = new Lengths(tokenizer === undefined ? 'bytes' : 'tokens');
  const shown = new Smallest(options.samples);
  const end = tokenizer?.bosTokenId ?? tokenizer?.eosTokenId ?? 0;
  let conversations = 0;
  let turns = 0;
  let bytes = 0;
  let tokens = 0;
  for await (const { document, digest } of readSource(source, counts)) {
    const size = textBytes(document);
    bytes += size;
    if (document.kind === 'conversation') {
      conversations++;
      turns += document.messages.length;
    }
    const length = tokenizer === undefined ? size : encodeDocument(document, tokenizer, end).ids.length;
    tokens += length;
    lengths.add(length);
    shown.offer(digest.readUInt32BE(16), () => show(document));
  }
  return {
    name: source.name, documents: counts.kept, conversations, turns, bytes, tokens: tokenizer === undefined ? null : tokens,
    dropped: counts.dropped, lengths: lengths.histogram(), samples: shown.texts,
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
    for (let i = 0; i < options.samples && options.tokenizer !== undefined; i++) {
      const { part, start, length } = shards.document(Math.floor((shards.documents * i) / options.samples));
      const ids = new Int32Array(length);
      shards.readTokens(part, start, ids);
      samples.push(clip(options.tokenizer.decode(ids)));
    }
    return {
      name, documents: train.documents, conversations: train.conversations, turns: null, bytes: train.bytes, tokens: train.tokens,
      dropped: counts.dropped, lengths: lengths.histogram(), samples,
    };
  });
}

/** Sources for files and folders named on a command line: called after them, numbered where two would be the same. */
export function uniqueSourceNames(paths: readonly string[]): SourceSpec[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const stem = basename(path).replace(/\.(?:gz|zst)$/i, '').replace(/\.\w+$/, '').replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '') || 'source';
    let name = stem;
    for (let i = 2; taken.has(name); i++) name = `${stem}-${i}`;
    taken.add(name);
    return { name, paths: [path] };
  });
}

function show(document: Document): string {
  return clip(document.kind === 'text' ? document.text : document.messages.map(({ role, content }) => `${role}: ${content}`).join('\n'));
}

const clip = (text: string): string => (text.length > SAMPLE_CHARACTERS ? `${text.slice(0, SAMPLE_CHARACTERS)}…` : text);

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
