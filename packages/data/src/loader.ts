/**
 * Shards to micro-batches. A micro-batch is `tokens` rows filled with whole pieces (see `pieces.ts`) end to end; each piece
 * is a sequence of its own: its positions start at 0 and it attends to nothing outside itself.
 *
 * Mixing: the next piece comes from the source that is furthest behind its weight, counted in tokens. Order: within a
 * source, every epoch is another seeded permutation, computed and not stored. Filling: a piece that does not fit waits in
 * a short queue and the next is tried; rows that stay empty are padding without targets (with a context of 256 and 4,096
 * rows about 0.1 %). So the loader's place is a few small integers, and a run that continues from it sees the same batches.
 */
import { DataError } from './errors.ts';
import { keyOf, permute } from './permutation.ts';
import { type LongConversations, type PieceReport, Pieces } from './pieces.ts';
import type { ShardReader } from './shards.ts';

/** What `ignoreIndex` of the loss is: the row has no target. */
export const IGNORED = -100;

/** Pieces that may wait for room. More of them, less padding, longer places. */
const WAITING = 16;

export interface MicroBatch {
  /** (N) token ids. */
  readonly tokens: Int32Array;
  /** (N) the token that follows each, or −100. */
  readonly targets: Int32Array;
  /** (N) place within the piece, from 0. */
  readonly positions: Int32Array;
  /** The pieces, in rows; the last may be padding. */
  readonly sequences: readonly { readonly start: number; readonly length: number }[];
  /** Which source each sequence came from (its index), −1 for padding. */
  readonly origins: readonly number[];
  /** Rows that have a target. */
  readonly targetCount: number;
  /** (N) what each row's loss weighs beside the others (see LoaderSource.lossWeight); null where all weigh 1. */
  readonly weights: Float32Array | null;
  /** The sum of the weights of the rows that have a target. */
  readonly targetWeight: number;
}

export interface LoaderSource {
  readonly name: string;
  readonly shards: ShardReader;
  /** Share of the mixture, in tokens; any positive scale. */
  readonly weight: number;
  /** What the loss of each of its targets weighs beside that of others; any positive scale. Default 1. */
  readonly lossWeight?: number | undefined;
}

export interface LoaderOptions {
  readonly sources: readonly LoaderSource[];
  readonly contextLength: number;
  /** Rows of a micro-batch, at least contextLength. */
  readonly rows: number;
  readonly seed: number;
  /** 'all': every token is learned. 'assistant': in conversations only what the assistant says; texts whole. */
  readonly loss: 'all' | 'assistant';
  readonly longConversations: LongConversations;
  readonly turnStart: number | null;
  readonly padding: number;
}

/** Where a loader stands, as JSON. */
export interface LoaderPlace {
  readonly sources: readonly { readonly epoch: number; readonly position: number; readonly tokens: number }[];
  /** Pieces drawn but not used yet: [source, piece]. */
  readonly waiting: readonly (readonly [number, number])[];
  /** Rows of padding so far. */
  readonly padding: number;
}

export class Loader {
  readonly sources: readonly { readonly name: string; readonly pieces: number; readonly tokens: number; readonly report: PieceReport }[];
  readonly #options: LoaderOptions;
  readonly #pieces: readonly Pieces[];
  #places: { epoch: number; position: number; tokens: number }[];
  #waiting: [number, number][] = [];
  #padding = 0;

  /** Throws DataError where a source has no piece, or the rows cannot hold a context. */
  constructor(options: LoaderOptions) {
    if (options.rows < options.contextLength) {
      throw new DataError(`a micro-batch of ${options.rows} tokens cannot hold a context of ${options.contextLength}: make it larger`);
    }
    this.#options = options;
    this.#pieces = options.sources.map(({ shards }) => new Pieces(shards, options));
    this.sources = options.sources.map(({ name }, index) => {
      const { count, tokens, report } = this.#at(index);
      if (count === 0) throw new DataError(`source "${name}" has nothing that fits a context of ${options.contextLength}: raise it`);
      return { name, pieces: count, tokens, report };
    });
    this.#places = options.sources.map(() => ({ epoch: 0, position: 0, tokens: 0 }));
  }

  get place(): LoaderPlace {
    return {
      sources: this.#places.map((place) => ({ ...place })), waiting: this.#waiting.map(([s, p]) => [s, p] as const),
      padding: this.#padding,
    };
  }

  /** Continues from a place of a loader with the same options. Throws DataError where it cannot be one. */
  seek(place: LoaderPlace): void {
    const fits = place.sources.length === this.#pieces.length &&
      place.sources.every((source, index) => source.position < this.#at(index).count) &&
      place.waiting.every(([source, piece]) => piece < (this.#pieces[source]?.count ?? 0));
    if (!fits) throw new DataError('the checkpoint was made with other data than this: prepare the same data, or start a new run');
    this.#places = place.sources.map((source) => ({ ...source }));
    this.#waiting = place.waiting.map(([source, piece]) => [source, piece]);
    this.#padding = place.padding;
  }

  /** The next micro-batch. There always is one: sources repeat, epoch by epoch. */
  next(): MicroBatch {
    const batch = new BatchBuilder(this.#options.rows, this.#options.padding);
    for (const entry of this.nextPieces()) this.#add(batch, entry);
    return batch.finish(this.#options.contextLength);
  }

  /**
   * The pieces of the next micro-batch, [source, piece] in the order of its rows, in place of the micro-batch: what is left
   * to do is to read their tokens (see `pieces`).
   */
  nextPieces(): [source: number, piece: number][] {
    const placed: [number, number][] = [];
    let room = this.#options.rows;
    const fit = (entry: [number, number]): void => {
      const length = this.#at(entry[0]).piece(entry[1]).length - 1;
      if (length > room) {
        this.#waiting.push(entry);
      } else {
        placed.push(entry);
        room -= length;
      }
    };
    for (const entry of this.#waiting.splice(0)) fit(entry);
    while (room > 0 && this.#waiting.length < WAITING) fit(this.#draw());
    this.#padding += room;
    return placed;
  }

  /** Where each piece of a source lies in its shards. */
  pieces(source: number): Pieces {
    return this.#at(source);
  }

  #draw(): [number, number] {
    let source = 0;
    let behind = Infinity;
    for (const [index, { weight }] of this.#options.sources.entries()) {
      const share = (this.#places[index]?.tokens ?? 0) / weight;
      if (share < behind) {
        behind = share;
        source = index;
      }
    }
    const place = this.#places[source];
    if (place === undefined) throw new DataError('a loader needs at least one source');
    const { count } = this.#at(source);
    const piece = permute(place.position, count, keyOf(this.#options.seed, source, place.epoch));
    place.tokens += this.#at(source).piece(piece).length - 1;
    place.position++;
    if (place.position === count) {
      place.position = 0;
      place.epoch++;
    }
    return [source, piece];
  }

  #add(batch: BatchBuilder, [source, piece]: [number, number]): void {
    const { part, start, length, conversation } = this.#at(source).piece(piece);
    const { shards, lossWeight } = this.#options.sources[source] ?? {};
    if (shards === undefined) throw new DataError(`there is no source ${source}`);
    const ids = new Int32Array(length);
    shards.readTokens(part, start, ids);
    let mask: Uint8Array | null = null;
    if (conversation && this.#options.loss === 'assistant') {
      mask = new Uint8Array(length);
      shards.readMask(part, start, mask);
    }
    batch.add(ids, mask, source, lossWeight);
  }

  #at(source: number): Pieces {
    const pieces = this.#pieces[source];
    if (pieces === undefined) throw new DataError(`there is no source ${source}`);
    return pieces;
  }
}

/**
 * Every piece of a split once, in the order of the files: what held-out loss is measured on. Ends after `limit` tokens.
 */
export function* sequentialBatches(
  shards: ShardReader, options: Omit<LoaderOptions, 'sources' | 'seed'> & { limit: number },
): Generator<MicroBatch> {
  const pieces = new Pieces(shards, options);
  let batch = new BatchBuilder(options.rows, options.padding);
  let used = 0;
  for (let index = 0; index < pieces.count && used < options.limit; index++) {
    const { part, start, length, conversation } = pieces.piece(index);
    if (length - 1 > batch.room) {
      yield batch.finish(options.contextLength);
      batch = new BatchBuilder(options.rows, options.padding);
    }
    const ids = new Int32Array(length);
    shards.readTokens(part, start, ids);
    let mask: Uint8Array | null = null;
    if (conversation && options.loss === 'assistant') {
      mask = new Uint8Array(length);
      shards.readMask(part, start, mask);
    }
    batch.add(ids, mask, 0);
    used += length - 1;
  }
  if (batch.room < options.rows) yield batch.finish(options.contextLength);
}

class BatchBuilder {
  readonly #tokens: Int32Array;
  readonly #targets: Int32Array;
  readonly #positions: Int32Array;
  readonly #sequences: { start: number; length: number }[] = [];
  readonly #origins: number[] = [];
  #used = 0;
  #targetCount = 0;
  #weights: Float32Array | null = null;
  #targetWeight = 0;

  constructor(rows: number, padding: number) {
    this.#tokens = new Int32Array(rows).fill(padding);
    this.#targets = new Int32Array(rows).fill(IGNORED);
    this.#positions = new Int32Array(rows);
  }

  get room(): number {
    return this.#tokens.length - this.#used;
  }

  /** ids: the piece, its last token a target only. mask: which tokens are learned; null for all. weight: of each one's loss. */
  add(ids: Int32Array, mask: Uint8Array | null, origin: number, weight = 1): void {
    const start = this.#used;
    const length = ids.length - 1;
    if (weight !== 1) (this.#weights ??= new Float32Array(this.#tokens.length).fill(1)).fill(weight, start, start + length);
    for (let i = 0; i < length; i++) {
      this.#tokens[start + i] = ids[i] ?? 0;
      this.#positions[start + i] = i;
      if (mask !== null && mask[i + 1] !== 1) continue;
      this.#targets[start + i] = ids[i + 1] ?? IGNORED;
      this.#targetCount++;
      this.#targetWeight += weight;
    }
    this.#sequences.push({ start, length });
    this.#origins.push(origin);
    this.#used += length;
  }

  /** Padding becomes sequences of its own, no longer than a context. */
  finish(contextLength: number): MicroBatch {
    while (this.room > 0) {
      const start = this.#used;
      const length = Math.min(this.room, contextLength);
      for (let i = 0; i < length; i++) this.#positions[start + i] = i;
      this.#sequences.push({ start, length });
      this.#origins.push(-1);
      this.#used += length;
    }
    return {
      tokens: this.#tokens, targets: this.#targets, positions: this.#positions, sequences: this.#sequences,
      origins: this.#origins, targetCount: this.#targetCount, weights: this.#weights, targetWeight: this.#targetWeight,
    };
  }
}
