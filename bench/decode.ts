/**
 * Tokens a second of one stream, one token after another through the whole model: embedding, every layer with its KV cache,
 * the logits of the whole vocabulary read back, and the greedy choice. The limit is reading every weight once a token:
 * smollm2-135m in q4 is 134.5 million weights at 20 bytes per 32, 84 MB.
 */
import { Arena } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { BACKEND_FLAGS, type Benchmark, figure, machine, rates } from './harness.ts';
import { positions, randomModel, randomTokens } from './model-shape.ts';

/** Tokens already in the cache when the clock starts. */
const PROMPT = 16;

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}

export const benchmark: Benchmark = {
  name: 'decode',
  summary: 'tokens a second of one stream; --shape smollm2-135m|gpt-14m, --dtype q4|q8|f32, --tokens per repeat',
  takes: ['shape', 'dtype', 'tokens', ...BACKEND_FLAGS],
  async run(options) {
    const shape = options.shape ?? 'smollm2-135m';
    const dtype = options.dtype ?? 'q4';
    const tokens = options.tokens ?? 64;
    await using backend = await createBackend(options);
    using model = randomModel(backend, shape, dtype);
    using cache = model.createCache({ slots: 1, capacity: PROMPT + tokens });
    using arena = new Arena(backend);
    const prompt = randomTokens(model.config, PROMPT);
    const step = async (input: Int32Array, past: number): Promise<number> => {
      arena.reset();
      const logits = model.forward({ arena, tape: null }, {
        tokens: input,
        positions: positions(past, input.length),
        sequences: [{ start: 0, length: input.length, slot: 0, past }],
        cache,
        logitRows: Int32Array.of(input.length - 1),
      });
      return argmax(await logits.read());
    };
    const first = await step(prompt, 0);
    const spread = await rates(
      tokens,
      async () => {
        let token = first;
        for (let i = 0; i < tokens; i++) token = await step(Int32Array.of(token), PROMPT + i);
      },
      { repeats: options.repeats, warmup: 1 },
    );
    return {
      bench: 'decode', shape, backend: backend.name, description: backend.description, dtype, threads: backend.threads,
      prompt_tokens: PROMPT, tokens, ...figure('tokens_per_second', spread), ...machine(),
    };
  },
};
