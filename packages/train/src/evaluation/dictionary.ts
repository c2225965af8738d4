/**
 * Translation without a language model, to stand beside one: a dictionary learned from pairs of sentences (IBM Model 1; Brown et
 * al., 1993), read word by word, and a memory that gives the translation of the most similar sentence it has seen.
 */

export interface SentencePair {
  readonly source: string;
  readonly target: string;
}

/** More would change a dictionary little, and takes seconds of every evaluation. */
const MOST_PAIRS = 30_000;
const ROUNDS = 5;

const segmenters = new Map<string, Intl.Segmenter>();

/** Words in lower case and marks, of any language that ICU can cut into words. */
function wordsOf(text: string, language: string): string[] {
  let segmenter = segmenters.get(language);
  if (segmenter === undefined) segmenters.set(language, segmenter = new Intl.Segmenter(language, { granularity: 'word' }));
  return Array.from(segmenter.segment(text.toLowerCase()), ({ segment }) => segment).filter((word) => word.trim() !== '');
}

/** What is written without spaces between its words. */
const joiner = (language: string): string => (language === 'zh' || language === 'ja' ? '' : ' ');

/**
 * Each word as the word that most likely stands for it, in the order of the source; words never seen stay as they are.
 * Languages are two letters, such as en or zh.
 */
export function learnDictionary(pairs: readonly SentencePair[], languages: { source: string; target: string }): (text: string) => string {
  const sentences = pairs.slice(0, MOST_PAIRS).map(({ source, target }) => ({
    source: wordsOf(source, languages.source), target: wordsOf(target, languages.target),
  }));
  // t(target word | source word); the empty source word takes what has no counterpart.
  let table = new Map<string, Map<string, number>>();
  for (let round = 0; round < ROUNDS; round++) {
    const counts = new Map<string, Map<string, number>>();
    for (const { source, target } of sentences) {
      const sources = ['', ...source];
      for (const word of target) {
        const shares = sources.map((from) => (round === 0 ? 1 : (table.get(from)?.get(word) ?? 0)));
        const sum = shares.reduce((total, share) => total + share, 0) || 1;
        for (const [i, from] of sources.entries()) {
          const row = counts.get(from) ?? new Map<string, number>();
          if (row.size === 0) counts.set(from, row);
          row.set(word, (row.get(word) ?? 0) + (shares[i] ?? 0) / sum);
        }
      }
    }
    for (const row of counts.values()) {
      const sum = [...row.values()].reduce((total, count) => total + count, 0);
      for (const [word, count] of row) row.set(word, count / sum);
    }
    table = counts;
  }
  const best = new Map([...table].map(([from, row]) => [from, [...row].reduce((top, entry) => (entry[1] > top[1] ? entry : top))[0]]));
  return (text) => wordsOf(text, languages.source).map((word) => best.get(word) ?? word).join(joiner(languages.target));
}

/** The translation of the pair whose source shares most words with the text, by the Dice coefficient; of equals the first. */
export function learnMemory(pairs: readonly SentencePair[], language: string): (text: string) => string {
  const known = pairs.slice(0, MOST_PAIRS).map(({ source, target }) => ({ words: new Set(wordsOf(source, language)), target }));
  const byWord = new Map<string, number[]>();
  for (const [index, { words }] of known.entries()) {
    for (const word of words) {
      const list = byWord.get(word);
      if (list === undefined) byWord.set(word, [index]);
      else list.push(index);
    }
  }
  return (text) => {
    const words = new Set(wordsOf(text, language));
    const shared = new Map<number, number>();
    for (const word of words) for (const index of byWord.get(word) ?? []) shared.set(index, (shared.get(index) ?? 0) + 1);
    let best = { dice: 0, index: 0 };
    for (const [index, count] of shared) {
      const dice = (2 * count) / (words.size + (known[index]?.words.size ?? 0));
      if (dice > best.dice || (dice === best.dice && index < best.index)) best = { dice, index };
    }
    return known[best.index]?.target ?? '';
  };
}
