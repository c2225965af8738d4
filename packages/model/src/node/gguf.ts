/** Models in GGUF files on disk: found by path, opened, written. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { GgufMetadata } from '@parley/gguf';
import { ModelError } from '../errors.ts';
import { encodeGguf, type GgufDType } from '../gguf/encode.ts';
import { GgufModel } from '../gguf/load.ts';
import type { Transformer } from '../transformer.ts';
import { FileSource, writeAtomic } from './files.ts';

/** What goes before a GGUF file in the same folder. */
const OTHER_WEIGHTS = /^model(\.safetensors(\.index\.json)?|-.*\.safetensors)$/;

/**
 * The GGUF file that a path is, or that lies alone in a folder without safetensors; undefined for any other path. Throws ModelError for a
 * folder with several.
 */
export async function ggufIn(path: string): Promise<string | undefined> {
  if (path.endsWith('.gguf') && (await stat(path).catch(() => undefined))?.isFile() === true) return path;
  const names = await readdir(path).catch((): string[] => []);
  if (names.some((name) => OTHER_WEIGHTS.test(name))) return undefined;
  const files = names.filter((name) => name.endsWith('.gguf'));
  if (files.length > 1) throw new ModelError(`${path} holds ${files.sort().join(', ')}: name one of them`);
  return files[0] === undefined ? undefined : join(path, files[0]);
}

/** Opens a file, has `use` work with the model in it, and closes it. */
export async function withGguf<Result>(path: string, use: (model: GgufModel) => Promise<Result> | Result): Promise<Result> {
  await using source = await FileSource.open(path);
  return await use(await GgufModel.open(source));
}

export interface SaveGgufOptions {
  /** What matrices are stored in. Default f16. */
  readonly dtype?: GgufDType;
  /** What the file says the model is called. */
  readonly name?: string;
  /** The tokenizer's keys: `tokenizerToGguf` of @parley/tokenizer. Without them llama.cpp does not load the file. */
  readonly metadata?: GgufMetadata;
  readonly signal?: AbortSignal;
}

/** Writes a file that llama.cpp loads. Throws as `encodeGguf` does; then nothing is left behind. */
export async function saveGguf(model: Transformer, path: string, options: SaveGgufOptions = {}): Promise<void> {
  await writeAtomic(path, encodeGguf(model, options));
}
