import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline, type TextGenerationPipeline } from '@parley/tasks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Conversation } from '../conversation.ts';
import { UsageError } from '../errors.ts';
import { inProcess, makeModel, parley } from '../testing/cli.ts';
import { register } from './chat.ts';

let folder = '';
let pipe: TextGenerationPipeline;
beforeAll(async () => {
  folder = await makeModel();
  pipe = await pipeline('text-generation', folder, { backend: 'reference', worker: false });
});
afterAll(async () => {
  await pipe.dispose();
  await rm(folder, { recursive: true });
});

const chat = (input: string, args: readonly string[] = []) =>
  parley(['chat', '--model', folder, '--backend', 'reference', '--seed', '3', '--max-new-tokens', '5', ...args], input);

async function answerOf(conversation: Conversation, text: string, signal = new AbortController().signal): Promise<{ text: string; dropped: number }> {
  let answer = '';
  let dropped = 0;
  for await (const part of conversation.answer(text, signal)) {
    if (part.type === 'text') answer += part.text;
    else dropped += part.messages;
  }
  return { text: answer, dropped };
}

test('from a pipe every line is a message; answers alone are written, with the history behind them, and the end is status 0', async () => {
  const conversation = new Conversation(pipe, { system: 'Be brief.', options: { seed: 3, max_new_tokens: 5 } });
  const answers = [await answerOf(conversation, 'Hello'), await answerOf(conversation, 'And you?')];
  const run = await chat('Hello\n\nAnd you?', ['--system', 'Be brief.']);
  expect(run).toEqual({ status: 0, stderr: '', stdout: answers.map(({ text }) => `${text}\n`).join('') });
});

test('commands: /system, /save, /reset, an unknown one, and /exit, after which nothing is read', async () => {
  const file = join(folder, 'saved.json');
  const run = await chat(`/system Short!\nHello\n/save ${file}\n/save ${file}\n/reset\n/rest\n/help\n/save\n/exit\nHello again\n`);
  expect(run.status).toBe(0);
  const saved = JSON.parse(await readFile(file, 'utf8')) as { messages: { role: string; content: string }[] };
  expect(saved.messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant']);
  expect(run.stdout).toBe(`${saved.messages[2]!.content}\n`);
  for (const part of ['System message: Short!', '3 messages saved', 'exists already', 'A new conversation.', 'no command /rest: did you mean /reset?', '/save FILE']) {
    expect(run.stderr).toContain(part);
  }
});

test('turns that no longer fit are left out, and a line says so; a message that never fits is an error and status 1', async () => {
  const long = 'the cat sat on the mat and the dog sat on the cat, the cat sat';
  const run = await chat(`${long}\n${long}\n${long}\n${'x y z '.repeat(60)}\nHello\n`);
  expect(run.stderr).toContain('of the oldest messages left out: the conversation no longer fits the context of 128 tokens');
  expect(run.stderr).toContain('leaves no room in this model\'s context of 128');
  expect(run.status).toBe(1);
  // The message was not remembered, so the next one is answered.
  expect(run.stdout.split('\n').length).toBeGreaterThanOrEqual(5);
});

test('a model without a chat template is refused with what it can do', async () => {
  const base = await makeModel({ chat: false });
  const run = inProcess(register, ['chat', '--model', base, '--backend', 'reference']);
  await expect(run).rejects.toThrow('has no chat template, so it does not chat: it completes texts, with parley generate');
  await expect(run).rejects.toThrow(UsageError);
  await rm(base, { recursive: true });
});

test('an answer that is stopped stays in the conversation; one that fails, or never began, does not', async () => {
  const conversation = new Conversation(pipe, { options: { seed: 1 } });
  const controller = new AbortController();
  const stopped = (async () => {
    for await (const part of conversation.answer('Hello', controller.signal)) {
      if (part.type === 'text') controller.abort(new Error('stopped'));
    }
  })();
  await expect(stopped).rejects.toThrow('stopped');
  expect(conversation.messages).toEqual([{ role: 'user', content: 'Hello' }, { role: 'assistant', content: expect.stringMatching(/./su) as string }]);
  await expect(answerOf(conversation, 'x'.repeat(500))).rejects.toThrow('leaves no room');
  await expect(answerOf(conversation, 'Hi', AbortSignal.abort(new Error('too soon')))).rejects.toThrow('too soon');
  expect(conversation.messages).toHaveLength(2);
  conversation.reset();
  expect(conversation.messages).toEqual([]);
});

test('what is left out is told once, when it happens', async () => {
  const conversation = new Conversation(pipe, { options: { seed: 1, max_new_tokens: 8 } });
  let dropped = 0;
  for (let turn = 0; turn < 8; turn++) dropped += (await answerOf(conversation, 'the cat sat on the mat and the dog')).dropped;
  expect(dropped).toBeGreaterThan(2);
  expect(dropped).toBeLessThan(conversation.messages.length);
  expect(dropped % 2).toBe(0);
});
