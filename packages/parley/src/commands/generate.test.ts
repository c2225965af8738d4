import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_MODEL } from '@parley/tasks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UsageError } from '../errors.ts';
import * as flags from '../generation-flags.ts';
import { inProcess, makeModel, parley } from '../testing/cli.ts';
import { register } from './generate.ts';

let folder = '';
beforeAll(async () => void (folder = await makeModel()));
afterAll(async () => await rm(folder, { recursive: true }));

const generate = (args: readonly string[], input?: string | Buffer) => parley(['generate', '--model', folder, '--backend', 'reference', ...args], input);
const quick = (args: readonly string[]) => inProcess(register, ['generate', '--model', folder, '--backend', 'reference', ...args]);

test('the text streams to the standard output; --json prints exactly one object with the same text', async () => {
  const asked = ['the cat', '--max-new-tokens', '6', '--seed', '4'];
  const plain = await quick(asked);
  const json = await generate([...asked, '--json', '--logprobs', '2']);
  expect(json).toMatchObject({ status: 0, stderr: '' });
  expect(json.stdout.trimEnd().split('\n')).toHaveLength(1);
  const result = JSON.parse(json.stdout) as Record<string, unknown>;
  expect(result).toEqual({
    model: folder,
    sequences: [{
      text: plain.stdout.slice(0, -1), tokens: expect.any(Array) as unknown, finish_reason: 'length', logprobs: expect.any(Array) as unknown,
    }],
    usage: { prompt_tokens: expect.any(Number) as unknown, completion_tokens: 6 },
    timings: {
      load_ms: expect.any(Number) as unknown, prefill_ms: expect.any(Number) as unknown, decode_ms: expect.any(Number) as unknown,
      tokens_per_second: expect.any(Number) as unknown,
    },
  });
});

test('the prompt comes from the standard input for "-", without its last line end', async () => {
  const asked = ['--max-new-tokens', '4', '--temperature', '0', '--json'];
  const piped = await generate(['-', ...asked], 'the cat\n');
  const given = await quick(['the cat', ...asked]);
  const sequences = ({ stdout }: { stdout: string }): unknown => (JSON.parse(stdout) as { sequences: unknown }).sequences;
  expect(sequences(piped)).toEqual(sequences(given));
});

test('an assistant model guesses ahead and changes nothing; tokens for one that is not there are refused', async () => {
  const asked = ['the cat', '--max-new-tokens', '12', '--seed', '4', '--json'];
  const sequences = ({ stdout }: { stdout: string }): unknown => (JSON.parse(stdout) as { sequences: unknown }).sequences;
  const assisted = await quick([...asked, '--assistant-model', folder, '--assistant-dtype', 'f32', '--num-assistant-tokens', '2']);
  expect(sequences(assisted)).toEqual(sequences(await quick(asked)));
  await expect(quick([...asked, '--num-assistant-tokens', '2'])).rejects.toThrow('--num-assistant-tokens is 2, and no assistant is open: open the model with an --assistant-model');
  await expect(quick([...asked, '--assistant-dtype', 'q4'])).rejects.toThrow('--assistant-dtype is q4, and there is no assistant: pass an --assistant-model');
});

test('every flag of generation arrives: beams, answers, stops, penalties', async () => {
  const { stdout } = await quick([
    'the cat', '--num-beams', '3', '--num-return-sequences', '2', '--length-penalty', '0.5', '--no-repeat-ngram-size', '2', '--repetition-penalty', '1.1',
    '--presence-penalty', '-0.5', '--frequency-penalty', '0.5', '--stop', 'zzz', '--stop', 'yyy', '--max-new-tokens', '5', '--json',
  ]);
  expect((JSON.parse(stdout) as { sequences: unknown[] }).sequences).toHaveLength(2);
  const several = await quick(['the cat', '--num-return-sequences', '2', '--top-k', '9', '--top-p', '0.9', '--min-p', '0.01', '--max-new-tokens', '3']);
  expect(several.stdout).toMatch(/^--- 1\n[^]*--- 2\n/);
  const cut = await quick(['the cat', '--max-new-tokens', '500', '--context-overflow', 'stop', '--json']);
  expect(JSON.parse(cut.stdout)).toHaveProperty('usage.completion_tokens');
});

const tokensOf = ({ stdout }: { stdout: string }): number[] => (JSON.parse(stdout) as { sequences: { tokens: number[] }[] }).sequences[0]?.tokens ?? [];

test('--no-repeat-ngram-size 1 lets no token occur twice, --no-repeat-ngram-size is no negation of another flag', async () => {
  const asked = ['the cat', '--temperature', '0', '--max-new-tokens', '40', '--json'];
  const free = tokensOf(await quick(asked));
  expect(new Set(free).size).toBeLessThan(free.length);
  const held = tokensOf(await quick([...asked, '--no-repeat-ngram-size', '1']));
  expect(new Set(held).size).toBe(held.length);
});

test('beams draw nothing unless drawing is asked for, even where the model\'s own defaults draw', async () => {
  const drawing = await makeModel();
  await writeFile(join(drawing, 'generation_config.json'), '{"do_sample": true, "temperature": 1.5}');
  const seeded = async (seed: string, ...more: string[]): Promise<number[]> =>
    tokensOf(await quick(['the cat', '--model', drawing, '--num-beams', '3', '--max-new-tokens', '12', '--seed', seed, '--json', ...more]));
  expect(await seeded('1')).toEqual(await seeded('2'));
  expect(await seeded('1', '--top-k', '40')).not.toEqual(await seeded('2', '--top-k', '40'));
  await rm(drawing, { recursive: true });
});

test('what is no UTF-8 is no prompt; a byte order mark is no part of one', async () => {
  const asked = ['-', '--max-new-tokens', '2', '--temperature', '0', '--json'];
  expect(await generate(asked, Buffer.from([0x63, 0xff, 0xfe]))).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('not text in UTF-8') as string });
  const marked = JSON.parse((await generate(asked, '\uFEFFthe cat\r\n')).stdout) as { usage: object };
  const plain = JSON.parse((await generate(asked, 'the cat')).stdout) as { usage: object };
  expect(marked.usage).toEqual(plain.usage);
});

test.each([
  ['num_beams is 0: it has to be', '--num-beams is 0: it has to be'],
  ['stop_strings is [""]', '--stop is [""]'],
  ['temperature is -1', '--temperature is -1'],
  ['no model is called "my_model"', 'no model is called "my_model"'],
  ['./top_k/config.json is not JSON', './top_k/config.json is not JSON'],
  ['the model\'s generation_config.json: temperature is "hot"', 'the model\'s generation_config.json: temperature is "hot"'],
])('in flags, %j is %j', (message, expected) => {
  expect(flags.inFlags(message)).toBe(expected);
});

test.each([
  [['x', '--top-p', '7'], '--top-p is 7: it has to be a number above 0, up to 1'],
  [['x', '--temperature', '-1'], '--temperature is -1: it has to be a number from 0'],
  [['x', '--max-new-tokens', '500'], /ask for 127 at most.*\(--context-overflow\)/],
  [['x', '--no-repeat-ngram-size', '-1'], '--no-repeat-ngram-size is -1: it has to be a whole number from 0'],
  [['x', '--temperature', '0', '--num-return-sequences', '2'], 'pass a temperature above 0, or --num-beams'],
  [['x', '--num-beams', '2', '--num-return-sequences', '3'], '--num-return-sequences is 3, but --num-beams is 2'],
  [['x', '--logprobs'], 'add --json'],
  [['x', '--model', 'no-such-model'], 'no model is called "no-such-model"'],
])('%j is asked wrongly', async (args, message) => {
  const run = quick(args);
  await expect(run).rejects.toThrow(UsageError);
  await expect(run).rejects.toThrow(message);
});

test.each([
  [['x', '--top-k', 'many'], 'It takes a whole number.'],
  [['x', '--seed', '1.5'], 'It takes a whole number.'],
  [['x', '--length-penalty', ''], 'It takes a number.'],
  [['x', '--threads', '100000'], 'It takes a whole number from 1 to 64.'],
  [[], 'missing required argument \'prompt\''],
  [['x', '--temprature', '1'], 'Did you mean --temperature?'],
])('%j is refused by the command line', async (args, message) => {
  await expect(quick(args)).rejects.toMatchObject({ name: 'CommanderError', message: expect.stringContaining(message) as string });
});

test('asked wrongly is exit status 2, with nothing on the standard output', async () => {
  const run = await parley(['generate', 'x', '--top-p', '7']);
  expect(run).toEqual({ status: 2, stdout: '', stderr: 'parley: --top-p is 7: it has to be a number above 0, up to 1\n' });
});

test('the default model is that of the tasks', () => {
  expect(flags.DEFAULT_MODEL).toBe(DEFAULT_MODEL);
});
