/** The Responses API, driven by the official client; every answer and every event is held to OpenAI's own specification. */
import { Ajv } from 'ajv';
import OpenAI from 'openai';
import type { Response, ResponseFunctionToolCall, ResponseInput, ResponseStreamEvent } from 'openai/resources/responses/responses';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '../app.ts';
import { Models } from '../models.ts';
import { openStore } from '../store/open.ts';
import { tinyModel } from '../testing/forms.ts';
import { conforms } from '../testing/specification.ts';

const kept = new AsyncDisposableStack();
let client: OpenAI;
let forgetful: OpenAI;
let raw: (path: string, init?: RequestInit) => Promise<globalThis.Response>;
beforeAll(async () => {
  const { folder } = kept.use(await tinyModel('chatml'));
  const models = kept.use(new Models({ models: [folder], aliases: { tiny: folder }, open: { threads: 1 } }));
  const store = kept.use(await openStore('memory:'));
  const clientOf = (app: ReturnType<typeof createApp>): OpenAI =>
    new OpenAI({ apiKey: 'none', baseURL: 'http://127.0.0.1/v1', maxRetries: 0, fetch: async (url, init) => app.request(url as string, init as RequestInit) });
  const app = createApp({ models, store });
  raw = async (path, init) => app.request(`http://127.0.0.1${path}`, init);
  client = clientOf(app);
  forgetful = clientOf(createApp({ models }));
});
afterAll(async () => kept.disposeAsync());

const ask = { model: 'tiny', input: 'Hello! How are you?', max_output_tokens: 16, temperature: 1, seed: 1 };
const parameters = { type: 'object', properties: { city: { enum: ['Köln', '北京'] }, days: { type: 'integer', minimum: 1, maximum: 14 } }, required: ['city', 'days'], additionalProperties: false };
const weather = { type: 'function', name: 'get_weather', description: 'Weather of a city.', parameters, strict: true } as const;
const validate = new Ajv().compile(parameters);

function callsOf({ output }: Response): ResponseFunctionToolCall[] {
  const calls = output.filter((item) => item.type === 'function_call');
  for (const call of calls) {
    expect(call.call_id).toMatch(/^call_[0-9a-f]{32}$/);
    expect(validate(JSON.parse(call.arguments)), call.arguments).toBe(true);
  }
  return calls;
}

async function eventsOf(params: object): Promise<ResponseStreamEvent[]> {
  const events: ResponseStreamEvent[] = [];
  for await (const event of await client.responses.create({ ...ask, ...params, stream: true })) events.push(event);
  for (const event of events) conforms('ResponseStreamEvent', event);
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, i) => i));
  return events;
}
const last = (events: readonly ResponseStreamEvent[]): Response => (events.at(-1) as unknown as { response: Response }).response;
/** What does not change from one answer to the same question to the next. */
const lasting = ({ output }: Response): unknown => output.map((item) => (item.type === 'message' ? item.content : item.type === 'function_call' ? [item.name, item.arguments] : item));

test('a text in, a text out, with what was asked and what it cost', async () => {
  const response = await client.responses.create({ ...ask, instructions: 'Be brief.', metadata: { purpose: 'test' } });
  const { output_text: text, ...wire } = response;
  conforms('Response', wire);
  expect(response).toMatchObject({
    object: 'response', status: expect.stringMatching(/^(completed|incomplete)$/) as string, instructions: 'Be brief.', metadata: { purpose: 'test' }, store: true, error: null,
    temperature: 1, top_p: 1, max_output_tokens: 16, truncation: 'disabled', tools: [], tool_choice: 'auto', previous_response_id: null, text: { format: { type: 'text' } },
  });
  expect(text).toBe((await client.responses.create({ ...ask, instructions: 'Be brief.' })).output_text);
  expect(response.usage?.total_tokens).toBe((response.usage?.input_tokens ?? 0) + (response.usage?.output_tokens ?? 0));
  const cut = await client.responses.create({ ...ask, max_output_tokens: 1 });
  expect(cut).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, output: [{ type: 'message', status: 'incomplete' }] });
  const asItems = await client.responses.create({ ...ask, input: [{ role: 'user', content: [{ type: 'input_text', text: ask.input }] }] });
  expect(asItems.output_text).toBe((await client.responses.create(ask)).output_text);
});

test('a stream is the whole sequence of events, numbered, and ends with the response that is not streamed', async () => {
  const events = await eventsOf({ include: ['message.output_text.logprobs'], top_logprobs: 2 });
  const types = events.map(({ type }) => type);
  expect(types.filter((type, i) => type !== types[i - 1])).toEqual([
    'response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added', 'response.output_text.delta', 'response.output_text.done',
    'response.content_part.done', 'response.output_item.done', types.at(-1),
  ]);
  const whole = await client.responses.create({ ...ask, include: ['message.output_text.logprobs'], top_logprobs: 2 });
  expect(types.at(-1)).toBe(`response.${whole.status}`);
  expect(lasting(last(events))).toEqual(lasting(whole));
  const deltas = events.filter((event) => event.type === 'response.output_text.delta');
  expect(deltas.map(({ delta }) => delta).join('')).toBe(whole.output_text);
  const [message] = whole.output;
  expect(message?.type === 'message' && message.content[0]?.type === 'output_text' && message.content[0].logprobs?.length).toBe(whole.usage?.output_tokens);
  const text = await (await raw('/v1/responses', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...ask, stream: true }) })).text();
  expect(text).toMatch(/^event: response\.created\ndata: \{"type":"response\.created"/);
  expect(text).not.toContain('[DONE]');
  const helped = client.responses.stream({ ...ask, input: 'Hello! How are you?' });
  let said = '';
  helped.on('response.output_text.delta', ({ delta }) => (said += delta));
  expect((await helped.finalResponse()).output_text).toBe(said);
});

test('functions: required, streamed with their arguments, answered, and gone on from', async () => {
  const request = { ...ask, tools: [weather], tool_choice: 'required' as const, max_output_tokens: 600 };
  const first = await client.responses.create(request);
  const { output_text: _, ...wire } = first;
  conforms('Response', wire);
  const calls = callsOf(first);
  expect(calls.length).toBeGreaterThan(0);
  const events = await eventsOf({ tools: [weather], tool_choice: { type: 'function', name: 'get_weather' }, parallel_tool_calls: false, max_output_tokens: 200 });
  const types = events.map(({ type }) => type);
  expect(types.filter((type, i) => type !== types[i - 1])).toEqual([
    'response.created', 'response.in_progress', 'response.output_item.added', 'response.function_call_arguments.delta', 'response.function_call_arguments.done',
    'response.output_item.done', 'response.completed',
  ]);
  const [call] = callsOf(last(events));
  expect(events.filter((event) => event.type === 'response.function_call_arguments.delta').map(({ delta }) => delta).join('')).toBe(call?.arguments);
  const results = calls.map(({ call_id }) => ({ type: 'function_call_output' as const, call_id, output: 'sunny' }));
  const second = await client.responses.create({ ...ask, previous_response_id: first.id, input: results });
  const byHand = await client.responses.create({ ...ask, input: [{ role: 'user', content: ask.input }, ...first.output, ...results] as ResponseInput });
  expect(second.output_text).toBe(byHand.output_text);
  expect(second.usage?.input_tokens).toBe(byHand.usage?.input_tokens);
  const auto = await client.responses.create({ ...ask, tools: [weather], max_output_tokens: 600 });
  callsOf(auto);
  const none = await client.responses.create({ ...ask, tools: [weather], tool_choice: 'none' });
  expect(none.output_text).toBe((await client.responses.create(ask)).output_text);
});

test('JSON, and JSON of a schema, held while it is written', async () => {
  const schema = { type: 'object', properties: { mood: { enum: ['good', 'bad'] } }, required: ['mood'], additionalProperties: false };
  const response = await client.responses.create({ ...ask, max_output_tokens: 60, text: { format: { type: 'json_schema', name: 'mood', schema, strict: true } } });
  expect(new Ajv().compile(schema)(JSON.parse(response.output_text)), response.output_text).toBe(true);
  expect(response.text?.format).toMatchObject({ type: 'json_schema', name: 'mood' });
  const parsed = await client.responses.parse({ ...ask, max_output_tokens: 60, text: { format: { type: 'json_schema', name: 'mood', schema, strict: true } } });
  expect(parsed.output_parsed).toEqual(JSON.parse(parsed.output_text));
});

test('what was kept is found, listed, gone on from and deleted; what was not is not', async () => {
  const first = await client.responses.create({ ...ask, input: [{ role: 'developer', content: 'Be kind.' }, { role: 'user', content: 'Hi' }] });
  const { output_text: _, ...wire } = await client.responses.retrieve(first.id);
  conforms('Response', wire);
  expect(wire.output).toEqual(first.output);
  const items = await client.responses.inputItems.list(first.id, { order: 'asc' });
  expect(items.data).toMatchObject([{ role: 'developer', content: [{ type: 'input_text', text: 'Be kind.' }] }, { role: 'user' }]);
  conforms('ResponseItemList', await (await raw(`/v1/responses/${first.id}/input_items?limit=1`)).json());
  expect(await (await raw(`/v1/responses/${first.id}/input_items?limit=1`)).json()).toMatchObject({ has_more: true, data: [{ role: 'user' }] });
  const second = await client.responses.create({ ...ask, previous_response_id: first.id, input: 'And you?' });
  const third = await client.responses.create({ ...ask, previous_response_id: second.id, input: 'Why?' });
  expect(third.usage?.input_tokens).toBeGreaterThan(second.usage?.input_tokens ?? Infinity);
  await expect(client.responses.cancel(first.id)).rejects.toMatchObject({ status: 400, param: 'response_id' });
  await client.responses.delete(second.id);
  await expect(client.responses.retrieve(second.id)).rejects.toMatchObject({ status: 404, code: 'response_not_found' });
  await expect(client.responses.create({ ...ask, previous_response_id: third.id })).rejects.toMatchObject({ status: 400, param: 'previous_response_id', code: 'previous_response_not_found' });
  const loose = await client.responses.create({ ...ask, store: false });
  expect(loose).toMatchObject({ store: false });
  await expect(client.responses.retrieve(loose.id)).rejects.toMatchObject({ status: 404 });
});

test('a server that keeps nothing answers all the same, and says what it cannot do', async () => {
  expect(await forgetful.responses.create(ask)).toMatchObject({ store: false });
  await expect(forgetful.responses.create({ ...ask, store: true })).rejects.toMatchObject({ status: 400, param: 'store' });
  await expect(forgetful.responses.create({ ...ask, previous_response_id: 'resp_1' })).rejects.toMatchObject({ status: 400, param: 'previous_response_id', message: expect.stringContaining('keeps nothing') as string });
  await expect(forgetful.responses.retrieve('resp_1')).rejects.toMatchObject({ status: 404 });
});

test('truncation: an error names both numbers; auto leaves out the oldest turns', async () => {
  const turns = Array.from({ length: 60 }, (_, i) => ({ role: i % 2 === 0 ? 'user' as const : 'assistant' as const, content: `turn ${i} `.repeat(20) }));
  const long = { ...ask, input: [...turns, { role: 'user' as const, content: 'Well?' }] };
  await expect(client.responses.create(long)).rejects.toMatchObject({ status: 400, param: 'input', code: 'context_length_exceeded', message: expect.stringContaining('2048') as string });
  await expect(eventsOf({ input: long.input })).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
  const cut = await client.responses.create({ ...long, truncation: 'auto' });
  expect(cut.usage?.input_tokens).toBeLessThanOrEqual(2048 - 16);
});

test.each([
  ['reasoning', { reasoning: { effort: 'low' } }, 'reasoning'],
  ['the background', { background: true }, 'background'],
  ['OpenAI\'s own tools', { tools: [{ type: 'web_search' }] }, 'tools.0.type'],
  ['images', { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'x', detail: 'auto' }] }] }, 'input.0.content.0.type'],
  ['items of reasoning', { input: [{ type: 'reasoning', id: 'x', summary: [] }] }, 'input.0.type'],
  ['references', { input: [{ type: 'item_reference', id: 'x' }] }, 'input.0.type'],
  ['conversations', { conversation: 'conv_1' }, 'conversation'],
  ['prompts', { prompt: { id: 'x' } }, 'prompt'],
  ['an output of no call', { input: [{ type: 'function_call_output', call_id: 'x', output: '1' }] }, 'input.0.call_id'],
  ['what else could be included', { include: ['reasoning.encrypted_content'] }, 'include.0'],
  ['a schema that cannot be held', { text: { format: { type: 'json_schema', name: 'x', schema: { not: {} } } } }, 'text.format'],
  ['a parameter that nobody knows', { max_tokens: 3 }, 'max_tokens'],
] as const)('%s: refused by name', async (_, change, param) => {
  const response = await raw('/v1/responses', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...ask, ...change }) });
  const body = (await response.json()) as { error: { param: string } };
  conforms('ErrorResponse', body);
  expect([response.status, body.error.param], JSON.stringify(body)).toEqual([400, param]);
});
