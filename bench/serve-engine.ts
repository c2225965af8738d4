/**
 * Many people at once on one engine: tokens a second of all streams together at 1, 4, 16 and 64 streams, through the batching generator
 * in this process. Each stream has a prompt of its own and draws at temperature 1, as chats do. Beside the rate by the clock, tokens a
 * second of processor time (steady on a busy machine with `--threads 1`; idle threads that spin count too), and the model's share of it:
 * the rest is choosing tokens and telling of them. `--shape` is a preset with random weights, or parley-nano, the shipped model;
 * `--tokens` is how many each stream gets.
 */
import { createBackend } from '@parley/engine/node';
import { BatchingGenerator, type LanguageModel } from '@parley/generate';
import { loadModel, resolveModel } from '@parley/model/node';
import { BACKEND_FLAGS, type Benchmark, type BenchRecord, figure, machine, summarize } from './harness.ts';
import { randomModel, randomTokens, shapeConfig } from './model-shape.ts';

const STREAMS = [1, 4, 16, 64];
const PROMPT = 32;

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

export const benchmark: Benchmark = {
  name: 'serve-engine',
  summary: 'tokens a second of 1, 4, 16 and 64 streams together; --shape parley-nano|smollm2-135m, --dtype q4|q8|f32, --tokens of each stream',
  takes: ['shape', 'dtype', 'tokens', ...BACKEND_FLAGS],
  async run(options) {
    const { shape = 'smollm2-135m', dtype = 'q4', tokens = 32 } = options;
    await using backend = await createBackend(options);
    using model = shape === 'parley-nano' ? await loadModel(await resolveModel(shape), { backend, dtype }) : randomModel(backend, shape, dtype);
    const config = shape === 'parley-nano' ? model.config : shapeConfig(shape);
    const words = randomTokens(config, PROMPT * Math.max(...STREAMS));
    let forwardSeconds = 0;
    let steps = 0;
    const watched: LanguageModel = {
      config: model.config, backend: model.backend,
      createCache: (size) => model.createCache(size),
      hidden: (ctx, batch) => model.hidden(ctx, batch),
      forward: (ctx, batch) => {
        const start = cpuSeconds();
        const logits = model.forward(ctx, batch);
        forwardSeconds += cpuSeconds() - start;
        steps++;
        return logits;
      },
    };
    const run = async (streams: number): Promise<{ rate: number; cpu: number; seconds: number }> => {
      // Nothing is remembered from one repeat to the next: its prompts would be.
      await using generator = new BatchingGenerator({ model: watched }, { maxBatch: 64 });
      const ask = async (i: number): Promise<void> => {
        const prompt = { tokens: [...words.subarray(i * PROMPT, (i + 1) * PROMPT)] };
        await generator.generate(prompt, { maxNewTokens: tokens, temperature: 1, seed: i, eosTokenId: [] }).result();
      };
      const [start, used] = [performance.now(), cpuSeconds()];
      await Promise.all(Array.from({ length: streams }, (_, i) => ask(i)));
      const seconds = (performance.now() - start) / 1000;
      const cpu = cpuSeconds() - used;
      return { rate: (streams * tokens) / seconds, cpu, seconds };
    };
    await run(2); // warms the code up
    const record: Record<string, unknown> = {};
    const samples = new Map<number, { wall: number[]; cpu: number[]; forward: number; stepMs: number }>(
      STREAMS.map((streams) => [streams, { wall: [], cpu: [], forward: 0, stepMs: 0 }]),
    );
    // In turns, so that a slow minute of the machine is everybody's.
    for (let repeat = 0; repeat < Math.max(1, options.repeats); repeat++) {
      for (const streams of STREAMS) {
        forwardSeconds = steps = 0;
        const { rate, cpu, seconds } = await run(streams);
        const sample = samples.get(streams);
        if (sample === undefined) continue;
        sample.wall.push(rate);
        sample.cpu.push((streams * tokens) / cpu);
        sample.forward = forwardSeconds / cpu;
        sample.stepMs = (1000 * seconds) / steps;
      }
    }
    const alone = { wall: summarize(samples.get(1)?.wall ?? []).median, cpu: summarize(samples.get(1)?.cpu ?? []).median };
    for (const [streams, { wall, cpu, forward, stepMs }] of samples) {
      const [byClock, byProcessor] = [summarize(wall), summarize(cpu)];
      Object.assign(record, figure(`tokens_per_second_at_${streams}`, byClock), figure(`tokens_per_cpu_second_at_${streams}`, byProcessor), {
        [`times_one_at_${streams}`]: Number((byClock.median / alone.wall).toFixed(2)),
        [`times_one_by_cpu_at_${streams}`]: Number((byProcessor.median / alone.cpu).toFixed(2)),
        [`forward_share_of_cpu_at_${streams}`]: Number(forward.toFixed(2)),
        [`step_ms_at_${streams}`]: Number(stepMs.toFixed(1)),
      });
    }
    return {
      bench: 'serve-engine', shape, dtype, backend: backend.name, description: backend.description, threads: backend.threads,
      prompt_tokens: PROMPT, tokens, ...record, ...machine(),
    } satisfies BenchRecord;
  },
};
