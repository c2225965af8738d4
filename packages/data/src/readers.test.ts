import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Document } from './document.ts';
import { DataError } from './errors.ts';
import { cutPoint, findFiles, readDocuments, type ReadOptions } from './readers.ts';

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
