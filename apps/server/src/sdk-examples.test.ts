/** What the official client's own documentation shows, run as it stands there against a model that ships: chat, streams, completions, embeddings, structured output, functions. */
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { createApp } from './app.ts';
import { Models } from './models.ts';

let models: Models;
let client: OpenAI;
beforeAll(async () => {
  // Names of OpenAI's models stand for ours, as `parley serve` can be told.
  models = new Models({ models: ['parley-mini'], aliases: { 'gpt-5.2': 'parley-mini', 'gpt-4o': 'parley-mini', 'text-embedding-3-small': 'parley-mini' }, open: { threads: 1 } });
  const app = createApp({ models });
  client = new OpenAI({ apiKey: 'My API Key', baseURL: 'http://127.0.0.1/v1', maxRetries: 0, fetch: async (url, init) => app.request(url as string, init as RequestInit) });
  await models.get('parley-mini');
});
afterAll(async () => models[Symbol.asyncDispose]());

const few = { max_tokens: 24, seed: 1 } as const;

test('chat, with a developer message', async () => {
  const completion = await client.chat.completions.create({
    model: 'gpt-5.2', ...few,
    messages: [{ role: 'developer', content: 'Talk like a pirate.' }, { role: 'user', content: 'Are semicolons optional in JavaScript?' }],
  });
  expect(completion.choices[0]?.message.content).toMatch(/./su);
});

test('responses, and responses streamed', async () => {
  const response = await client.responses.create({ model: 'gpt-5.2', instructions: 'You are a coding assistant that talks like a pirate', input: 'Are semicolons optional?', max_output_tokens: 24 });
  expect(response.output_text).toMatch(/./su);
  const stream = await client.responses.create({ model: 'gpt-5.2', input: 'Say "Sheep sleep deep" ten times fast!', stream: true, max_output_tokens: 24 });
  const types: string[] = [];
  for await (const event of stream) types.push(event.type);
  expect([types[0], types.at(-1)]).toEqual(['response.created', expect.stringMatching(/^response\.(completed|incomplete)$/)]);
});

test('the helper for streams: events, and all of it at the end', async () => {
  const stream = client.chat.completions.stream({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Say this is a test' }], max_tokens: 200, seed: 1 });
  let said = '';
  stream.on('content', (delta) => (said += delta));
  const { choices } = await stream.finalChatCompletion();
  expect(choices[0]?.message.content).toBe(said);
  expect(await stream.finalMessage()).toMatchObject({ role: 'assistant', content: said });
});

test('completions and embeddings', async () => {
  const completion = await client.completions.create({ model: 'text-davinci-003', prompt: 'Say this is a test.', max_tokens: 7, temperature: 0 });
  expect(completion.choices[0]?.text).toBeTypeOf('string');
  const { data } = await client.embeddings.create({ model: 'text-embedding-3-small', input: ['The food was delicious', '饭菜很好吃'] });
  expect(data.map(({ embedding }) => embedding.length)).toEqual([256, 256]);
});

const Step = z.object({ explanation: z.string().max(20), output: z.enum(['x = 1', 'x = 2']) });
const MathResponse = z.object({ steps: z.array(Step).max(2), final_answer: z.number().int().min(0).max(99) });

test('structured output by zod: chat and responses', async () => {
  const completion = await client.chat.completions.parse({
    model: 'gpt-4o', messages: [{ role: 'system', content: 'You are a helpful math tutor.' }, { role: 'user', content: 'solve 8x + 31 = 2' }],
    response_format: zodResponseFormat(MathResponse, 'mathResponse'), seed: 1,
  });
  expect(MathResponse.parse(completion.choices[0]?.message.parsed)).toEqual(completion.choices[0]?.message.parsed);
  const response = await client.responses.parse({ model: 'gpt-4o', input: 'solve 8x + 31 = 2', text: { format: zodTextFormat(MathResponse, 'math_response') } });
  expect(MathResponse.parse(response.output_parsed)).toEqual(response.output_parsed);
});

test('functions by zod: arguments come parsed', async () => {
  const Query = z.object({ table_name: z.enum(['orders', 'customers', 'products']), columns: z.array(z.enum(['id', 'status', 'expected_delivery_date'])).max(3), order_by: z.enum(['asc', 'desc']) });
  const completion = await client.chat.completions.parse({
    model: 'gpt-4o', messages: [{ role: 'user', content: 'look up all my orders in november of last year' }], tools: [zodFunction({ name: 'query', parameters: Query })], tool_choice: 'required',
    parallel_tool_calls: false, seed: 1,
  });
  const [call] = completion.choices[0]?.message.tool_calls ?? [];
  if (call === undefined || !('function' in call)) throw new Error('no function is called');
  expect(call.function.name).toBe('query');
  expect(Query.parse(call.function.parsed_arguments)).toEqual(call.function.parsed_arguments);
});

test('runTools: functions are called with what the model wants, and their results go back to it', async () => {
  const seen: string[] = [];
  const runner = client.chat.completions.runTools({
    // A small model would talk until its tokens are used up, which the client takes for an error: a sentence is enough.
    model: 'gpt-4o', seed: 1, max_tokens: 200, stop: ['.', '。', '?', '!'], parallel_tool_calls: false,
    messages: [{ role: 'user', content: 'How is the weather this week?' }],
    tools: [{ type: 'function', function: {
      name: 'getCurrentLocation', description: 'Where the user is.', parameters: { type: 'object', properties: {} },
      function: () => {
        seen.push('called');
        return 'Boston';
      },
    } }],
  }).on('message', (message) => seen.push(message.role));
  await runner.done();
  expect(seen.at(-1)).toBe('assistant');
  const once = client.chat.completions.runTools({
    model: 'gpt-4o', messages: [{ role: 'user', content: 'Where am I?' }], tool_choice: { type: 'function', function: { name: 'locate' } }, seed: 1, parallel_tool_calls: false,
    tools: [{ type: 'function', function: { name: 'locate', description: 'Where the user is.', parse: (json: string) => JSON.parse(json) as object, parameters: { type: 'object', properties: { exact: { type: 'boolean' } }, required: ['exact'] }, function: ({ exact }: { exact?: boolean }) => (exact === true ? 'Boston, 42.36 N' : 'Boston') } }],
  });
  await once.done();
  expect(once.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool']);
});
