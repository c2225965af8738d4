/**
 * How often prompt lookup guesses right on real texts: a model answers without it, and its answers are gone through again as they would have
 * been with it, which is exact since the tokens are the same. Questions are recipes/eval's; to be quoted, translated and summed up are
 * paragraphs of the README and of docs/, which no model of ours has seen. `tokens_per_pass` is 1 where nothing is ever right.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { pipeline } from '@parley/tasks';
import { lookUp } from '../packages/generate/src/batching/lookup.ts';
import type { Benchmark } from './harness.ts';
import { questions, sample } from './questions.ts';

const GUESSES = [3, 7];
const NGRAM = 2;
const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

function prompts(count: number): Record<string, string[]> {
  const docs = readdirSync(new URL('../docs', import.meta.url)).filter((name) => name.endsWith('.md')).sort().map((name) => `docs/${name}`);
  const paragraphs = ['README.md', ...docs].flatMap((path) => read(path).split(/\n\n+/))
    .filter((text) => /^[A-Z]/.test(text) && text.length > 200 && text.length < 500).map((text) => text.replaceAll('\n', ' '));
  const texts = sample(paragraphs, count);
  const asked = (what: string): string[] => texts.map((text) => `${what}\n\n${text}`);
  return {
    chat: questions(count),
    quote: asked('Repeat the following text word for word:'),
    translate: asked('Translate into Chinese:'),
    summarize: asked('Sum up the following text in one sentence:'),
  };
}

/** Passes that an answer takes, and guesses made and right. */
function replay(prompt: readonly number[], answer: readonly number[], count: number): { passes: number; made: number; right: number } {
  const total = { passes: 0, made: 0, right: 0 };
  for (let at = 1; at < answer.length; total.passes++) {
    // The first token comes with the prompt's pass; each further pass gives one and those guessed right.
    const guess = lookUp([...prompt, ...answer.slice(0, at)], { count: Math.min(count, answer.length - at - 1), ngram: NGRAM });
    let right = 0;
    while (right < guess.length && guess[right] === answer[at + right]) right++;
    total.made += guess.length;
    total.right += right;
    at += 1 + right;
  }
  return total;
}

export const benchmark: Benchmark = {
  name: 'lookup-texts',
  summary: 'how many guesses of prompt lookup are right on real texts; --model, --tokens of an answer, --repeats prompts of each kind',
  takes: ['model', 'tokens'],
  async run({ model = 'parley-mini', tokens = 64, repeats }) {
    await using pipe = await pipeline('text-generation', model);
    const record: Record<string, unknown> = {};
    for (const [kind, texts] of Object.entries(prompts(repeats))) {
      const conversations = texts.map((content) => [{ role: 'user' as const, content }]);
      const ids = conversations.map((messages) => pipe.tokenizer.encodeChat(messages, { addGenerationPrompt: true }));
      for (const [how, temperature] of [['likeliest', 0], ['drawn', 0.7]] as const) {
        const { sequences } = await pipe.stream(conversations, { temperature, max_new_tokens: tokens, seed: 1 }).result();
        for (const count of GUESSES) {
          const runs = sequences.map(({ tokens: answer }, i) => ({ ...replay(ids[i] ?? [], answer, count), answer: Math.max(0, answer.length - 1) }));
          const sum = (of: 'passes' | 'made' | 'right' | 'answer'): number => runs.reduce((all, run) => all + run[of], 0);
          const [passes, made, right] = [sum('passes'), sum('made'), sum('right')];
          record[`${kind}_${how}_${count}`] = {
            tokens: sum('answer'), guesses: made, right, share: Number((right / Math.max(1, made)).toPrecision(3)),
            tokens_per_pass: Number((sum('answer') / Math.max(1, passes)).toPrecision(3)),
          };
        }
      }
    }
    return { bench: 'lookup-texts', model, prompts: repeats, most_tokens: tokens, ...record };
  },
};
