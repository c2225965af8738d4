/** Texts with labels, read into memory and made into tokens. */
import { createHash } from 'node:crypto';
import { DigestSet, emptyCounts, fileRecord, isHeldOut, readSource, sourceFiles, type SourceSpec, tokenizerDigest } from '@parley/data';
import type { Tokenizer } from '@parley/tokenizer';
import { TrainError } from '../errors.ts';

/** More than this is no longer read into memory without a thought: about a gigabyte of short texts. */
export const MOST_ITEMS = 2_000_000;

export interface LabelledItem {
  readonly ids: Int32Array;
  /** Its number in `labels`. */
  readonly label: number;
  readonly text: string;
}

export interface LabelledData {
  /** Sorted by name. */
  readonly labels: readonly string[];
  readonly train: readonly LabelledItem[];
  readonly heldOut: readonly LabelledItem[];
  /** Of everything that decides the items: a run that goes on needs the same. */
  readonly key: string;
  /** A line a source: how much there is, what was dropped and cut. */
  readonly notes: readonly string[];
}

export interface ItemDataOptions {
  readonly tokenizer: Tokenizer;
  /** Tokens of an item at most; longer texts are cut, and counted. */
  readonly contextLength: number;
  readonly heldOut: number;
  readonly deduplicate: boolean;
  readonly clean: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** SHA-256 of files, tokenizer and settings. */
export async function itemsKey(sources: readonly SourceSpec[], settings: object, { tokenizer, heldOut, deduplicate, clean, contextLength, signal }: ItemDataOptions): Promise<string> {
  const described = [];
  for (const source of sources) {
    const records = [];
    for (const file of (await sourceFiles(source)).files) records.push(await fileRecord(file, signal));
    described.push({ ...source, paths: undefined, exclude: source.exclude?.map(String), files: records });
  }
  return createHash('sha256').update(JSON.stringify({ described, settings, tokenizer: tokenizerDigest(tokenizer), heldOut, deduplicate, clean, contextLength })).digest('hex');
}

/**
 * `sources` with the templates of text and label as `prompt` and `completion`, as `readSource` takes them. What is held out is chosen by
 * the text's hash, so that no text is on both sides. Throws TrainError where there is nothing to learn or too much to hold, DataError.
 */
export async function readLabelled(sources: readonly SourceSpec[], options: ItemDataOptions): Promise<LabelledData> {
  const { tokenizer, contextLength, signal } = options;
  const seen = options.deduplicate ? new DigestSet() : undefined;
  const read: { text: string; label: string; ids: Int32Array; heldOut: boolean }[] = [];
  const notes: string[] = [];
  for (const source of sources) {
    const counts = emptyCounts();
    const before = read.length;
    let cut = 0;
    for await (const { document, digest } of readSource(source, counts, { clean: options.clean, seen, signal })) {
      if (document.kind !== 'conversation') continue;
      const [text = '', label = ''] = document.messages.map(({ content }) => content.trim());
      const ids = tokenizer.encode(text);
      if (ids.length === 0) throw new TrainError(`${document.path}:${document.line} has an empty text: drop it, or leave out such items with where or min_characters`);
      if (ids.length > contextLength) cut++;
      read.push({ text, label, ids: Int32Array.from(ids.slice(0, contextLength)), heldOut: isHeldOut(digest, source.heldOut ?? options.heldOut) });
      if (read.length > MOST_ITEMS) throw new TrainError(`there are more than ${MOST_ITEMS} texts, and they are held in memory: take fewer with max_documents`);
    }
    const dropped = Object.entries(counts.dropped).map(([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`);
    const heldOut = read.slice(before).filter((item) => item.heldOut).length;
    notes.push(
      `${source.name}: ${read.length - before - heldOut} texts to train on, ${heldOut} held out${dropped.length > 0 ? `; dropped: ${dropped.join(', ')}` : ''}` +
        `${cut > 0 ? `; ${cut} longer than ${contextLength} tokens are cut to their beginning` : ''}`,
    );
  }
  const train = read.filter((item) => !item.heldOut);
  const labels = [...new Set(train.map(({ label }) => label))].sort();
  if (labels.length < 2) throw new TrainError(`the ${train.length} texts to train on have ${labels.length} labels: a classifier needs two and more`);
  const numbers = new Map(labels.map((label, i) => [label, i]));
  const known = (items: typeof read): LabelledItem[] => items.map(({ text, ids, label }) => ({ text, ids, label: numbers.get(label) ?? -1 }));
  const heldOut = known(read.filter((item) => item.heldOut));
  const strange = heldOut.filter(({ label }) => label === -1).length;
  if (strange > 0) notes.push(`${strange} held-out texts have a label that no text to train on has, and are left out`);
  return { labels, train: known(train), heldOut: heldOut.filter(({ label }) => label !== -1), key: await itemsKey(sources, {}, options), notes };
}
