/** Against sacreBLEU itself, by a file of its scores (testing/sacrebleu.golden.py): 80 awkward segments of one and three references. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type BleuOptions, corpusBleu, sentenceBleu } from './bleu.ts';
import { bleuTokens } from './bleu-tokens.ts';
import { type ChrfOptions, chrfScore, chrfStatistics, corpusChrf } from './chrf.ts';
import { stripEnd } from './python-text.ts';

interface Scores<Options> { readonly options: Options; readonly one: number; readonly three: number; readonly sentences: readonly number[] }

const golden = JSON.parse(readFileSync(new URL('../testing/sacrebleu.golden.json', import.meta.url), 'utf8')) as {
  readonly segments: readonly { hypothesis: string; references: string[] }[];
  readonly tokens: Readonly<Record<'13a' | 'zh', readonly string[]>>;
  readonly bleu: readonly Scores<BleuOptions>[];
  readonly chrf: readonly Scores<ChrfOptions>[];
};
const hypotheses = golden.segments.map(({ hypothesis }) => hypothesis);
const three = golden.segments.map(({ references }) => references);
const one = three.map((references) => references.slice(0, 1));

/** Largest distance of two lists. */
const apart = (a: readonly number[], b: readonly number[]): number => Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN))));

test.each(['13a', 'zh'] as const)('%s tokens are sacreBLEU\'s', (name) => {
  expect(one.map(([text = '']) => bleuTokens(stripEnd(text), name).join(' '))).toEqual(golden.tokens[name]);
});

test.each(golden.bleu.map((scores) => [JSON.stringify(scores.options), scores] as const))('BLEU %s is sacreBLEU\'s within 1e-8, corpus and sentences', (_, scores) => {
  const { options } = scores;
  const ours = [corpusBleu(hypotheses, one, options).score, corpusBleu(hypotheses, three, options).score];
  expect(apart(ours, [scores.one, scores.three])).toBeLessThan(1e-8);
  expect(apart(hypotheses.map((text, i) => sentenceBleu(text, three[i] ?? [], options).score), scores.sentences)).toBeLessThan(1e-8);
});

test.each(golden.chrf.map((scores) => [JSON.stringify(scores.options), scores] as const))('chrF %s is sacreBLEU\'s within 1e-8, corpus and sentences', (_, scores) => {
  const { options } = scores;
  expect(apart([corpusChrf(hypotheses, one, options), corpusChrf(hypotheses, three, options)], [scores.one, scores.three])).toBeLessThan(1e-8);
  expect(apart(hypotheses.map((text, i) => chrfScore(chrfStatistics(text, three[i] ?? [], options), options)), scores.sentences)).toBeLessThan(1e-8);
});
