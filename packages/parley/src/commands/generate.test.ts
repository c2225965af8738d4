import { rm } from 'node:fs/promises';
import { DEFAULT_MODEL } from '@parley/tasks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UsageError } from '../errors.ts';
import * as flags from '../generation-flags.ts';
import { inProcess, makeModel, parley } from '../testing/cli.ts';
import { register } from './generate.ts';

let folder = '';
beforeAll(async () => void (folder = await makeModel()));
afterAll(async () => await rm(folder, { recursive: true }));

const generate = (args: readonly string[], input?: string) => parley(['generate', '--model', folder, '--backend', 'reference', ...args], input);
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

test.each([
  [['x', '--top-p', '7'], '--top-p is 7: it has to be a number above 0, up to 1'],
  [['x', '--temperature', '-1'], '--temperature is -1: it has to be a number from 0'],
  [['x', '--max-new-tokens', '500'], 'ask for 127 at most'],
  [['x', '--num-beams', '2', '--num-return-sequences', '3'], '--num-return-sequences is 3, but --num-beams is 2'],
  [['x', '--logprobs'], 'add --json'],
  [['x', '--model', 'no-such-model'], 'no model is called "no-such-model"'],
])('%j is asked wrongly', async (args, message) => {
  const run = quick(args);
  await expect(run).rejects.toThrow(UsageError);
  await expect(run).rejects.toThrow(message);
});

test.each([
  [['x', '--top-k', 'many'], 'It takes a number.'],
  [['x', '--seed', '1.5'], 'It takes a whole number.'],
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
