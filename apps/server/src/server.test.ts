/** The official client against the service, with the model that ships; what it gets is held to OpenAI's own specification. */
import { request as httpRequest } from 'node:http';
import { Ajv } from 'ajv';
import OpenAI, { APIError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from './app.ts';
import { Models } from './models.ts';
import { type Server, serve } from './serve.ts';
import { conforms } from './testing/specification.ts';

let models: Models;
let client: OpenAI;
let raw: (path: string, init?: RequestInit) => Promise<Response>;
beforeAll(async () => {
  models = new Models({ models: ['parley-nano'], open: { threads: 1 }, aliases: { 'gpt-4o-mini': 'parley-nano' } });
  const app = createApp({ models });
  raw = async (path, init) => app.request(`http://127.0.0.1${path}`, init);
  client = new OpenAI({ apiKey: 'none', baseURL: 'http://127.0.0.1/v1', maxRetries: 0, fetch: async (url, init) => app.request(url as string, init as RequestInit) });
  await models.get('parley-nano');
});
afterAll(async () => models[Symbol.asyncDispose]());

const hello = [{ role: 'user' as const, content: 'Hello! How are you?' }];

test('a chat completion, greedy, twice the same, with usage', async () => {
  const ask = () => client.chat.completions.create({ model: 'parley-nano', messages: hello, temperature: 0, max_tokens: 12 });
  const [first, second] = [await ask(), await ask()];
  conforms('CreateChatCompletionResponse', first);
  expect(first.choices[0]?.message).toMatchObject({ role: 'assistant', refusal: null });
  expect(first.choices[0]?.message.content).toBe(second.choices[0]?.message.content);
  expect(first.usage?.total_tokens).toBe((first.usage?.prompt_tokens ?? 0) + (first.usage?.completion_tokens ?? 0));
});

test('a stream says the role first, the reason last, its usage after that, and adds up to the answer that is not streamed', async () => {
  const request = { model: 'parley-nano', messages: hello, seed: 7, max_tokens: 16, temperature: 0.8 } as const;
  const whole = await client.chat.completions.create(request);
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })) chunks.push(chunk);
  for (const chunk of chunks) conforms('CreateChatCompletionStreamResponse', chunk);
  expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
  expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(whole.choices[0]?.message.content);
  expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe(whole.choices[0]?.finish_reason);
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: whole.usage?.completion_tokens } });
  const text = await (await raw('/v1/chat/completions', json({ ...request, stream: true }))).text();
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
});

test('n answers, log-probabilities with their runners-up, stop strings, biases', async () => {
  const answer = await client.chat.completions.create({ model: 'parley-nano', messages: hello, n: 3, seed: 1, max_tokens: 6, logprobs: true, top_logprobs: 4 });
  conforms('CreateChatCompletionResponse', answer);
  expect(answer.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
  for (const token of answer.choices[1]?.logprobs?.content ?? []) {
    expect(token.top_logprobs).toHaveLength(4);
    expect(token.logprob).toBeLessThanOrEqual(token.top_logprobs[0]?.logprob ?? 0);
    expect(Buffer.from(token.bytes ?? []).toString()).toBe(token.token);
  }
  const greedy = await client.chat.completions.create({ model: 'parley-nano', messages: hello, temperature: 0, max_tokens: 12, n: 2 });
  expect(greedy.choices[0]?.message.content).toBe(greedy.choices[1]?.message.content);
  const text = greedy.choices[0]?.message.content ?? '';
  const stop = text.slice(3, 6);
  const stopped = await client.chat.completions.create({ model: 'parley-nano', messages: hello, temperature: 0, max_tokens: 12, stop });
  expect(stopped.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: text.slice(0, text.indexOf(stop)) } });
});

test('completions take every form of prompt, echo, best_of, and the names and paths of older programs', async () => {
  const ask = { max_tokens: 5, temperature: 0 } as const;
  const one = await client.completions.create({ model: 'text-davinci-002', prompt: 'Once upon a time', ...ask, echo: true, n: 2 });
  conforms('CreateCompletionResponse', one);
  expect(one.model).toBe('parley-nano');
  expect(one.choices).toHaveLength(2);
  expect(one.choices[0]?.text.startsWith('Once upon a time')).toBe(true);
  const several = await client.completions.create({ model: 'parley-nano', prompt: ['The', 'A dog'], ...ask, logprobs: 2 });
  conforms('CreateCompletionResponse', several);
  expect(several.choices.map(({ index }) => index)).toEqual([0, 1]);
  const { tokens = [], text_offset: offsets = [], token_logprobs: values = [] } = several.choices[0]?.logprobs ?? {};
  expect([tokens.length, offsets.length, values.length]).toEqual([tokens.length, tokens.length, tokens.length]);
  expect(tokens.join('')).toBe(several.choices[0]?.text);
  // The token that was drawn is told with the likeliest, also where it is none of them.
  const drawn = (await client.completions.create({ model: 'parley-nano', prompt: 'The', max_tokens: 12, temperature: 2, seed: 1, logprobs: 1 })).choices[0]?.logprobs;
  expect(drawn?.top_logprobs?.map((top, i) => top[drawn.tokens?.[i] ?? ''])).toEqual(drawn?.token_logprobs);
  const sizes = drawn?.top_logprobs?.map((top) => Object.keys(top).length) ?? [];
  expect([Math.min(...sizes) >= 1, Math.max(...sizes)]).toEqual([true, 2]);
  const { tokenizer } = await models.get('parley-nano');
  const asTokens = await client.completions.create({ model: 'parley-nano', prompt: [tokenizer.encode('The'), tokenizer.encode('A dog')], ...ask });
  expect(asTokens.choices.map(({ text }) => text)).toEqual(several.choices.map(({ text }) => text));
  const best = await client.completions.create({ model: 'parley-nano', prompt: 'The', max_tokens: 5, best_of: 4, n: 1, seed: 3, temperature: 1 });
  expect(best.choices).toHaveLength(1);
  const old = await raw('/v1/engines/davinci/completions', json({ prompt: 'The', ...ask }));
  expect(await old.json()).toMatchObject({ object: 'text_completion', choices: [{ text: several.choices[0]?.text }] });
  let streamed = '';
  for await (const chunk of await client.completions.create({ model: 'parley-nano', prompt: 'The', ...ask, stream: true })) streamed += chunk.choices[0]?.text ?? '';
  expect(streamed).toBe(several.choices[0]?.text);
});

test('answers in JSON, and in JSON of a schema, streamed or not; a schema that cannot be held is refused', async () => {
  const schema = {
    type: 'object', additionalProperties: false, required: ['mood', 'score'],
    properties: { mood: { enum: ['good', 'bad'] }, score: { type: 'integer', minimum: 0, maximum: 10 } },
  };
  const ask = { model: 'parley-nano', messages: hello, temperature: 0, max_tokens: 60 } as const;
  const format = { type: 'json_schema', json_schema: { name: 'mood', strict: true, schema } } as const;
  const answer = await client.chat.completions.create({ ...ask, response_format: format });
  const value = JSON.parse(answer.choices[0]?.message.content ?? '') as unknown;
  expect(new Ajv().compile(schema)(value), JSON.stringify(value)).toBe(true);
  let streamed = '';
  for await (const chunk of await client.chat.completions.create({ ...ask, response_format: format, stream: true })) streamed += chunk.choices[0]?.delta.content ?? '';
  expect(streamed).toBe(answer.choices[0]?.message.content);
  const bad = { ...format, json_schema: { ...format.json_schema, schema: { not: {} } } };
  await expect(client.chat.completions.create({ ...ask, response_format: bad })).rejects.toMatchObject({ status: 400, param: 'response_format' });
});

test('embeddings: vectors of length 1, as numbers and as base64, of texts and of tokens', async () => {
  const one = await client.embeddings.create({ model: 'parley-nano', input: ['Good morning!', 'The cat sat.'], encoding_format: 'float' });
  conforms('CreateEmbeddingResponse', one);
  for (const { embedding } of one.data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
  const { tokenizer } = await models.get('parley-nano');
  const tokens = await client.embeddings.create({ model: 'parley-nano', input: tokenizer.encode('The cat sat.'), encoding_format: 'float' });
  expect(tokens.data[0]?.embedding).toEqual(one.data[1]?.embedding);
  // The client asks for base64 where nobody says otherwise, and decodes it.
  const packed = await client.embeddings.create({ model: 'parley-nano', input: 'Good morning!' });
  const [numbers = [], same = []] = [packed.data[0]?.embedding, one.data[0]?.embedding];
  for (const [i, number] of numbers.entries()) expect(number).toBeCloseTo(same[i] ?? NaN, 6);
});

test('16 at once give what each gives alone, and the second turn of a chat is not read from the beginning', async () => {
  const ask = (seed: number) => client.chat.completions.create({ model: 'parley-nano', messages: hello, seed, max_tokens: 12, temperature: 1 });
  const together = await Promise.all(Array.from({ length: 16 }, (_, seed) => ask(seed)));
  for (const seed of [0, 7, 15]) expect((await ask(seed)).choices[0]?.message.content).toBe(together[seed]?.choices[0]?.message.content);
  const second = await client.chat.completions.create({
    model: 'parley-nano', max_tokens: 2, messages: [...hello, { role: 'assistant', content: together[3]?.choices[0]?.message.content ?? '' }, { role: 'user', content: 'Why?' }],
  });
  expect(second.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(8);
  const metrics = await (await raw('/metrics')).text();
  expect(metrics).toMatch(/^vllm:num_requests_running\{model_name="parley-nano"\} 0$/m);
  expect(Number(/^vllm:generation_tokens_total\{.*\} (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(16 * 2);
});

test('models are listed and looked up; names configured and older ones stand for them', async () => {
  const list = await client.models.list();
  conforms('ListModelsResponse', { object: list.object, data: list.data });
  expect(list.data.map(({ id }) => id)).toContain('parley-nano');
  expect(await client.models.retrieve('parley-nano')).toMatchObject({ id: 'parley-nano', object: 'model' });
  const aliased = await client.chat.completions.create({ model: 'gpt-4o-mini', messages: hello, max_tokens: 1 });
  expect(aliased.model).toBe('parley-nano');
});

const json = (body: unknown): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body) });

test.each([
  ['an unknown model', '/v1/chat/completions', { model: 'gpt-9', messages: hello }, 404, 'model', 'model_not_found'],
  ['an unknown parameter', '/v1/chat/completions', { model: 'parley-nano', messages: hello, temprature: 1 }, 400, 'temprature', 'unknown_parameter'],
  ['a missing parameter', '/v1/chat/completions', { model: 'parley-nano' }, 400, 'messages', 'missing_required_parameter'],
  ['a value out of range', '/v1/chat/completions', { model: 'parley-nano', messages: hello, temperature: 3 }, 400, 'temperature', 'invalid_value'],
  ['a part that is no text', '/v1/chat/completions', { model: 'parley-nano', messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] }, 400, 'messages.0.content.0.type', 'invalid_value'],
  ['too long a prompt', '/v1/chat/completions', { model: 'parley-nano', messages: [{ role: 'user', content: 'word '.repeat(900) }] }, 400, 'messages', 'context_length_exceeded'],
  ['too long a prompt of a stream', '/v1/chat/completions', { model: 'parley-nano', stream: true, messages: [{ role: 'user', content: 'word '.repeat(900) }] }, 400, 'messages', 'context_length_exceeded'],
  ['a custom tool', '/v1/chat/completions', { model: 'parley-nano', messages: hello, tools: [{ type: 'custom', custom: { name: 'f' } }] }, 400, 'tools.0.type', 'invalid_value'],
  ['functions of the older form', '/v1/chat/completions', { model: 'parley-nano', messages: hello, functions: [{ name: 'f' }] }, 400, 'functions', 'invalid_value'],
  ['a suffix', '/v1/completions', { model: 'parley-nano', prompt: 'a', suffix: 'b' }, 400, 'suffix', 'invalid_value'],
  ['best_of below n', '/v1/completions', { model: 'parley-nano', prompt: 'a', best_of: 1, n: 2 }, 400, 'best_of', 'invalid_value'],
  ['too long a text', '/v1/completions', { model: 'parley-nano', prompt: 'word '.repeat(900) }, 400, 'prompt', 'context_length_exceeded'],
  ['too long a text to embed', '/v1/embeddings', { model: 'parley-nano', input: 'word '.repeat(900) }, 400, 'input', 'context_length_exceeded'],
  ['a token that is none, echoed', '/v1/completions', { model: 'parley-nano', prompt: [1e9], echo: true }, 400, 'prompt', 'invalid_value'],
  ['a token that is none', '/v1/completions', { model: 'parley-nano', prompt: [1e9] }, 400, null, null],
  ['a token that is none, to embed', '/v1/embeddings', { model: 'parley-nano', input: [1e9] }, 400, null, null],
  ['no JSON', '/v1/chat/completions', '{"model": ', 400, null, null],
  ['a list', '/v1/completions', '[]', 400, null, null],
] as const)('%s is an error in all four fields', async (_, path, body, status, param, code) => {
  const response = await raw(path, json(body));
  const answer = (await response.json()) as { error: Record<string, unknown> };
  conforms('ErrorResponse', answer);
  expect([response.status, answer.error['param'], answer.error['code']]).toEqual([status, param, code]);
  expect(Object.keys(answer.error).toSorted()).toEqual(['code', 'message', 'param', 'type']);
  expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
});

test.each([
  [{ temperature: 3 }, "'temperature' is 3: has to be at most 2"], [{ n: 0 }, "'n' is 0: has to be at least 1"], [{ messages: [] }, "'messages' is []: has to be at least 1 entry"],
  [{ messages: 'Hi' }, `'messages' is "Hi": has to be a list`], [{ seed: 0.5 }, "'seed' is 0.5: has to be a whole number"], [{ top_p: 0 }, "'top_p' is 0: has to be above 0"],
  [{ stream: 'yes' }, `'stream' is "yes": has to be true or false`],
  [{ messages: [{ role: 'user', content: 'word '.repeat(900) }] }, "This model's maximum context length is 512 tokens, but your prompt has 912 tokens. Shorten it."],
  [{ max_tokens: 600 }, "but your prompt and your max_tokens come to"],
])('%o is refused in plain words', async (wrong, message) => {
  const response = await raw('/v1/chat/completions', json({ model: 'parley-nano', messages: hello, ...wrong }));
  expect([response.status, ((await response.json()) as { error: { message: string } }).error.message]).toEqual([400, expect.stringContaining(message)]);
});

/** An answer that does not end before it has to. */
const endless = async (): Promise<Record<string, number>> => Object.fromEntries([...(await models.get('parley-nano')).tokenizer.specialTokens.values()].map((token) => [token, -100]));

test('who finds the queue full is told when to come again, by a status, streamed or not', async () => {
  await using small = new Models({ models: ['parley-nano'], open: { threads: 1, batching: { maxBatch: 1, queueLimit: 0 } } });
  const app = createApp({ models: small });
  const own = new OpenAI({ apiKey: 'none', baseURL: 'http://127.0.0.1/v1', maxRetries: 0, fetch: async (url, init) => app.request(url as string, init as RequestInit) });
  const running = await own.chat.completions.create({ model: 'parley-nano', messages: hello, stream: true, max_tokens: 400, temperature: 2, logit_bias: await endless() });
  await running[Symbol.asyncIterator]().next();
  for (const stream of [false, true]) {
    const refused: readonly (() => Promise<unknown>)[] = [
      async () => await own.chat.completions.create({ model: 'parley-nano', messages: hello, stream }),
      async () => await own.completions.create({ model: 'parley-nano', prompt: 'The', stream }),
      async () => await own.responses.create({ model: 'parley-nano', input: 'Hello!', stream, store: false }),
    ];
    for (const ask of refused) {
      const error: unknown = await ask().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(RateLimitError);
      expect(error).toMatchObject({ code: 'server_overloaded', type: 'rate_limit_error' });
      expect((error as APIError).headers?.get('retry-after')).toMatch(/^[1-9]\d*$/);
    }
  }
  running.controller.abort();
});

test('the client raises its own classes of errors, unknown routes too', async () => {
  await expect(client.chat.completions.create({ model: 'none', messages: hello })).rejects.toBeInstanceOf(NotFoundError);
  await expect(client.completions.create({ model: 'parley-nano', prompt: 'x', top_p: 2 })).rejects.toBeInstanceOf(BadRequestError);
  await expect(client.get('/nowhere')).rejects.toBeInstanceOf(APIError);
  expect(await (await raw('/v1/nowhere')).json()).toMatchObject({ error: { code: 'unknown_url' } });
  expect((await raw('/v1/completions', { method: 'POST', body: '{}', headers: { 'content-type': 'text/plain' } })).status).toBe(415);
  expect((await raw('/v1/completions', json({ model: 'parley-nano', prompt: 'x'.repeat(1 << 20) }))).status).toBe(413);
});

test('on a socket: health, a stream that is left, a name that is not the server\'s, and an end', async () => {
  const server: Server = await serve({ models: ['parley-nano'], port: 0, open: { threads: 1 } });
  expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: 'ok' });
  const own = new OpenAI({ apiKey: 'none', baseURL: `${server.url}/v1`, maxRetries: 0 });
  const stream = await own.chat.completions.create({ model: 'parley-nano', messages: hello, stream: true, max_tokens: 400, temperature: 1 });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  // The place is free again: another is answered.
  expect((await own.chat.completions.create({ model: 'parley-nano', messages: hello, max_tokens: 2 })).choices).toHaveLength(1);
  const status = await new Promise((done, fail) => {
    httpRequest(`${server.url}/v1/models`, { headers: { host: 'evil.example' } }, (response) => done(response.resume().statusCode)).on('error', fail).end();
  });
  expect(status).toBe(403);
  await server.close();
  await expect(fetch(`${server.url}/health`)).rejects.toThrow('fetch failed');
  await expect(serve({ models: ['parley-nano'], host: '0.0.0.0' })).rejects.toThrow('others can reach it');
});
