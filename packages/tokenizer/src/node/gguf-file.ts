/** The metadata of a GGUF file on disk. */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GgufError, type GgufPlain, plainMetadata, readGguf } from '@parley/gguf';
import { TokenizerFileError } from '../errors.ts';

/** The GGUF file that a path is, or that lies alone in a folder without a tokenizer.json; undefined for any other path. */
export async function ggufIn(fileOrFolder: string): Promise<string | undefined> {
  if (fileOrFolder.endsWith('.gguf') && (await stat(fileOrFolder).catch(() => undefined))?.isFile() === true) return fileOrFolder;
  const names = await readdir(fileOrFolder).catch((): string[] => []);
  if (names.includes('tokenizer.json')) return undefined;
  const files = names.filter((name) => name.endsWith('.gguf'));
  if (files.length > 1) throw new TokenizerFileError(fileOrFolder, `holds ${files.sort().join(', ')}: name one of them`);
  return files[0] === undefined ? undefined : join(fileOrFolder, files[0]);
}

/** @throws TokenizerFileError for a file that cannot be read, or is malformed. */
export async function readGgufMetadata(path: string): Promise<Readonly<Record<string, GgufPlain>>> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const read = async (begin: number, into: Uint8Array): Promise<void> => {
      for (let filled = 0; filled < into.length;) {
        const { bytesRead } = await file.read(into, filled, into.length - filled, begin + filled);
        if (bytesRead === 0) throw new TokenizerFileError(path, `ends at byte ${begin + filled}, and had ${size} when it was opened: something is writing to it`);
        filled += bytesRead;
      }
    };
    const { metadata } = await readGguf({ name: path, size, read });
    return plainMetadata(metadata);
  } catch (cause) {
    if (cause instanceof TokenizerFileError) throw cause;
    if (!(cause instanceof GgufError) && !(cause instanceof Error && 'code' in cause)) throw cause;
    const reason = cause.message.startsWith(`${path}: `) ? cause.message.slice(path.length + 2) : cause.message;
    throw new TokenizerFileError(path, `cannot be read as a GGUF file: ${reason}`, { cause });
  }
}
