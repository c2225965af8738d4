/** What a conversation is called until somebody gives it a name: the beginning of what it was opened with. */

/** Columns; a Chinese character takes two. About what fits beside the page. */
const COLUMNS = 48;
/** A clause that ends before this is too short to stand for the whole. */
const LEAST = 12;

const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303F\uFF00-\uFF60\p{Extended_Pictographic}]/u;
/** Ends of sentences and clauses. The ASCII ones only before white space: 3.5, 12:30 and a.b are no clauses. */
const CLAUSE_END = /[。！？；，、：…؟،।॥။]|[.!?;:,](?=\s|$)/u;
const SENTENCE_END = /[。！？؟।॥]|[.!?](?=\s|$)/u;
const TRAILING = /[\s.,;:，。；：、،।—–-]+$/u;

const words = new Intl.Segmenter(undefined, { granularity: 'word' });
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** One line without markup, cut at the end of a clause, else of a word, else of a character. '' for a text without words. */
export function titleOf(text: string): string {
  const line = firstLine(text);
  if (columns(line) <= COLUMNS) return tidy(line);
  const clause = firstSentence(line) || longestClause(line);
  if (clause !== '') return tidy(clause);
  const cut = fit(line, words) || fit(line, graphemes);
  return `${cut.replace(TRAILING, '')}…`;
}

/** The first line that says something: fences, rules and the marks of headings, lists and quotations are how it is written, not what. */
function firstLine(text: string): string {
  for (const raw of text.slice(0, 10_000).split(/\r?\n/)) {
    if (/^\s*(`{3,}|~{3,})/.test(raw)) continue;
    const line = raw.replace(/^\s*(?:#{1,6}\s+|[-*+]\s+|\d+[.)]\s+|>\s?)+/, '').replace(/[*_`]{1,3}(?=\S)|(?<=\S)[*`]{1,3}/g, '').replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
    if (/[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(line)) return line;
  }
  return text.slice(0, 200).replace(/\s+/g, ' ').trim();
}

const columns = (text: string): number => Array.from(graphemes.segment(text), ({ segment }) => (WIDE.test(segment) ? 2 : 1)).reduce<number>((sum, each) => sum + each, 0);

const tidy = (text: string): string => text.replace(TRAILING, '') || text;

/** '' where it does not fit or is very short. Its question mark stays. */
function firstSentence(line: string): string {
  const end = SENTENCE_END.exec(line);
  const sentence = end === null ? '' : line.slice(0, end.index + end[0].length);
  return columns(sentence) >= LEAST && columns(sentence) <= COLUMNS + 1 ? sentence : '';
}

/** The most clauses that fit, '' where the first does not or is very short. */
function longestClause(line: string): string {
  let best = '';
  for (let at = 0; at < line.length;) {
    const end = CLAUSE_END.exec(line.slice(at));
    if (end === null) break;
    at += end.index + end[0].length;
    const clause = line.slice(0, at);
    if (columns(clause) > COLUMNS + 1) break;
    best = clause;
  }
  return columns(best) >= LEAST ? best : '';
}

/** As many whole segments as fit. */
function fit(line: string, segmenter: Intl.Segmenter): string {
  let cut = '';
  let width = 0;
  for (const { segment } of segmenter.segment(line)) {
    width += columns(segment);
    if (width > COLUMNS - 1) break;
    cut += segment;
  }
  return cut;
}
