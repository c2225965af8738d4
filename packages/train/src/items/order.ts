/** Which items a step takes, and how they are computed: a function of the step alone, so that resuming needs no more than its number. */
import { keyOf, permute } from '@parley/data';
import type { TrainingWork } from '../peak.ts';

/** The items of step `step` (from 1): every epoch is another seeded permutation, and steps take its items one after the other. */
export function itemsOfStep(step: number, stage: { readonly count: number; readonly perStep: number; readonly seed: number }): number[] {
  const { count, perStep, seed } = stage;
  return Array.from({ length: perStep }, (_, i) => {
    const place = (step - 1) * perStep + i;
    return permute(place % count, count, keyOf(seed, Math.floor(place / count)));
  });
}

/** Items in order, as many together as have at most so many tokens; one that has more stands alone. */
export function microBatches(items: readonly number[], tokensOf: (item: number) => number, most: number): number[][] {
  const batches: number[][] = [];
  let tokens = Infinity;
  for (const item of items) {
    const size = tokensOf(item);
    if (tokens + size > most) {
      batches.push([]);
      tokens = 0;
    }
    batches.at(-1)?.push(item);
    tokens += size;
  }
  return batches;
}

/** Sequences end to end, as a transformer takes them. */
export function packSequences(sequences: readonly Int32Array[]): { tokens: Int32Array; positions: Int32Array; sequences: { start: number; length: number }[] } {
  const total = sequences.reduce((sum, { length }) => sum + length, 0);
  const tokens = new Int32Array(total);
  const positions = new Int32Array(total);
  const spans: { start: number; length: number }[] = [];
  let start = 0;
  for (const ids of sequences) {
    tokens.set(ids, start);
    for (let i = 0; i < ids.length; i++) positions[start + i] = i;
    spans.push({ start, length: ids.length });
    start += ids.length;
  }
  return { tokens, positions, sequences: spans };
}

/** What sequences of these lengths ask for, with so many rows of logits over the vocabulary. */
export function workOf(lengths: readonly number[], targets = 0): TrainingWork {
  return {
    tokens: lengths.reduce((sum, length) => sum + length, 0), targets, pairs: lengths.reduce((sum, length) => sum + (length * (length + 1)) / 2, 0),
  };
}
