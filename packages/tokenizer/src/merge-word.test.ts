import { expect, test } from 'vitest';
import { MergeTable, NO_MERGE } from './merge-table.ts';
import { LongWordMerger, mergeShort } from './merge-word.ts';
import { numbers } from './testing/corpus.ts';

/** The definition: the lowest-ranked pair, leftmost first, until there is none. */
function mergeByDefinition(merges: readonly (readonly [number, number, number])[], word: readonly number[]): number[] {
  const symbols = [...word];
  for (;;) {
    let best = Infinity;
    let place = -1;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const rank = merges.findLastIndex(([left, right]) => left === symbols[i] && right === symbols[i + 1]);
      if (rank >= 0 && rank < best) [best, place] = [rank, i];
    }
    if (place < 0) return symbols;
    symbols.splice(place, 2, merges[best]?.[2] ?? -1);
  }
}

function run(table: MergeTable, word: readonly number[], how: 'short' | LongWordMerger): number[] {
  const symbols = Int32Array.from(word);
  const ranks = new Int32Array(word.length + 3).fill(NO_MERGE);
  for (let i = 0; i + 1 < word.length; i++) ranks[i] = table.rank(symbols[i] ?? 0, symbols[i + 1] ?? 0);
  const count = how === 'short' ? mergeShort(table, symbols, word.length, ranks) : how.merge(symbols, word.length, ranks);
  return Array.from(symbols.subarray(0, count));
}

test.each([1, 2, 3, 4, 5, 6])('short and long words merge as defined, for random merges and words, seed %i', (seed) => {
  const below = numbers(seed);
  for (let round = 0; round < 60; round++) {
    const alphabet = 2 + below(4);
    // Any pair of what there is may make any symbol, in any order: harder than what training makes.
    const merges = Array.from({ length: 1 + below(25) }, (_, rank): [number, number, number] => [
      below(alphabet + rank), below(alphabet + rank), alphabet + (below(3) === 0 ? below(rank + 1) : rank),
    ]);
    const table = new MergeTable(Int32Array.from(merges.flat()));
    const long = new LongWordMerger(table);
    for (let i = 0; i < 20; i++) {
      const word = Array.from({ length: below(40) }, () => below(alphabet));
      const expected = mergeByDefinition(merges, word);
      expect(run(table, word, 'short')).toEqual(expected);
      expect(run(table, word, long)).toEqual(expected);
    }
  }
});

test('runs of one letter merge the same both ways', () => {
  // a a → b, b b → c, c c → d
  const merges: [number, number, number][] = [[0, 0, 1], [1, 1, 2], [2, 2, 3]];
  const table = new MergeTable(Int32Array.from(merges.flat()));
  const long = new LongWordMerger(table);
  for (let length = 0; length < 70; length++) {
    const word = Array.from({ length }, () => 0);
    expect(run(table, word, long)).toEqual(mergeByDefinition(merges, word));
    expect(run(table, word, 'short')).toEqual(mergeByDefinition(merges, word));
  }
});
