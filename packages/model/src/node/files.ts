/** Files as the model package needs them: read by ranges, written whole or not at all. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CheckpointError, count, ModelError } from '../errors.ts';
import type { ByteSource } from '../safetensors.ts';

/** A file open for reading by ranges; close it with `await using`. */
export class FileSource implements ByteSource, AsyncDisposable {
  readonly name: string;
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(name: string, size: number, handle: FileHandle) {
    this.name = name;
    this.size = size;
    this.#handle = handle;
  }

  /** Throws CheckpointError when the file cannot be opened. */
  static async open(path: string): Promise<FileSource> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (cause) {
      throw new CheckpointError(`${path} cannot be opened: ${reason(cause)}`, { file: path, cause });
    }
    try {
      const { size } = await handle.stat();
      return new FileSource(path, size, handle);
    } catch (cause) {
      await handle.close();
      throw new CheckpointError(`${path} cannot be read: ${reason(cause)}`, { file: path, cause });
    }
  }

  async read(begin: number, into: Uint8Array): Promise<void> {
    let filled = 0;
    while (filled < into.length) {
      const { bytesRead } = await this.#handle.read(into, filled, into.length - filled, begin + filled);
      if (bytesRead === 0) {
        throw new CheckpointError(
          `${this.name} ends at byte ${count(begin + filled)}; it had ${count(this.size)} when it was opened: something is writing to it`,
          { file: this.name },
        );
      }
      filled += bytesRead;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/**
 * Writes a file so that whoever opens `path` at any moment finds the old one or the new one, whole: the pieces go to a
 * temporary file beside it, which is flushed to the disk and then renamed. On an error nothing is left behind.
 */
export async function writeAtomic(path: string, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'wx');
    try {
      for await (const piece of pieces) {
        let written = 0;
        while (written < piece.length) written += (await handle.write(piece, written)).bytesWritten;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

export async function writeJSON(path: string, value: unknown): Promise<void> {
  await writeAtomic(path, [new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)]);
}

/** A parsed JSON file, or undefined when there is none. Throws ModelError when it cannot be read or parsed. */
export async function readJSON(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw new ModelError(`${path} cannot be read: ${reason(cause)}`, { cause });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new ModelError(`${path} is not JSON: ${reason(cause)}`, { cause });
  }
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
