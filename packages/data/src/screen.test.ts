import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHATML_TEMPLATE, PARLEY_SPECIAL_TOKENS, type Tokenizer, trainTokenizer } from '@parley/tokenizer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Document } from './document.ts';
import { readManifest, splitBase } from './manifest.ts';
import { keyOf } from './permutation.ts';
import { prepare } from './prepare.ts';
import { Screen } from './screen.ts';
import { ShardReader } from './shards.ts';

let step = 0;
const sentence = (n: number): string => Array.from({ length: n }, () => (keyOf(41, step++) % 5000 + 50_000).toString(36)).join(' ');
const text = (content: string): Document => ({ kind: 'text', text: content, path: 'x', line: 1 });

let folder = '';
let tokenizer: Tokenizer;
const ORIGINALS = Array.from({ length: 120 }, () => sentence(60));
const ITEM = sentence(40);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-screen-'));
  tokenizer = await trainTokenizer([...ORIGINALS, '<EMAIL> <PHONE>'], { vocabSize: 300, pattern: 'gpt4', specialTokens: PARLEY_SPECIAL_TOKENS, chatTemplate: CHATML_TEMPLATE });
  const lines = (texts: readonly string[]): string => texts.map((line) => JSON.stringify({ text: line })).join('\n');
  writeFileSync(join(folder, 'a.jsonl'), lines([...ORIGINALS.slice(0, 60), 'Write to jane@shop.org or ring 415-555-2671 or 415-555-2672, she said.']));
  writeFileSync(join(folder, 'b.jsonl'), lines([...ORIGINALS.slice(60), `${ORIGINALS[0]} again`, `${ORIGINALS[70]} again`, `${sentence(20)} ${ITEM}`]));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sources = () => [{ name: 'a', paths: [join(folder, 'a.jsonl')] }, { name: 'b', paths: [join(folder, 'b.jsonl')] }];
const everything = () => ({
  sources: sources(), tokenizer, folder: join(folder, 'prepared'), heldOut: 0,
  nearDuplicates: true, maskPersonalData: true, decontaminate: { items: [{ set: 'quiz', texts: [ITEM] }, { set: 'quiz', texts: ['Yes'] }] },
});

test('prepare drops near-duplicates across sources and documents with evaluation items, masks the rest, and the manifest says how much of each', async () => {
  const { manifest } = await prepare(everything());
  const [a, b] = manifest.sources;
  expect(a?.counts).toMatchObject({ kept: 61, dropped: {}, masked: { email: 1, phone: 2 }, maskedDocuments: 1, nearDuplicatesOf: {} });
  expect(b?.counts).toMatchObject({ kept: 60, dropped: { near_duplicate: 2, contaminated: 1 }, masked: {}, nearDuplicatesOf: { a: 1, b: 1 }, itemsCut: 0 });
  expect(manifest.screened).toEqual({
    nearDuplicates: { threshold: 0.7, bands: 25, rows: 5, documents: 121, bytes: expect.any(Number) as number },
    maskedKinds: ['email', 'phone', 'card', 'iban', 'identity', 'ip'],
    decontamination: [{ set: 'quiz', items: 2, tooShort: 1, found: 1, dropped: 1, cut: 0 }],
  });
  using shards = new ShardReader(splitBase(join(folder, 'prepared'), 'a', 'train'), { vocabSize: tokenizer.vocabSize, parts: a?.splits.train.parts ?? 0 });
  const texts = Array.from({ length: shards.documents }, (_, i) => {
    const { part, start, length } = shards.document(i);
    const ids = new Int32Array(length);
    shards.readTokens(part, start, ids);
    return tokenizer.decode(ids.subarray(1, -1));
  });
  expect(texts).toContain('Write to <EMAIL> or ring <PHONE> or <PHONE>, she said.');
  // Nothing of what was masked is in the manifest.
  expect(JSON.stringify(manifest)).not.toMatch(/jane|555/);
});

test('the same settings and items are kept as they are; others prepare again; without any, the key is what it was before there was screening', async () => {
  expect((await prepare(everything())).reused).toBe(true);
  const other = { ...everything(), decontaminate: { items: [{ set: 'quiz', texts: [sentence(40)] }] } };
  expect((await prepare(other)).reused).toBe(false);
  const plain = { ...everything(), nearDuplicates: undefined, maskPersonalData: undefined, decontaminate: undefined };
  const before = (await prepare(plain)).manifest;
  expect(before.screened).toEqual({ nearDuplicates: null, maskedKinds: null, decontamination: null });
  expect((await prepare({ ...plain, nearDuplicates: false, maskPersonalData: false })).reused).toBe(true);
  // As a release without screening left it.
  const { screened: _, ...old } = before;
  const sourcesThen = old.sources.map((source) => ({ ...source, counts: { read: source.counts.read, kept: source.counts.kept, dropped: {}, changed: {}, cut: 0 } }));
  writeFileSync(join(folder, 'prepared', 'manifest.json'), JSON.stringify({ ...old, version: 1, sources: sourcesThen }));
  expect(await readManifest(join(folder, 'prepared'))).toMatchObject({ version: 2, screened: before.screened, sources: [{ counts: { masked: {}, languages: {} } }, {}] });
  expect((await prepare(plain)).reused).toBe(true);
});

test('evaluation items may stand in held-out documents, which nobody trains on; a dropped document is nobody\'s original; exceptions stay as they are', async () => {
  const screen = await Screen.of({ nearDuplicates: true, maskPersonalData: ['email'], decontaminate: { items: [{ set: 'quiz', texts: [ITEM] }] } });
  const train = { source: 'a', heldOut: false };
  expect(screen.look(text(ITEM), train)).toMatchObject({ drop: 'contaminated', why: 'holds quiz' });
  expect(screen.look(text(ITEM), { ...train, heldOut: true })).toMatchObject({ keep: text(ITEM), masked: {} });
  expect(screen.look(text(`${ITEM}!`), { source: 'b', heldOut: true })).toMatchObject({ drop: 'near_duplicate', of: 'a', why: '100% like one of a' });
  const mail = `${ORIGINALS[0]} jane@shop.org 415-555-2671`;
  expect(screen.look(text(mail), train)).toMatchObject({ keep: { text: `${ORIGINALS[0]} <EMAIL> 415-555-2671` }, masked: { email: 1 } });
  expect(screen.look(text(mail), { ...train, exceptions: { nearDuplicates: false, maskPersonalData: false } })).toEqual({ keep: text(mail), masked: {}, cutItems: false });
});
