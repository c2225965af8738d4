import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TokenizerFileError } from '../errors.ts';
import { nastyText } from '../testing/corpus.ts';
import { trainTokenizer } from '../train.ts';
import { loadTokenizer, saveTokenizer } from './files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-tokenizer-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a tokenizer saved and loaded, by its folder and by its file, is the same', async () => {
  const tokenizer = await trainTokenizer([nastyText(1, 20_000)], { vocabSize: 400 });
  const target = join(folder, 'new', 'model');
  await saveTokenizer(tokenizer, target);
  expect((await readdir(target)).sort()).toEqual(['tokenizer.json', 'tokenizer_config.json']);
  for (const path of [target, join(target, 'tokenizer.json')]) {
    const loaded = await loadTokenizer(path);
    expect(loaded.toJSON()).toEqual(tokenizer.toJSON());
    expect(loaded.configToJSON()).toEqual(tokenizer.configToJSON());
    expect([loaded.bosTokenId, loaded.eosTokenId, loaded.padTokenId]).toEqual([397, 399, 397]);
    expect(loaded.chatTemplate).toBe(tokenizer.chatTemplate);
  }
  await saveTokenizer(tokenizer, target); // over what is there
});

test('special_tokens_map.json fills what the configuration leaves open; chat_template.jinja goes before it', async () => {
  const tokenizer = await trainTokenizer(['hello'], { vocabSize: 259 });
  await saveTokenizer(tokenizer, folder);
  await writeFile(join(folder, 'tokenizer_config.json'), '{"eos_token": "<|im_end|>", "chat_template": "from the configuration"}');
  await writeFile(join(folder, 'special_tokens_map.json'), '{"eos_token": "<|endoftext|>", "bos_token": {"content": "<|im_start|>"}}');
  await writeFile(join(folder, 'chat_template.jinja'), 'from the file');
  const loaded = await loadTokenizer(folder);
  expect([loaded.eosTokenId, loaded.bosTokenId, loaded.chatTemplate]).toEqual([258, 257, 'from the file']);
});

test('errors name the file: missing, not JSON, not a tokenizer', async () => {
  await expect(loadTokenizer(join(folder, 'nowhere'))).rejects.toThrow(TokenizerFileError);
  await expect(loadTokenizer(join(folder, 'nowhere'))).rejects.toThrow(`${join(folder, 'nowhere')}: cannot be opened`);
  const path = join(folder, 'tokenizer.json');
  await expect(loadTokenizer(folder)).rejects.toThrow(`${path}: does not exist`);
  await writeFile(path, '{"model": ');
  await expect(loadTokenizer(folder)).rejects.toThrow(`${path}: is not JSON`);
  await writeFile(path, '{"model": {"type": "WordLevel"}, "decoder": {"type": "ByteLevel"}, "pre_tokenizer": {"type": "ByteLevel"}}');
  await expect(loadTokenizer(folder)).rejects.toThrow(`${path}: cannot be read as a tokenizer: model.type: is "WordLevel"`);
  await saveTokenizer(await trainTokenizer(['hello'], { vocabSize: 259 }), folder);
  await writeFile(join(folder, 'tokenizer_config.json'), '[]');
  await expect(loadTokenizer(folder)).rejects.toThrow(`${join(folder, 'tokenizer_config.json')}: does not hold a JSON object`);
});

test('a file that cannot be written is an error, and what was there stays', async () => {
  const tokenizer = await trainTokenizer(['hello'], { vocabSize: 259 });
  await saveTokenizer(tokenizer, folder);
  const before = await readFile(join(folder, 'tokenizer.json'), 'utf8');
  await expect(saveTokenizer(tokenizer, join(folder, 'tokenizer.json'))).rejects.toThrow('tokenizer.json');
  expect(await readFile(join(folder, 'tokenizer.json'), 'utf8')).toBe(before);
});
