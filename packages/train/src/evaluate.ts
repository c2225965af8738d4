/** Held-out loss and bits per byte, with no gradient. */
import { setImmediate } from 'node:timers/promises';
import type { Arena } from '@parley/engine';
import { IGNORED, type LongConversations, type MicroBatch, sequentialBatches, type ShardReader } from '@parley/data';
import type { Transformer } from '@parley/model';

export interface EvaluationSource {
  readonly name: string;
  readonly shards: ShardReader;
  /** Share in the mean; the scale is free. */
  readonly weight: number;
}

export interface EvaluateOptions {
  readonly sources: readonly EvaluationSource[];
  readonly contextLength: number;
  /** Rows of a batch. */
  readonly rows: number;
  /** Tokens measured on, over all sources in proportion to their weights; each source gives what it has. */
  readonly tokens: number;
  readonly loss: 'all' | 'assistant';
  readonly longConversations: LongConversations;
  readonly turnStart: number | null;
  readonly padding: number;
  /** Bytes of text each token stands for; 0 for special tokens. */
  readonly tokenBytes: Uint16Array;
  readonly signal?: AbortSignal | undefined;
}

/** Of one source. Fields as metrics.jsonl and state.json have them. */
export interface SourceEvaluation {
  /** Nats per target. */
  readonly loss: number;
  readonly bits_per_byte: number;
  readonly targets: number;
  /** UTF-8 bytes of text that the targets stand for. */
  readonly bytes: number;
}

export interface Evaluation {
  readonly loss: number;
  readonly bitsPerByte: number;
  /** By name; without those that have nothing held out. */
  readonly sources: Readonly<Record<string, SourceEvaluation>>;
}

/** What one source is measured on, which has so much of the weight of all that have something held out. */
export function heldOutBatches(shards: ShardReader, options: Omit<EvaluateOptions, 'sources' | 'signal'>, share: number): Iterable<MicroBatch> {
  return sequentialBatches(shards, { ...options, limit: Math.max(options.contextLength, Math.round(options.tokens * share)) });
}

/**
 * loss: nats per target, the sources' means weighted as the mixture weighs them. bitsPerByte: all the nats of the targets
 * (ends of documents and turns included) over the bytes of text they stand for, likewise, so it does not depend on the
 * tokenizer. Null when no source has held-out documents. Throws the signal's reason when aborted between two batches. The arena is left with no live tensors.
 */
export async function evaluate(model: Transformer, arena: Arena, options: EvaluateOptions): Promise<Evaluation | null> {
  const present = options.sources.filter(({ shards }) => shards.documents > 0);
  const totalWeight = present.reduce((sum, { weight }) => sum + weight, 0);
  const sources: Record<string, SourceEvaluation> = {};
  const host = new Float32Array(options.rows);
  let loss = 0;
  let bits = 0;
  let measured = 0;
  for (const { name, shards, weight } of present) {
    let nats = 0;
    let targets = 0;
    let bytes = 0;
    for (const batch of heldOutBatches(shards, options, weight / totalWeight)) {
      await setImmediate();
      options.signal?.throwIfAborted();
      arena.reset();
      const losses = model.loss({ arena, tape: null }, batch, { targets: batch.targets, scale: 1 });
      await model.backend.read(losses, host);
      for (const value of host) nats += value;
      targets += batch.targetCount;
      for (const target of batch.targets) if (target !== IGNORED) bytes += options.tokenBytes[target] ?? 0;
    }
    if (targets === 0 || bytes === 0) continue;
    const result = { loss: nats / targets, bits_per_byte: nats / Math.LN2 / bytes, targets, bytes };
    sources[name] = result;
    loss += result.loss * weight;
    bits += result.bits_per_byte * weight;
    measured += weight;
  }
  arena.reset();
  return measured === 0 ? null : { loss: loss / measured, bitsPerByte: bits / measured, sources };
}
