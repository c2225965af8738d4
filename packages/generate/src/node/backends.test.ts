/** Generation on the backends that people run: the same contracts as on the reference, with their kernels' rounding. */
import { createBackend, nativeKernels } from '@parley/engine/node';
import { expect, test } from 'vitest';
import { LocalGenerator } from '../generator.ts';
import type { GenerateOptions } from '../options.ts';
import { argmax } from '../select.ts';
import { tinyModel, tinyTokenizer, uncachedLogits } from '../testing/tiny.ts';

const BACKENDS = nativeKernels().addon === undefined ? (['wasm'] as const) : (['native', 'wasm'] as const);
const NEVER_ENDS = { eosTokenId: [] } as const;

test.each(BACKENDS)('the cache changes nothing, token by token, and one thread gives what two give: %s', async (name) => {
  const results: (readonly number[])[] = [];
  for (const threads of [1, 2]) {
    await using backend = await createBackend({ backend: name, threads });
    using model = tinyModel(backend);
    const generator = new LocalGenerator({ model, tokenizer: tinyTokenizer() });
    const { sequences } = await generator.generate('Hello', { maxNewTokens: 40, ...NEVER_ENDS }).result();
    const tokens = [72, 101, 108, 108, 111];
    while (tokens.length < 45) tokens.push(argmax(await uncachedLogits(model, tokens)));
    expect(sequences[0]!.tokens).toEqual(tokens.slice(5));
    results.push(sequences[0]!.tokens);
  }
  expect(results[0]).toEqual(results[1]);
});

test.each(BACKENDS)('a batch gives each prompt what it gets alone, once warm without an allocation, and gives everything back: %s', async (name) => {
  await using backend = await createBackend({ backend: name, threads: 2 });
  using model = tinyModel(backend);
  const generator = new LocalGenerator({ model, tokenizer: tinyTokenizer() });
  const prompts = ['Once upon a time there was', 'Hi', 'The quick brown fox'];
  for (const options of [{}, { temperature: 1, seed: 3, numReturnSequences: 2 }, { numBeams: 3 }] satisfies GenerateOptions[]) {
    const asked = { ...options, maxNewTokens: 12, ...NEVER_ENDS };
    const alone = [];
    for (const prompt of prompts) alone.push(...(await generator.generate(prompt, asked).result()).sequences.map(({ tokens }) => tokens));
    const before = backend.stats();
    const allocations: number[] = [];
    const together: number[][] = [];
    for await (const event of generator.generate(prompts, asked)) {
      if (event.type !== 'token') continue;
      allocations.push(backend.stats().allocations);
      (together[event.index] ??= []).push(event.token);
    }
    expect(together).toEqual(alone);
    // After prefill and one step nothing is allocated any more.
    expect(new Set(allocations.slice(2 * together.length)).size).toBe(1);
    expect(backend.stats()).toMatchObject({ allocations: before.allocations, allocatedBytes: before.allocatedBytes });
  }
});
