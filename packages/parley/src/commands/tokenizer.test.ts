import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadTokenizer } from '@parley/tokenizer/node';

const CLI = new URL('../cli.ts', import.meta.url).pathname;

interface Result {
  status: number;
  stdout: string;
  stderr: string;
}

function parley(args: readonly string[], input = ''): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [CLI, 'tokenizer', ...args], (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

let folder: string;
let made: string;
let trained: Result;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-tokenizer-'));
  made = join(folder, 'made');
  await writeFile(join(folder, 'a.txt'), 'The cat sat on the mat, and the other cat sat there too. 你好，你好。\n'.repeat(20));
  await writeFile(join(folder, 'b.jsonl'), `${JSON.stringify({ text: 'that is the hat' })}\n${JSON.stringify({ messages: [{ role: 'user', content: 'what hat' }, { role: 'assistant', content: 'that hat' }] })}\n`);
  trained = await parley(['train', join(folder, 'a.txt'), join(folder, 'b.jsonl'), '--vocab-size', '280', '--output', made, '--json']);
});
afterAll(() => rm(folder, { recursive: true }));

test('train writes a tokenizer that loads, and says what it made', async () => {
  expect(trained).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(trained.stdout)).toMatchObject({ folder: made, vocab_size: 280, documents: 3 });
  expect((await loadTokenizer(made)).vocabSize).toBe(280);
});

test('encode prints the ids as a JSON array, from an argument and from standard input; decode gives the text back', async () => {
  const text = 'The hat — 你好 <|im_end|>';
  const expected = (await loadTokenizer(made)).encode(text);
  const [argument, piped, object] = await Promise.all([
    parley(['encode', '--tokenizer', made, text]),
    parley(['encode', '--tokenizer', join(made, 'tokenizer.json')], text),
    parley(['encode', '--tokenizer', made, '--json', text]),
  ]);
  expect(JSON.parse(argument.stdout)).toEqual(expected);
  expect(piped).toEqual(argument);
  expect(JSON.parse(object.stdout)).toMatchObject({ ids: expected });
  const [array, numbers, pipedBack] = await Promise.all([
    parley(['decode', '--tokenizer', made, JSON.stringify(expected)]),
    parley(['decode', '--tokenizer', made, ...expected.map(String)]),
    parley(['decode', '--tokenizer', made, '--json'], argument.stdout),
  ]);
  expect(array.stdout).toBe(`${text}\n`);
  expect(numbers).toEqual(array);
  expect(JSON.parse(pipedBack.stdout)).toEqual({ text });
});

test('exit status 2 for what was asked wrongly, 1 for what failed, with the reason', async () => {
  const [noId, badId, noFile, noSize, smallSize, noText] = await Promise.all([
    parley(['decode', '--tokenizer', made, '9999']),
    parley(['decode', '--tokenizer', made, '1', 'x']),
    parley(['encode', '--tokenizer', join(folder, 'nowhere'), 'text']),
    parley(['train', join(folder, 'a.txt'), '--output', made]),
    parley(['train', join(folder, 'a.txt'), '--output', made, '--vocab-size', '10']),
    parley(['train', join(folder, 'missing.txt'), '--output', made, '--vocab-size', '300']),
  ]);
  expect(noId).toMatchObject({ status: 2, stderr: expect.stringContaining('9999 is not a token of') });
  expect(badId).toMatchObject({ status: 2, stderr: expect.stringContaining('"x" is not a token id') });
  expect(noFile).toMatchObject({ status: 1, stderr: expect.stringContaining('nowhere: cannot be opened') });
  expect(noSize).toMatchObject({ status: 2, stderr: expect.stringContaining('--vocab-size') });
  expect(smallSize).toMatchObject({ status: 2, stderr: expect.stringContaining('give 259 at least') });
  expect(noText).toMatchObject({ status: 1, stderr: expect.stringContaining('missing.txt') });
});
