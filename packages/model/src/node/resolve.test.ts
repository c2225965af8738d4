import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ModelNotFoundError } from '../errors.ts';
import { writeRecord } from './hub/cache.ts';
import { listModels, resolveModel } from './index.ts';

let root = '';
const place = async (...parts: string[]): Promise<string> => {
  const folder = join(root, ...parts);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), '{}');
  return folder;
};
const options = (): { shipped: string; runs: string; cache: string } => ({ shipped: join(root, 'models'), runs: join(root, 'runs'), cache: join(root, 'cache') });

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'parley-resolve-'));
  await place('models', 'nano');
  await place('models', 'both');
  await place('runs', 'mine', 'model');
  await place('runs', 'both');
  await mkdir(join(root, 'runs', 'unfinished', 'checkpoints'), { recursive: true });
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

test('models are listed, shipped before trained, without unfinished runs', async () => {
  expect(await listModels(options())).toEqual([
    { name: 'both', folder: join(root, 'models', 'both'), source: 'shipped' },
    { name: 'nano', folder: join(root, 'models', 'nano'), source: 'shipped' },
    { name: 'mine', folder: join(root, 'runs', 'mine', 'model'), source: 'trained' },
  ]);
  expect(await listModels({ shipped: join(root, 'none'), runs: join(root, 'none'), cache: root })).toEqual([]);
});

test('a name is a path first, then a shipped model, then a run', async () => {
  expect(await resolveModel('nano', options())).toBe(join(root, 'models', 'nano'));
  expect(await resolveModel('mine', options())).toBe(join(root, 'runs', 'mine', 'model'));
  expect(await resolveModel('both', options())).toBe(join(root, 'models', 'both'));
  expect(await resolveModel(join(root, 'runs', 'both'), options())).toBe(join(root, 'runs', 'both'));
  expect(await resolveModel(join(root, 'runs', 'mine'), options())).toBe(join(root, 'runs', 'mine', 'model'));
});

test('a name that is none says which there are', async () => {
  const error = await resolveModel('nanoo', options()).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ModelNotFoundError);
  expect((error as ModelNotFoundError).available).toEqual(['both', 'nano', 'mine']);
  expect((error as Error).message).toBe('no model is called "nanoo": did you mean nano? Choose both or nano or mine, or pass the path of a folder with a config.json, or of a GGUF file');
  await expect(resolveModel('something-else', options())).rejects.toThrow('choose both or nano or mine, or pass');
  await expect(resolveModel('', options())).rejects.toThrow(ModelNotFoundError);
  await expect(resolveModel('x', { shipped: root, runs: join(root, 'none'), cache: root })).rejects.toThrow('none ships or was trained here');
});

test('a name with a slash is a model that was pulled: its folder, or its one GGUF file', async () => {
  const commit = 'c'.repeat(40);
  const cache = join(root, 'pulled');
  const pulled = async (repository: string, revision: string, paths: readonly string[]): Promise<string> => {
    const files = paths.map((path) => ({ path, size: 1, checksum: null }));
    await writeRecord(cache, { repository, revision, commit, endpoint: 'https://hub', files });
    return join(cache, 'models', repository.replace('/', '--'), commit);
  };
  const whole = await pulled('maker/whole', 'main', ['config.json', 'model.safetensors']);
  const pinned = await pulled('maker/pinned', 'v1.0', ['q4/tiny.gguf']);
  await pulled('maker/two', 'main', ['a.gguf', 'b.gguf']);
  await pulled('maker/part', 'main', ['config.json']);
  const here = { ...options(), cache };
  expect(await resolveModel('maker/whole', here)).toBe(whole);
  expect(await resolveModel('maker/whole@main', here)).toBe(whole);
  expect(await resolveModel('maker/pinned', here)).toBe(join(pinned, 'q4', 'tiny.gguf'));
  expect((await listModels(here)).filter(({ source }) => source === 'pulled').map(({ name }) => name)).toEqual(['maker/pinned@v1.0', 'maker/whole']);
  await expect(resolveModel('maker/two', here)).rejects.toThrow('pulled as several GGUF files: name one of them');
  await expect(resolveModel('maker/part', here)).rejects.toThrow('only config.json was pulled: parley pull maker/part fetches the rest');
  await expect(resolveModel('maker/whol', here)).rejects.toThrow(/no model of that name was pulled: parley pull maker\/whol; or did you mean maker\/whole\?/);
  await expect(resolveModel('maker/whole@v2', here)).rejects.toThrow('parley pull maker/whole@v2');
});
