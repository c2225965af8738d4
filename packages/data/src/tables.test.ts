/** CSV, TSV and Parquet. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type CompressionCodec } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCsv } from './csv.ts';
import type { Document } from './document.ts';
import { readDocuments, type ReadOptions } from './readers.ts';

let folder = '';
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'parley-tables-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

const read = (path: string, options?: ReadOptions): Promise<Document[]> => all(readDocuments(path, options));
const objects = async (path: string): Promise<Record<string, string>[]> => (await all(readCsv(path))).map(({ object }) => object);

test('quoted fields hold separators, quotes and line ends; rows carry the line they begin on', async () => {
  const path = file('a.csv', '\ufefftext,n\r\n"one, ""two""\r\nthree",1\r\n\r\nplain 5" pipe,2\r\n"",3\n"last",4');
  const rows = await all(readCsv(path));
  expect(rows).toEqual([
    { object: { text: 'one, "two"\r\nthree', n: '1' }, line: 2 }, { object: { text: 'plain 5" pipe', n: '2' }, line: 5 },
    { object: { text: '', n: '3' }, line: 6 }, { object: { text: 'last', n: '4' }, line: 7 },
  ]);
});

test('any table written by RFC 4180 reads back the same, whatever the fields and the size of the chunks (seed 7)', async () => {
  let state = 7;
  const random = (n: number): number => (state = (state * 48_271) % 2_147_483_647) % n;
  const pieces = ['a', 'é', '😀', '"', '""', ',', ';', '\n', '\r\n', ' ', '\t', 'word', '你好'];
  const rows = Array.from({ length: 3000 }, (_, i) => ({
    id: String(i), x: Array.from({ length: random(6) }, () => pieces[random(pieces.length)]).join(''),
    y: i % 500 === 0 ? 'long '.repeat(80_000) : Array.from({ length: random(3) }, () => pieces[random(pieces.length)]).join(''),
  }));
  for (const [name, separator] of [['p.csv', ','], ['q.csv', ';'], ['p.tsv', '\t']] as const) {
    const field = (text: string): string => (/[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const text = [['id', 'x', 'y'], ...rows.map(({ id, x, y }) => [id, x, y])].map((fields) => fields.map(field).join(separator)).join('\r\n');
    expect(await objects(file(name, text))).toEqual(rows);
    expect(await objects(file(`${name}.zst`, zstdCompressSync(`${text}\n`)))).toEqual(rows);
  }
});

test('rows go through templates, where and map as JSON objects do; columns names what has no header, quotes: false takes quotes as they are', async () => {
  const path = file('reviews.tsv', '1\tShe said "no\n0\t"Fine" it was\n');
  const columns = ['label', 'review'];
  const documents = await read(path, {
    columns, quotes: false, where: { label: 1 }, map: { label: { 1: 'good' } }, prompt: 'How is: {review}', completion: '{label}',
  });
  expect(documents).toHaveLength(1);
  expect(documents[0]).toMatchObject({ line: 1, messages: [{ content: 'How is: She said "no' }, { role: 'assistant', content: 'good' }] });
});

test.each([
  ['text,n\na,1,x\n', /bad\.csv:2: has 3 fields, but there are 2 columns \(text, n\)/],
  ['text,n\n"a" b,1\n', /bad\.csv:2: has " b,1\\n" after the closing quote of "a"/],
  ['text,n\nx,1\n"a,1\nb,2\n', /bad\.csv:3: has a quoted field that is never closed/],
  ['text,text\na,1\n', /bad\.csv:1: the first row has to name the columns, but has "text" twice/],
  ['text,\na,1\n', /bad\.csv:1: .* an empty name/],
  ['a,b\n1,2\n', /bad\.csv:2: has the fields a, b; it needs "text"/],
])('an unusable table is an error with file, line and remedy: %j', async (content, message) => {
  await expect(read(file('bad.csv', content))).rejects.toThrow(message);
});

const COLUMNS = [
  { name: 'text', data: Array.from({ length: 1000 }, (_, i) => `Row ${i} says: 你好 😀, ${'again '.repeat(i % 7)}`) },
  { name: 'n', data: Array.from({ length: 1000 }, (_, i) => i), type: 'INT32' as const },
  { name: 'big', data: Array.from({ length: 1000 }, (_, i) => (i === 1 ? 2n ** 60n : BigInt(i))), type: 'INT64' as const },
];

test.each([
  ['SNAPPY', undefined], ['UNCOMPRESSED', undefined], ['GZIP', (input: Uint8Array) => new Uint8Array(gzipSync(input))],
  ['ZSTD', (input: Uint8Array) => new Uint8Array(zstdCompressSync(input))],
] as [CompressionCodec, ((input: Uint8Array) => Uint8Array) | undefined][])('Parquet packed with %s gives every row, through templates', async (codec, pack) => {
  const buffer = parquetWriteBuffer({ columnData: COLUMNS, codec, rowGroupSize: 300, ...(pack === undefined ? {} : { compressors: { [codec]: pack } }) });
  const documents = await read(file(`${codec}.parquet`, new Uint8Array(buffer)), { text: '{n} {big} {text}' });
  expect(documents.map((document) => (document.kind === 'text' ? document.text : ''))).toEqual(
    COLUMNS[0]?.data.map((text, i) => `${i} ${i === 1 ? String(2n ** 60n) : i} ${text}`));
  expect(documents.map(({ line }) => line)).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
});

test('conversations stand in Parquet as lists of structures', async () => {
  const messages = [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: 'Hello' }];
  const buffer = parquetWriteBuffer({ columnData: [{ name: 'messages', data: [messages], type: 'JSON' }] });
  expect(await read(file('chat.parquet', new Uint8Array(buffer)))).toMatchObject([{ kind: 'conversation', messages }]);
});

test('a damaged Parquet file, one packed by an unknown method and a missing one are errors that name the file', async () => {
  const whole = new Uint8Array(parquetWriteBuffer({ columnData: COLUMNS }));
  await expect(read(file('cut.parquet', whole.subarray(0, whole.length / 2)))).rejects.toThrow(/cut\.parquet: is no Parquet file, or a damaged one/);
  const torn = Uint8Array.from(whole);
  torn.fill(255, 4, 400);
  await expect(read(file('torn.parquet', torn))).rejects.toThrow(/torn\.parquet: cannot be decoded in row group 1 \(rows 1 to 1000\)/);
  const lz4 = parquetWriteBuffer({ columnData: COLUMNS, codec: 'LZ4_RAW', compressors: { LZ4_RAW: (input) => input } });
  await expect(read(file('lz4.parquet', new Uint8Array(lz4)))).rejects.toThrow(/lz4\.parquet: is packed with LZ4_RAW, .* write it again with zstd/);
  await expect(read(join(folder, 'gone.parquet'))).rejects.toThrow(/gone\.parquet: there is no such file/);
});

test('.xz is read as .gz and .zst are, and a damaged one is an error', async () => {
  // xz of one line, made by XZ Utils 5.4.
  const packed = Buffer.from(XZ_HELLO, 'base64');
  expect(await read(file('hello.txt.xz', packed))).toMatchObject([{ text: 'Hello, 世界.\n' }]);
  await expect(read(file('cut.txt.xz', packed.subarray(0, 40)))).rejects.toThrow(/cut\.txt\.xz: cannot be unpacked/);
  expect(readFileSync(join(folder, 'hello.txt.xz'))).toHaveLength(packed.length);
});

const XZ_HELLO = '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAOSGVsbG8sIOS4lueVjC4KAABgFWJQABjRkQABJw/fGvxqH7bzfQEAAAAABFla';
