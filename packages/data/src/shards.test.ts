import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IGNORED, Loader, type LoaderOptions, type MicroBatch, sequentialBatches } from './loader.ts';
import { keyOf, permute } from './permutation.ts';
import { type LongConversations, Pieces } from './pieces.ts';
import { ShardReader, ShardWriter } from './shards.ts';

const TURN = 3;
const PADDING = 0;
let folder = '';
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'parley-shards-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Written { readonly ids: number[]; readonly mask?: boolean[] }

/** A shard of these documents; the vocabulary decides the width of a token. */
function shard(name: string, documents: readonly Written[], vocabSize = 60_000): ShardReader {
  const base = join(folder, `${name}.train`);
  const writer = new ShardWriter(base, { vocabSize, withMask: true });
  for (const document of documents) writer.add({ ...document, bytes: document.ids.length });
  const { parts } = writer.finish();
  return new ShardReader(base, { vocabSize, parts });
}

/** Document `d`: tokens that say which document and where, so that a test can follow every one of them. */
const text = (d: number, length: number): Written => ({ ids: Array.from({ length }, (_, i) => 100 + d * 500 + i) });

/** Turns of user and assistant, each TURN and then its words; the assistant's words are masked. */
function chat(d: number, turns: readonly number[]): Written {
  const ids: number[] = [];
  const mask: boolean[] = [];
  for (const [index, words] of turns.entries()) {
    ids.push(TURN);
    mask.push(false);
    for (let i = 0; i < words; i++) {
      ids.push(100 + d * 500 + ids.length);
      mask.push(index % 2 === 1);
    }
  }
  return { ids, mask };
}

const options = (more: Partial<LoaderOptions>): LoaderOptions => ({
  sources: [], contextLength: 16, rows: 64, seed: 5, loss: 'all', longConversations: 'split', turnStart: TURN, padding: PADDING, ...more,
});

test.each([300, 70_000])('documents and masks come back as they were written, vocabulary %i', (vocabSize) => {
  const documents = [text(0, 7), chat(0, [3, 5, 2, 9]), { ids: [vocabSize - 1, 1] }].map(({ ids, ...rest }) => ({ ...rest, ids: ids.map((id) => id % vocabSize) }));
  using reader = shard(`wide-${vocabSize}`, documents, vocabSize);
  expect(reader.documents).toBe(3);
  for (const [index, { ids, mask }] of documents.entries()) {
    const { part, start, length, conversation } = reader.document(index);
    expect([length, conversation]).toEqual([ids.length, mask !== undefined]);
    const back = new Int32Array(length);
    reader.readTokens(part, start, back);
    expect([...back]).toEqual(ids);
    const bits = new Uint8Array(length);
    reader.readMask(part, start, bits);
    expect([...bits]).toEqual(ids.map((_, i) => (mask?.[i] === true ? 1 : 0)));
  }
});

test('a token outside the vocabulary and a shard cut short are errors', () => {
  expect(() => shard('over', [{ ids: [300] }], 300)).toThrow(/token 300 is outside the vocabulary of 300/);
  using reader = shard('short', [text(0, 50)]);
  truncateSync(join(folder, 'short.train.000.tokens'), 40);
  expect(() => reader.readTokens(0, 0, new Int32Array(50))).toThrow(/ends at byte 40/);
});

test.each([1, 2, 3, 10, 64, 65, 1000])('permute is a permutation of %i, another one for each key', (size) => {
  const order = (key: number): number[] => Array.from({ length: size }, (_, i) => permute(i, size, key));
  const first = order(keyOf(1, 0, 0));
  expect(first.toSorted((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
  const other = order(keyOf(1, 0, 1));
  expect(other.toSorted((a, b) => a - b)).toEqual(first.toSorted((a, b) => a - b));
  expect(size < 10 || other.some((value, i) => value !== first[i])).toBe(true);
});

test('every token of a text but the first is a target exactly once an epoch; its inputs are what came before it', () => {
  using reader = shard('once', Array.from({ length: 23 }, (_, d) => text(d, 2 + ((d * 7) % 40))));
  const loader = new Loader(options({ sources: [{ name: 'once', shards: reader, weight: 1 }], rows: 48 }));
  const seen = new Map<number, number>();
  // Batches until the loader has drawn one whole epoch and used what was waiting.
  while ((loader.place.sources[0]?.epoch ?? 0) === 0) collect(loader.next(), seen);
  for (const [, count] of seen) expect(count).toBeLessThanOrEqual(2);
  for (let d = 0; d < 23; d++) {
    const length = 2 + ((d * 7) % 40);
    expect(seen.has(100 + d * 500)).toBe(false);
    for (let i = 1; i < length; i++) expect(seen.get(100 + d * 500 + i) ?? 0).toBeGreaterThanOrEqual(loader.place.waiting.length > 0 ? 0 : 1);
  }
  const missing = Array.from({ length: 23 }, (_, d) => Array.from({ length: 1 + ((d * 7) % 40) }, (_, i) => 101 + d * 500 + i)).flat()
    .filter((token) => !seen.has(token)).length;
  expect(missing).toBeLessThanOrEqual(loader.place.waiting.length * 16);
});

function collect(batch: MicroBatch, seen: Map<number, number>): void {
  for (const { start, length } of batch.sequences) {
    for (let i = 0; i < length; i++) {
      expect(batch.positions[start + i]).toBe(i);
      const target = batch.targets[start + i] ?? IGNORED;
      if (target === IGNORED) continue;
      expect(batch.tokens[start + i]).toBe(target - 1);
      expect(i === 0 || batch.tokens[start + i] === (batch.tokens[start + i - 1] ?? 0) + 1).toBe(true);
      seen.set(target, (seen.get(target) ?? 0) + 1);
    }
  }
}

test('sequences cover all rows, none is longer than the context, and padding has no targets', () => {
  using reader = shard('cover', Array.from({ length: 40 }, (_, d) => text(d, 5 + (d % 12))));
  const loader = new Loader(options({ sources: [{ name: 'cover', shards: reader, weight: 1 }] }));
  for (let i = 0; i < 30; i++) {
    const batch = loader.next();
    let end = 0;
    for (const [index, { start, length }] of batch.sequences.entries()) {
      expect(start).toBe(end);
      expect(length).toBeGreaterThan(0);
      expect(length).toBeLessThanOrEqual(16);
      const learned = batch.targets.subarray(start, start + length).some((target) => target !== IGNORED);
      expect(learned).toBe(batch.origins[index] !== -1);
      end += length;
    }
    expect(end).toBe(64);
    expect(batch.targetCount).toBe(batch.targets.filter((target) => target !== IGNORED).length);
  }
});

test('a loader that seeks to a place gives the same batches as one that never stopped', () => {
  using a = shard('seek-a', Array.from({ length: 9 }, (_, d) => text(d, 4 + d)));
  using b = shard('seek-b', Array.from({ length: 31 }, (_, d) => chat(d, [2, 3, 1, 2])));
  const settings = options({ sources: [{ name: 'a', shards: a, weight: 1 }, { name: 'b', shards: b, weight: 2.5 }], loss: 'assistant' });
  const straight = new Loader(settings);
  const batches = Array.from({ length: 40 }, () => straight.next());
  for (const stop of [0, 1, 7, 23]) {
    const first = new Loader(settings);
    for (let i = 0; i < stop; i++) first.next();
    const resumed = new Loader(settings);
    resumed.seek(JSON.parse(JSON.stringify(first.place)) as typeof first.place);
    for (let i = stop; i < 40; i++) expect(resumed.next()).toEqual(batches[i]);
    expect(resumed.place).toEqual(straight.place);
  }
  expect(() => new Loader(settings).seek({ sources: [{ epoch: 0, position: 0, tokens: 0 }], waiting: [], padding: 0 })).toThrow(/other data/);
});

test('sources are mixed by their weights in tokens, within one piece', () => {
  using a = shard('mix-a', Array.from({ length: 50 }, (_, d) => text(d, 3)));
  using b = shard('mix-b', Array.from({ length: 50 }, (_, d) => text(d, 17)));
  const loader = new Loader(options({ sources: [{ name: 'a', shards: a, weight: 3 }, { name: 'b', shards: b, weight: 1 }] }));
  for (let i = 0; i < 50; i++) loader.next();
  const [first, second] = loader.place.sources;
  expect(Math.abs((first?.tokens ?? 0) - 3 * (second?.tokens ?? 0))).toBeLessThanOrEqual(3 * 16);
});

test('what a source\'s loss weighs stands in the rows of its pieces, and nowhere where all weigh 1', () => {
  using a = shard('weighs-a', Array.from({ length: 20 }, (_, d) => text(d, 9)));
  using b = shard('weighs-b', Array.from({ length: 20 }, (_, d) => text(d, 9)));
  const loader = new Loader(options({ sources: [{ name: 'a', shards: a, weight: 1 }, { name: 'b', shards: b, weight: 1, lossWeight: 2.5 }] }));
  let weighted = 0;
  for (let i = 0; i < 5; i++) {
    const { sequences, origins, targets, weights, targetWeight } = loader.next();
    let sum = 0;
    for (const [index, { start, length }] of sequences.entries()) {
      const weight = origins[index] === 1 ? 2.5 : 1;
      if (weight > 1) weighted++;
      for (let row = start; row < start + length; row++) {
        expect(weights?.[row] ?? 1).toBe(weight);
        if (targets[row] !== IGNORED) sum += weight;
      }
    }
    expect(targetWeight).toBe(sum);
  }
  expect(weighted).toBeGreaterThan(0);
  const plain = new Loader(options({ sources: [{ name: 'a', shards: a, weight: 1 }, { name: 'b', shards: b, weight: 1, lossWeight: 1 }] })).next();
  expect([plain.weights, plain.targetWeight]).toEqual([null, plain.targetCount]);
});

test('with loss on the assistant, targets are exactly the words the assistant says', () => {
  const documents = [chat(0, [2, 3, 2, 4]), chat(1, [1, 1]), text(2, 6)];
  using reader = shard('assistant', documents);
  const batches = [...sequentialBatches(reader, { ...options({ loss: 'assistant' }), limit: Infinity })];
  const targets = batches.flatMap((batch) => [...batch.targets].filter((target) => target !== IGNORED));
  const spoken = documents.flatMap(({ ids, mask }) => ids.filter((_, i) => i > 0 && mask?.[i] !== false));
  expect(targets).toEqual(spoken);
});

test.each([
  ['cut', [[0, 13]]], ['split', [[0, 13], [13, 24], [32, 40]]], ['drop', []],
] as const)('a conversation over the context, "%s": cut only where the user begins, and the rest is counted', (longConversations: LongConversations, ranges) => {
  // Turns begin at 0, 6 | 13, 18 | 24 (7 + 1) … the fourth exchange is longer than the context together with its question.
  const long = chat(0, [5, 6, 4, 5, 3, 3, 3, 3]);
  const starts = long.ids.flatMap((id, i) => (id === TURN ? [i] : []));
  expect(starts).toEqual([0, 6, 13, 18, 24, 28, 32, 36]);
  using reader = shard(`long-${longConversations}`, [long, chat(1, [1, 1])]);
  const pieces = new Pieces(reader, { contextLength: 14, longConversations, turnStart: TURN });
  const got = Array.from({ length: pieces.count }, (_, i) => pieces.piece(i)).filter(({ start }) => start < long.ids.length);
  const expected = longConversations === 'split' ? [[0, 13], [13, 24], [24, 32], [32, 40]] : ranges;
  const merged = longConversations === 'split' ? mergeFitting(expected, 15) : expected;
  expect(got.map(({ start, length }) => [start, start + length])).toEqual(merged);
  const kept = merged.reduce((sum, [from, to]) => sum + ((to ?? 0) - (from ?? 0)), 0);
  expect(pieces.report).toEqual({ longConversations: 1, droppedTokens: long.ids.length - kept, tooShort: 0 });
});

/** Neighbouring ranges joined as long as they fit, as the cutter takes as many exchanges as it can. */
function mergeFitting(ranges: readonly (readonly number[])[], limit: number): number[][] {
  const merged: number[][] = [];
  for (const [from = 0, to = 0] of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && to - (last[0] ?? 0) <= limit) last[1] = to;
    else merged.push([from, to]);
  }
  return merged;
}
