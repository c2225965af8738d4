/** Where things are: the hub, the cache, the token. The environment's names are those of Hugging Face's own tools. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { errorCode, HubError } from './errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export const DEFAULT_ENDPOINT = 'https://huggingface.co';

/** The hub's address without a slash at its end: `endpoint`, HF_ENDPOINT or Hugging Face. Throws HubError `name`. */
export function hubEndpoint(endpoint?: string, environment: Environment = process.env): string {
  const text = endpoint ?? (environment['HF_ENDPOINT'] || DEFAULT_ENDPOINT);
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new HubError('name', `"${text}" is no address of a hub: write one like ${DEFAULT_ENDPOINT} (--endpoint or HF_ENDPOINT)`);
  }
  return url.href.replace(/\/+$/, '');
}

/** HF_HUB_OFFLINE as Hugging Face reads it: 1, true, yes or on. */
export function isOffline(environment: Environment = process.env): boolean {
  return /^(?:1|true|yes|on)$/i.test(environment['HF_HUB_OFFLINE'] ?? '');
}

/** PARLEY_CACHE, or `parley` in the folder where the system keeps what can be fetched again. */
export function cacheFolder(environment: Environment = process.env, platform: NodeJS.Platform = process.platform): string {
  const chosen = environment['PARLEY_CACHE'];
  if (chosen) return resolve(chosen);
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'parley');
  if (platform === 'win32') return join(environment['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local'), 'parley', 'cache');
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'parley');
}

/**
 * The token for gated and private models: `file`, HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or what `hf auth login` has left in
 * HF_TOKEN_PATH, HF_HOME/token or ~/.cache/huggingface/token. Undefined where there is none. No message ever has it in it.
 * Throws HubError `name` where `file` cannot be read, or the token cannot be one.
 */
export async function findToken(file?: string, environment: Environment = process.env): Promise<string | undefined> {
  if (file !== undefined) {
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new HubError('name', `the file of the token, ${file}, cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { file });
    });
    const token = checked(text, file);
    if (token === undefined) throw new HubError('name', `${file} is empty: put the token into it`, { file });
    return token;
  }
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
    const token = checked(environment[name] ?? '', name);
    if (token !== undefined) return token;
  }
  const home = environment['HF_HOME'] || join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface');
  const kept = environment['HF_TOKEN_PATH'] || join(home, 'token');
  const text = await readFile(kept, 'utf8').catch((error: unknown) => {
    // Other tools' file: where it is none of ours to read, there is no token.
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'].includes(errorCode(error) ?? '')) return '';
    throw error;
  });
  return checked(text, kept);
}

function checked(text: string, where: string): string | undefined {
  const token = text.trim();
  if (token === '') return undefined;
  // In a header these would be refused with a message that shows the token.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new HubError('name', `what ${where} holds is no token: a token is one word without spaces`);
  return token;
}
