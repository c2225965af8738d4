/** What benchmarks on real texts ask: the questions of recipes/eval. */
import { readFileSync } from 'node:fs';

/** Every so many of a list, so that `count` are left. */
export const sample = (list: readonly string[], count: number): string[] =>
  Array.from({ length: Math.min(count, list.length) }, (_, i) => list[Math.floor((i * list.length) / count)] ?? '');

/** So many of the hundred, of both languages. */
export function questions(count: number): string[] {
  const lines = readFileSync(new URL('../recipes/eval/prompts.jsonl', import.meta.url), 'utf8').trim().split('\n');
  return sample(lines.map((line) => (JSON.parse(line) as { prompt: string }).prompt), count);
}
