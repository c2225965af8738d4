/**
 * ROUGE-N and ROUGE-L (Lin, 2004) without stemming. Tokens are runs of letters and digits in lower case, and every Chinese
 * character by itself. For ASCII text that is Google's rouge_score, which the numbers of papers come from.
 */

export interface RougeScore {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

export const rougeTokens = (text: string): string[] => text.toLowerCase().match(/\p{Script=Han}|[[\p{L}\p{N}\p{M}]--\p{Script=Han}]+/gv) ?? [];

function score(matches: number, hypothesis: number, reference: number): RougeScore {
  const precision = hypothesis > 0 ? matches / hypothesis : 0;
  const recall = reference > 0 ? matches / reference : 0;
  return { precision, recall, f1: precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0 };
}

function ngrams(tokens: readonly string[], order: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + order <= tokens.length; i++) {
    const ngram = tokens.slice(i, i + order).join(' ');
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
  }
  return counts;
}

/** Shares, 0 to 1. */
export function rougeN(hypothesis: string, reference: string, order: number): RougeScore {
  const ours = rougeTokens(hypothesis);
  const theirs = rougeTokens(reference);
  const other = ngrams(theirs, order);
  let matches = 0;
  for (const [ngram, count] of ngrams(ours, order)) matches += Math.min(count, other.get(ngram) ?? 0);
  return score(matches, Math.max(0, ours.length - order + 1), Math.max(0, theirs.length - order + 1));
}

/** By the longest common subsequence of the whole texts. */
export function rougeL(hypothesis: string, reference: string): RougeScore {
  const ours = rougeTokens(hypothesis);
  const theirs = rougeTokens(reference);
  let previous = new Uint32Array(theirs.length + 1);
  for (const token of ours) {
    const row = new Uint32Array(theirs.length + 1);
    for (const [j, other] of theirs.entries()) row[j + 1] = token === other ? (previous[j] ?? 0) + 1 : Math.max(previous[j + 1] ?? 0, row[j] ?? 0);
    previous = row;
  }
  return score(previous[theirs.length] ?? 0, ours.length, theirs.length);
}
