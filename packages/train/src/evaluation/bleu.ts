/**
 * BLEU (Papineni et al., 2002) as sacreBLEU computes it (Post, 2018), smoothing after Chen & Cherry (2014). Scores are 0 to
 * 100. A corpus' score is of the sum of its segments' statistics, so segments can be resampled without counting again.
 */
import { type BleuTokenization, bleuTokens } from './bleu-tokens.ts';
import { stripEnd } from './python-text.ts';

export type BleuSmoothing = 'none' | 'floor' | 'add-k' | 'exp';

export interface BleuOptions {
  /** Default 13a; Chinese wants zh. */
  readonly tokenize?: BleuTokenization | undefined;
  readonly lowercase?: boolean | undefined;
  /** exp, the default: the k-th order without a match counts 1/2ᵏ matches. floor: `smoothValue`. add-k: adds it above order 1. */
  readonly smooth?: BleuSmoothing | undefined;
  /** Default 0.1 for floor, 1 for add-k. */
  readonly smoothValue?: number | undefined;
  /** Leave out orders the hypothesis is too short for. Default: for sentences yes, for a corpus no. */
  readonly effectiveOrder?: boolean | undefined;
}

export interface BleuScore {
  readonly score: number;
  /** By order, in percent. */
  readonly precisions: readonly number[];
  readonly brevityPenalty: number;
  readonly hypothesisLength: number;
  readonly referenceLength: number;
}

const ORDERS = 4;
const SMOOTH_VALUES: Readonly<Record<BleuSmoothing, number | null>> = { none: null, floor: 0.1, 'add-k': 1, exp: null };

/** Length of what sums: hypothesis length, reference length, matches by order, n-grams by order. */
export const BLEU_STATISTICS = 2 + 2 * ORDERS;

/** Counts of all n-grams of one to four tokens, by order. */
function ngramCounts(tokens: readonly string[]): Map<string, number>[] {
  return Array.from({ length: ORDERS }, (_, order) => {
    const counts = new Map<string, number>();
    for (let i = 0; i + order < tokens.length; i++) {
      const ngram = tokens.slice(i, i + order + 1).join(' ');
      counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
    }
    return counts;
  });
}

/** What one segment adds to a corpus' score, (BLEU_STATISTICS). The reference length is the one nearest to the hypothesis', the shorter of two. */
export function bleuStatistics(hypothesis: string, references: readonly string[], options: BleuOptions = {}): Float64Array {
  const tokensOf = (text: string): string[] => bleuTokens(stripEnd(options.lowercase === true ? text.toLowerCase() : text), options.tokenize ?? '13a');
  const tokens = tokensOf(hypothesis);
  const targets = references.map(tokensOf);
  const nearest = targets.map(({ length }) => length).sort((a, b) => Math.abs(a - tokens.length) - Math.abs(b - tokens.length) || a - b)[0] ?? 0;
  const statistics = new Float64Array(BLEU_STATISTICS);
  statistics[0] = tokens.length;
  statistics[1] = nearest;
  const counted = targets.map(ngramCounts);
  for (const [order, counts] of ngramCounts(tokens).entries()) {
    let matches = 0;
    for (const [ngram, count] of counts) matches += Math.min(count, Math.max(0, ...counted.map((reference) => reference[order]?.get(ngram) ?? 0)));
    statistics[2 + order] = matches;
    statistics[2 + ORDERS + order] = Math.max(0, tokens.length - order);
  }
  return statistics;
}

/** The score of summed statistics. */
export function bleuScore(statistics: Float64Array, options: BleuOptions = {}): BleuScore {
  const { smooth = 'exp', effectiveOrder = false } = options;
  const value = options.smoothValue ?? SMOOTH_VALUES[smooth] ?? 0;
  const [hypothesisLength = 0, referenceLength = 0] = statistics;
  const brevityPenalty = hypothesisLength >= referenceLength ? 1 : hypothesisLength > 0 ? Math.exp(1 - referenceLength / hypothesisLength) : 0;
  const precisions = Array.from({ length: ORDERS }, () => 0);
  const result = { precisions, brevityPenalty, hypothesisLength, referenceLength };
  if (statistics.subarray(2, 2 + ORDERS).every((matches) => matches === 0)) return { score: 0, ...result };
  let orders = ORDERS;
  let penalty = 1;
  for (let order = 0; order < ORDERS; order++) {
    const added = smooth === 'add-k' && order > 0 ? value : 0;
    const matches = (statistics[2 + order] ?? 0) + added;
    const total = (statistics[2 + ORDERS + order] ?? 0) + added;
    if (total === 0) break;
    if (effectiveOrder) orders = order + 1;
    if (matches > 0) precisions[order] = (100 * matches) / total;
    else if (smooth === 'exp') precisions[order] = 100 / ((penalty *= 2) * total);
    else if (smooth === 'floor') precisions[order] = (100 * value) / total;
  }
  const used = precisions.slice(0, orders);
  const score = used.some((precision) => precision === 0) ? 0 : brevityPenalty * Math.exp(used.reduce((sum, precision) => sum + Math.log(precision), 0) / orders);
  return { score, ...result };
}

/** Of hypotheses, each with its references. */
export function corpusBleu(hypotheses: readonly string[], references: readonly (readonly string[])[], options: BleuOptions = {}): BleuScore {
  const sum = new Float64Array(BLEU_STATISTICS);
  for (const [i, hypothesis] of hypotheses.entries()) {
    bleuStatistics(hypothesis, references[i] ?? [], options).forEach((count, k) => (sum[k] = (sum[k] ?? 0) + count));
  }
  return bleuScore(sum, options);
}

export function sentenceBleu(hypothesis: string, references: readonly string[], options: BleuOptions = {}): BleuScore {
  return bleuScore(bleuStatistics(hypothesis, references, options), { effectiveOrder: true, ...options });
}

/** sacreBLEU's version string without its version: what has to be the same for two scores to be comparable. */
export function bleuSignature(options: BleuOptions & { readonly references?: number } = {}): string {
  const { smooth = 'exp', tokenize = '13a', references = 1 } = options;
  const value = options.smoothValue ?? SMOOTH_VALUES[smooth];
  return `nrefs:${references}|case:${options.lowercase === true ? 'lc' : 'mixed'}|eff:${options.effectiveOrder === true ? 'yes' : 'no'}|` +
    `tok:${tokenize}|smooth:${smooth}${value === null ? '' : `[${value.toFixed(2)}]`}`;
}
