/** Another endpoint as a model: one Parley in front of a second one, with the official client, and of servers that misbehave. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { APIError } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '../app.ts';
import { Models } from '../models.ts';
import { type Server, serve } from '../serve.ts';
import { EventReader } from './events.ts';
import { providersFromFlags, resolveProvider } from './settings.ts';

const KEY = 'sk-the-upstream-key-0123456789';
const hello = [{ role: 'user' as const, content: 'Hello! How are you?' }];

/** A server that does what it is told, and what it saw. */
class Upstream {
  readonly server: HttpServer = createServer((request, response) => void this.#answer(request, response));
  readonly seen: { path: string; authorization: string | undefined; body: Record<string, unknown> }[] = [];
  behave: (response: ServerResponse, request: IncomingMessage) => void | Promise<void> = (response) => void response.end('{}');

  async start(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const piece of request.setEncoding('utf8')) text += piece as string;
    this.seen.push({ path: request.url ?? '', authorization: request.headers.authorization, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) });
    await this.behave(response, request);
  }
}

let second: Server;
let models: Models;
const fake = new Upstream();
const faults: unknown[] = [];
let front: { url: string; close(): Promise<void> };
let client: OpenAI;

beforeAll(async () => {
  second = await serve({ models: ['parley-nano'], port: 0, open: { threads: 1 } });
  const fakeUrl = await fake.start();
  // A port that nobody listens on: one that was just given back.
  const gone = new Upstream();
  const goneUrl = await gone.start();
  gone.server.close();
  const keyFile = join(tmpdir(), `parley-key-${process.pid}`);
  await writeFile(keyFile, `${KEY}\n`);
  models = new Models({
    models: ['second/parley-nano'], aliases: { 'gpt-4o-mini': 'second/parley-nano' },
    providers: [
      { name: 'second', baseUrl: `${second.url}/v1/` },
      { name: 'fake', baseUrl: fakeUrl, keyFile, timeoutMs: 400, models: { one: 'upstream-one' } },
      { name: 'gone', baseUrl: goneUrl, retries: 1 },
    ],
  });
  const { getRequestListener } = await import('@hono/node-server');
  const listener = getRequestListener(createApp({ models, onFault: (fault) => faults.push(fault) }).fetch);
  const server = createServer((request, response) => void listener(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  front = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  } };
  client = new OpenAI({ apiKey: 'none', baseURL: `${front.url}/v1`, maxRetries: 0 });
});
afterAll(async () => {
  await front.close();
  fake.server.closeAllConnections();
  fake.server.close();
  await models[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

const events = (response: ServerResponse): void => void response.writeHead(200, { 'content-type': 'text/event-stream' });
const chunk = (content: string): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'upstream-one', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;

test('chat, streamed and not, completions and embeddings are what the second server says, under the names of this one', async () => {
  const direct = new OpenAI({ apiKey: 'none', baseURL: `${second.url}/v1`, maxRetries: 0 });
  const ask = { messages: hello, seed: 3, max_tokens: 12, temperature: 0.9 } as const;
  const there = await direct.chat.completions.create({ model: 'parley-nano', ...ask });
  for (const name of ['second/parley-nano', 'gpt-4o-mini', 'default']) {
    const here = await client.chat.completions.create({ model: name, ...ask });
    expect(here.choices).toEqual(there.choices);
    expect(here.model).toBe('second/parley-nano');
  }
  const told = [];
  for await (const each of await client.chat.completions.create({ model: 'second/parley-nano', ...ask, stream: true })) told.push(each);
  expect(told.map((each) => each.choices[0]?.delta.content ?? '').join('')).toBe(there.choices[0]?.message.content);
  expect(told.every((each) => each.choices.length === 1 && !('usage' in each) && each.model === 'second/parley-nano')).toBe(true);
  const counted = [];
  for await (const each of await client.chat.completions.create({ model: 'second/parley-nano', ...ask, stream: true, stream_options: { include_usage: true } })) counted.push(each);
  expect(counted.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: there.usage?.completion_tokens } });
  const completion = { prompt: 'Once upon a time', max_tokens: 5, temperature: 0 } as const;
  expect((await client.completions.create({ model: 'second/parley-nano', ...completion })).choices).toEqual((await direct.completions.create({ model: 'parley-nano', ...completion })).choices);
  const vector = { input: 'Good morning!', encoding_format: 'float' } as const;
  expect((await client.embeddings.create({ model: 'second/parley-nano', ...vector })).data).toEqual((await direct.embeddings.create({ model: 'parley-nano', ...vector })).data);
});

test('models of providers are listed: what they list themselves, or what is configured; one that is away has none', async () => {
  const ids = (await client.models.list()).data.map(({ id, owned_by: owner }) => [id, owner]);
  expect(ids).toContainEqual(['second/parley-nano', 'second']);
  expect(ids).toContainEqual(['fake/one', 'fake']);
  expect(ids.filter(([id]) => id?.startsWith('gone/'))).toEqual([]);
  expect(await client.models.retrieve('fake/one')).toMatchObject({ id: 'fake/one', owned_by: 'fake' });
  await expect(client.chat.completions.create({ model: 'fake/other', messages: hello })).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
});

test('errors of the other server keep their status and fields, and name it', async () => {
  await expect(client.chat.completions.create({ model: 'second/parley-nano', messages: hello, temperature: 3 })).rejects.toMatchObject({
    status: 400, param: 'temperature', code: 'invalid_value', message: expect.stringMatching(/^400 The provider 'second' says: 'temperature' is 3/) as string,
  });
  await expect(client.chat.completions.create({ model: 'second/none', messages: hello, stream: true })).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  fake.behave = (response) => void response.writeHead(429, { 'retry-after': '7' }).end('{"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"}}');
  const busy = await client.chat.completions.create({ model: 'fake/one', messages: hello }).then(() => null, (error: unknown) => error as APIError);
  expect(busy).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
  expect(busy?.headers?.get('retry-after')).toBe('7');
  for (const [status, expected] of [[500, 502], [302, 502], [503, 502]] as const) {
    fake.behave = (response) => void response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end('no json');
    await expect(client.chat.completions.create({ model: 'fake/one', messages: hello })).rejects.toMatchObject({ status: expected, code: 'provider_failed', type: 'server_error' });
  }
  fake.behave = (response) => void response.end('[1, 2');
  await expect(client.chat.completions.create({ model: 'fake/one', messages: hello })).rejects.toMatchObject({ status: 502, code: 'provider_failed' });
});

test('the key goes to the provider and nowhere else', async () => {
  faults.length = 0;
  fake.behave = (response) => void response.writeHead(401).end(`{"error": {"message": "Incorrect API key provided: ${KEY}"}}`);
  const refused = await client.chat.completions.create({ model: 'fake/one', messages: hello }).then(() => null, (error: unknown) => error as APIError);
  expect(fake.seen.at(-1)).toMatchObject({ path: '/v1/chat/completions', authorization: `Bearer ${KEY}`, body: { model: 'upstream-one' } });
  expect(refused).toMatchObject({ status: 502, code: 'provider_refused_key' });
  fake.behave = (response) => void response.writeHead(400).end(`{"error": {"message": "what is ${KEY}?"}}`);
  const echoed = await client.chat.completions.create({ model: 'fake/one', messages: hello }).then(() => null, (error: unknown) => error as APIError);
  expect(echoed).toMatchObject({ status: 400 });
  const { inspect } = await import('node:util');
  for (const told of [refused, echoed, faults]) expect(inspect(told, { depth: 12, showHidden: true })).not.toContain(KEY);
  expect(JSON.stringify(models)).not.toContain(KEY);
  const own = await fetch(`${front.url}/v1/chat/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer the-callers-own' }, body: JSON.stringify({ model: 'fake/one', messages: hello }),
  });
  await own.text();
  expect(fake.seen.at(-1)?.authorization).toBe(`Bearer ${KEY}`);
});

test('a server that is not there is tried again and then a 502; one that is silent is a 504; what was sent is not sent twice', async () => {
  await expect(client.chat.completions.create({ model: 'gone/x', messages: hello })).rejects.toMatchObject({ status: 502, code: 'provider_unreachable' });
  fake.behave = () => {};
  await expect(client.chat.completions.create({ model: 'fake/one', messages: hello })).rejects.toMatchObject({ status: 504, code: 'provider_timeout' });
  const before = fake.seen.length;
  fake.behave = (response) => void response.destroy();
  await expect(client.chat.completions.create({ model: 'fake/one', messages: hello })).rejects.toMatchObject({ status: 502, code: 'provider_cut_off' });
  expect(fake.seen.length).toBe(before + 1);
});

test('a server that comes late is reached by the second try', async () => {
  const late = new Upstream();
  const url = await late.start();
  const { port } = late.server.address() as AddressInfo;
  late.server.close();
  await once(late.server, 'close');
  await using own = new Models({ models: ['late/x'], providers: [{ name: 'late', baseUrl: url, retries: 4 }] });
  const answer = createApp({ models: own }).request('http://127.0.0.1/v1/chat/completions', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'late/x', messages: hello }),
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  late.behave = (response) => void response.end('{"model": "x", "choices": []}');
  late.server.listen(port, '127.0.0.1');
  expect(await (await answer).json()).toEqual({ model: 'late/x', choices: [] });
  late.server.closeAllConnections();
  late.server.close();
});

test('a client that leaves in the middle of a stream ends the request at the provider', async () => {
  const left = Promise.withResolvers<void>();
  fake.behave = (response) => {
    events(response);
    response.write(chunk('one'));
    response.on('close', () => left.resolve());
  };
  const stream = await client.chat.completions.create({ model: 'fake/one', messages: hello, stream: true });
  for await (const each of stream) if (each.choices[0]?.delta.content === 'one') break;
  await left.promise;
  // And at a second Parley: the place in the batch is free again.
  const long = await client.chat.completions.create({ model: 'second/parley-nano', messages: hello, stream: true, max_tokens: 450, temperature: 1, seed: 1, logit_bias: { 8191: -100, 8189: -100 } });
  for await (const each of long) if (each.choices[0]?.delta.content) break;
  let metrics = '';
  do metrics = await (await fetch(`${second.url}/metrics`)).text();
  while (!metrics.includes('parley:requests_aborted_total{model_name="parley-nano"} 1'));
  expect(metrics).toContain('vllm:num_requests_running{model_name="parley-nano"} 0');
});

test('a provider that dies, falls silent or fails in the middle of a stream is an error that the client raises, after what came', async () => {
  const ends: [(response: ServerResponse) => void, string][] = [
    [(response) => void response.destroy(), 'provider_cut_off'],
    [(response) => void response.end(), 'provider_cut_off'],
    [() => {}, 'provider_timeout'],
    [(response) => void response.write('data: {"error": {"message": "out of memory", "code": "oom"}}\n\n'), 'oom'],
    [(response) => void response.write('data: <html>\n\n'), 'provider_failed'],
  ];
  for (const [end, code] of ends) {
    fake.behave = (response) => {
      events(response);
      response.write(chunk('one'), () => setTimeout(() => end(response), 20));
    };
    let text = '';
    const failed = await (async () => {
      for await (const each of await client.chat.completions.create({ model: 'fake/one', messages: hello, stream: true })) text += each.choices[0]?.delta.content ?? '';
      return null;
    })().catch((error: unknown) => error);
    expect([text, failed]).toEqual(['one', expect.any(APIError)]);
    expect(failed).toMatchObject({ code, message: expect.stringContaining("The provider 'fake'") as string });
  }
});

test('a reader who is slow slows the provider: of 64 MB it cannot get rid of most', async () => {
  const piece = chunk('x'.repeat(64 << 10));
  let written = 0;
  fake.behave = async (response) => {
    events(response.setMaxListeners(0));
    for (let i = 0; i < 1024 && !response.destroyed; i++) {
      const room = response.write(piece);
      written++;
      if (!room) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
  };
  const response = await fetch(`${front.url}/v1/chat/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'fake/one', messages: hello, stream: true }),
  });
  const reader = response.body?.getReader();
  await reader?.read();
  // Steady when nothing more was written for a while.
  for (let last = -1; last !== written;) {
    last = written;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(written).toBeLessThan(512);
  await reader?.cancel();
});

test('settings: flags, keys by variable and file, and what is refused', () => {
  const [config] = providersFromFlags(['lab=https://lab.example/v1/'], ['lab=env:LAB']);
  expect(resolveProvider(config, { LAB: ' k-1 ' })).toMatchObject({ name: 'lab', baseUrl: 'https://lab.example/v1', key: 'k-1', retries: 2 });
  expect(resolveProvider({ name: 'open-ai', baseUrl: 'https://x.example/v1' }, { OPEN_AI_API_KEY: 'k-2' }).key).toBe('k-2');
  expect(resolveProvider({ name: 'lab', baseUrl: 'http://10.0.0.1/v1' }, {}).key).toBeNull();
  const refused: [unknown, RegExp][] = [
    [{ name: 'lab', baseUrl: 'http://10.0.0.1/v1', keyEnv: 'LAB' }, /readable to all/],
    [{ name: 'lab', baseUrl: 'https://me:secret@lab.example/v1' }, /has a password in it/],
    [{ name: 'lab', baseUrl: 'https://lab.example/v1?x=1' }, /goes on after its path/],
    [{ name: 'lab', baseUrl: 'ftp://lab.example' }, /has to be an address/],
    [{ name: 'a/b', baseUrl: 'https://lab.example' }, /a name has letters/],
    [{ name: 'lab', baseUrl: 'https://lab.example', keyEnv: 'NONE' }, /NONE, which should hold its key, is empty/],
    [{ name: 'lab', baseUrl: 'https://lab.example', keyFile: '/nowhere/key' }, /cannot be read/],
    [{ name: 'lab', baseUrl: 'https://lab.example', key: 'sk-1' }, /Unrecognized key/],
  ];
  for (const [settings, message] of refused) expect(() => resolveProvider(settings, { LAB: 'k' })).toThrow(message);
  expect(() => providersFromFlags(['lab'])).toThrow('write it as name=https://…/v1');
  expect(() => providersFromFlags(['lab=https://x.example'], ['lab=sk-secret'])).toThrow(expect.objectContaining({ message: expect.not.stringContaining('sk-secret') as string }) as Error);
  expect(() => providersFromFlags([], ['lab=env:X'])).toThrow('which is no provider');
  expect(() => new Models({ models: ['x'], providers: [{ name: 'a', baseUrl: 'https://x.example' }, { name: 'a', baseUrl: 'https://y.example' }] })).toThrow('two providers have one name');
});

test('events come out the same however their text is cut (every cut of one text in two)', () => {
  const text = ': hi\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:x\n\nevent: y\rdata: z\r\r: end\n\n';
  const read = (...pieces: string[]) => {
    const reader = new EventReader();
    return pieces.flatMap((piece) => [...reader.push(piece)]);
  };
  const whole = read(text);
  expect(whole).toEqual([{ comment: 'hi' }, { data: '{"a":\n1}' }, { data: 'x' }, { data: 'z' }, { comment: 'end' }]);
  for (let cut = 1; cut < text.length; cut++) expect(read(text.slice(0, cut), text.slice(cut))).toEqual(whole);
});
