/**
 * chrF (Popović, 2015) and chrF++ (Popović, 2017) as sacreBLEU computes them: F-scores of character n-grams, for chrF++ of
 * words and word pairs too. Scores are 0 to 100.
 */
import { PUNCTUATION, words } from './python-text.ts';

export interface ChrfOptions {
  /** Longest character n-grams. Default 6. */
  readonly characters?: number | undefined;
  /** Longest word n-grams: 0, the default, is chrF; 2 is chrF++. */
  readonly words?: number | undefined;
  /** Recall counts this many times as much as precision. Default 2. */
  readonly beta?: number | undefined;
  readonly lowercase?: boolean | undefined;
  /** White space is part of the character n-grams. Default false. */
  readonly whitespace?: boolean | undefined;
  /** Average over all orders, as chrF++.py and NLTK do, instead of over those that both texts are long enough for. Default false. */
  readonly epsilonSmoothing?: boolean | undefined;
}

const EPSILON = 1e-16;

/** Three numbers an order: n-grams of the hypothesis, of the reference, and those they share. */
export const chrfStatisticsLength = ({ characters = 6, words: pairs = 0 }: ChrfOptions = {}): number => 3 * (characters + pairs);

function counts(units: readonly string[], order: number, separator: string): Map<string, number> {
  const result = new Map<string, number>();
  for (let i = 0; i + order <= units.length; i++) {
    const ngram = units.slice(i, i + order).join(separator);
    result.set(ngram, (result.get(ngram) ?? 0) + 1);
  }
  return result;
}

/** Words with the punctuation mark at their end, or else at their start, split off. */
function separateMarks(text: string): string[] {
  return words(text).flatMap((word) => {
    const units = Array.from(word);
    if (units.length === 1) return [word];
    if (PUNCTUATION.has(units.at(-1) ?? '')) return [units.slice(0, -1).join(''), units.at(-1) ?? ''];
    if (PUNCTUATION.has(units[0] ?? '')) return [units[0] ?? '', units.slice(1).join('')];
    return [word];
  });
}

/** N-gram counts of a text: characters by order, then words by order. */
function profile(text: string, options: ChrfOptions): Map<string, number>[] {
  const { characters = 6, words: pairs = 0, lowercase = false, whitespace = false } = options;
  const cased = lowercase ? text.toLowerCase() : text;
  const units = Array.from(whitespace ? cased : words(cased).join(''));
  const tokens = pairs > 0 ? separateMarks(cased) : [];
  return [
    ...Array.from({ length: characters }, (_, i) => counts(units, i + 1, '')),
    ...Array.from({ length: pairs }, (_, i) => counts(tokens, i + 1, ' ')),
  ];
}

const total = (ngrams: ReadonlyMap<string, number>): number => ngrams.values().reduce((sum, count) => sum + count, 0);

/** What one segment adds to a corpus' score; of several references, against the one that gives it the highest score. */
export function chrfStatistics(hypothesis: string, references: readonly string[], options: ChrfOptions = {}): Float64Array {
  const ours = profile(hypothesis, options);
  let best = new Float64Array(chrfStatisticsLength(options));
  let bestScore = -1;
  for (const reference of references) {
    const theirs = profile(reference, options);
    const statistics = new Float64Array(best.length);
    for (const [order, ngrams] of ours.entries()) {
      const other = theirs[order] ?? new Map<string, number>();
      let shared = 0;
      for (const [ngram, count] of ngrams) shared += Math.min(count, other.get(ngram) ?? 0);
      // Where the reference is too short for an order, the hypothesis' n-grams are not held against it.
      statistics.set([other.size > 0 ? total(ngrams) : 0, total(other), shared], 3 * order);
    }
    const score = chrfScore(statistics, options);
    if (score > bestScore) [best, bestScore] = [statistics, score];
  }
  return best;
}

/** The score of summed statistics. */
export function chrfScore(statistics: Float64Array, options: ChrfOptions = {}): number {
  const weight = (options.beta ?? 2) ** 2;
  const orders = chrfStatisticsLength(options) / 3;
  let smoothed = 0;
  let precision = 0;
  let recall = 0;
  let effective = 0;
  for (let order = 0; order < orders; order++) {
    const [ours = 0, theirs = 0, shared = 0] = statistics.subarray(3 * order, 3 * order + 3);
    const p = ours > 0 ? shared / ours : EPSILON;
    const r = theirs > 0 ? shared / theirs : EPSILON;
    smoothed += weight * p + r > 0 ? ((1 + weight) * p * r) / (weight * p + r) : EPSILON;
    if (ours === 0 || theirs === 0) continue;
    precision += p;
    recall += r;
    effective++;
  }
  if (options.epsilonSmoothing === true) return (100 * smoothed) / orders;
  if (effective === 0 || precision + recall === 0) return 0;
  precision /= effective;
  recall /= effective;
  return (100 * (1 + weight) * precision * recall) / (weight * precision + recall);
}

/** Of hypotheses, each with its references. */
export function corpusChrf(hypotheses: readonly string[], references: readonly (readonly string[])[], options: ChrfOptions = {}): number {
  const sum = new Float64Array(chrfStatisticsLength(options));
  for (const [i, hypothesis] of hypotheses.entries()) {
    chrfStatistics(hypothesis, references[i] ?? [], options).forEach((count, k) => (sum[k] = (sum[k] ?? 0) + count));
  }
  return chrfScore(sum, options);
}

/** sacreBLEU's version string without its version. */
export function chrfSignature(options: ChrfOptions & { readonly references?: number } = {}): string {
  const { characters = 6, words: pairs = 0, references = 1 } = options;
  return `nrefs:${references}|case:${options.lowercase === true ? 'lc' : 'mixed'}|eff:${options.epsilonSmoothing === true ? 'no' : 'yes'}|` +
    `nc:${characters}|nw:${pairs}|space:${options.whitespace === true ? 'yes' : 'no'}`;
}
