/**
 * Tokens a second of a prompt, in one pass with the KV cache written, and the logits of its last token.
 * The limit is arithmetic: smollm2-135m needs 0.107 billion multiply-adds a token in its layers.
 */
import { Arena } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { BACKEND_FLAGS, type Benchmark, figure, machine, rates } from './harness.ts';
import { positions, randomModel, randomTokens } from './model-shape.ts';

export const benchmark: Benchmark = {
  name: 'prefill',
  summary: 'tokens a second of a prompt; --shape smollm2-135m|gpt-14m, --dtype q4|q8|f32, --tokens (256)',
  takes: ['shape', 'dtype', 'tokens', ...BACKEND_FLAGS],
  async run(options) {
    const shape = options.shape ?? 'smollm2-135m';
    const dtype = options.dtype ?? 'q4';
    const tokens = options.tokens ?? 256;
    await using backend = await createBackend(options);
    using model = randomModel(backend, shape, dtype);
    using cache = model.createCache({ slots: 1, capacity: tokens });
    using arena = new Arena(backend);
    const prompt = randomTokens(model.config, tokens);
    const spread = await rates(
      tokens,
      async () => {
        arena.reset();
        const logits = model.forward({ arena, tape: null }, {
          tokens: prompt,
          positions: positions(0, tokens),
          sequences: [{ start: 0, length: tokens, slot: 0, past: 0 }],
          cache,
          logitRows: Int32Array.of(tokens - 1),
        });
        await logits.read();
      },
      { repeats: options.repeats, warmup: 2 },
    );
    return {
      bench: 'prefill', shape, backend: backend.name, description: backend.description, dtype, threads: backend.threads, tokens,
      ...figure('tokens_per_second', spread), ...machine(),
    };
  },
};
