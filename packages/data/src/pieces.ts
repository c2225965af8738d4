/**
 * Documents cut to a context. A piece is at most contextLength + 1 tokens of one document: its inputs are all but the last,
 * its targets all but the first.
 *
 * - Texts: successive pieces share one token, the last target of one being the first input of the next, so every token but
 *   a document's first is predicted exactly once.
 * - Conversations are cut only where a turn of the user (or system) begins. What does not fit is, by `longConversations`,
 *   'cut': the first piece is kept, the rest dropped; 'split': every piece is kept, later ones without what was said before;
 *   'drop': the whole conversation is dropped. A turn longer than the context is dropped with what depends on it.
 */
import type { ShardReader } from './shards.ts';

export type LongConversations = 'cut' | 'split' | 'drop';

export interface PieceOptions {
  readonly contextLength: number;
  readonly longConversations: LongConversations;
  /** The token a turn begins with, or null for a tokenizer without turns: then a long conversation is dropped. */
  readonly turnStart: number | null;
}

export interface PieceReport {
  /** Conversations over the context. */
  longConversations: number;
  /** Tokens of them that are not in any piece. */
  droppedTokens: number;
  /** Documents of fewer than two tokens, which predict nothing. */
  tooShort: number;
}

export class Pieces {
  readonly count: number;
  /** Inputs in all pieces together. */
  readonly tokens: number;
  readonly report: PieceReport;
  readonly #part: Uint16Array;
  readonly #start: Float64Array;
  readonly #length: Uint32Array;
  readonly #conversation: Uint8Array;

  constructor(shards: ShardReader, options: PieceOptions) {
    const pieces: { part: number; start: number; length: number; conversation: boolean }[] = [];
    const report = { longConversations: 0, droppedTokens: 0, tooShort: 0 };
    const limit = options.contextLength + 1;
    for (let index = 0; index < shards.documents; index++) {
      const { part, start, length, conversation } = shards.document(index);
      if (length < 2) {
        report.tooShort++;
      } else if (length <= limit) {
        pieces.push({ part, start, length, conversation });
      } else if (!conversation) {
        for (let at = 0; at < length - 1; at += options.contextLength) {
          pieces.push({ part, start: start + at, length: Math.min(limit, length - at), conversation });
        }
      } else {
        report.longConversations++;
        let kept = 0;
        for (const [from, to] of cutConversation(shards, { part, start, length }, options)) {
          pieces.push({ part, start: start + from, length: to - from, conversation });
          kept += to - from;
        }
        report.droppedTokens += length - kept;
      }
    }
    this.count = pieces.length;
    this.report = report;
    this.#part = Uint16Array.from(pieces, (piece) => piece.part);
    this.#start = Float64Array.from(pieces, (piece) => piece.start);
    this.#length = Uint32Array.from(pieces, (piece) => piece.length);
    this.#conversation = Uint8Array.from(pieces, (piece) => (piece.conversation ? 1 : 0));
    this.tokens = pieces.reduce((sum, piece) => sum + piece.length - 1, 0);
  }

  piece(index: number): { part: number; start: number; length: number; conversation: boolean } {
    return {
      part: this.#part[index] ?? 0, start: this.#start[index] ?? 0, length: this.#length[index] ?? 0,
      conversation: this.#conversation[index] === 1,
    };
  }
}

/** The ranges [from, to) of a long conversation that are kept, relative to its start. */
function cutConversation(
  shards: ShardReader, place: { part: number; start: number; length: number }, options: PieceOptions,
): [number, number][] {
  if (options.longConversations === 'drop' || options.turnStart === null) return [];
  const ids = new Int32Array(place.length);
  const mask = new Uint8Array(place.length);
  shards.readTokens(place.part, place.start, ids);
  shards.readMask(place.part, place.start, mask);
  const starts: number[] = [];
  for (let i = 0; i < ids.length; i++) if (ids[i] === options.turnStart) starts.push(i);
  starts.push(ids.length);
  // Where the conversation may be cut: before turns in which the assistant says nothing.
  const cuts = starts.filter((start, turn) => !mask.subarray(start, starts[turn + 1] ?? start).includes(1));
  if (cuts[0] !== 0) cuts.unshift(0);
  const ranges: [number, number][] = [];
  let at = 0;
  while (at < cuts.length - 1) {
    const from = cuts[at] ?? 0;
    let end = at;
    while (end + 1 < cuts.length && (cuts[end + 1] ?? 0) - from <= options.contextLength + 1) end++;
    const to = cuts[end] ?? from;
    if (end > at && mask.subarray(from, to).includes(1)) ranges.push([from, to]);
    if (options.longConversations === 'cut') break;
    at = Math.max(end, at + 1);
  }
  return ranges;
}
