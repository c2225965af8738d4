/** Functions in chat completions: whatever the model, the seed and the form, arguments are JSON of the function's schema. */
import { loadTokenizer } from '@parley/tokenizer/node';
import { Ajv, type AnySchema } from 'ajv';
import OpenAI from 'openai';
import type { ChatCompletion, ChatCompletionChunk, ChatCompletionFunctionTool, ChatCompletionMessageFunctionToolCall, ChatCompletionMessageParam } from 'openai/resources/chat/completions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../app.ts';
import { Models } from '../models.ts';
import { TEMPLATES, tinyModel } from '../testing/forms.ts';
import { conforms } from '../testing/specification.ts';

await using stack = new AsyncDisposableStack();
const kept = stack.move();
let client: OpenAI;
const folders = new Map<string, string>();
beforeAll(async () => {
  for (const name of Object.keys(TEMPLATES)) folders.set(name, kept.use(await tinyModel(name)).folder);
  const models = kept.use(new Models({ models: [...folders.values()], aliases: Object.fromEntries(folders), open: { threads: 1 } }));
  const app = createApp({ models });
  client = new OpenAI({ apiKey: 'none', baseURL: 'http://127.0.0.1/v1', maxRetries: 0, fetch: async (url, init) => app.request(url as string, init as RequestInit) });
});
afterAll(async () => kept.disposeAsync());

const weather: ChatCompletionFunctionTool = {
  type: 'function',
  function: {
    name: 'get_weather', description: 'Weather of a city.', strict: true,
    parameters: { type: 'object', properties: { city: { enum: ['Paris', 'Köln', '北京'] }, days: { type: 'integer', minimum: 1, maximum: 14 } }, required: ['city', 'days'], additionalProperties: false },
  },
};
const light: ChatCompletionFunctionTool = { type: 'function', function: { name: 'light', parameters: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] } } };
const now: ChatCompletionFunctionTool = { type: 'function', function: { name: 'now' } };
const tools = [weather, light, now];
const ask = { model: 'chatml', messages: [{ role: 'user', content: 'Weather?' }] as ChatCompletionMessageParam[], tools, max_tokens: 400 };

const validators = new Map(tools.map(({ function: { name, parameters } }) => [name, new Ajv().compile({ additionalProperties: false, ...(parameters ?? { type: 'object' }) } as AnySchema)]));
function callsOf(answer: ChatCompletion, choice = 0): ChatCompletionMessageFunctionToolCall[] {
  const calls = (answer.choices[choice]?.message.tool_calls ?? []) as ChatCompletionMessageFunctionToolCall[];
  for (const { id, function: { name, arguments: json } } of calls) {
    expect(id).toMatch(/^call_[0-9a-f]{24}$/);
    expect(validators.get(name)?.(JSON.parse(json)), `${name} ${json}`).toBe(true);
  }
  return calls;
}

test('a call that is required, of one function, and of those that are allowed', async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 8; seed++) {
    const answer = await client.chat.completions.create({ ...ask, tool_choice: 'required', seed, temperature: 2 });
    conforms('CreateChatCompletionResponse', answer);
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { role: 'assistant', content: null } });
    const calls = callsOf(answer);
    expect(calls).toHaveLength(1);
    seen.add(calls[0]?.function.name ?? '');
  }
  expect(seen.size).toBeGreaterThan(1);
  const one = await client.chat.completions.create({ ...ask, tool_choice: { type: 'function', function: { name: 'light' } }, temperature: 0 });
  expect(callsOf(one).map((call) => call.function.name)).toEqual(['light']);
  expect(one.choices[0]?.finish_reason).toBe('tool_calls');
  const named = { type: 'function', function: { name: 'now' } } as const;
  const allowed = await client.chat.completions.create({ ...ask, tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [named] } }, seed: 1 });
  expect(callsOf(allowed).map(({ function: { name, arguments: json } }) => [name, JSON.parse(json) as unknown])).toEqual([['now', {}]]);
});

test('several calls where that is asked for, and an end to them', async () => {
  // What likes to say the same again is made to: after a call a new line, never the end.
  const newLine = await tokenOf('\n');
  const light = { type: 'function', function: { name: 'light' } } as const;
  const many = await client.chat.completions.create({ ...ask, max_tokens: 1500, tool_choice: light, parallel_tool_calls: true, temperature: 0, logit_bias: { [newLine]: 100 } });
  expect(many.choices[0]?.finish_reason).toBe('tool_calls');
  expect(callsOf(many)).toHaveLength(16);
});

test('a stream tells id and name first, then the arguments bit by bit, then the reason; it adds up to the answer that is not streamed', async () => {
  const request = { ...ask, tool_choice: 'required', parallel_tool_calls: true, seed: 3, temperature: 1, n: 2, logprobs: true, top_logprobs: 2 } as const;
  const whole = await client.chat.completions.create(request);
  const chunks: ChatCompletionChunk[] = [];
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })) chunks.push(chunk);
  for (const chunk of chunks) conforms('CreateChatCompletionStreamResponse', chunk);
  for (const index of [0, 1]) {
    const deltas = chunks.flatMap(({ choices }) => choices).filter((choice) => choice.index === index);
    const parts = deltas.flatMap(({ delta }) => delta.tool_calls ?? []);
    const calls = callsOf(whole, index);
    for (const [k, call] of calls.entries()) {
      const own = parts.filter((part) => part.index === k);
      expect(own[0]).toMatchObject({ type: 'function', id: expect.stringMatching(/^call_/) as string, function: { name: call.function.name, arguments: '' } });
      expect(own.slice(1).every(({ id, type }) => id === undefined && type === undefined)).toBe(true);
      expect(own.length).toBeGreaterThan(2);
      expect(own.map((part) => part.function?.arguments ?? '').join('')).toBe(call.function.arguments);
    }
    expect(deltas.at(-1)).toMatchObject({ delta: {}, finish_reason: whole.choices[index]?.finish_reason });
    expect(deltas.flatMap(({ logprobs }) => logprobs?.content ?? [])).toEqual(whole.choices[index]?.logprobs?.content);
    expect(whole.choices[index]?.logprobs?.content?.[0]?.top_logprobs).toHaveLength(2);
  }
  expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: whole.usage?.completion_tokens });
  const streamed = client.chat.completions.stream({ ...ask, tool_choice: 'required', parallel_tool_calls: false, seed: 3, temperature: 1 });
  expect((await streamed.finalChatCompletion()).choices[0]?.message.tool_calls?.map((call) => 'function' in call && call.function.name)).toEqual(
    callsOf(await client.chat.completions.create({ ...ask, tool_choice: 'required', parallel_tool_calls: false, seed: 3, temperature: 1 })).map((call) => call.function.name),
  );
});

test('auto: the model may answer in words, and none is the answer without functions', async () => {
  for (let seed = 0; seed < 4; seed++) {
    const answer = await client.chat.completions.create({ ...ask, max_tokens: 40, seed });
    conforms('CreateChatCompletionResponse', answer);
    const calls = callsOf(answer);
    expect(calls.length > 0 || (answer.choices[0]?.message.content ?? '') !== '').toBe(true);
  }
  const { tools: _, ...without } = ask;
  const none = await client.chat.completions.create({ ...ask, tool_choice: 'none', seed: 5, max_tokens: 12 });
  expect(none.choices[0]?.message.content).toBe((await client.chat.completions.create({ ...without, seed: 5, max_tokens: 12 })).choices[0]?.message.content);
  expect(none.usage?.prompt_tokens).toBe((await client.chat.completions.create({ ...without, seed: 5, max_tokens: 12 })).usage?.prompt_tokens);
});

test('auto: a model that opens a call is held to it (here it is pushed to)', async () => {
  // The beginning of a call is made likely, token by token, by nothing else than what a model does: choosing it.
  const either = await client.chat.completions.create({
    ...ask, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false } } },
    logit_bias: { [(await tokenOf('<'))]: 100 }, temperature: 0,
  });
  expect(callsOf(either).length).toBeGreaterThan(0);
  const json = await client.chat.completions.create({
    ...ask, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false } } },
    logit_bias: { [(await tokenOf('<'))]: -100 }, temperature: 0,
  });
  expect(JSON.parse(json.choices[0]?.message.content ?? '')).toEqual({ ok: expect.any(Boolean) as boolean });
});
const tokenOf = async (text: string): Promise<number> => {
  return (await loadTokenizer(folders.get('chatml') ?? '')).encode(text, { addSpecialTokens: false })[0] ?? 0;
};

test('a conversation with calls and their results goes on; runTools of the official client runs one to its end', async () => {
  const first = await client.chat.completions.create({ ...ask, tool_choice: 'required', parallel_tool_calls: true, seed: 2 });
  const message = first.choices[0]?.message;
  const calls = callsOf(first);
  const answer = await client.chat.completions.create({
    ...ask, tool_choice: 'none', max_tokens: 8,
    messages: [...ask.messages, message as ChatCompletionMessageParam, ...calls.map(({ id }) => ({ role: 'tool' as const, tool_call_id: id, content: 'sunny' }))],
  });
  expect(answer.choices[0]?.finish_reason).toMatch(/stop|length/);

  const asked: unknown[] = [];
  const runner = client.chat.completions.runTools({
    model: 'chatml', messages: ask.messages, max_tokens: 400, seed: 1, temperature: 1, parallel_tool_calls: false,
    tool_choice: { type: 'function', function: { name: 'get_weather' } },
    tools: [{ type: 'function', function: { name: 'get_weather', description: 'Weather of a city.', parameters: weather.function.parameters as object, parse: (json: string) => JSON.parse(json) as object, function: (given: object) => {
      asked.push(given);
      return 'sunny, 21 °C';
    } } }],
  });
  await runner.done();
  expect(validators.get('get_weather')?.(asked[0]), JSON.stringify(asked[0])).toBe(true);
  expect(runner.messages.at(-1)).toMatchObject({ role: 'tool', content: 'sunny, 21 °C' });
  const twice: unknown[] = [];
  const free = client.chat.completions.runTools({
    model: 'chatml', messages: ask.messages, max_tokens: 1000, seed: 1, temperature: 1, stream: true,
    tools: [{ type: 'function', function: { name: 'light', description: 'Switches it.', parameters: light.function.parameters as object, parse: (json: string) => JSON.parse(json) as object, function: (given: object) => void twice.push(given) } }],
  });
  expect(await free.finalContent()).toBeTypeOf('string');
  for (const given of twice) expect(validators.get('light')?.(given)).toBe(true);
});

describe('the forms of other templates', () => {
  test.each(Object.keys(TEMPLATES))('%s: required calls, streamed and not, and words', async (form) => {
    const own = { ...ask, model: form };
    for (let seed = 0; seed < 3; seed++) {
      const answer = await client.chat.completions.create({ ...own, tool_choice: 'required', seed, temperature: 1.5 });
      conforms('CreateChatCompletionResponse', answer);
      const calls = callsOf(answer);
      expect(calls.length).toBeGreaterThan(0);
      expect(form !== 'llama' || calls.length === 1).toBe(true);
      const streamed = await client.chat.completions.stream({ ...own, tool_choice: 'required', seed, temperature: 1.5 }).finalChatCompletion();
      expect(callsOf(streamed).map((call) => call.function.arguments)).toEqual(calls.map((call) => call.function.arguments));
    }
    const words = await client.chat.completions.create({ ...own, seed: 1, max_tokens: 10 });
    expect(words.choices[0]?.message.content).toBeTypeOf('string');
  });
});

/** Schemas of arguments at random: a supported subset, nested two deep. */
function schemaOf(below: (bound: number) => number, depth = 0): Record<string, unknown> {
  const kinds: (() => Record<string, unknown>)[] = [
    () => ({ type: 'boolean' }), () => ({ type: 'integer', minimum: -below(50), maximum: below(500) }), () => ({ enum: ['a', 'b"c', below(9), null].slice(0, 1 + below(4)) }),
    () => ({ type: 'string', maxLength: below(6) }), () => ({ type: 'string', pattern: '^[a-f]{1,4}$' }), () => ({ type: ['null', 'boolean'] }), () => ({ const: { x: [1] } }),
    () => ({ anyOf: [{ type: 'null' }, { type: 'number', minimum: 0, maximum: 9 }] }),
  ];
  const nested: (() => Record<string, unknown>)[] = [
    () => ({ type: 'array', items: schemaOf(below, depth + 1), minItems: below(2), maxItems: 2 }),
    () => {
      const names = ['a', 'b', 'ü'].slice(0, 1 + below(3));
      return { type: 'object', properties: Object.fromEntries(names.map((name) => [name, schemaOf(below, depth + 1)])), required: names.filter(() => below(3) > 0), additionalProperties: false };
    },
  ];
  const all = depth < 2 ? [...kinds, ...nested] : kinds;
  return all[below(all.length)]?.() ?? {};
}

test('24 random schemas at random seeds: arguments validate, streamed or not', async () => {
  await Promise.all(Array.from({ length: 24 }, async (_, i) => {
    let state = i + 1;
    const below = (bound: number): number => (state = (state * 48271) % 0x7fffffff) % bound;
    for (let skip = 0; skip < 5; skip++) below(2);
    const names = ['first', 'b-2', 'third_one'].slice(0, 1 + below(3));
    const parameters = { type: 'object', properties: Object.fromEntries(names.map((name) => [name, schemaOf(below)])), required: names.filter(() => below(2) > 0), additionalProperties: false };
    const answer = await client.chat.completions.create({
      model: 'chatml', messages: [{ role: 'user', content: 'Go.' }], seed: i, temperature: 1.2, max_tokens: 1000, tool_choice: 'required', parallel_tool_calls: false,
      tools: [{ type: 'function', function: { name: 'f', parameters } }],
    });
    expect(answer.choices[0]?.finish_reason, JSON.stringify(answer)).toBe('tool_calls');
    const [call] = (answer.choices[0]?.message.tool_calls ?? []) as ChatCompletionMessageFunctionToolCall[];
    const validate = new Ajv({ strict: false }).compile(parameters);
    expect(validate(JSON.parse(call?.function.arguments ?? '')), `seed ${i}: ${call?.function.arguments} against ${JSON.stringify(parameters)}`).toBe(true);
  }));
});

test.each([
  ['two functions of one name', { tools: [light, light] }, 'tools', /two functions named 'light'/],
  ['a choice of none of them', { tool_choice: { type: 'function', function: { name: 'dark' } } }, 'tool_choice', /'dark', which is not among/],
  ['a required call of nothing', { tools: [], tool_choice: 'required' }, 'tool_choice', /nothing to call/],
  ['a schema that cannot be held', { tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: { a: { multipleOf: 2 } } } } }] }, 'tools', /function f: the JSON schema at #\/properties\/a: "multipleOf"/],
  ['arguments that are no object', { tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'string' } } }] }, 'tools', /arguments are an object/],
  ['a name with a blank', { tools: [{ type: 'function', function: { name: 'a b' } }] }, 'tools.0.function.name', /letters, digits/],
  ['a result of no call', { messages: [{ role: 'user', content: 'a' }, { role: 'tool', tool_call_id: 'x', content: '1' }] }, 'messages.1.tool_call_id', /no message before it/],
  ['arguments that are no JSON', { messages: [{ role: 'user', content: 'a' }, { role: 'assistant', tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{' } }] }] }, 'messages.1.tool_calls.0.function.arguments', /not JSON/],
  ['an assistant that says nothing', { messages: [{ role: 'assistant' }] }, 'messages.0.content', /Missing required/],
  ['the older choice', { function_call: 'auto' }, 'function_call', /older form/],
  ['a result of the older form', { messages: [{ role: 'function', name: 'f', content: '1' }] }, 'messages.0.role', /older form/],
  ['beams', { num_beams: 2, temperature: 0 }, 'num_beams', /one answer at a time/],
] as const)('%s is refused by name', async (_, change, param, message) => {
  const request = { ...ask, ...change } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
  await expect(client.chat.completions.create(request)).rejects.toMatchObject({ status: 400, param, message: expect.stringMatching(message) as string });
});
