/**
 * SentencePiece's BPE between the two ways of writing it down: GGUF files give every piece a score, and of two neighbours those are merged
 * whose union scores highest, the leftmost first; tokenizer.json lists the pairs in the order of their rank.
 */
import { Fields } from './fields.ts';

/** What stands for a blank. */
export const SPACE = '▁';

/**
 * The pairs of pieces that make a piece, in the order in which they are merged. Pairs that make the same piece follow one another, longer
 * left parts first, as in Hugging Face's conversion of these models.
 */
export function mergesOfScores(pieces: readonly string[], scoreOf: (piece: string) => number): [string, string][] {
  const known = new Set(pieces);
  const merges: { left: string; right: string; score: number }[] = [];
  for (const piece of known) {
    const score = scoreOf(piece);
    for (let cut = 1; cut < piece.length; cut++) {
      const [left, right] = [piece.slice(0, cut), piece.slice(cut)];
      if (known.has(left) && known.has(right)) merges.push({ left, right, score });
    }
  }
  merges.sort((a, b) => b.score - a.score || b.left.length - a.left.length || b.right.length - a.right.length);
  return merges.map(({ left, right }) => [left, right]);
}

/** A score for every piece: less the later it is first made, and least for what no pair makes. */
export function scoresOfMerges(tokens: readonly string[], merges: readonly (readonly string[])[]): number[] {
  const ranks = new Map<string, number>();
  merges.forEach(([left = '', right = ''], rank) => {
    const piece = left + right;
    if (!ranks.has(piece)) ranks.set(piece, rank);
  });
  return tokens.map((token) => -(ranks.get(token) ?? merges.length));
}

const replace = (from: string, content: string): object => ({ type: 'Replace', pattern: { String: from }, content });

/** Blanks become ▁; with a prefix, one stands before every text. */
export const spaceNormalizer = (hasPrefix: boolean): object => ({
  type: 'Sequence', normalizers: [...(hasPrefix ? [{ type: 'Prepend', prepend: SPACE }] : []), replace(' ', SPACE)],
});

export const spaceDecoder = (hasPrefix: boolean): object => ({
  type: 'Sequence',
  decoders: [replace(SPACE, ' '), { type: 'ByteFallback' }, { type: 'Fuse' }, ...(hasPrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [])],
});

/** Whether texts get a prefix in a tokenizer that treats blanks so; undefined for one that treats them otherwise. */
export function spacePrefixOf({ normalizer, preTokenizer }: { normalizer: unknown; preTokenizer: unknown }): boolean | undefined {
  if (normalizer === null && preTokenizer !== null) {
    const fields = new Fields(preTokenizer, 'pre_tokenizer');
    if (fields.get('type') !== 'Metaspace' || fields.get('split') !== false || fields.get('replacement') !== SPACE) return undefined;
    const scheme = fields.get('prepend_scheme') ?? 'always';
    return scheme === 'always' ? true : scheme === 'never' ? false : undefined;
  }
  // Gemma's splits at blanks, of which the normalizer has left none.
  const split = (preTokenizer ?? {}) as { readonly type?: string; readonly pattern?: { readonly String?: string } };
  const splitsNothing = preTokenizer === null || (split.type === 'Split' && split.pattern?.String === ' ');
  const told = JSON.stringify(normalizer);
  if (!splitsNothing) return undefined;
  if (told === JSON.stringify(spaceNormalizer(true))) return true;
  return told === JSON.stringify(spaceNormalizer(false)) || told === JSON.stringify(replace(' ', SPACE)) ? false : undefined;
}
