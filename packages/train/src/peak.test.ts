import { ReferenceBackend } from '@parley/engine';
import { gpt2Config, llamaConfig } from '@parley/model';
import { expect, test } from 'vitest';
import { Peak, trainingFlops } from './peak.ts';

test('the share of the peak is never over 1: a rate above the peak becomes the peak', () => {
  const peak = new Peak(20);
  expect(peak.share(5)).toBe(0.25);
  expect(peak.share(50)).toBe(1);
  expect(peak.gflops).toBe(50);
  expect(peak.share(25)).toBe(0.5);
});

test('the probe finds a rate above zero and frees its memory', async () => {
  await using backend = new ReferenceBackend();
  const { gflops } = await Peak.measure(backend, 8);
  expect(gflops).toBeGreaterThan(0);
  expect(backend.stats().allocations).toBe(0);
});

test('operations: 6 a weight and token, the output matrix only for targets, tied or not; 12 a layer, column and pair', () => {
  const size = { vocabSize: 10, contextLength: 8, hiddenSize: 4, heads: 2, layers: 3, intermediateSize: 16 };
  const layers = 3 * (4 * 4 * 4 + 2 * 4 * 16);
  const work = { tokens: 7, targets: 5, pairs: 28 };
  const expected = 6 * (layers * 7 + 10 * 4 * 5) + 12 * 3 * 4 * 28;
  expect(trainingFlops(gpt2Config(size), work)).toBe(expected);
  expect(trainingFlops(gpt2Config({ ...size, tieEmbeddings: false }), work)).toBe(expected);
  expect(trainingFlops(llamaConfig(size), work)).toBe(expected + 6 * 3 * 4 * 16 * 7);
});
