/**
 * Prompt lookup (Saxena, 2023): what followed the last time that a text went as it does now is a good guess at what comes. The guess is
 * fed to the model in one pass with the token before it, and of what the model says to it the beginning that agrees is kept: the
 * tokens are those that would have come one by one, also when they are drawn, since a row's logits do not depend on how they were computed.
 */

export interface LookupSettings {
  /** Tokens of a guess at most. */
  readonly count: number;
  /** Last tokens that have to be the same, at most; shorter runs are looked for where a longer one is not found. */
  readonly ngram: number;
}

/** The tokens after the latest earlier place where the text's last tokens stand, as many as are asked for; empty where there is none. */
export function lookUp(tokens: readonly number[], { count, ngram }: LookupSettings): readonly number[] {
  if (count < 1) return [];
  const last = tokens.length - 1;
  let best = -1;
  let longest = 0;
  // One pass from the end: the first place of the longest run found is the latest one.
  for (let end = last - 1; end >= 0 && longest < ngram; end--) {
    let same = 0;
    while (same < ngram && same <= end && tokens[end - same] === tokens[last - same]) same++;
    if (same > longest) [best, longest] = [end, same];
  }
  return best < 0 ? [] : tokens.slice(best + 1, best + 1 + count);
}
