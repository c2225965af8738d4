/**
 * Tokens a second of training: forward, loss, backward, clipping and AdamW, as `parley train` does them, on rows of random
 * tokens. The limit is arithmetic: 6 operations a parameter and token in the matrix products, and attention's share.
 */
import { Arena, Tape } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { Optimizer } from '@parley/train';
import { BACKEND_FLAGS, type Benchmark, figure, machine, rates } from './harness.ts';
import { positions, randomModel, randomTokens } from './model-shape.ts';

const BATCH = 8;
const CONTEXT = 256;

export const benchmark: Benchmark = {
  name: 'train',
  summary: `tokens a second of training steps, batch ${BATCH}, context ${CONTEXT}; --shape gpt-14m`,
  takes: ['shape', ...BACKEND_FLAGS],
  async run(options) {
    const shape = options.shape ?? 'gpt-14m';
    await using backend = await createBackend(options);
    using model = randomModel(backend, shape, 'f32');
    using optimizer = new Optimizer(model, { kind: 'adamw', momentum: 0, matrixRate: 1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: 1 });
    using arena = new Arena(backend);
    const tokens = BATCH * CONTEXT;
    const rows = Array.from({ length: BATCH }, (_, row) => ({ start: row * CONTEXT, length: CONTEXT }));
    const input = randomTokens(model.config, tokens);
    const batch = { tokens: input, positions: positions(0, tokens).map((i) => i % CONTEXT), sequences: rows };
    const targets = input.map((_, i) => input[(i + 1) % tokens] ?? 0);
    let loss = Number.NaN;
    const spread = await rates(
      tokens,
      async () => {
        arena.reset();
        const tape = new Tape();
        const losses = model.loss({ arena, tape }, batch, { targets });
        tape.backward();
        await optimizer.update(3e-4, await optimizer.gradientNorm());
        loss = (await losses.read()).reduce((sum, value) => sum + value, 0) / tokens;
      },
      { repeats: options.repeats, warmup: 2 },
    );
    return {
      bench: 'train', shape, backend: backend.name, description: backend.description, dtype: 'f32', threads: backend.threads,
      batch: BATCH, context: CONTEXT, parameters: model.parameterCount, loss: Number(loss.toFixed(4)),
      ...figure('tokens_per_second', spread), ...machine(),
    };
  },
};
