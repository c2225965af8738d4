/**
 * What an assistant gives: a model's answers to recipes/eval's questions, without one and with the same model in fewer bits guessing ahead, in
 * turn. The answers are the same, and that is checked. `share`: of the guesses, those that came.
 */
import { openGenerator } from '@parley/generate/node';
import { BACKEND_FLAGS, type Benchmark, figure, machine, summarize } from './harness.ts';
import { questions } from './questions.ts';

const QUESTIONS = 10;

export const benchmark: Benchmark = {
  name: 'assisted',
  summary: 'answers with and without the same model in 4 bits (--dtype: its bits) guessing ahead; --model, --tokens of an answer at most',
  takes: ['model', 'dtype', 'tokens', ...BACKEND_FLAGS],
  async run({ model = 'parley-mini', dtype = 'q4', tokens = 64, repeats, ...backend }) {
    const asked = questions(QUESTIONS);
    const open = { worker: false, batching: { maxBatch: 1 }, ...backend } as const;
    await using plain = await openGenerator(model, open);
    await using assisted = await openGenerator(model, { ...open, assistant: { path: model, dtype } });
    const speeds = { plain: [] as number[], assisted: [] as number[], ratio: [] as number[] };
    const answer = async (generator: typeof plain, content: string, temperature: number): Promise<{ ms: number; tokens: readonly number[] }> => {
      const { sequences, timings } = await generator.generate({ messages: [{ role: 'user', content }] }, {
        maxNewTokens: tokens, contextOverflow: 'stop', temperature, seed: 1, prefixCache: false,
      }).result();
      return { ms: timings.decodeMs, tokens: sequences[0]?.tokens ?? [] };
    };
    for (let repeat = -1; repeat < repeats; repeat++) {
      const ms = { plain: 0, assisted: 0 };
      let written = 0;
      for (const [i, question] of asked.entries()) {
        for (const temperature of [0, 0.7]) {
          const without = await answer(plain, question, temperature);
          const withOne = await answer(assisted, question, temperature);
          if (without.tokens.join() !== withOne.tokens.join()) throw new Error(`question ${i} was answered otherwise with an assistant`);
          ms.plain += without.ms;
          ms.assisted += withOne.ms;
          written += without.tokens.length - 1;
        }
      }
      if (repeat < 0) continue;
      speeds.plain.push((1000 * written) / ms.plain);
      speeds.assisted.push((1000 * written) / ms.assisted);
      speeds.ratio.push(ms.plain / ms.assisted);
    }
    const { draftTokens, acceptedTokens, steps } = await assisted.stats();
    return {
      bench: 'assisted', model, assistant_dtype: dtype, backend: plain.info.backend, ...figure('tokens_per_second', summarize(speeds.plain)),
      ...figure('assisted_tokens_per_second', summarize(speeds.assisted)), ...figure('ratio', summarize(speeds.ratio)),
      guesses: draftTokens, share: Number((acceptedTokens / Math.max(1, draftTokens)).toPrecision(3)), steps, ...machine(),
    };
  },
};
