/**
 * What prompt lookup costs and gives: the time of a pass over one sequence's last token and n guesses behind it, in passes of one
 * token. With a of n guesses right on average, text comes (1 + a) / ratio times as fast.
 */
import { Arena } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { BACKEND_FLAGS, type Benchmark, figure, machine, summarize } from './harness.ts';
import { positions, randomModel, randomTokens } from './model-shape.ts';

const CONTEXT = 128;
const GUESSES = [0, 1, 2, 3, 5, 7, 10, 15];

export const benchmark: Benchmark = {
  name: 'lookup',
  summary: 'time of a pass with guesses behind one token, in passes without; --shape smollm2-135m, --dtype q4|q8|f32',
  takes: ['shape', 'dtype', ...BACKEND_FLAGS],
  async run(options) {
    const shape = options.shape ?? 'smollm2-135m';
    const dtype = options.dtype ?? 'q4';
    await using backend = await createBackend(options);
    using model = randomModel(backend, shape, dtype);
    using cache = model.createCache({ slots: 1, capacity: CONTEXT + 16 });
    using arena = new Arena(backend);
    const pass = async (rows: number, past: number): Promise<number> => {
      const start = performance.now();
      arena.reset();
      const logits = model.forward({ arena, tape: null }, {
        tokens: randomTokens(model.config, rows), positions: positions(past, rows), sequences: [{ start: 0, length: rows, slot: 0, past }], cache,
      });
      await logits.read();
      return performance.now() - start;
    };
    await pass(CONTEXT, 0);
    const ratios = new Map(GUESSES.map((guesses) => [guesses, [] as number[]]));
    const one: number[] = [];
    for (let repeat = -2; repeat < options.repeats; repeat++) {
      for (const guesses of GUESSES) {
        const times = [await pass(1, CONTEXT), await pass(1 + guesses, CONTEXT)] as const;
        if (repeat < 0) continue;
        ratios.get(guesses)?.push(times[1] / times[0]);
        one.push(times[0]);
      }
    }
    return {
      bench: 'lookup', shape, backend: backend.name, dtype, threads: backend.threads, context: CONTEXT, ...figure('pass_ms', summarize(one)),
      ratio_by_guesses: Object.fromEntries(Array.from(ratios, ([guesses, values]) => [guesses, Number(summarize(values).median.toPrecision(3))])), ...machine(),
    };
  },
};
