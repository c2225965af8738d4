/** Readers never run far ahead of the documents they have given: memory stays flat however large a file is. */
import type * as Fs from 'node:fs';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readDocuments } from './readers.ts';

const opened: Fs.ReadStream[] = [];
let positionalBytes = 0;
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>();
  return {
    ...fs,
    createReadStream: (...args: Parameters<typeof fs.createReadStream>): Fs.ReadStream => {
      const stream = fs.createReadStream(...args);
      opened.push(stream);
      return stream;
    },
    readSync: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number => {
      const got = fs.readSync(fd, buffer, offset, length, position);
      positionalBytes += got;
      return got;
    },
  };
});

let folder = '';
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'parley-streaming-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ROWS = 30_000;
const words = (i: number): string => `Row ${i} ${'text '.repeat(30 + (i % 50))}`;

test.each([
  ['jsonl', () => Array.from({ length: ROWS }, (_, i) => JSON.stringify({ text: words(i) })).join('\n')],
  ['csv', () => `text\n${Array.from({ length: ROWS }, (_, i) => `"${words(i)}"`).join('\n')}`],
  ['txt', () => Array.from({ length: ROWS }, (_, i) => words(i)).join('\n\n')],
])('of a .%s file of 8 MB, at most 2 MB more has been read than was given out', async (format, content) => {
  const path = join(folder, `many.${format}`);
  writeFileSync(path, content());
  expect(statSync(path).size).toBeGreaterThan(6e6);
  let given = 0;
  for await (const document of readDocuments(path)) {
    if (document.kind === 'text') given += document.text.length;
    expect((opened.at(-1)?.bytesRead ?? Infinity) - given).toBeLessThan(2 * 2 ** 20 + (format === 'txt' ? 0 : given * 0.2));
  }
  expect(given).toBeGreaterThan(6e6);
});

test('of a Parquet file of ten row groups, the first row costs one of them and the index', async () => {
  const path = join(folder, 'many.parquet');
  const data = Array.from({ length: ROWS }, (_, i) => `${words(i)} ${Math.sin(i)}`);
  writeFileSync(path, new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'text', data }], codec: 'UNCOMPRESSED', rowGroupSize: ROWS / 10 })));
  positionalBytes = 0;
  const reader = readDocuments(path);
  expect((await reader.next()).value).toMatchObject({ text: data[0], line: 1 });
  expect(positionalBytes).toBeLessThan(statSync(path).size * 0.2);
  await reader.return(undefined);
});
