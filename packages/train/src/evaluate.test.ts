import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arena, Random, ReferenceBackend } from '@parley/engine';
import { ShardReader, ShardWriter } from '@parley/data';
import { llamaConfig, Transformer } from '@parley/model';
import { expect, test } from 'vitest';
import { evaluate } from './evaluate.ts';

test('bits per byte of a model that knows nothing are log2(V) for each token over the bytes, to 1e-5, however it is cut', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-evaluate-'));
  try {
    const base = join(folder, 'x.held-out');
    const writer = new ShardWriter(base, { vocabSize: 50, withMask: true });
    const random = new Random(1);
    const documents = Array.from({ length: 12 }, (_, d) => [0, ...Array.from({ length: 3 + 5 * d }, () => 1 + random.below(48)), 0]);
    for (const ids of documents) writer.add({ ids, bytes: 0 });
    const { parts } = writer.finish();
    using shards = new ShardReader(base, { vocabSize: 50, parts });
    await using backend = new ReferenceBackend();
    const config = llamaConfig({ vocabSize: 50, contextLength: 16, hiddenSize: 8, heads: 1, layers: 1, intermediateSize: 16 });
    using model = Transformer.initialize(backend, config, new Random(2));
    for (const tensor of model.parameters.values()) backend.fill(tensor, 0);
    using arena = new Arena(backend);
    // A token's text has as many bytes as its id modulo 5, the end of a document none.
    const tokenBytes = Uint16Array.from({ length: 50 }, (_, id) => id % 5);
    const result = await evaluate(model, arena, {
      sources: [{ name: 'x', shards, weight: 2 }], contextLength: 16, rows: 40, tokens: 1e6, loss: 'all', longConversations: 'split',
      turnStart: null, padding: 0, tokenBytes,
    });
    const targets = documents.reduce((sum, ids) => sum + ids.length - 1, 0);
    const bytes = documents.flatMap((ids) => ids.slice(1)).reduce((sum, id) => sum + (id % 5), 0);
    expect(result?.sources['x']).toMatchObject({ targets, bytes });
    expect(result?.loss).toBeCloseTo(Math.log(50), 5);
    expect(result?.bitsPerByte).toBeCloseTo((targets * Math.log2(50)) / bytes, 5);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
