/**
 * Makes packages/data/src/language-table.ts, what languages are told apart by:
 *
 *   npm pack langdetect && tar xzf langdetect-*.tgz
 *   npx node tools/language-table.ts package/profiles [DATA]
 *
 * Letter trigrams: from the profiles of langdetect (Nakatani Shuyo, Cybozu Labs; Apache-2.0), counts of n-grams in Wikipedia's
 * abstracts. Case is folded and the most frequent of each language are kept with the logarithm of their share.
 *
 * Simplified and traditional characters: those that OpenCC's tables (Apache-2.0, npm opencc-js) change in one direction only, most
 * frequent first. DATA is a folder with zh-wiki.jsonl.zst and zh-poetry.jsonl.zst (see recipes/), of which only the order of
 * characters by frequency and the fact that a character occurs in classical poems enter the table.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as OpenCC from 'opencc-js';
import { readLines } from '../packages/data/src/lines.ts';

/** Of each language as many as make up this share of its text, but at most so many. */
const COVERAGE = 0.7;
const MOST = 600;
const CHARACTERS = 600;
/** Languages that share a script; all others are known by their script alone. */
const GROUPS = {
  latin: 'en fr de es it pt nl af sv da no fi et lt lv pl cs sk sl hr ro hu tr vi id tl sq sw',
  cyrillic: 'ru uk bg mk', arabic: 'ar fa ur', devanagari: 'hi mr ne',
};

const [profiles, data] = process.argv.slice(2);
if (profiles === undefined || data === undefined) throw new Error('give the folder of the profiles and the folder of zh-wiki and zh-poetry');

const lines: string[] = [];
for (const [group, languages] of Object.entries(GROUPS)) {
  lines.push(`  ${group}: {`);
  for (const language of languages.split(' ')) {
    const { freq } = JSON.parse(readFileSync(join(profiles, `${language}.json`), 'utf8')) as { freq: Record<string, number> };
    const counts = new Map<string, number>();
    for (const [gram, count] of Object.entries(freq)) {
      const folded = gram.toLowerCase();
      if (folded.length !== 3 || !/^[ \p{L}\p{M}]{3}$/u.test(folded) || folded[1] === ' ') continue;
      counts.set(folded, (counts.get(folded) ?? 0) + count);
    }
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    let covered = 0;
    const kept = [...counts].sort((a, b) => b[1] - a[1]).filter(([, count]) => (covered += count) - count < COVERAGE * total).slice(0, MOST);
    console.log(language, counts.size, kept.length, (kept.reduce((sum, [, count]) => sum + count, 0) / total).toFixed(2));
    const grams = kept.map(([gram]) => gram.replaceAll(' ', '_')).join('');
    const levels = kept.map(([, count]) => Math.round(-4 * Math.log2(count / total)));
    const runs = Array.from({ length: (levels.at(-1) ?? 0) + 1 }, (_, level) => levels.filter((other) => other === level).length);
    const first = levels[0] ?? 0;
    lines.push(`    ${language}: ['${grams}', ${first}, [${runs.slice(first).join(', ')}]],`);
  }
  lines.push('  },');
}

const frequency = await characterCounts(join(data, 'zh-wiki.jsonl.zst'));
const classical = await characterCounts(join(data, 'zh-poetry.jsonl.zst'));
const { Converter } = OpenCC as unknown as { Converter: (options: { from: string; to: string }) => (text: string) => string };
const [toSimplified, toTraditional] = [Converter({ from: 't', to: 'cn' }), Converter({ from: 'cn', to: 't' })];
const common = [...frequency].sort((a, b) => b[1] - a[1]).map(([character]) => character);
const traditional = common.filter((c) => toSimplified(c) !== c && toTraditional(c) === c).slice(0, CHARACTERS);
const simplified = common.filter((c) => toTraditional(c) !== c && toSimplified(c) === c && !classical.has(c)).slice(0, CHARACTERS);

writeFileSync(join(import.meta.dirname, '../packages/data/src/language-table.ts'), `/** Made by tools/language-table.ts, which names its sources. Do not edit. */

/**
 * By script and language: its most frequent trigrams of letters (_ is the edge of a word), most frequent first; the level of the
 * first; and how many have that level, the next, and so on. A level is −4 log₂ of a trigram's share of the language's trigrams.
 */
export const TRIGRAMS: Readonly<Record<string, Readonly<Record<string, readonly [grams: string, level: number, runs: readonly number[]]>>>> = {
${lines.join('\n')}
};

/** Characters that only simplified, or only traditional Chinese is written with, the most frequent ones. */
export const SIMPLIFIED = '${simplified.join('')}';
export const TRADITIONAL = '${traditional.join('')}';
`);

async function characterCounts(path: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const { text } of readLines(path)) {
    for (const [character] of text.matchAll(/\p{Script=Han}/gu)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  return counts;
}
