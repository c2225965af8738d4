/** The AI SDK (`ai` with `@ai-sdk/openai-compatible`) against the service, as its pages use it. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embed, embedMany, generateObject, generateText, jsonSchema, streamText, tool } from 'ai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from './app.ts';
import { Models } from './models.ts';

let models: Models;
let provider: ReturnType<typeof createOpenAICompatible>;
beforeAll(async () => {
  models = new Models({ models: ['parley-nano'], open: { threads: 1 } });
  const app = createApp({ models });
  provider = createOpenAICompatible({
    name: 'parley', baseURL: 'http://127.0.0.1/v1', apiKey: 'none', includeUsage: true, supportsStructuredOutputs: true,
    fetch: async (url, init) => app.request(url as string, init),
  });
});
afterAll(async () => models[Symbol.asyncDispose]());

const ask = { prompt: 'Hello! How are you?', seed: 5, temperature: 0.8, maxOutputTokens: 16, maxRetries: 0 } as const;

test('generateText and streamText give the same text for a seed, with usage and a reason', async () => {
  const whole = await generateText({ model: provider('parley-nano'), ...ask });
  expect(whole.text.length).toBeGreaterThan(0);
  expect(['stop', 'length']).toContain(whole.finishReason);
  const stream = streamText({ model: provider('parley-nano'), ...ask });
  let text = '';
  for await (const piece of stream.textStream) text += piece;
  expect(text).toBe(whole.text);
  expect(await stream.finishReason).toBe(whole.finishReason);
  expect((await stream.usage).outputTokens).toBe(whole.usage.outputTokens);
  expect((await stream.usage).inputTokens).toBeGreaterThan(4);
});

test('generateObject gets what its schema says', async () => {
  const schema = jsonSchema<{ mood: 'good' | 'bad'; score: number }>({
    type: 'object', additionalProperties: false, required: ['mood', 'score'],
    properties: { mood: { type: 'string', enum: ['good', 'bad'] }, score: { type: 'integer', minimum: 0, maximum: 10 } },
  });
  const { object } = await generateObject({ model: provider('parley-nano'), schema, prompt: 'How are you?', temperature: 0, maxOutputTokens: 60, maxRetries: 0 });
  expect(['good', 'bad']).toContain(object.mood);
  expect(Number.isInteger(object.score)).toBe(true);
});

test('a tool that has to be called is called, with arguments of its schema, and its result goes back', async () => {
  const cities: string[] = [];
  const weather = tool({
    description: 'The weather of a city.',
    inputSchema: jsonSchema<{ city: string }>({ type: 'object', additionalProperties: false, required: ['city'], properties: { city: { type: 'string', enum: ['Paris', 'Rome'] } } }),
    execute: async ({ city }) => {
      cities.push(city);
      return { degrees: 21 };
    },
  });
  const answer = await generateText({
    model: provider('parley-nano'), prompt: 'What is the weather in Rome?', tools: { weather }, toolChoice: 'required', temperature: 0, maxRetries: 0,
    providerOptions: { parley: { parallel_tool_calls: false } },
  });
  expect(answer.finishReason).toBe('tool-calls');
  expect(['Paris', 'Rome']).toContain(cities[0]);
  expect(answer.toolResults[0]?.output).toEqual({ degrees: 21 });
});

test('embed and embedMany', async () => {
  const model = provider.embeddingModel('parley-nano');
  const { embedding } = await embed({ model, value: 'Good morning!' });
  const { embeddings } = await embedMany({ model, values: ['Good morning!', 'The cat sat.'] });
  expect(embeddings).toHaveLength(2);
  expect(embeddings[0]).toEqual(embedding);
  expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
});

test('an error is the SDK\'s own, with our status and message', async () => {
  const failed = await generateText({ model: provider('none'), ...ask }).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(APICallError);
  expect(failed).toMatchObject({ statusCode: 404, isRetryable: false });
  expect(String(failed)).toContain("The model 'none' does not exist here");
});
