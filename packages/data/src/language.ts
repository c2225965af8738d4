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
  latin: /\p{Script=Latin}/gu, cyrillic: /\p{Script=Cyrillic}/gu, arabic: /\p{Script=Arabic}/gu, devanagari: /\p{Script=Devanagari}/gu,
  han: /\p{Script=Han}/gu, kana: /[\p{Script=Hiragana}\p{Script=Katakana}]/gu, ko: /\p{Script=Hangul}/gu, el: /\p{Script=Greek}/gu, he: /\p{Script=Hebrew}/gu,
  th: /\p{Script=Thai}/gu, bn: /\p{Script=Bengali}/gu, ta: /\p{Script=Tamil}/gu, te: /\p{Script=Telugu}/gu, gu: /\p{Script=Gujarati}/gu, kn: /\p{Script=Kannada}/gu,
  ml: /\p{Script=Malayalam}/gu, pa: /\p{Script=Gurmukhi}/gu, ka: /\p{Script=Georgian}/gu, hy: /\p{Script=Armenian}/gu, am: /\p{Script=Ethiopic}/gu,
  my: /\p{Script=Myanmar}/gu, km: /\p{Script=Khmer}/gu, lo: /\p{Script=Lao}/gu, si: /\p{Script=Sinhala}/gu,
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
  const counts = new Map<Script, number>();
  let all = 0;
  let rest = sample;
  for (const [script, pattern] of Object.entries(SCRIPTS) as [Script, RegExp][]) {
    if (!/\p{L}/u.test(rest)) break;
    const before = rest.length;
    rest = rest.replace(pattern, '');
    if (rest.length === before) continue;
    const weight = (before - rest.length) * (DENSE.has(script) ? 3 : 1);
    counts.set(script, weight);
    all += weight;
  }
  all += rest.match(/\p{L}/gu)?.length ?? 0;
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
  /** Row of a trigram in `levels`. */
  readonly rows: ReadonlyMap<number, number>;
  /** (rows, languages): −log₂ probability. */
  readonly levels: Float32Array;
  /** (languages): the level of trigrams that are not in a language's table, and the share of its text that the table covers. */
  readonly floors: readonly number[];
  readonly coverage: readonly number[];
  readonly vocabularies: readonly (ReadonlySet<string> | undefined)[];
}

/** What a trigram costs that is not in a language's table: rarer than its rarest one by this factor, in bits. */
const UNSEEN = 2.5;
const profiles = new Map<string, Profiles>();

function profilesOf(script: string): Profiles {
  const known = profiles.get(script);
  if (known !== undefined) return known;
  const table = Object.entries(TRIGRAMS[script] ?? {});
  const rows = new Map<number, number>();
  const parsed = table.map(([, [grams, first, runs]]) => {
    const levels: [row: number, bits: number][] = [];
    let at = 0;
    for (const [offset, count] of runs.entries()) {
      for (let i = 0; i < count; i++, at += 3) {
        const key = pack(letter(grams.charCodeAt(at)), letter(grams.charCodeAt(at + 1)), letter(grams.charCodeAt(at + 2)));
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
  const vocabularies = languages.map((language) => COMMON_WORDS.get(language));
  const made = { languages, rows, levels, floors, coverage, vocabularies };
  profiles.set(script, made);
  return made;
}

/** The table writes the edge of a word as _. */
const letter = (code: number): number => (code === 95 ? 32 : code);
/** Three UTF-16 units in 48 bits. */
const pack = (a: number, b: number, c: number): number => (a * 65_536 + b) * 65_536 + c;

/**
 * Letters as the table has them: one form of those that are written in two ways, one letter for all of Vietnamese's letters with
 * two marks, no Arabic vowel signs, which are mostly left out anyway.
 */
const SAME: Readonly<Record<string, string>> = { ș: 'ş', ț: 'ţ', '\u06cc': '\u064a' };
const VARIANTS = /[\u0219\u021b\u06cc\u0640\u1ea0-\u1eff]|[\u064b-\u0652]/g;
const NOT_A_LETTER = /[^\p{L}\p{M}]+/gu;

function byTrigrams(text: string, script: string): Guess {
  const { languages, rows, levels, floors, coverage, vocabularies } = profilesOf(script);
  // Addresses and code are in no language.
  const letters = text.replace(/https?:\S+|\S+@\S+/g, ' ').toLowerCase().normalize('NFC').replace(VARIANTS, (character) => SAME[character] ?? (character >= '\u1ea0' ? 'ể' : ''));
  const words = ` ${letters.replace(NOT_A_LETTER, ' ').trim()} `;
  const costs = Float64Array.from(languages, (language) => RARITY[language] ?? 6);
  const known = new Uint32Array(languages.length);
  let seen = 0;
  for (let i = 2; i < words.length; i++) {
    const middle = words.charCodeAt(i - 1);
    if (middle === 32) continue;
    seen++;
    const row = rows.get(pack(words.charCodeAt(i - 2), middle, words.charCodeAt(i)));
    if (row === undefined) continue;
    for (let column = 0; column < languages.length; column++) {
      const level = levels[row * languages.length + column] ?? 0;
      costs[column] = (costs[column] ?? 0) + level;
      if (level !== floors[column]) known[column] = (known[column] ?? 0) + 1;
    }
  }
  for (const word of words.trim().split(' ', MOST_WORDS)) {
    for (let column = 0; column < languages.length; column++) {
      if (vocabularies[column]?.has(word) === true) costs[column] = (costs[column] ?? 0) - WORD_BITS;
    }
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
const MOST_WORDS = 300;
/** How much rarer texts of a language are than English ones, in bits; what decides about a few words that could be either. Default 6. */
const RARITY: Readonly<Record<string, number>> = { en: 0, de: 3, fr: 3, es: 3, it: 4, pt: 4, nl: 4, ru: 0, ar: 0, hi: 0 };
/**
 * Of the trigrams that the best language's table would cover if the text were in it, at least this share is in the table; less in
 * short texts, whose share varies. Texts in the table's languages have 0.8 to 1, in their neighbours about 0.4 to 0.6.
 */
const MIN_KNOWN = 0.5;
