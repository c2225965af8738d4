import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, ReferenceBackend } from '@parley/engine';
import { LoraAdapter } from '@parley/model';
import { loadConfig, saveAdapter } from '@parley/model/node';
import { pipeline } from '@parley/tasks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UsageError } from '../errors.ts';
import { parseAdapter } from '../generation-flags.ts';
import { inProcess, makeModel, parley } from '../testing/cli.ts';
import { register as registerGenerate } from './generate.ts';
import { register } from './models.ts';

let base = '';
let root = '';
let adapter = '';
beforeAll(async () => {
  base = await makeModel();
  root = await mkdtemp(join(tmpdir(), 'parley-cli-adapters-'));
  adapter = join(root, 'loud', 'adapter');
  const config = await loadConfig(base);
  const random = new Random(3);
  using made = LoraAdapter.initialize(new ReferenceBackend(), config, { rank: 2, alpha: 4, random });
  for (const tensor of made.parameters.values()) tensor.write(Float32Array.from({ length: tensor.size }, () => 0.5 * random.normal()));
  await saveAdapter(made, adapter, { config, baseModel: 'base' });
});
afterAll(async () => {
  await rm(base, { recursive: true });
  await rm(root, { recursive: true });
});

const OPTIONS = { backend: 'reference', worker: false } as const;
const ask = { max_new_tokens: 12, do_sample: false, eos_token_id: [] as number[] };

test('an adapter changes what a pipeline says, on its thread too; at weight 0 it does not; merged it says the same', async () => {
  await using plain = await pipeline('text-generation', base, OPTIONS);
  const bare = await plain('the cat', ask);
  await using adapted = await pipeline('text-generation', base, { ...OPTIONS, adapters: [join(root, 'loud')] });
  expect(adapted.info.adapters).toEqual(['loud']);
  const said = await adapted('the cat', ask);
  expect(said).not.toEqual(bare);
  await using silent = await pipeline('text-generation', base, { ...OPTIONS, adapters: [{ path: adapter, weight: 0 }] });
  expect(await silent('the cat', ask)).toEqual(bare);
  await using thread = await pipeline('text-generation', base, { backend: 'reference', adapters: [{ path: adapter, weight: 0.5 }, adapter] });
  expect(thread.info.adapters).toEqual(['loud:0.5', 'loud']);

  const output = join(root, 'merged');
  const { stdout } = await inProcess(register, ['models', 'merge', base, '--adapter', adapter, '--output', output, '--dtype', 'f32']);
  expect(stdout).toContain(output);
  await using merged = await pipeline('text-generation', output, OPTIONS);
  expect(await merged('the cat', ask)).toEqual(said);
  await expect(inProcess(register, ['models', 'merge', base, '--adapter', adapter, '--output', output])).rejects.toThrow('holds something already');
});

test('--adapter NAME:WEIGHT is taken several times; one that is not there is asked wrongly', async () => {
  const generate = (args: readonly string[]) =>
    inProcess(registerGenerate, ['generate', 'the cat', '--model', base, '--backend', 'reference', '--temperature', '0', '--max-new-tokens', '6', ...args]);
  const plain = await generate([]);
  expect(await generate(['--adapter', `${adapter}:0.5`, '--adapter', `${adapter}:0.5`])).not.toEqual(plain);
  const wrong = generate(['--adapter', join(root, 'none')]);
  await expect(wrong).rejects.toThrow(UsageError);
  await expect(wrong).rejects.toThrow('no adapter is called');
  const chat = await parley(['chat', '--model', base, '--backend', 'reference', '--max-new-tokens', '4', '--adapter', join(root, 'loud')], 'Hello\n');
  expect(chat).toMatchObject({ status: 0, stderr: '' });
});

test('what follows the last colon is a weight where it is a number', () => {
  expect(parseAdapter('a:0.5')).toEqual({ path: 'a', weight: 0.5 });
  expect(parseAdapter('runs/a:-1')).toEqual({ path: 'runs/a', weight: -1 });
  expect(parseAdapter('C:/runs/a')).toEqual({ path: 'C:/runs/a' });
  expect(parseAdapter('a')).toEqual({ path: 'a' });
});

test.each([[{ adapters: 'x' }], [{ adapters: [3] }], [{ adapters: [{ path: 'x', wait: 1 }] }], [{ adapters: [{ path: 'x', weight: '1' }] }]])('a pipeline is not opened with %j', async (options) => {
  await expect(pipeline('text-generation', base, options as object)).rejects.toThrow('a list of names, paths or { path, weight }');
});
