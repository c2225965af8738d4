/**
 * Rules that tell running text from lists of keywords, spam, boilerplate and debris. Each has a name and a threshold; the first
 * that a text breaks is the reason it is dropped, and is counted. The thresholds for words are those of Gopher (Rae et al. 2021,
 * "Scaling Language Models", appendix A.1), with the share of ended and of short lines from FineWeb (Penedo et al. 2024); links and
 * capitals are ours. In Chinese and Japanese, which set no spaces, the rules for words do not apply; characters are counted instead, and
 * the thresholds for them are ours, set so that encyclopaedia, manuals and modern prose pass (docs/data.md).
 */
import { COMMON_WORDS } from './common-words.ts';
import { identifyLanguage, withoutCode } from './language.ts';

/**
 * Defaults. `min`: a text with less than the threshold is dropped; `max`: one with more. Where `says` names a part of the text, it is
 * the share of it.
 */
export const QUALITY_RULES = {
  few_words: { kind: 'min', threshold: 50, says: 'words (of Chinese: characters / 1.6)' },
  many_words: { kind: 'max', threshold: 100_000, says: 'words' },
  short_words: { kind: 'min', threshold: 3, says: 'letters a word' },
  long_words: { kind: 'max', threshold: 10, says: 'letters a word' },
  symbols: { kind: 'max', threshold: 0.1, says: '# and … a word' },
  bullets: { kind: 'max', threshold: 0.9, says: 'lines that begin with a bullet' },
  ellipses: { kind: 'max', threshold: 0.3, says: 'lines that end in …' },
  few_letters: { kind: 'min', threshold: 0.8, says: 'words with a letter in them' },
  few_common_words: { kind: 'min', threshold: 2, says: 'different common words of its language' },
  links: { kind: 'max', threshold: 0.05, says: 'web addresses a word' },
  capitals: { kind: 'max', threshold: 0.4, says: 'letters that are capitals' },
  unended_lines: { kind: 'min', threshold: 0.12, says: 'lines that end as sentences do' },
  short_lines: { kind: 'max', threshold: 0.67, says: 'lines under 30 characters (Chinese: 15)' },
  few_han: { kind: 'min', threshold: 0.3, says: 'letters that are Han characters' },
  few_punctuation: { kind: 'min', threshold: 0.01, says: 'characters that are punctuation' },
  low_entropy: { kind: 'min', threshold: 4, says: 'bits of entropy a character' },
  repeated_lines: { kind: 'max', threshold: 0.3, says: 'lines that stood there before' },
  repeated_paragraphs: { kind: 'max', threshold: 0.3, says: 'paragraphs that stood there before' },
  repeated_line_text: { kind: 'max', threshold: 0.2, says: 'text in such lines' },
  repeated_paragraph_text: { kind: 'max', threshold: 0.2, says: 'text in such paragraphs' },
  top_2_gram: { kind: 'max', threshold: 0.2, says: 'text that is its commonest two words' },
  top_3_gram: { kind: 'max', threshold: 0.18, says: 'text that is its commonest three words' },
  top_4_gram: { kind: 'max', threshold: 0.16, says: 'text that is its commonest four words' },
  repeated_5_grams: { kind: 'max', threshold: 0.15, says: 'text in five words that stood there before' },
  repeated_10_grams: { kind: 'max', threshold: 0.1, says: 'text in ten words that stood there before' },
} as const;

export type QualityRule = keyof typeof QUALITY_RULES;
/** Thresholds in place of the defaults; null switches a rule off. */
export type QualityThresholds = Readonly<Partial<Record<QualityRule, number | null | undefined>>>;

export interface LowQuality {
  readonly rule: QualityRule;
  readonly value: number;
  readonly threshold: number;
}

/** Characters a word of Chinese has on average. */
const HAN_WORD = 1.6;
/** Characters that stand for a word in n-grams: more than in a word, for set phrases and terms of six or eight characters are ordinary. */
const HAN_GRAM = 3;
const BULLET = /^[ \t]*(?:[-*•·‣▪●◦–]|\d+[.)、]|（\d+）)[ \t]*/;
const ENDED = /[.!?;:。！？；：．｡…」』”"')）》]\s*$/;
const LINK = /https?:\/\/|www\.\w/g;

/** Null where the text breaks no rule. Rules are tried in their order above, cheap ones first. */
export function judgeQuality(text: string, thresholds: QualityThresholds = {}, language: string = identifyLanguage(text).language): LowQuality | null {
  const facts = new Facts(text, language);
  for (const rule of RULES) {
    const given = thresholds[rule];
    if (given === null) continue;
    const { kind, threshold: usual } = QUALITY_RULES[rule];
    const threshold = given ?? usual;
    const value = facts.measure(rule);
    if (value !== null && (kind === 'min' ? value < threshold : value > threshold)) return { rule, value, threshold };
  }
  return null;
}

const RULES = Object.keys(QUALITY_RULES) as QualityRule[];

/** What the rules measure, each once and only when asked for. */
class Facts {
  readonly #text: string;
  readonly #language: string;
  readonly #spaced: boolean;
  readonly #lines: readonly string[];
  readonly #words: readonly string[];
  /** Words, or of text without spaces its letters' equivalent. */
  readonly #count: number;
  #units: Units | null = null;
  #letters: { all: number; upper: number } | null = null;

  /** The prose of a text is judged, not the code in it. */
  constructor(whole: string, language: string) {
    const text = withoutCode(whole);
    this.#text = text;
    this.#language = language;
    const unspaced = text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/gu)?.length ?? 0;
    this.#words = text.split(/\s+/).filter((word) => word !== '');
    this.#spaced = /^(?:zh|ja)/.test(language) ? false : unspaced < this.#words.length;
    // Latin words and numbers in Chinese are words too.
    this.#count = this.#spaced ? this.#words.length : unspaced / HAN_WORD + matches(text, /[\p{Script=Latin}\d]+/gu);
    this.#lines = text.split('\n').filter((line) => line.trim() !== '');
  }

  /** Null where a rule does not apply. */
  measure(rule: QualityRule): number | null {
    const words = this.#words;
    const lines = this.#lines;
    const text = this.#text;
    const { length } = text;
    if (length === 0) return rule === 'few_words' ? 0 : null;
    switch (rule) {
      case 'few_words': case 'many_words': return this.#count;
      case 'short_words': case 'long_words': return this.#spaced ? this.#wordLetters() : null;
      case 'symbols': return matches(text.replace(/^#+ /gm, ''), /#|…|\.\.\./g) / Math.max(1, this.#count);
      case 'bullets': return share(lines, (line) => BULLET.test(line));
      case 'ellipses': return share(lines, (line) => /(?:…|\.\.\.)\s*$/.test(line));
      case 'few_letters': return this.#spaced ? share(words, (word) => /\p{L}/u.test(word)) : null;
      case 'few_common_words': return this.#commonWords();
      case 'links': return matches(text, LINK) / Math.max(1, this.#count);
      case 'capitals': return this.#spaced ? this.#letterCounts().upper / Math.max(1, this.#letterCounts().all) : null;
      case 'unended_lines': return share(lines, (line) => ENDED.test(line));
      case 'short_lines': return share(lines, (line) => line.trim().length < (this.#spaced ? 30 : 15));
      case 'few_han': return this.#language.startsWith('zh') ? matches(text, /\p{Script=Han}/gu) / Math.max(1, this.#letterCounts().all) : null;
      case 'few_punctuation': return this.#spaced ? null : matches(text, /\p{P}/gu) / length;
      case 'low_entropy': return this.#spaced ? null : entropy(text);
      case 'repeated_lines': return repeated(lines).share;
      case 'repeated_line_text': return repeated(lines).text;
      case 'repeated_paragraphs': return repeated(this.#paragraphs()).share;
      case 'repeated_paragraph_text': return repeated(this.#paragraphs()).text;
      case 'top_2_gram': return this.#topGram(2);
      case 'top_3_gram': return this.#topGram(3);
      case 'top_4_gram': return this.#topGram(4);
      case 'repeated_5_grams': return this.#repeatedGrams(5);
      case 'repeated_10_grams': return this.#repeatedGrams(10);
      default: return rule satisfies never;
    }
  }

  #paragraphs(): string[] {
    return this.#text.split(/\n\s*\n/).map((paragraph) => paragraph.trim()).filter((paragraph) => paragraph !== '');
  }

  #wordLetters(): number {
    const letters = this.#words.reduce((sum, word) => sum + word.length, 0);
    return letters / Math.max(1, this.#words.length);
  }

  #letterCounts(): { all: number; upper: number } {
    this.#letters ??= { all: matches(this.#text, /\p{L}/gu), upper: matches(this.#text, /\p{Lu}/gu) };
    return this.#letters;
  }

  /** Null where the language has no list. */
  #commonWords(): number | null {
    const common = COMMON_WORDS.get(this.#language.split('-')[0] ?? '');
    if (common === undefined) return null;
    if (!this.#spaced) return [...common].filter((word) => this.#text.includes(word)).length;
    const found = new Set<string>();
    for (const word of this.#text.slice(0, 20_000).toLowerCase().match(/[\p{L}\p{M}]+/gu) ?? []) {
      if (common.has(word)) found.add(word);
      if (found.size >= 20) break;
    }
    return found.size;
  }

  /** What n-grams are made of: words, or the characters of text without spaces. */
  #unitsOfText(): Units {
    this.#units ??= this.#spaced ? unitsOf(this.#words, { perWord: 1, gap: 1 }) : unitsOf(this.#text.match(/[\p{L}\p{N}]/gu) ?? [], { perWord: HAN_GRAM, gap: 0 });
    return this.#units;
  }

  #topGram(n: number): number {
    const { starts, perWord, gap } = this.#unitsOfText();
    const size = n * perWord;
    const hashes = gramHashes(this.#unitsOfText(), size);
    const counts = new Counter(hashes.length);
    let most = 1;
    let longest = 0;
    for (let i = 0; i < hashes.length; i++) {
      const count = counts.add(hashes[i] ?? 0);
      const length = (starts[i + size] ?? 0) - (starts[i] ?? 0) - gap;
      if (count > most || (count === most && length > longest)) {
        most = count;
        longest = length;
      }
    }
    // Twice is chance in a short text.
    return most < 3 ? 0 : (most * longest) / this.#text.length;
  }

  /** The share of the characters that are in an n-gram which stood there before, each counted once. */
  #repeatedGrams(n: number): number {
    const { starts, perWord } = this.#unitsOfText();
    const size = n * perWord;
    const hashes = gramHashes(this.#unitsOfText(), size);
    const counts = new Counter(hashes.length);
    let covered = 0;
    let upTo = 0;
    for (let i = 0; i < hashes.length; i++) {
      if (counts.add(hashes[i] ?? 0) === 1) continue;
      covered += (starts[i + size] ?? 0) - (starts[Math.max(i, upTo)] ?? 0);
      upTo = i + size;
    }
    return covered / this.#text.length;
  }
}

interface Units {
  readonly hashes: Int32Array;
  /** Where each unit begins, and where the last one ends, in UTF-16 units of the text with single gaps. */
  readonly starts: Uint32Array;
  readonly perWord: number;
  readonly gap: number;
}

function unitsOf(units: readonly string[], { perWord, gap }: { perWord: number; gap: number }): Units {
  const hashes = new Int32Array(units.length);
  const starts = new Uint32Array(units.length + 1);
  for (const [i, unit] of units.entries()) {
    // FNV-1a.
    let hash = 0x811c9dc5;
    for (let at = 0; at < unit.length; at++) hash = Math.imul(hash ^ unit.charCodeAt(at), 0x01000193);
    hashes[i] = hash;
    starts[i + 1] = (starts[i] ?? 0) + unit.length + gap;
  }
  return { hashes, starts, perWord, gap };
}

const BASE = 0x2c1b3c6d;

/**
 * A rolling 32-bit hash of each run of `size` units: in a text of 10,000 words about one in a hundred has one run taken for another,
 * which moves a share by a ten-thousandth.
 */
function gramHashes({ hashes }: Units, size: number): Int32Array {
  const found = new Int32Array(Math.max(0, hashes.length - size + 1));
  let leaving = 1;
  for (let i = 0; i < size; i++) leaving = Math.imul(leaving, BASE);
  let hash = 0;
  for (let end = 1; end <= hashes.length; end++) {
    const start = end - size;
    hash = (Math.imul(hash, BASE) + (hashes[end - 1] ?? 0) - (start > 0 ? Math.imul(leaving, hashes[start - 1] ?? 0) : 0)) | 0;
    if (start >= 0) found[start] = hash;
  }
  return found;
}

/** How often each hash was added: open addressing, some four times as fast here as a Map. */
class Counter {
  readonly #mask: number;
  readonly #keys: Int32Array;
  readonly #counts: Uint32Array;

  constructor(most: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(8, most * 2)));
    this.#mask = size - 1;
    this.#keys = new Int32Array(size);
    this.#counts = new Uint32Array(size);
  }

  add(key: number): number {
    let slot = (key ^ (key >>> 15)) & this.#mask;
    while ((this.#counts[slot] ?? 0) > 0 && this.#keys[slot] !== key) slot = (slot + 1) & this.#mask;
    this.#keys[slot] = key;
    const count = (this.#counts[slot] ?? 0) + 1;
    this.#counts[slot] = count;
    return count;
  }
}

function matches(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

function share<T>(values: readonly T[], is: (value: T) => boolean): number {
  return values.length === 0 ? 0 : values.filter((value) => is(value)).length / values.length;
}

/** Of pieces of text, the share that stood there before, by number and by characters. */
function repeated(pieces: readonly string[]): { share: number; text: number } {
  const seen = new Set<string>();
  let again = 0;
  let text = 0;
  let all = 0;
  for (const piece of pieces) {
    all += piece.length;
    if (seen.has(piece)) {
      again++;
      text += piece.length;
    }
    seen.add(piece);
  }
  return { share: again / Math.max(1, pieces.length), text: text / Math.max(1, all) };
}

/** Bits a character, by how often each occurs. */
function entropy(text: string): number {
  const counts = new Map<string, number>();
  let all = 0;
  for (const character of text) {
    if (/\s/.test(character)) continue;
    counts.set(character, (counts.get(character) ?? 0) + 1);
    all++;
  }
  let bits = 0;
  for (const count of counts.values()) bits -= (count / all) * Math.log2(count / all);
  return bits;
}
