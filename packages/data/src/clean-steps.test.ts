/** The cleaning steps that are asked for by name. */
import { expect, test } from 'vitest';
import { isNavigation, SharedLines } from './boilerplate.ts';
import { CLEAN_STEPS, cleanDocument, type CleanStep, cleanText } from './clean.ts';
import { isGarbled, repairMojibake } from './mojibake.ts';

const only = (text: string, ...steps: CleanStep[]): string => cleanText(text, { steps }).text;

const misread = (text: string, times = 1): string => {
  const decoder = new TextDecoder('windows-1252');
  for (let i = 0; i < times; i++) text = decoder.decode(Buffer.from(text));
  return text;
};

test('UTF-8 read as Windows-1252, once or twice, is turned back exactly; what no one can turn back is dropped elsewhere', () => {
  for (const meant of ['Das Café „Größe“ – schön!', '中文的句子，很长。', 'L’été à la plage… ça va', 'naïve façade', 'Привет, мир']) {
    expect(repairMojibake(misread(meant))).toBe(meant);
    expect(repairMojibake(misread(meant, 2))).toBe(meant);
  }
  expect(cleanText(misread('“Yes”, she said.'), { steps: ['mojibake'] })).toEqual({ text: '“Yes”, she said.', changes: ['mojibake'] });
  expect(isGarbled(`The caf\ufffd is open. ${'Words follow. '.repeat(10)}`)).toBe(true);
  expect(isGarbled('锟斤拷锟斤拷的中文')).toBe(true);
  expect(isGarbled(`One \ufffd in a long text. ${'Words follow. '.repeat(300)}`)).toBe(false);
});

test('real text in Latin letters, Chinese or with one odd pair is never "repaired"', () => {
  for (const text of ['Élève à Nîmes: «déjà vu» — ça', 'ÜBER ÄPFEL UND ÖL', 'São João, não é?', '中文、日本語、한국어', 'Ångström × °C ± µ', 'CAFÉ»', 'plain', 'â as a letter, ™ as a mark']) {
    expect(repairMojibake(text)).toBeNull();
  }
});

test('wiki markup becomes text: links, files, templates in templates, tables, references, headings, variants', () => {
  const wiki = `{{Infobox|a={{nested|x}}}}'''Rye''' is a [[cereal|grain]].<ref name="a">Book {{cite}}</ref> See [[Bread]].
[[File:rye.jpg|thumb|A field of [[rye]]]]
== History ==
* one
{| class="x"
| cell
|}
[https://example.org The site] and -{zh-hans:软件;zh-hant:軟體}-.__NOTOC__`;
  expect(only(wiki, 'wiki')).toBe('Rye is a grain. See Bread.\n\nHistory\n- one\n\nThe site and 软件.');
});

test('Markdown\'s links and images leave their text, code and other brackets stay', () => {
  const markdown = `---
title: Page
---
# Rye ![a field](rye.jpg "Rye")

See [the page](https://en.wikipedia.org/wiki/Rye_(grain)), [more][ref] and <https://example.org>. Not [this] or a[0](1).
\`[code](x)\`
\`\`\`
[kept](as it is)
\`\`\`
[ref]: https://example.org "More"
`;
  expect(only(markdown, 'markdown')).toBe(`# Rye a field

See the page, more and https://example.org. Not [this] or a0.
\`[code](x)\`
\`\`\`
[kept](as it is)
\`\`\``);
});

test('width variants become ordinary, Chinese punctuation and meaningful forms stay', () => {
  expect(only('ＡＢＣ１２３％＝＋ﬁne ﾊﾟﾝ 𝐛𝐨𝐥𝐝', 'width')).toBe('ABC123%=+fine パン bold');
  for (const text of ['你好，世界。“是”？（对）！：；、《书》…—', 'x² + ½ = ① Ⅳ ℃', '「こんにちは」～']) expect(only(text, 'width')).toBe(text);
});

test('white space: single spaces, no trailing ones, one blank line, indentation and joiners kept', () => {
  expect(only('a  b\u00a0 c \n\n\n\n  indented\u3000x\t\n\u3000\u3000段落\u200b。 soft\u00adhyphen 👩\u200d👧', 'whitespace')).toBe('a b c\n\n  indented x\n段落。 softhyphen 👩\u200d👧');
});

test.each([
  'Skip to main content', 'Home » News » Local', '  READ MORE...', 'Share on Facebook', '12 Comments', '© 2019 Example Ltd. All rights reserved.', 'Privacy Policy',
  'We use cookies to improve your experience on our website.', 'This site uses its own cookies.', 'Accept all cookies', 'Wir verwenden Cookies, um …',
  '首页 > 新闻 > 国内', '下一篇：怎样做面包', '版权所有 © 2020 某某公司', '京ICP备12345678号', '返回顶部', 'Zum Inhalt springen', 'Lire la suite',
])('a line of a page\'s frame is known: %s', (line) => {
  expect(isNavigation(line)).toBe(true);
});

test.each([
  'She went home and read more of the book.', 'The search for the lost ship went on.', 'Cookies are small biscuits, and these have chocolate.', '他回到首页。', 'Printing was invented in China.',
  'Next, mix the flour with water.', 'History', 'Copyright concerns', 'logout', 'Search', 'Menu', '', 'The copyright law of 1976 changed much for authors and their heirs in the United States of America, it is said, for good.',
])('a line of text is none: %j', (line) => {
  expect(isNavigation(line)).toBe(false);
});

test('lines shared by more documents than the limit are found, however often one document says them; numbers in them do not matter', () => {
  const lines = new SharedLines(3);
  for (let i = 0; i < 5; i++) lines.add(`Article number ${i}\nRead by ${i * 1000} people today\nA sentence said twice.\nA sentence said twice.\nHistory`);
  for (let i = 0; i < 3; i++) lines.add('Only in three of the documents');
  expect(['Read by 7 people today', 'A sentence said twice.', 'Only in three of the documents', 'History', 'Not seen at all, never'].map((line) => lines.has(line)))
    .toEqual([true, true, false, false, false]);
});

test('counting lines takes bounded room, and frequent ones are still found: 50,000 lines in room for some 4,000', () => {
  const lines = new SharedLines(20, 2000);
  let most = 0;
  for (let i = 0; i < 5_000; i++) {
    lines.add(`${Array.from({ length: 9 }, (_, j) => `Unique sentence ${String.fromCharCode(...String(i * 9 + j).split('').map((d) => 97 + Number(d)))}`).join('\n')}\n${i % 40 === 0 ? 'The frame around every fortieth page' : 'x'}`);
    most = Math.max(most, lines.size);
  }
  expect(most).toBeLessThan(4500);
  expect(lines.has('The frame around every fortieth page')).toBe(true);
  expect(lines.has('Unique sentence b')).toBe(false);
});

test('every step leaves plain prose of six languages as it is, and doing all twice is doing all once', () => {
  const prose = [
    'The old man walked to the river. "Where are you going?" asked his wife; he did not say.\n\n"I will be back," he said at last.',
    'Der alte Mann ging zum Fluss. „Wohin gehst du?“, fragte seine Frau – er schwieg.', 'Le vieil homme alla à la rivière. « Où vas-tu ? » demanda sa femme…',
    '老人走到河边。“你去哪儿？”妻子问道；他没有回答……（他从不回答）', '老人は川へ歩いて行った。「どこへ行くの」と妻が尋ねた。', 'Старик пошёл к реке. «Куда ты?» — спросила жена.',
  ];
  for (const text of prose) expect(cleanText(text, { steps: CLEAN_STEPS })).toEqual({ text, changes: [] });
  const nasty = `${misread('Größe é')} <b>x</b>\n\n\n[[a|b]] [c](d)\nRead more\nＡ  b`;
  const once = only(nasty, ...CLEAN_STEPS);
  expect(cleanText(once, { steps: CLEAN_STEPS })).toEqual({ text: once, changes: [] });
});

test('each change is told with what was before and after, in conversations turn by turn', () => {
  const seen: string[] = [];
  const messages = [{ role: 'user', content: '<i>Hi</i>' }, { role: 'assistant', content: 'Hello  there' }] as const;
  const { changes } = cleanDocument({ kind: 'conversation', messages, path: 'x', line: 1 }, {
    steps: ['html', 'whitespace'], onChange: (change, before, after) => seen.push(`${change}: ${before} → ${after}`),
  });
  expect(seen).toEqual(['html: <i>Hi</i> → Hi', 'whitespace: Hello  there → Hello there']);
  expect([...changes]).toEqual(['html', 'whitespace']);
});
