/**
 * Text files as streams: `.gz`, `.zst` (Node's zlib) and `.xz` (XZ Embedded, compiled to WebAssembly) are unpacked on the way,
 * UTF-8 is checked rather than repaired, and no more than one chunk and one line are in memory.
 */
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { TextDecoder } from 'node:util';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import type * as Xz from 'xz-decompress';
import { DataError } from './errors.ts';

/** A line longer than this is taken for a file that has no lines, such as a JSON array saved as .jsonl. */
const LONGEST_LINE = 64 * 2 ** 20;

/** The name without `.gz`, `.zst` or `.xz`. */
export function uncompressedName(path: string): string {
  return path.replace(/\.(?:gz|zst|xz)$/i, '');
}

/** The text of a file, chunk by chunk. Throws DataError where it cannot be read, unpacked or is not UTF-8. */
export async function* readChunks(path: string, signal?: AbortSignal): AsyncGenerator<string> {
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  const unpack = uncompressedName(path) !== path;
  const stream = unpacked(file, path);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      signal?.throwIfAborted();
      const part: Buffer = chunk as Buffer;
      bytes += part.length;
      yield decode(decoder, part, { path, bytes });
    }
    yield decode(decoder, undefined, { path, bytes });
  } catch (error) {
    if (error instanceof DataError || signal?.aborted === true) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOENT') throw new DataError('there is no such file', { path, cause: error });
    const packed = unpack && !/^E[A-Z]+$/.test(code);
    throw new DataError(
      packed
        ? `cannot be unpacked (${message(error)}): the file is damaged, cut short, or not what its name says`
        : `cannot be read (${message(error)})`,
      { path, cause: error },
    );
  } finally {
    file.destroy();
    stream.destroy();
  }
}

function unpacked(file: Readable, path: string): Readable {
  if (/\.xz$/i.test(path)) {
    // A bundle whose names ES imports do not see.
    const { XzReadableStream } = createRequire(import.meta.url)('xz-decompress') as typeof Xz;
    return Readable.fromWeb(new XzReadableStream(Readable.toWeb(file) as ReadableStream<Uint8Array>) as Parameters<typeof Readable.fromWeb>[0]);
  }
  const unpack = /\.gz$/i.test(path) ? createGunzip() : /\.zst$/i.test(path) ? createZstdDecompress() : null;
  // pipe() does not forward errors; destroy() makes the consumer's loop throw them.
  return unpack === null ? file : file.on('error', (error) => unpack.destroy(error)).pipe(unpack);
}

function decode(decoder: TextDecoder, bytes: Buffer | undefined, place: { path: string; bytes: number }): string {
  try {
    return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
  } catch (error) {
    throw new DataError(
      `is not UTF-8 near byte ${(place.bytes - (bytes?.length ?? 0)).toLocaleString('en')} of the text: ` +
        'convert it first, for example with iconv -f ISO-8859-1 -t UTF-8',
      { path: place.path, cause: error },
    );
  }
}

/** The lines of a file, without their ends (LF or CRLF), numbered from 1. */
export async function* readLines(path: string, signal?: AbortSignal): AsyncGenerator<{ text: string; line: number }> {
  let rest = '';
  let line = 0;
  for await (const chunk of readChunks(path, signal)) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const text of lines) yield { text: text.endsWith('\r') ? text.slice(0, -1) : text, line: ++line };
    if (rest.length > LONGEST_LINE) {
      throw new DataError('is longer than 64 MiB: a .jsonl file has one JSON object a line', { path, line: line + 1 });
    }
  }
  if (rest !== '') yield { text: rest, line: ++line };
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
