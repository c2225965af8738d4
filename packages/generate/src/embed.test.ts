import { Arena, ReferenceBackend } from '@parley/engine';
import { singleSequence } from '@parley/model';
import { expect, test } from 'vitest';
import { embedTokens } from './embed.ts';
import { GenerateError } from './errors.ts';
import { tinyConfig, tinyModel } from './testing/tiny.ts';

test('a vector is the mean of the last states with length 1 (1e-6), however texts are packed and cut, and nothing stays allocated', async () => {
  const backend = new ReferenceBackend();
  using model = tinyModel(backend, tinyConfig('llama', { contextLength: 512 }));
  const inputs = [1, 40, 300, 2, 128, 129, 90].map((length) => Array.from({ length }, (_, i) => (7 * i + length) % 256));
  await embedTokens(model, inputs.slice(0, 1));
  const before = backend.stats();
  const { vectors, tokens } = await embedTokens(model, inputs);
  expect(backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
  expect(tokens).toBe(690);
  for (const [i, input] of inputs.entries()) {
    using arena = new Arena(backend);
    const states = model.hidden({ arena, tape: null }, singleSequence(input));
    const rows = await states.read();
    const mean = Array.from({ length: 16 }, (_, column) => input.reduce((sum, _token, row) => sum + rows[row * 16 + column]!, 0) / input.length);
    const length = Math.hypot(...mean);
    for (const [column, value] of vectors[i]!.entries()) expect(Math.abs(value - mean[column]! / length)).toBeLessThan(1e-6);
    expect((await embedTokens(model, [input])).vectors[0]).toEqual(vectors[i]);
  }
  await expect(embedTokens(model, [[]])).rejects.toThrow(GenerateError);
  await expect(embedTokens(model, [Array.from({ length: 513 }, () => 1)])).rejects.toThrow('text 0 has 513 tokens');
});
