/** Finding what was typed in texts: whole terms to mark in results, loose ones to pick from a list. Any script, case and width aside. */

/** Part of a text, and whether it is one that was looked for. */
export interface Piece {
  readonly text: string;
  readonly hit: boolean;
}

/**
 * A text as it is compared, and for each of its UTF-16 units the place in the original that it came from: folding may lengthen a
 * text (İ, ﬁ), so that places in one are not places in the other.
 */
function fold(text: string): { folded: string; origin: number[] } {
  let folded = '';
  const origin: number[] = [];
  let at = 0;
  for (const character of text) {
    const next = character.normalize('NFKC').toLowerCase();
    folded += next;
    for (let i = 0; i < next.length; i++) origin.push(at);
    at += character.length;
  }
  origin.push(text.length);
  return { folded, origin };
}

/** What was typed, as terms: separated by spaces, those of any width. */
export const termsOf = (query: string): string[] => [...new Set(fold(query).folded.split(/\s+/u).filter((term) => term !== ''))];

/** The text in pieces, every occurrence of every term marked; overlapping ones as one. */
export function piecesOf(text: string, query: string): Piece[] {
  const { folded, origin } = fold(text);
  const spans: { from: number; to: number }[] = [];
  for (const term of termsOf(query)) {
    for (let at = folded.indexOf(term); at >= 0; at = folded.indexOf(term, at + 1)) {
      // The end is where the next character of the original begins, so that none is cut.
      let after = at + term.length;
      while (after < folded.length && origin[after] === origin[after - 1]) after++;
      spans.push({ from: origin[at] ?? 0, to: origin[after] ?? text.length });
    }
  }
  spans.sort((a, b) => a.from - b.from);
  const pieces: Piece[] = [];
  let done = 0;
  const push = (to: number, hit: boolean): void => {
    if (to <= done) return;
    const last = pieces.at(-1);
    const piece = text.slice(done, to);
    if (last?.hit === hit) pieces[pieces.length - 1] = { text: last.text + piece, hit };
    else pieces.push({ text: piece, hit });
    done = to;
  };
  for (const { from, to } of spans) {
    push(from, false);
    push(to, true);
  }
  push(text.length, false);
  return pieces;
}

/** The stretch of a long text around its first occurrence, on one line, with … where something was left out. */
export function excerptOf(text: string, query: string, width = 90): string {
  const line = text.replace(/\s+/gu, ' ').trim();
  const first = piecesOf(line, query);
  const at = first[0]?.hit === true ? 0 : (first.length > 1 ? (first[0]?.text.length ?? 0) : 0);
  // A third of the width before it: what follows a word says more than what led to it.
  let from = Math.max(0, at - Math.floor(width / 3));
  if (from > 0 && isLowSurrogate(line, from)) from--;
  let to = Math.min(line.length, from + width);
  if (to < line.length && isLowSurrogate(line, to)) to++;
  return `${from > 0 ? '…' : ''}${line.slice(from, to)}${to < line.length ? '…' : ''}`;
}

const isLowSurrogate = (text: string, at: number): boolean => (text.charCodeAt(at) & 0xfc00) === 0xdc00;

/**
 * How well letters typed in order fit a text, 0 for perfectly not: those that begin words and those in a row count more, and
 * short texts beat long ones. For choosing among commands; `pieces` marks the letters.
 */
export function fuzzy(text: string, query: string): { score: number; pieces: Piece[] } | undefined {
  const letters = Array.from(fold(query).folded).filter((letter) => letter.trim() !== '');
  if (letters.length === 0) return { score: 1, pieces: [{ text, hit: false }] };
  const characters = Array.from(text);
  const folded = characters.map((character) => character.normalize('NFKC').toLowerCase());
  // best[j]: over ways to end letter i at character j. Quadratic in a line's length at worst; lines are titles.
  const unreachable = -1;
  let best: number[] = folded.map((character, j) => (character === letters[0] ? bonus(characters, j) : unreachable));
  const from: number[][] = [];
  for (let i = 1; i < letters.length; i++) {
    const back: number[] = [];
    const next: number[] = [];
    let before = -1;
    for (let j = 0; j < folded.length; j++) {
      // The best end of the letter before, anywhere to the left: `before`; right beside counts 2 more.
      const beside = j > 0 ? (best[j - 1] ?? unreachable) : unreachable;
      const apart = before < 0 ? unreachable : (best[before] ?? unreachable);
      const inRow = beside >= 0 && beside + 2 >= apart;
      const reached = inRow ? beside + 2 : apart;
      next.push(folded[j] === letters[i] && reached >= 0 ? reached + bonus(characters, j) : unreachable);
      back.push(inRow ? j - 1 : before);
      if ((best[j] ?? unreachable) >= 0 && (before < 0 || (best[j] ?? 0) > (best[before] ?? 0))) before = j;
    }
    best = next;
    from.push(back);
  }
  let end = -1;
  best.forEach((score, j) => {
    if (score >= 0 && (end < 0 || score > (best[end] ?? 0))) end = j;
  });
  if (end < 0) return undefined;
  const score = (best[end] ?? 0) / letters.length - characters.length / 1000;
  const hits = new Set([end]);
  for (let i = from.length - 1, j = end; i >= 0; i--) {
    j = from[i]?.[j] ?? 0;
    hits.add(j);
  }
  const pieces: Piece[] = [];
  characters.forEach((character, j) => {
    const last = pieces.at(-1);
    if (last !== undefined && last.hit === hits.has(j)) pieces[pieces.length - 1] = { text: last.text + character, hit: last.hit };
    else pieces.push({ text: character, hit: hits.has(j) });
  });
  return { score, pieces };
}

/** A letter that begins the text counts 4, one that begins a word 3, others 1. */
function bonus(characters: readonly string[], at: number): number {
  if (at === 0) return 4;
  return /[\p{L}\p{N}]/u.test(characters[at - 1] ?? '') ? 1 : 3;
}
