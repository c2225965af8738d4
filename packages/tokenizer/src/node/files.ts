/** Reads and writes a tokenizer as Hugging Face lays it out: tokenizer.json, tokenizer_config.json beside it. */
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TokenizerError, TokenizerFileError } from '../errors.ts';
import { tokenizerFromGguf } from '../gguf.ts';
import { Tokenizer } from '../tokenizer.ts';
import { ggufIn, readGgufMetadata } from './gguf-file.ts';

/**
 * Loads a folder with a tokenizer.json, or that file itself, or a GGUF file or a folder with one; tokenizer_config.json, special_tokens_map.json and
 * chat_template.jinja beside it are read where they exist. A chat_template.jinja goes before the one in the configuration.
 * @throws TokenizerFileError naming the file that is missing or malformed, with the reason as `cause`.
 */
export async function loadTokenizer(fileOrFolder: string): Promise<Tokenizer> {
  const gguf = await ggufIn(fileOrFolder);
  if (gguf !== undefined) return await loadFromGguf(gguf);
  const path = await tokenizerPath(fileOrFolder);
  const folder = dirname(path);
  const tokenizerJson = await readJSON(path);
  const configPath = join(folder, 'tokenizer_config.json');
  const config = await readObjectIfPresent(configPath);
  const roles = await readObjectIfPresent(join(folder, 'special_tokens_map.json'));
  const template = await readIfPresent(join(folder, 'chat_template.jinja'));
  const merged = { ...roles, ...config, ...(template === undefined ? {} : { chat_template: template }) };
  try {
    return Tokenizer.fromJSON(tokenizerJson, merged);
  } catch (cause) {
    if (!(cause instanceof TokenizerError)) throw cause;
    throw new TokenizerFileError(path, `cannot be read as a tokenizer: ${cause.message}`, { cause });
  }
}

async function loadFromGguf(path: string): Promise<Tokenizer> {
  try {
    return tokenizerFromGguf(await readGgufMetadata(path));
  } catch (cause) {
    if (!(cause instanceof TokenizerError) || cause instanceof TokenizerFileError) throw cause;
    throw new TokenizerFileError(path, `the tokenizer in it cannot be read: ${cause.message}`, { cause });
  }
}

/**
 * Writes tokenizer.json and tokenizer_config.json into a folder, which is made when it does not exist. Each file appears
 * complete or not at all.
 */
export async function saveTokenizer(tokenizer: Tokenizer, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeAtomically(join(folder, 'tokenizer.json'), tokenizer.toJSON());
  await writeAtomically(join(folder, 'tokenizer_config.json'), tokenizer.configToJSON());
}

async function writeAtomically(path: string, value: unknown): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    await writeFile(temporary, `${JSON.stringify(value, null, 2)}\n`, { flush: true });
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new TokenizerFileError(path, 'cannot be written', { cause });
  }
}

async function tokenizerPath(fileOrFolder: string): Promise<string> {
  const found = await stat(fileOrFolder).catch((cause: unknown) => {
    throw new TokenizerFileError(fileOrFolder, 'cannot be opened: name a tokenizer.json or a folder that holds one', { cause });
  });
  return found.isDirectory() ? join(fileOrFolder, 'tokenizer.json') : fileOrFolder;
}

async function readJSON(path: string): Promise<unknown> {
  const text = await readIfPresent(path);
  if (text === undefined) throw new TokenizerFileError(path, 'does not exist: name a tokenizer.json or a folder that holds one');
  return parseJSON(path, text);
}

async function readObjectIfPresent(path: string): Promise<Record<string, unknown> | undefined> {
  const text = await readIfPresent(path);
  if (text === undefined) return undefined;
  const value = parseJSON(path, text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TokenizerFileError(path, 'does not hold a JSON object');
}

function parseJSON(path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new TokenizerFileError(path, `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new TokenizerFileError(path, 'cannot be read', { cause });
  }
}
