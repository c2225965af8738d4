/** Texts as vectors: a model's last states, pooled over each sequence (Reimers & Gurevych, 2019, Sentence-BERT). */
import { Arena } from '@parley/engine';
import type { Batch } from './batch.ts';
import type { Transformer } from './transformer.ts';

export interface EmbedOptions {
  /** `mean` of a sequence's states, the default; its first (`cls`), or its `last`, as decoders that were trained for it have it. */
  readonly pooling?: 'mean' | 'cls' | 'last';
  /** Scale each vector to length 1, so that dot products are cosines. Default true. */
  readonly normalize?: boolean;
}

/** One vector (C) for each sequence of the batch, which names no `logitRows` and has no cache. Throws BatchError as the transformer does. */
export async function embedSequences(
  model: Transformer, batch: Omit<Batch, 'logitRows' | 'cache'>, options: EmbedOptions = {},
): Promise<Float32Array[]> {
  const { pooling = 'mean', normalize = true } = options;
  using arena = new Arena(model.backend);
  const width = model.config.hiddenSize;
  const states = await model.hidden({ arena, tape: null }, batch).read(); // (N, C)
  return batch.sequences.map(({ start, length }) => {
    const [from, to] = { mean: [start, start + length], cls: [start, start + 1], last: [start + length - 1, start + length] }[pooling] as [number, number];
    const sums = new Float64Array(width);
    for (let row = from; row < to; row++) for (let i = 0; i < width; i++) sums[i]! += states[row * width + i]!;
    let squares = 0;
    for (const sum of sums) squares += (sum / (to - from)) ** 2;
    // As sentence-transformers: no division by a length below 1e-12.
    const divisor = (to - from) * (normalize ? Math.max(Math.sqrt(squares), 1e-12) : 1);
    return Float32Array.from(sums, (sum) => sum / divisor);
  });
}
