import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Document } from './document.ts';
import { DataError } from './errors.ts';
import { convertText } from './convert.ts';
import { cutPoint } from './cut.ts';
import { findFiles, readDocuments, type ReadOptions, toDocument } from './readers.ts';
import { splitDigest } from './sources.ts';

let folder = '';
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'parley-data-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function read(path: string, options?: ReadOptions): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const document of readDocuments(path, options)) documents.push(document);
  return documents;
}

const LINES = [
  '{"text": "Ä text, mit Ümlauten 😀"}', '', '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}',
  '{"prompt": "2+2", "completion": "4"}',
].join('\r\n');

test('the three shapes of JSON lines, plain and packed, give the same documents', async () => {
  const expected = await read(file('a.jsonl', LINES));
  expect(expected.map(({ kind, line }) => [kind, line])).toEqual([['text', 1], ['conversation', 3], ['conversation', 4]]);
  expect(expected[0]).toMatchObject({ text: 'Ä text, mit Ümlauten 😀' });
  expect(expected[2]).toMatchObject({ messages: [{ role: 'user', content: '2+2' }, { role: 'assistant', content: '4' }] });
  for (const path of [file('b.jsonl.gz', gzipSync(LINES)), file('b.jsonl.zst', zstdCompressSync(LINES))]) {
    expect((await read(path)).map((document) => ({ ...document, path: '' }))).toEqual(expected.map((document) => ({ ...document, path: '' })));
  }
});

test('templates make documents of any fields, and name what is missing', async () => {
  const path = file('qa.jsonl', '{"q": "Who?", "a": ["Ann", "Anne"], "n": 3}\n{"q": "Where?", "a": []}');
  await expect(read(path, { prompt: '{q}', completion: '{a}.' })).rejects.toThrow(/qa\.jsonl:2: .*"a", which is an empty list.*q, a/);
  const [first] = await read(file('one.jsonl', '{"q": "Who?", "a": ["Ann", "Anne"], "n": 3}'), { text: '{{{n}}} {q} {a}' });
  expect(first).toMatchObject({ kind: 'text', text: '{3} Who? Ann' });
});

test.each([
  ['{"text": 1}\n', /bad\.jsonl:1: has the fields text; it needs "text"/],
  ['{"text": "a"}\n{oops}\n', /bad\.jsonl:2: is not JSON .*"\{oops\}"/],
  ['[1, 2]\n', /bad\.jsonl:1: is not a JSON object/],
  ['{"messages": []}', /bad\.jsonl:1: "messages" is not a list/],
  ['{"messages": [{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]}', /bad\.jsonl:1: message 2 has the role "robot"/],
  ['{"messages": [{"role": "user"}]}', /message 1 has no text/],
])('an unusable line is an error with file and line: %s', async (content, message) => {
  await expect(read(file('bad.jsonl', content))).rejects.toThrow(message);
});

test('a damaged archive, bytes that are not UTF-8 and a missing file are errors that name the file', async () => {
  const packed = zstdCompressSync(LINES.repeat(50));
  await expect(read(file('cut.jsonl.zst', packed.subarray(0, packed.length - 20)))).rejects.toThrow(/cut\.jsonl\.zst: cannot be unpacked/);
  await expect(read(file('not.txt.gz', 'plain'))).rejects.toThrow(/not\.txt\.gz: cannot be unpacked/);
  await expect(read(file('latin.txt', Uint8Array.of(0x67, 0xfc, 0x6e)))).rejects.toThrow(/latin\.txt: is not UTF-8/);
  await expect(read(join(folder, 'nowhere.txt'))).rejects.toThrow(DataError);
});

test('folders are walked in order, other files are reported, an empty folder is an error', async () => {
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, 'sub', 'empty'), { recursive: true });
  for (const name of ['b.txt', 'a.md', 'sub/c.jsonl.zst', 'sub/picture.png', '.hidden.txt']) writeFileSync(join(tree, name), '');
  const found = await findFiles(tree);
  expect(found.files.map((path) => path.slice(tree.length + 1))).toEqual(['a.md', 'b.txt', 'sub/c.jsonl.zst']);
  expect(found.ignored).toHaveLength(2);
  await expect(findFiles(join(tree, 'sub', 'empty'))).rejects.toThrow(/holds no text/);
  await expect(findFiles(join(tree, 'sub', 'picture.png'))).rejects.toThrow(/no format known/);
});

test('runs and models among the texts, hidden folders and node_modules are passed over; named themselves, they are read', async () => {
  const tree = join(folder, 'working-directory');
  const place = (path: string): void => {
    mkdirSync(join(tree, path, '..'), { recursive: true });
    writeFileSync(join(tree, path), 'x');
  };
  for (const path of ['a.txt', 'letters/b.txt', '.git/c.txt', 'node_modules/d/README.md', 'runs/mine/recipe.yaml', 'runs/mine/tokenizer/tokenizer.json',
    'runs/mine/metrics.jsonl', 'runs/mine/model/README.md', 'models/other/config.json', 'models/other/tokenizer.json', 'models/other/README.md']) place(path);
  const found = await findFiles(tree);
  expect(found.files.map((path) => path.slice(tree.length + 1))).toEqual(['a.txt', 'letters/b.txt']);
  expect(found.ignored.map((path) => path.slice(tree.length + 1))).toEqual(['.git', 'models/other', 'node_modules', 'runs/mine']);
  expect((await findFiles(join(tree, 'models', 'other'))).files).toHaveLength(1);
});

test('a text of several megabytes comes in pieces that join to the whole, with their lines', async () => {
  const text = Array.from({ length: 60_000 }, (_, i) => `line ${i} of a long file 😀${i % 7 === 0 ? '\n' : ''}`).join('\n');
  const documents = await read(file('long.txt', text));
  expect(documents.length).toBeGreaterThan(1);
  expect(documents.map((document) => (document.kind === 'text' ? document.text : '')).join('')).toBe(text);
  const lines = text.split('\n');
  for (const document of documents) {
    expect(document.kind === 'text' && lines.slice(document.line - 1).join('\n').startsWith(document.text)).toBe(true);
  }
});

test('cutPoint prefers paragraphs to lines to sentences to words and never halves a character', () => {
  expect(cutPoint('one two.\n\nthree four', 14)).toBe(10);
  expect(cutPoint('one two three\nfour', 16)).toBe(14);
  expect(cutPoint('One two. Three four', 15)).toBe(9);
  expect(cutPoint('one two three', 10)).toBe(8);
  expect(cutPoint('aaa😀😀', 4)).toBe(3);
  expect(cutPoint('short', 10)).toBe(5);
});

const at = { path: 'x', line: 1 };

test('each object gets one of several wordings, the same one every time, with its own completion; all are used', () => {
  const options = { prompt: ['A {n}', 'B {n}', 'C {n}'], completion: ['a', 'b', 'c'] };
  const made = Array.from({ length: 60 }, (_, n) => toDocument({ n }, at, options));
  const turns = made.map((document) => (document.kind === 'conversation' ? document.messages.map(({ content }) => content) : []));
  for (const [prompt, completion] of turns) expect(completion).toBe(prompt?.charAt(0).toLowerCase());
  expect(new Set(turns.map(([, completion]) => completion))).toEqual(new Set(['a', 'b', 'c']));
  expect(Array.from({ length: 60 }, (_, n) => toDocument({ n }, at, options))).toEqual(made);
});

test('map rewrites values before templates, and a value it does not know is an error with the known ones', () => {
  const options = { text: '{label}: {text}', map: { label: { 0: 'negative', 1: 'positive' } } };
  expect(toDocument({ label: 1, text: 'good' }, at, options)).toMatchObject({ text: 'positive: good' });
  expect(() => toDocument({ label: 2, text: 'so' }, at, options)).toThrow('x:1: the field "label" is 2; its map knows 0, 1');
  expect(() => toDocument({ text: 'so' }, at, options)).toThrow('is missing; its map knows');
});

test('where takes only what it asks for, and says what it passed over', async () => {
  const path = file('where.jsonl', ['a', 'b', 'a', 'c'].map((source, n) => JSON.stringify({ source, text: `${n}` })).join('\n'));
  let skipped = 0;
  const kept = [];
  for await (const document of readDocuments(path, { where: { source: 'a' }, onSkip: () => skipped++ })) kept.push(document);
  expect(kept).toMatchObject([{ text: '0' }, { text: '2' }]);
  expect(skipped).toBe(2);
});

test('templates take the lead, the body, a cut of a field; an unknown filter is an error that names the known', () => {
  const object = { text: 'The lead of it. Its end.\nThe body.\nMore body.' };
  const fill = (text: string) => toDocument(object, at, { text });
  expect(fill('{text|lead}')).toMatchObject({ text: 'The lead of it. Its end.' });
  expect(fill('{text|body}')).toMatchObject({ text: 'The body.\nMore body.' });
  expect(fill('{text|lead|cut 18}')).toMatchObject({ text: 'The lead of it.' });
  expect(() => fill('{text|tail}')).toThrow('there are lead, body and cut N');
  expect(() => fill('{text|cut}')).toThrow('there are lead, body and cut N');
});

test('documents made of one thing share its side of the held-out split', () => {
  const [there, back] = [['{en}', '{zh}'], ['{zh}', '{en}']].map(([prompt, completion]) =>
    toDocument({ en: 'Hello.', zh: '你好。' }, at, { prompt: prompt ?? '', completion: completion ?? '', heldOutBy: '{en}' }));
  expect(splitDigest(there!)).toEqual(splitDigest(back!));
  expect(splitDigest(there!)).not.toEqual(splitDigest(toDocument({ text: 'Hello.' }, at)));
});

test('traditional Chinese becomes simplified, by phrases; simplified and English stay', () => {
  expect(convertText('頭髮、發展、皇后、後來，乾坤、乾淨', 'simplified')).toBe('头发、发展、皇后、后来，乾坤、干净');
  for (const same of ['头发、发展、皇后、后来，乾坤、干净', 'Plain English, 123.']) expect(convertText(same, 'simplified')).toBe(same);
});
