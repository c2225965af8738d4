import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, ReferenceBackend } from '@parley/engine';
import { ContextOverflowError, OptionError } from '@parley/generate';
import { llamaConfig, Transformer } from '@parley/model';
import { saveModel } from '@parley/model/node';
import { CHATML_TEMPLATE, Tokenizer, trainTokenizer } from '@parley/tokenizer';
import { saveTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, expectTypeOf, test } from 'vitest';
import { type ChatGenerationOutput, pipeline, type TextGenerationOutput, type TextGenerationPipeline, TaskError, TextStreamer, UnknownTaskError } from './index.ts';

let folder = '';
let pipe: TextGenerationPipeline;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-tasks-'));
  const trained = await trainTokenizer(['the cat sat on the mat and the dog sat on the cat'], {
    vocabSize: 280, specialTokens: ['<|endoftext|>', '<|im_start|>', '<|im_end|>'], pattern: 'gpt4', chatTemplate: CHATML_TEMPLATE,
  });
  const tokenizer = Tokenizer.fromJSON(trained.toJSON(), trained.configToJSON());
  using model = Transformer.initialize(
    new ReferenceBackend(),
    llamaConfig({ vocabSize: tokenizer.vocabSize, contextLength: 96, hiddenSize: 16, heads: 2, keyValueHeads: 1, layers: 1, intermediateSize: 32 }),
    new Random(1),
  );
  await saveModel(model, folder, { generation: { eosTokenIds: [], defaults: { temperature: 0.9, top_k: 40 } } });
  await saveTokenizer(tokenizer, folder);
  pipe = await pipeline('text-generation', folder, { backend: 'reference', worker: false });
});
afterAll(async () => {
  await pipe.dispose();
  await rm(folder, { recursive: true });
});

test.each([
  [{ dtype: 'int8' }, 'dtype is "int8": it has to be f32, fp32, q8 or q4'],
  [{ backend: 'cuda' }, 'backend is "cuda": it has to be auto, native, wasm or reference'],
  [{ threads: '2' }, 'threads is "2": it has to be a whole number from 1'],
  [{ worker: 'no' }, 'worker is "no": it has to be true, false or large'],
  [{ thread: 2 }, 'did you mean threads?'],
])('a pipeline is not opened with %j', async (options, message) => {
  const opening = pipeline('text-generation', folder, options as object);
  await expect(opening).rejects.toThrow(OptionError);
  await expect(opening).rejects.toThrow(message);
});

test.each([
  [5, 'the input is 5'],
  [undefined, 'the input is undefined'],
  [{ role: 'user', content: 'x' }, 'the input is a message'],
  [[], 'an empty list'],
  [['a', { role: 'user', content: 'x' }], 'item 1 of the input is a message'],
  [[null], 'item 0 of the input is null'],
])('%j is no input', async (input, message) => {
  await expect(pipe(input as unknown as string)).rejects.toThrow(TaskError);
  await expect(pipe(input as unknown as string)).rejects.toThrow(message);
});

const FREE = { max_new_tokens: 6, eos_token_id: [], seed: 1 };
const CHAT = [{ role: 'user', content: 'Hi' }] as const;

test('a text gives a list of texts, a list of texts a list of lists; the prompt stands before unless told otherwise', async () => {
  const one = await pipe('the cat', FREE);
  expectTypeOf(one).toEqualTypeOf<TextGenerationOutput[]>();
  expect(one).toEqual([{ generated_text: expect.stringMatching(/^the cat/) as string }]);
  const several = await pipe(['the cat', 'a dog'], { ...FREE, num_return_sequences: 2 });
  expectTypeOf(several).toEqualTypeOf<TextGenerationOutput[][]>();
  expect(several.map((answers) => answers.length)).toEqual([2, 2]);
  expect(several[0]![0]).toEqual(one[0]);
  const [bare] = await pipe('the cat', { ...FREE, return_full_text: false });
  expect(`the cat${bare!.generated_text}`).toBe(one[0]!.generated_text);
});

test('a conversation comes back with the answer as its last message, or the answer alone', async () => {
  const [answer] = await pipe(CHAT, FREE);
  expectTypeOf(answer).toEqualTypeOf<ChatGenerationOutput | undefined>();
  expect(answer!.generated_text).toEqual([CHAT[0], { role: 'assistant', content: expect.any(String) as string }]);
  const [bare] = await pipe(CHAT, { ...FREE, return_full_text: false });
  expect(bare!.generated_text).toBe(answer!.generated_text[1]!.content);
  const both = await pipe([CHAT, CHAT], FREE);
  expect(both).toEqual([[answer], [answer]]);
});

test('the model\'s generation_config.json is honoured', async () => {
  const implicit = await pipe('the cat', FREE);
  expect(await pipe('the cat', { ...FREE, do_sample: true, temperature: 0.9, top_k: 40 })).toEqual(implicit);
  const greedy = await pipe('the cat', { ...FREE, do_sample: false });
  expect(await pipe('the cat', { ...FREE, temperature: 0 })).toEqual(greedy);
  expect(greedy).not.toEqual(implicit);
});

test('a streamer is handed the text that the call returns', async () => {
  for (const skip_prompt of [true, false]) {
    let streamed = '';
    const tokens: number[] = [];
    const streamer = new TextStreamer(pipe.tokenizer, {
      skip_prompt, callback_function: (text) => (streamed += text), token_callback_function: (some) => tokens.push(...some),
    });
    for (let round = 0; round < 2; round++) {
      streamed = '';
      const [answer] = await pipe('the cat', { ...FREE, streamer, return_full_text: !skip_prompt });
      expect(streamed).toBe(answer!.generated_text);
    }
    expect(tokens).toHaveLength(12);
  }
  const streamer = new TextStreamer(pipe.tokenizer, { callback_function: () => {} });
  await expect(pipe(['a', 'b'], { streamer })).rejects.toThrow('a streamer takes one text, and there are 2 prompts');
  await expect(pipe('a', { streamer, num_return_sequences: 2 })).rejects.toThrow('2 answers');
  await expect(pipe('a', { streamer, num_beams: 2 })).rejects.toThrow('beam search (num_beams 2) knows its text only at the end');
});

test('a streamer without the caller\'s text decodes tokens itself, whole characters only', () => {
  const pieces: string[] = [];
  const streamer = new TextStreamer(pipe.tokenizer, { skip_prompt: true, callback_function: (text) => pieces.push(text) });
  streamer.put(pipe.tokenizer.encode('prompt'));
  for (const id of pipe.tokenizer.encode('a 🙂 b')) streamer.put([id]);
  streamer.end();
  expect(pieces.join('')).toBe('a 🙂 b');
  expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
});

test('stream() gives the events, and with a stop string no part of it', async () => {
  const { sequences: [whole] } = await pipe.stream('the cat', { ...FREE, max_new_tokens: 30 }).result();
  const stop = whole!.text.slice(6, 8);
  let text = '';
  let reason = '';
  for await (const event of pipe.stream('the cat', { ...FREE, max_new_tokens: 30, stop_strings: [stop] })) {
    if (event.type === 'token') text += event.text;
    if (event.type === 'end') reason = event.finishReason;
  }
  expect({ text, reason }).toEqual({ text: whole!.text.slice(0, whole!.text.indexOf(stop)), reason: 'stop' });
});

test('log-probabilities come with the text when asked for', async () => {
  const [answer] = await pipe('the cat', { ...FREE, logprobs: 2 });
  expect(answer!.logprobs).toHaveLength(6);
  expect(answer!.logprobs![0]!.top).toHaveLength(2);
});

test('a default length ends with the context; one that was asked for must fit', async () => {
  const { sequences: [first] } = await pipe.stream('the cat', { eos_token_id: [] }).result();
  expect(first!.finishReason).toBe('length');
  expect(first!.tokens.length).toBeGreaterThan(80);
  await expect(pipe('the cat', { max_new_tokens: 256 })).rejects.toThrow(ContextOverflowError);
});

test('what cannot be is refused with what can', async () => {
  await expect(pipeline('sentiment-analysis' as 'text-generation', folder)).rejects.toThrow(UnknownTaskError);
  await expect(pipeline('sentiment-analysis' as 'text-generation', folder)).rejects.toThrow('there is no pipeline for the task "sentiment-analysis": choose "text-generation"');
  await expect(pipeline('text-generation', folder, { device: 'wasm' } as object)).rejects.toThrow('the option device is not known');
  await expect(pipeline('text-generation', join(folder, 'nowhere'))).rejects.toMatchObject({ name: 'ModelNotFoundError' });
  await expect(pipe('the cat', { max_new_token: 3 } as object)).rejects.toThrow('did you mean max_new_tokens?');
  expect(() => pipe.stream('the cat', { streamer: 3 } as object)).toThrow(OptionError);
  await expect(pipe([])).rejects.toThrow('the input is an empty list');
});

test('on its own thread, which is the default, it answers the same and is disposed by the scope', async () => {
  const there = await (async () => {
    await using remote = await pipeline('text-generation', folder, { backend: 'reference', dtype: 'fp32' });
    expect(remote.info).toMatchObject({ dtype: 'f32', contextLength: 96, threads: 1 });
    return await remote('the cat', FREE);
  })();
  expect(there).toEqual(await pipe('the cat', FREE));
});
