/**
 * Which language a text is in: by its script, then by letter trigrams (naive Bayes over the most frequent trigrams of each
 * language, as in Cavnar and Trenkle, "N-Gram-Based Text Categorization", 1994, with probabilities in place of ranks).
 * Simplified and traditional Chinese are told apart by characters that only one of them has.
 *
 * Measured (tools/language-accuracy.ts, docs/data.md): everyday sentences of English 98.4%, of French 97.6%, of Chinese 100%;
 * documents 99.3% and more. Short texts and mixtures may come out as `und`, which is the tag for "undetermined"; languages that are not
 * in the table but like one that is (Latin, Esperanto, Icelandic) mostly come out as that one.
 */
import { COMMON_WORDS } from './common-words.ts';
import { SIMPLIFIED, TRADITIONAL, TRIGRAMS } from './language-table.ts';

export interface Guess {
  /** A BCP 47 tag: `en`, `fr`, `zh-Hans`, `zh-Hant`, `zh` where both are written alike; `und` where nothing is certain enough. */
  readonly language: string;
  /** 0 to 1: the share of the text's letters in the script, times how sure the choice within the script is. */
  readonly confidence: number;
}

/** A text longer than this is judged by pieces of it, in UTF-16 units. */
const SAMPLE = 3000;
const PIECES = 3;
const UNKNOWN: Guess = { language: 'und', confidence: 0 };

const SCRIPTS = {
  latin: /\p{Script=Latin}/u, cyrillic: /\p{Script=Cyrillic}/u, arabic: /\p{Script=Arabic}/u, devanagari: /\p{Script=Devanagari}/u,
  han: /\p{Script=Han}/u, kana: /[\p{Script=Hiragana}\p{Script=Katakana}]/u, ko: /\p{Script=Hangul}/u, el: /\p{Script=Greek}/u, he: /\p{Script=Hebrew}/u,
  th: /\p{Script=Thai}/u, bn: /\p{Script=Bengali}/u, ta: /\p{Script=Tamil}/u, te: /\p{Script=Telugu}/u, gu: /\p{Script=Gujarati}/u, kn: /\p{Script=Kannada}/u,
  ml: /\p{Script=Malayalam}/u, pa: /\p{Script=Gurmukhi}/u, ka: /\p{Script=Georgian}/u, hy: /\p{Script=Armenian}/u, am: /\p{Script=Ethiopic}/u,
  my: /\p{Script=Myanmar}/u, km: /\p{Script=Khmer}/u, lo: /\p{Script=Lao}/u, si: /\p{Script=Sinhala}/u,
} as const;
type Script = keyof typeof SCRIPTS;

/** A character of these says as much as some three letters. */
const DENSE: ReadonlySet<Script> = new Set<Script>(['han', 'kana', 'ko']);
const SIMPLIFIED_SET = new Set(SIMPLIFIED);
const TRADITIONAL_SET = new Set(TRADITIONAL);

/** The languages that are known, as `languages` in a recipe takes them. */
export const LANGUAGES: readonly string[] = [
  'zh', 'zh-Hans', 'zh-Hant', 'ja',
  ...Object.values(TRIGRAMS).flatMap((languages) => Object.keys(languages)),
  ...Object.keys(SCRIPTS).filter((script) => script.length === 2),
];

export function identifyLanguage(text: string): Guess {
  const sample = sampleOf(withoutCode(text));
  const { counts, all } = countScripts(sample);
  const kana = counts.get('kana') ?? 0;
  const han = counts.get('han') ?? 0;
  // Japanese is written in both; Chinese has kana in names only.
  if (kana > 0 && kana >= 0.3 * (kana + han)) {
    counts.set('kana', kana + han);
    counts.delete('han');
  }
  const best = [...counts].reduce<[Script, number] | null>((top, next) => (top === null || next[1] > top[1] ? next : top), null);
  if (best === null || all === 0) return UNKNOWN;
  const [script, weight] = best;
  const share = weight / all;
  if (share < 0.5) return UNKNOWN;
  if (script === 'han') return { language: chinese(sample), confidence: share };
  if (script === 'kana') return { language: 'ja', confidence: share };
  const candidates = TRIGRAMS[script];
  if (candidates === undefined) return { language: script, confidence: share };
  const { language, confidence } = byTrigrams(sample, script);
  return language === 'und' ? UNKNOWN : { language, confidence: confidence * share };
}

/** By UTF-16 unit, its script's place in SCRIPT_NAMES + 2, 1 for other letters and what is not known yet, 0 for what is no letter. */
const SCRIPT_NAMES = Object.keys(SCRIPTS) as Script[];
const scriptOf = new Uint8Array(65_536).fill(255);

/** Letters by script, those of dense scripts three times; `all` has the letters of other scripts too. */
function countScripts(text: string): { counts: Map<Script, number>; all: number } {
  const tally = new Uint32Array(SCRIPT_NAMES.length + 2);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    let script = scriptOf[code] ?? 0;
    if (script === 255) scriptOf[code] = script = classify(code);
    tally[script] = (tally[script] ?? 0) + 1;
  }
  const counts = new Map<Script, number>();
  let all = tally[1] ?? 0;
  for (const [index, script] of SCRIPT_NAMES.entries()) {
    const weight = (tally[index + 2] ?? 0) * (DENSE.has(script) ? 3 : 1);
    if (weight > 0) counts.set(script, weight);
    all += weight;
  }
  return { counts, all };
}

/** Halves of surrogate pairs count as what most pairs are: the first as Han in its planes, else as nothing. */
function classify(code: number): number {
  const character = String.fromCharCode(code);
  if (code >= 0xd840 && code <= 0xd8bf) return SCRIPT_NAMES.indexOf('han') + 2;
  if (!/[\p{L}\p{M}]/u.test(character)) return 0;
  const index = SCRIPT_NAMES.findIndex((script) => SCRIPTS[script].test(character));
  return index === -1 ? (/\p{L}/u.test(character) ? 1 : 0) : index + 2;
}

/** Whether a language is among those wanted: `zh` stands for both scripts, and Chinese that is alike in both is in either. */
export function isAmong(language: string, wanted: readonly string[]): boolean {
  return wanted.some((tag) => language === tag || language.startsWith(`${tag}-`) || (language === 'zh' && tag.startsWith('zh-')));
}

/** Fenced and inline code is in no language; a text of nothing else is taken as it is. */
export function withoutCode(text: string): string {
  if (!text.includes('`')) return text;
  const prose = text.replace(/^ *(```+|~~~+).*\n[\s\S]*?(?:^ *\1.*$|$(?![\s\S]))/gm, '').replace(/`[^`\n]+`/g, ' ');
  return /\p{L}{2}/u.test(prose) ? prose : text;
}

/** The beginning, middle and end of a long text; the very beginning of a page is often in another language or none. */
function sampleOf(text: string): string {
  if (text.length <= SAMPLE) return text;
  const length = SAMPLE / PIECES;
  return Array.from({ length: PIECES }, (_, i) => {
    const start = Math.floor(((text.length - length) * i) / (PIECES - 1));
    return text.slice(start, start + length);
  }).join('\n');
}

function chinese(text: string): string {
  let simplified = 0;
  let traditional = 0;
  for (const character of text) {
    if (SIMPLIFIED_SET.has(character)) simplified++;
    else if (TRADITIONAL_SET.has(character)) traditional++;
  }
  if (simplified === traditional) return 'zh';
  return simplified > traditional ? 'zh-Hans' : 'zh-Hant';
}

interface Profiles {
  readonly languages: readonly string[];
  /** The number of each letter of the table, in lower case, by UTF-16 unit; and of every unit met so far (see numberOf). */
  readonly letters: ReadonlyMap<number, number>;
  readonly numbers: Uint8Array;
  /** Row of a trigram in `levels`. */
  readonly rows: ReadonlyMap<number, number>;
  /** (rows, languages): −log₂ probability. */
  readonly levels: Float32Array;
  /** (languages): the level of trigrams that are not in a language's table, and the share of its text that the table covers. */
  readonly floors: readonly number[];
  readonly coverage: readonly number[];
  /** The languages that have a word among their common ones. */
  readonly vocabulary: ReadonlyMap<string, readonly number[]>;
}

/** What a trigram costs that is not in a language's table: rarer than its rarest one by this factor, in bits. */
const UNSEEN = 2.5;
const profiles = new Map<string, Profiles>();

function profilesOf(script: string): Profiles {
  const known = profiles.get(script);
  if (known !== undefined) return known;
  const table = Object.entries(TRIGRAMS[script] ?? {});
  const alphabet = new Set(table.flatMap(([, [grams]]) => Array.from(grams, (character) => character.charCodeAt(0))));
  alphabet.delete(EDGE_CODE);
  const letters = new Map([[EDGE_CODE, EDGE], ...Array.from(alphabet, (code, index): [number, number] => [code, index + FIRST_LETTER])]);
  const rows = new Map<number, number>();
  const parsed = table.map(([, [grams, first, runs]]) => {
    const levels: [row: number, bits: number][] = [];
    let at = 0;
    for (const [offset, count] of runs.entries()) {
      for (let i = 0; i < count; i++, at += 3) {
        const [a = 0, b = 0, c = 0] = [at, at + 1, at + 2].map((place) => letters.get(grams.charCodeAt(place)));
        const key = pack(a, b, c);
        const row = rows.get(key) ?? rows.size;
        rows.set(key, row);
        levels.push([row, (first + offset) / 4]);
      }
    }
    return levels;
  });
  const levels = new Float32Array(rows.size * table.length);
  const floors = parsed.map((entries) => (entries.at(-1)?.[1] ?? 0) + UNSEEN);
  const coverage = parsed.map((entries) => entries.reduce((sum, [, bits]) => sum + 2 ** -bits, 0));
  for (const [column, entries] of parsed.entries()) {
    const floor = floors[column] ?? 0;
    for (let row = 0; row < rows.size; row++) levels[row * table.length + column] = floor;
    for (const [row, bits] of entries) levels[row * table.length + column] = bits;
  }
  const languages = table.map(([language]) => language);
  const vocabulary = new Map<string, number[]>();
  for (const [column, language] of languages.entries()) {
    for (const word of COMMON_WORDS.get(language) ?? []) vocabulary.set(word, [...(vocabulary.get(word) ?? []), column]);
  }
  const made = { languages, letters, numbers: new Uint8Array(65_536), rows, levels, floors, coverage, vocabulary };
  profiles.set(script, made);
  return made;
}

/** The table writes the edge of a word as _. */
const EDGE_CODE = 95;
/** Numbers of units: not met yet, passed over, the edge of a word, a letter that is in no trigram, the table's letters. */
const [UNMET, NOTHING, EDGE, STRANGE, FIRST_LETTER] = [0, 1, 2, 3, 4];
/** Three letters in 24 bits: a small integer, which a Map finds without making a number of it. */
const pack = (a: number, b: number, c: number): number => (a << 16) | (b << 8) | c;

/** Letters that are written in two ways, as the table has them. */
const SAME: Readonly<Record<string, string>> = { ș: 'ş', ț: 'ţ', '\u06cc': '\u064a' };

/** In lower case, one letter for all of Vietnamese's with two marks, no Arabic vowel signs, which are mostly left out anyway. */
function numberOf(code: number, letters: Profiles['letters']): number {
  const character = String.fromCharCode(code).toLowerCase();
  if (/[\u064b-\u0652]/.test(character) || character === '\u0640') return NOTHING;
  if (!/^[\p{L}\p{M}]/u.test(character)) return EDGE;
  const letter = character >= '\u1ea0' && character <= '\u1eff' ? 'ể' : SAME[character] ?? character;
  return letters.get(letter.charCodeAt(0)) ?? STRANGE;
}

function byTrigrams(text: string, script: string): Guess {
  const { languages, letters, numbers, rows, levels, floors, coverage, vocabulary } = profilesOf(script);
  // Addresses are in no language.
  const prose = text.replace(/https?:\S+|\S+@\S+/g, ' ').normalize('NFC');
  const costs = Float64Array.from(languages, (language) => RARITY[language] ?? 6);
  const known = new Uint32Array(languages.length);
  let seen = 0;
  // Each trigram once, times how often: a third of the work.
  const times = new Map<number, number>();
  let [before, middle] = [0, EDGE];
  for (let i = 0; i <= prose.length; i++) {
    const code = i === prose.length ? 32 : prose.charCodeAt(i);
    let next = numbers[code] ?? 0;
    if (next === UNMET) numbers[code] = next = numberOf(code, letters);
    // Any number of characters between words is one edge.
    if (next === NOTHING || (next === EDGE && middle === EDGE)) continue;
    if (middle !== EDGE) {
      seen++;
      const row = rows.get(pack(before, middle, next));
      if (row !== undefined) times.set(row, (times.get(row) ?? 0) + 1);
    }
    before = middle;
    middle = next;
  }
  for (const [row, count] of times) {
    for (let column = 0; column < languages.length; column++) {
      const level = levels[row * languages.length + column] ?? 0;
      costs[column] = (costs[column] ?? 0) + count * level;
      if (level !== floors[column]) known[column] = (known[column] ?? 0) + count;
    }
  }
  for (const word of prose.slice(0, MOST_CHARACTERS).toLowerCase().split(NOT_A_LETTER)) {
    for (const column of vocabulary.get(word) ?? []) costs[column] = (costs[column] ?? 0) - WORD_BITS;
  }
  let best = 0;
  for (let column = 1; column < languages.length; column++) if ((costs[column] ?? 0) < (costs[best] ?? 0)) best = column;
  let evidence = 0;
  for (let column = 0; column < languages.length; column++) {
    // Neighbouring trigrams repeat each other's evidence: a third of it is taken.
    if (column !== best) evidence += 2 ** (((costs[best] ?? 0) - (costs[column] ?? 0)) / 3);
  }
  const expected = (coverage[best] ?? 1) * seen;
  if ((known[best] ?? 0) < Math.max(MIN_TRIGRAMS, (MIN_KNOWN - 1 / Math.sqrt(seen)) * expected)) return UNKNOWN;
  return { language: languages[best] ?? 'und', confidence: 1 / (1 + evidence) };
}

const MIN_TRIGRAMS = 3;
/** What a common word of a language speaks for it, in bits, besides its trigrams; languages without a list of them are rarer. */
const WORD_BITS = 8;
const MOST_CHARACTERS = 1500;
const NOT_A_LETTER = /[^\p{L}\p{M}]+/u;
/** How much rarer texts of a language are than English ones, in bits; what decides about a few words that could be either. Default 6. */
const RARITY: Readonly<Record<string, number>> = { en: 0, de: 3, fr: 3, es: 3, it: 4, pt: 4, nl: 4, ru: 0, ar: 0, hi: 0 };
/**
 * Of the trigrams that the best language's table would cover if the text were in it, at least this share is in the table; less in
 * short texts, whose share varies. Texts in the table's languages have 0.8 to 1, in their neighbours about 0.4 to 0.6.
 */
const MIN_KNOWN = 0.5;
