/** A source's cleaning, languages and quality rules, as its documents pass. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Document } from './document.ts';
import { emptyCounts, readSource, type ReadSourceOptions, type SourceSpec } from './sources.ts';

let folder = '';
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'parley-refine-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(lines: readonly object[], spec: Partial<SourceSpec>, options: ReadSourceOptions = {}) {
  const path = join(folder, 'source.jsonl');
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join('\n'));
  const counts = emptyCounts();
  const texts: string[] = [];
  for await (const { document } of readSource({ name: 'x', paths: [path], ...spec }, counts, options)) {
    texts.push(document.kind === 'text' ? document.text : document.messages.map(({ content }) => content).join(' / '));
  }
  return { texts, counts };
}

const EN = 'The railway came to the valley in 1871, and with it came people who had never seen a mountain before.';
const FR = 'Le chemin de fer arriva dans la vallée en 1871, et avec lui des gens qui n\'avaient jamais vu de montagne.';
const ZH = '铁路在一八七一年通到了这个山谷，随之而来的是许多从未见过高山的人。';

test('documents in other languages are dropped and counted, conversations too; what stays is counted by language', async () => {
  const chat = { messages: [{ role: 'user', content: FR }, { role: 'assistant', content: FR }] };
  const { texts, counts } = await run([{ text: EN }, { text: FR }, { text: ZH }, chat], { languages: ['en', 'zh'] });
  expect(texts).toEqual([EN, ZH]);
  expect(counts).toMatchObject({ read: 4, kept: 2, dropped: { other_language: 2 }, languages: { en: 1, 'zh-Hans': 1 } });
});

test('texts that break a rule are dropped under its name, with value and limit told; conversations are not judged', async () => {
  const drops: string[] = [];
  const onDrop = (reason: string, document: Document, why: string): void => void drops.push(`${reason} at line ${document.line}: ${why}`);
  const chat = { messages: [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: 'Hello' }] };
  const { texts, counts } = await run([{ text: EN }, chat, { text: `${EN} ${EN}` }], { quality: { few_words: 10, top_2_gram: 0.1 } }, { onDrop });
  expect(texts).toEqual([EN, 'Hi / Hello']);
  expect(counts.dropped).toEqual({ repeated_5_grams: 1 });
  expect(drops).toEqual([expect.stringMatching(/^repeated_5_grams at line 3: 0\.\d+, the limit is 0\.15$/)]);
});

test('lines that many documents share are removed from all of them, the first included', async () => {
  const documents = Array.from({ length: 6 }, (_, i) => ({ text: `Read our latest news every day!\nStory ${'abcdef'.charAt(i)}: ${EN}\nSubscribe to the paper for ${i} pounds` }));
  const { texts, counts } = await run(documents, { sharedLines: 4 });
  expect(texts).toEqual(documents.map((_, i) => `Story ${'abcdef'.charAt(i)}: ${EN}`));
  expect(counts.changed).toMatchObject({ shared_lines: 6 });
  expect((await run(documents, { sharedLines: 6 })).counts.changed).toEqual({});
});

test('markup is removed before a text is cut into parts, and every part counts as changed', async () => {
  const html = `<p>${EN}</p>\n`.repeat(4);
  const { texts, counts } = await run([{ text: html }], { clean: ['html'], splitCharacters: 150 });
  expect(texts.join(' ')).not.toContain('<');
  expect(texts).toHaveLength(4);
  expect(counts.changed['html']).toBe(4);
});

test('mojibake is repaired where it can be and dropped where not; without the step it stays', async () => {
  const broken = [{ text: 'Das Café ist schÃ¶n und groÃŸ'.replace('é', 'Ã©') }, { text: `${EN} \ufffd\ufffd\ufffd` }];
  const { texts, counts } = await run(broken, { clean: ['mojibake'] });
  expect(texts).toEqual(['Das Café ist schön und groß']);
  expect(counts).toMatchObject({ dropped: { mojibake: 1 }, changed: { mojibake: 1 } });
  expect((await run(broken, {})).counts.kept).toBe(2);
  expect((await run(broken, { clean: ['mojibake'] }, { clean: false })).counts.kept).toBe(2);
});
