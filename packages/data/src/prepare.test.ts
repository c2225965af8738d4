import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHATML_TEMPLATE, PARLEY_SPECIAL_TOKENS, type Tokenizer, trainTokenizer } from '@parley/tokenizer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inspectShards, inspectSource, uniqueSourceNames } from './inspect.ts';
import { readManifest, splitBase } from './manifest.ts';
import { prepare } from './prepare.ts';
import { ShardReader } from './shards.ts';

let folder = '';
let tokenizer: Tokenizer;
const TEXTS = Array.from({ length: 200 }, (_, i) => `This is text number ${i}, and it is about the number ${i * 7}.`);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-prepare-'));
  tokenizer = await trainTokenizer(TEXTS, { vocabSize: 300, pattern: 'gpt4', specialTokens: PARLEY_SPECIAL_TOKENS, chatTemplate: CHATML_TEMPLATE });
  writeFileSync(join(folder, 'texts.jsonl'), [...TEXTS, TEXTS[3], ' ', TEXTS[5]].map((text) => JSON.stringify({ text: `${text}\r\n` })).join('\n'));
  writeFileSync(join(folder, 'chats.jsonl'), [
    { messages: [{ role: 'user', content: 'Which number?' }, { role: 'assistant', content: 'It is 7.' }] },
    { messages: [{ role: 'user', content: 'No answer' }] },
    { text: TEXTS[7] },
  ].map((line) => JSON.stringify(line)).join('\n'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sources = () => [
  { name: 'texts', paths: [join(folder, 'texts.jsonl')], licence: 'CC0-1.0' },
  { name: 'chats', paths: [join(folder, 'chats.jsonl')], heldOut: 0 },
];

test('every document is in a split or counted with the reason it is not; shards decode to the cleaned texts', async () => {
  const target = join(folder, 'prepared');
  const { manifest, reused } = await prepare({ sources: sources(), tokenizer, folder: target, heldOut: 0.2 });
  expect(reused).toBe(false);
  const [texts, chats] = manifest.sources;
  expect(texts).toMatchObject({ licence: 'CC0-1.0', counts: { read: 203, kept: 200, dropped: { duplicate: 2, empty: 1 }, changed: { blank_edges: 200, line_ends: 200 } } });
  expect(chats).toMatchObject({ counts: { read: 3, kept: 1, dropped: { no_answer: 1, duplicate: 1 } }, splits: { train: { documents: 1, conversations: 1 } } });
  expect(texts?.files).toEqual([{ path: 'texts.jsonl', bytes: statSync(join(folder, 'texts.jsonl')).size, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string }]);
  const { train, 'held-out': heldOut } = texts?.splits ?? {};
  expect((train?.documents ?? 0) + (heldOut?.documents ?? 0)).toBe(200);
  expect(heldOut?.documents).toBeGreaterThan(20);
  expect(heldOut?.documents).toBeLessThan(60);

  const found: string[] = [];
  for (const split of ['train', 'held-out'] as const) {
    using shards = new ShardReader(splitBase(target, 'texts', split), { vocabSize: tokenizer.vocabSize, parts: texts?.splits[split].parts ?? 0 });
    let bytes = 0;
    for (let index = 0; index < shards.documents; index++) {
      const { part, start, length } = shards.document(index);
      const ids = new Int32Array(length);
      shards.readTokens(part, start, ids);
      expect([ids[0], ids.at(-1)]).toEqual([tokenizer.bosTokenId, tokenizer.bosTokenId]);
      const text = tokenizer.decode(ids.subarray(1, -1));
      bytes += Buffer.byteLength(text);
      found.push(text);
    }
    expect(texts?.splits[split].bytes).toBe(bytes);
  }
  expect(found.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(TEXTS.toSorted((a, b) => (a < b ? -1 : 1)));
});

test('the same data is kept as it is, other settings replace it whole, and nothing half-written stays', async () => {
  const target = join(folder, 'prepared');
  const before = await readManifest(target);
  expect(await prepare({ sources: sources(), tokenizer, folder: target, heldOut: 0.2 })).toEqual({ manifest: before, reused: true });
  const { manifest } = await prepare({ sources: sources(), tokenizer, folder: target, heldOut: 0.2, deduplicate: false });
  expect(manifest.key).not.toBe(before.key);
  expect(manifest.sources[0]?.counts.kept).toBe(202);
  // Held-out documents are chosen by what they say, not by the order they come in.
  expect(manifest.sources[0]?.splits['held-out'].documents).toBeGreaterThanOrEqual(before.sources[0]?.splits['held-out'].documents ?? Infinity);
  expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([]);
});

test('a failed preparation leaves what was there', async () => {
  const target = join(folder, 'prepared');
  const before = readFileSync(join(target, 'manifest.json'), 'utf8');
  writeFileSync(join(folder, 'broken.jsonl'), `${JSON.stringify({ text: 'fine' })}\n{`);
  await expect(prepare({ sources: [{ name: 'x', paths: [join(folder, 'broken.jsonl')] }], tokenizer, folder: target })).rejects.toThrow(/broken\.jsonl:2/);
  await expect(prepare({ sources: [{ name: 'x', paths: [join(folder, 'gone.jsonl')], attribution: 'a set of texts' }], tokenizer, folder: target }))
    .rejects.toThrow(/source "x": .*gone\.jsonl: there is no such file or folder.*it is a set of texts/);
  await expect(prepare({ sources: [...sources(), ...sources()], tokenizer, folder: target })).rejects.toThrow(/two sources are called "texts"/);
  expect(readFileSync(join(target, 'manifest.json'), 'utf8')).toBe(before);
  expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([]);
});

test('inspecting a source and its shards tells the same counts', async () => {
  const target = join(folder, 'inspected');
  const [source] = uniqueSourceNames([join(folder, 'chats.jsonl')]);
  await prepare({ sources: [source!], tokenizer, folder: target, heldOut: 0 });
  const [fromShards] = await inspectShards(target, { tokenizer, samples: 1 });
  const fromSource = await inspectSource(source!, { tokenizer, samples: 1 });
  expect(fromShards).toMatchObject({ documents: 2, conversations: 1, tokens: fromSource.tokens, bytes: fromSource.bytes, lengths: fromSource.lengths });
  expect(fromSource).toMatchObject({ turns: 2, dropped: { no_answer: 1 } });
  expect(fromSource.lengths.buckets.reduce((sum, { count }) => sum + count, 0)).toBe(2);
  expect(uniqueSourceNames(['a/x.txt', 'b/x.txt.gz', '?']).map(({ name }) => name)).toEqual(['x', 'x-2', 'source']);
});

test('a folder with somebody\'s files is never replaced, nor a file; prepared data is', async () => {
  const letters = join(folder, 'letters');
  mkdirSync(letters);
  writeFileSync(join(letters, 'manifest.json'), '{"name": "a web page"}');
  writeFileSync(join(letters, 'a.txt'), 'Dear Anna');
  await expect(prepare({ sources: sources(), tokenizer, folder: letters })).rejects.toThrow(/letters: holds a\.txt, which is no prepared data/);
  expect(readdirSync(letters).toSorted()).toEqual(['a.txt', 'manifest.json']);
  await expect(prepare({ sources: sources(), tokenizer, folder: join(letters, 'a.txt') })).rejects.toThrow(/a\.txt: cannot be the folder of the prepared data/);
  expect(readFileSync(join(letters, 'a.txt'), 'utf8')).toBe('Dear Anna');
  const target = join(folder, 'again');
  await prepare({ sources: sources(), tokenizer, folder: target });
  expect((await prepare({ sources: sources(), tokenizer, folder: target, heldOut: 0.5 })).manifest.heldOut).toBe(0.5);
});

test('the samples of shards are refused with a tokenizer they were not made with', async () => {
  const target = join(folder, 'decoded');
  await prepare({ sources: sources(), tokenizer, folder: target });
  expect((await inspectShards(target, { tokenizer, samples: 1 }))[0]?.samples).toHaveLength(1);
  const other = await trainTokenizer(TEXTS, { vocabSize: 290, pattern: 'gpt4', specialTokens: PARLEY_SPECIAL_TOKENS, chatTemplate: CHATML_TEMPLATE });
  await expect(inspectShards(target, { tokenizer: other, samples: 1 })).rejects.toThrow('another tokenizer');
});
