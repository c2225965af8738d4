/** What a forward pass is given, and the checks that make it safe: a backend trusts every index it is handed. */
import type { Arena, Tensor } from '@parley/engine';
import type { KeyValueCache } from './cache.ts';
import type { TransformerConfig } from './config.ts';
import { BatchError, count } from './errors.ts';

/** One sequence's rows in a packed batch. */
export interface SequenceSpan {
  /** First row in `tokens`. */
  readonly start: number;
  /** Rows; at least one. */
  readonly length: number;
  /** With a cache: the slot it continues. Each slot at most once in a batch. */
  readonly slot?: number;
  /** With a cache, in place of a slot: the cache row its first key stands in. Sequences of one batch may not overlap. */
  readonly row?: number;
  /** With a cache: rows of the slot that already hold the sequence's earlier tokens. Default 0. */
  readonly past?: number;
}

/** N tokens of several sequences end to end. */
export interface Batch {
  /** (N), each below vocabSize. */
  readonly tokens: Int32Array;
  /** (N), each below contextLength: where in its sequence the token stands. */
  readonly positions: Int32Array;
  /** (N): the segment of each token, where the model has token types; all 0 by default. */
  readonly tokenTypes?: Int32Array;
  /** In the order of their rows, covering all N without gaps. */
  readonly sequences: readonly SequenceSpan[];
  /** New keys and values are written to it, and attention reads earlier ones from it. Inference only. */
  readonly cache?: KeyValueCache;
  /** Rows to compute logits for, in this order; all N by default. Prefill needs only each sequence's last. */
  readonly logitRows?: Int32Array;
}

/** A checked batch in the backend's memory. */
export interface PlacedBatch {
  readonly tokens: Tensor;
  readonly positions: Tensor;
  /** The largest of them. */
  readonly lastPosition: number;
  /** null where the model has none. */
  readonly tokenTypes: Tensor | null;
  /** i32 (S, 4), as `attention` takes them. */
  readonly sequences: Tensor;
  readonly maxQueryLength: number;
  readonly cache: KeyValueCache | null;
  /** i32 (N): each token's row in the cache. */
  readonly cacheRows: Tensor | null;
  readonly logitRows: Tensor | null;
}

/** One sequence from position `past` on: tokens, positions and span of a batch of one. */
export function singleSequence(tokens: Int32Array | readonly number[], options: { past?: number; slot?: number } = {}): Batch {
  const { past = 0 } = options;
  const ids = Int32Array.from(tokens);
  const cached = options.slot === undefined ? {} : { slot: options.slot, past };
  return { tokens: ids, positions: ids.map((_, i) => past + i), sequences: [{ start: 0, length: ids.length, ...cached }] };
}

/** Checks a batch against the model and its cache and uploads its indices. Throws BatchError. */
export function placeBatch(arena: Arena, config: TransformerConfig, batch: Batch): PlacedBatch {
  const { tokens, positions, sequences, cache, logitRows, tokenTypes } = batch;
  const n = tokens.length;
  if (n === 0) throw new BatchError('the batch has no tokens: pass at least one');
  if (positions.length !== n) throw new BatchError(`${n} tokens came with ${positions.length} positions: pass one for each token`);
  for (const [i, token] of tokens.entries()) {
    if (token < 0 || token >= config.vocabSize) {
      throw new BatchError(
        `token ${token} at row ${i} is outside this model's vocabulary of ${count(config.vocabSize)}: ` +
          'the tokenizer and the model do not belong together',
      );
    }
  }
  for (const [i, position] of positions.entries()) {
    if (position < 0) throw new BatchError(`position ${position} at row ${i} is negative: positions count from 0`);
    if (position >= config.contextLength) {
      throw new BatchError(
        `context of ${count(position + 1)} tokens is over this model's ${count(config.contextLength)}: ` +
          'shorten the prompt or ask for fewer new tokens',
      );
    }
  }
  if (tokenTypes) checkTokenTypes(tokenTypes, n, config);
  if (cache !== undefined) checkCache(cache, config);

  // queryStart, queryLength, keyStart, keyLength of each sequence.
  const spans = new Int32Array(4 * sequences.length);
  const cacheRows = cache === undefined ? null : new Int32Array(n);
  const slots = new Set<number>();
  const extents: [first: number, end: number][] = [];
  let end = 0;
  let maxQueryLength = 0;
  for (const [index, span] of sequences.entries()) {
    const { start, length } = span;
    if (start !== end || !Number.isInteger(length) || length < 1 || end + length > n) {
      throw new BatchError(
        `sequence ${index} has ${length} rows from row ${start} of ${n}, the one before it ends at row ${end}: ` +
          'sequences follow each other without gaps and have at least one row',
      );
    }
    end += length;
    maxQueryLength = Math.max(maxQueryLength, length);
    if (cache === undefined || cacheRows === null) {
      if (span.slot !== undefined || span.past) {
        throw new BatchError(
          `sequence ${index} names cache slot ${span.slot} with ${span.past ?? 0} rows, but the batch has no cache: pass it`,
        );
      }
      spans.set([start, length, start, length], 4 * index);
      continue;
    }
    const { slot, row, past = 0 } = span;
    if (row !== undefined) {
      checkExtent(row, { past, length, index, rows: cache.slots * cache.capacity });
      extents.push([row, row + past + length]);
      spans.set([start, length, row, past + length], 4 * index);
      for (let i = 0; i < length; i++) cacheRows[start + i] = row + past + i;
      continue;
    }
    if (slot === undefined || !Number.isInteger(slot) || slot < 0 || slot >= cache.slots) {
      throw new BatchError(
        `sequence ${index} has slot ${slot} of a cache with ${cache.slots}: give each sequence a slot from 0 to ${cache.slots - 1}`,
      );
    }
    if (slots.has(slot)) throw new BatchError(`slot ${slot} appears twice in one batch: sequences cannot share a slot`);
    slots.add(slot);
    if (!Number.isInteger(past) || past < 0 || past + length > cache.capacity) {
      throw new BatchError(
        `slot ${slot} has room for ${count(cache.capacity)} tokens; ${count(length)} after ${count(past)} do not fit: ` +
          'make the cache larger or the sequence shorter',
      );
    }
    const keyStart = slot * cache.capacity;
    spans.set([start, length, keyStart, past + length], 4 * index);
    extents.push([keyStart, keyStart + past + length]);
    for (let i = 0; i < length; i++) cacheRows[start + i] = keyStart + past + i;
  }
  extents.sort(([a], [b]) => a - b);
  for (const [i, [first]] of extents.entries()) {
    if (i > 0 && first < extents[i - 1]![1]) throw new BatchError(`two sequences of one batch share cache row ${first}: give each rows of its own`);
  }
  if (end !== n) throw new BatchError(`the sequences cover ${end} of ${n} rows: every row has to belong to one`);
  for (const row of logitRows ?? []) {
    if (row < 0 || row >= n) throw new BatchError(`logits are asked for row ${row} of a batch of ${n}: rows count from 0`);
  }
  if (logitRows?.length === 0) throw new BatchError('logits are asked for no rows: name at least one, or leave logitRows out for all');

  return {
    tokens: arena.from(tokens),
    positions: arena.from(positions),
    lastPosition: positions.reduce((most, position) => Math.max(most, position), 0),
    tokenTypes: config.tokenTypes === undefined ? null : arena.from(tokenTypes ?? new Int32Array(n)),
    sequences: arena.from(spans, [sequences.length, 4]),
    maxQueryLength,
    cache: cache ?? null,
    cacheRows: cacheRows && arena.from(cacheRows),
    logitRows: logitRows === undefined ? null : arena.from(logitRows),
  };
}

function checkExtent(row: number, { past, length, index, rows }: { past: number; length: number; index: number; rows: number }): void {
  const whole = Number.isInteger(row) && Number.isInteger(past);
  if (whole && row >= 0 && past >= 0 && row + past + length <= rows) return;
  throw new BatchError(`sequence ${index} has ${count(past)} and ${count(length)} tokens from row ${row} of a cache of ${count(rows)}: they do not fit`);
}

function checkTokenTypes(types: Int32Array, n: number, config: TransformerConfig): void {
  if (types.length !== n) throw new BatchError(`${n} tokens came with ${types.length} token types: pass one for each token`);
  const kinds = config.tokenTypes ?? 1;
  const row = types.findIndex((type) => type < 0 || type >= kinds);
  if (row >= 0) throw new BatchError(`token type ${types[row]} at row ${row} is none of this model's ${kinds}: types count from 0`);
}

function checkCache(cache: KeyValueCache, config: TransformerConfig): void {
  if (config.bidirectional) throw new BatchError('a bidirectional model sees the whole sequence at once: run it without a cache');
  if (!cache.alive) throw new BatchError('the batch\'s cache has been disposed: make a new one');
  if (cache.layers !== config.layers || cache.rowSize !== config.keyValueHeads * config.headSize) {
    throw new BatchError(
      `the cache has ${cache.layers} layers of ${cache.rowSize} values a row; this model has ${config.layers} of ` +
        `${config.keyValueHeads * config.headSize}: use the cache of the model that made it`,
    );
  }
}
