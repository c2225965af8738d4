/**
 * Parquet files, one row group in memory at a time. hyparquet decodes; gzip, Brotli and Zstandard are Node's own, Snappy is
 * hyparquet's. LZ4 and LZO are refused by name.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type AsyncBuffer, type Compressors, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { DataError } from './errors.ts';

/** A row group larger than this (unpacked) would not leave room for anything else. */
const LARGEST_GROUP = 2 ** 30;

const compressors: Compressors = {
  GZIP: (input) => gunzipSync(input),
  BROTLI: (input) => brotliDecompressSync(input),
  ZSTD: (input) => zstdDecompressSync(input),
};

/**
 * The rows as objects, numbered from 1. Whole numbers of 64 bits become numbers where they are exact, else texts; moments
 * become ISO texts. Throws DataError for files that are damaged, or packed by a method not known here.
 */
export async function* readParquet(path: string, signal?: AbortSignal): AsyncGenerator<{ object: Record<string, unknown>; line: number }> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new DataError(code === 'ENOENT' ? 'there is no such file' : `cannot be read (${message(error)})`, { path, cause: error });
  }
  try {
    const file = fileBuffer(fd, path);
    const metadata = await decoding(path, 'is no Parquet file, or a damaged one', () => parquetMetadataAsync(file, { geoparquet: false }));
    checkPacking(metadata, path);
    let row = 0;
    for (const [index, group] of metadata.row_groups.entries()) {
      signal?.throwIfAborted();
      const bytes = Number(group.total_byte_size);
      if (bytes > LARGEST_GROUP) {
        throw new DataError(
          `row group ${index + 1} unpacks to ${(bytes / 2 ** 30).toFixed(1)} GiB, over the limit of 1: write the file again with smaller row groups ` +
            '(row_group_size=10000 in pyarrow)',
          { path, line: row + 1 },
        );
      }
      const rows = Number(group.num_rows);
      const objects = await decoding(path, `cannot be decoded in row group ${index + 1} (rows ${row + 1} to ${row + rows})`, () =>
        parquetReadObjects({ file, metadata, compressors, geoparquet: false, rowStart: row, rowEnd: row + rows }));
      for (const object of objects) {
        row++;
        yield { object: plainValues(object), line: row };
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** Reads ranges by position, so that hyparquet never holds the file. */
function fileBuffer(fd: number, path: string): AsyncBuffer {
  const { size } = fstatSync(fd);
  return {
    byteLength: size,
    slice: (start, end = size) => {
      const bytes = new Uint8Array(Math.max(0, end - start));
      let done = 0;
      while (done < bytes.length) {
        const got = readSync(fd, bytes, done, bytes.length - done, start + done);
        if (got === 0) throw new DataError(`ends at byte ${start + done}, ${bytes.length - done} too early: it is cut short`, { path });
        done += got;
      }
      return bytes.buffer;
    },
  };
}

function checkPacking(metadata: FileMetaData, path: string): void {
  for (const group of metadata.row_groups) {
    for (const { meta_data: column } of group.columns) {
      const codec = column?.codec ?? 'UNCOMPRESSED';
      if (codec === 'UNCOMPRESSED' || codec === 'SNAPPY' || codec in compressors) continue;
      throw new DataError(`is packed with ${codec}, which is not read here: write it again with zstd, snappy or gzip`, { path });
    }
  }
}

async function decoding<T>(path: string, problem: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${problem} (${message(error)})`, { path, cause: error });
  }
}

/** Values as JSON would have them, lists and structures included. */
function plainValues(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, plainValue(value)]));
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plainValue);
  if (ArrayBuffer.isView(value) || value === null || typeof value !== 'object') return value;
  return plainValues(value as Record<string, unknown>);
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));
