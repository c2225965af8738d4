import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { cacheFolder, findToken, hubEndpoint, isOffline } from './settings.ts';

test('the cache is PARLEY_CACHE or the system\'s place for what can be fetched again', () => {
  expect(cacheFolder({ PARLEY_CACHE: 'here' })).toBe(resolve('here'));
  expect(cacheFolder({}, 'linux')).toBe(join(homedir(), '.cache', 'parley'));
  expect(cacheFolder({ XDG_CACHE_HOME: '/cache' }, 'linux')).toBe(join('/cache', 'parley'));
  expect(cacheFolder({}, 'darwin')).toBe(join(homedir(), 'Library', 'Caches', 'parley'));
  expect(cacheFolder({ LOCALAPPDATA: '/local' }, 'win32')).toBe(join('/local', 'parley', 'cache'));
});

test('the token: a file that is named, then the environment, then what was left by signing in; no message shows it', async () => {
  const home = await mkdtemp(join(tmpdir(), 'parley-token-'));
  const file = join(home, 'token');
  expect(await findToken(undefined, { HF_HOME: home })).toBeUndefined();
  await writeFile(file, 'hf_kept\n');
  expect(await findToken(undefined, { HF_HOME: home })).toBe('hf_kept');
  expect(await findToken(undefined, { XDG_CACHE_HOME: join(home, 'none'), HF_TOKEN_PATH: file })).toBe('hf_kept');
  expect(await findToken(undefined, { HF_HOME: home, HUGGING_FACE_HUB_TOKEN: 'hf_older' })).toBe('hf_older');
  expect(await findToken(undefined, { HF_HOME: home, HUGGING_FACE_HUB_TOKEN: 'hf_older', HF_TOKEN: ' hf_newer ' })).toBe('hf_newer');
  expect(await findToken(file, { HF_TOKEN: 'hf_newer' })).toBe('hf_kept');
  await writeFile(file, 'hf_secret and more\n');
  const error = await findToken(file, {}).catch((reason: unknown) => String(reason));
  expect(error).toContain(`what ${file} holds is no token`);
  expect(error).not.toContain('secret');
  await writeFile(file, '');
  await expect(findToken(file, {})).rejects.toThrow('is empty');
  await expect(findToken(join(home, 'none'), {})).rejects.toThrow('cannot be read');
  await rm(home, { recursive: true });
});

test('the endpoint has no slash at its end and is an address; offline is said as Hugging Face\'s tools take it', () => {
  expect(hubEndpoint(undefined, {})).toBe('https://huggingface.co');
  expect(hubEndpoint(undefined, { HF_ENDPOINT: 'https://mirror.example/hub/' })).toBe('https://mirror.example/hub');
  expect(hubEndpoint('http://localhost:1', { HF_ENDPOINT: 'https://mirror.example' })).toBe('http://localhost:1');
  for (const text of ['huggingface.co', 'ftp://x', 'https://user:word@x', 'https://x/?a=b']) expect(() => hubEndpoint(text, {})).toThrow('is no address of a hub');
  expect(['1', 'TRUE', 'yes', 'on', '0', 'false', ''].map((text) => isOffline({ HF_HUB_OFFLINE: text }))).toEqual([true, true, true, true, false, false, false]);
});
