import { cp, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadGenerationConfig, resolveModel } from '@parley/model/node';
import { pipeline } from '@parley/tasks';
import { loadTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UsageError } from '../errors.ts';
import { inProcess, makeModel, parley } from '../testing/cli.ts';
import { register } from './export.ts';

let base = '';
let root = '';
beforeAll(async () => {
  base = await makeModel();
  root = await mkdtemp(join(tmpdir(), 'parley-cli-export-'));
});
afterAll(async () => {
  await rm(base, { recursive: true });
  await rm(root, { recursive: true });
});

const export_ = (...args: string[]): Promise<{ stdout: string }> => inProcess(register, ['export', ...args]);
const OPTIONS = { backend: 'reference', worker: false } as const;
const ask = { max_new_tokens: 16, do_sample: false, eos_token_id: [] as number[] };

test('a GGUF file says what the model says: by its path, alone in a folder, on a thread, and as safetensors again', async () => {
  const file = join(root, 'model.gguf');
  const { stdout } = await export_(base, '--to', 'gguf', '--dtype', 'f32', '--output', file);
  expect(stdout).toContain(`The model is in ${file} (`);
  await using plain = await pipeline('text-generation', base, OPTIONS);
  const said = await plain('the cat', ask);
  const folder = join(root, 'alone');
  await mkdir(folder);
  await cp(file, join(folder, 'any-name.gguf'));
  const back = join(root, 'back');
  await export_(file, '--to', 'safetensors', '--dtype', 'f32', '--output', back, '--json');
  expect((await readdir(back)).sort()).toEqual(['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']);
  for (const place of [file, folder, back]) {
    await using other = await pipeline('text-generation', place, OPTIONS);
    expect(await other('the cat', ask)).toEqual(said);
    expect(other.info).toMatchObject({ dtype: 'f32', parameters: plain.info.parameters, chat: plain.info.chat });
  }
  await using thread = await pipeline('text-generation', file, { backend: 'reference' });
  expect(await thread('the cat', ask)).toEqual(said);

  const [tokenizer, original] = [await loadTokenizer(file), await loadTokenizer(base)];
  expect(tokenizer.chatTemplate).toBe(original.chatTemplate);
  const ends = ['<|im_end|>', '<|endoftext|>'].map((token) => original.tokenToId(token));
  expect(new Set((await loadGenerationConfig(file)).eosTokenIds)).toEqual(new Set(ends));
});

test('the default is F16, at half the size', async () => {
  const file = join(root, 'half.gguf');
  const { stdout } = await export_(base, '--to', 'gguf', '--output', file, '--json');
  const { bytes } = JSON.parse(stdout) as { bytes: number };
  expect(bytes).toBe((await stat(file)).size);
  await export_(base, '--to', 'gguf', '--dtype', 'f32', '--output', join(root, 'whole.gguf'));
  expect((await stat(join(root, 'whole.gguf'))).size).toBeGreaterThan(1.3 * bytes);
});

test('a folder with several GGUF files asks for one of them', async () => {
  const folder = join(root, 'several');
  await mkdir(folder);
  for (const name of ['a.gguf', 'b.gguf']) await cp(join(root, 'half.gguf'), join(folder, name));
  await expect(resolveModel(folder)).rejects.toThrow(`${folder} holds a.gguf, b.gguf: name one of them`);
  await expect(loadTokenizer(folder)).rejects.toThrow('holds a.gguf, b.gguf: name one of them');
  expect(await resolveModel(join(folder, 'b.gguf'))).toBe(join(folder, 'b.gguf'));
});

test('what is asked wrongly is said', async () => {
  const place = join(root, 'never');
  await expect(export_(base, '--to', 'gguf', '--dtype', 'bf16', '--output', `${place}.gguf`)).rejects.toThrow(UsageError);
  await expect(export_(base, '--to', 'gguf', '--output', place)).rejects.toThrow('a GGUF file is called something.gguf');
  await expect(export_(base, '--to', 'gguf', '--output', join(root, 'half.gguf'))).rejects.toThrow('is there already');
  await expect(export_(base, '--to', 'safetensors', '--output', root)).rejects.toThrow('is there already');
  const { status, stderr } = await parley(['export', base, '--to', 'onnx', '--output', place]);
  expect(status).toBe(2);
  expect(stderr).toContain('Allowed choices are gguf, safetensors');
});
