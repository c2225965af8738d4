/** The gate over real sockets: keys, limits, budgets, sign-in, sizes, times, and the end. */
import { connect } from 'node:net';
import { request as httpRequest } from 'node:http';
import OpenAI, { APIError, AuthenticationError, InternalServerError, PermissionDeniedError, RateLimitError } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Server, serve } from '../serve.ts';
import { openStore } from '../store/open.ts';
import { type NewKey, type Store } from '../store/types.ts';
import { createLog } from './log.ts';

const WEAK = { cost: { N: 2, r: 1, p: 1 } } as const;
const lines: Record<string, unknown>[] = [];
const log = createLog('json', { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
const hello = [{ role: 'user' as const, content: 'Hello! How are you?' }];

let store: Store;
let server: Server;
const open = async (own: Partial<Parameters<typeof serve>[0]> = {}): Promise<Server> => serve({ models: ['parley-nano'], port: 0, store, log, open: { threads: 1 }, ...own });
const clientOf = (apiKey: string, url = server.url): OpenAI => new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 });
const keyOf = async (key: Omit<NewKey, 'name'> = {}): Promise<{ key: string; id: string; client: OpenAI }> => {
  const { key: text, record } = await store.keys.create({ name: 'test', ...key });
  return { key: text, id: record.id, client: clientOf(text) };
};
const ask = async (client: OpenAI, more: object = {}): Promise<OpenAI.ChatCompletion> => client.chat.completions.create({ model: 'parley-nano', messages: hello, max_tokens: 4, temperature: 0, ...more });

beforeAll(async () => {
  store = await openStore('memory:', WEAK);
  await store.keys.create({ name: 'first' });
  server = await open({ origins: ['https://app.example'] });
});
afterAll(async () => {
  await server.close(0);
  await store.close();
});

test('OpenAI\'s client raises its own classes: no such key, no scope, too many requests, no budget', async () => {
  const failure = await ask(clientOf('sk-wrong-key-of-somebody')).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(AuthenticationError);
  expect(failure).toMatchObject({ status: 401, type: 'invalid_request_error', code: 'invalid_api_key', param: null });
  expect((failure as Error).message).toContain('Incorrect API key provided: sk-wrong************body');
  const bare = await fetch(`${server.url}/v1/models`);
  expect(bare.headers.get('www-authenticate')).toBe('Bearer');
  expect(await bare.json()).toMatchObject({ error: { type: 'invalid_request_error', param: null, code: null, message: expect.stringContaining("You didn't provide an API key") as string } });
  await expect(ask((await keyOf({ scopes: ['models'] })).client)).rejects.toBeInstanceOf(PermissionDeniedError);

  const { client } = await keyOf({ requestsPerMinute: 2 });
  const { response } = await client.chat.completions.create({ model: 'parley-nano', messages: hello, max_tokens: 1 }).withResponse();
  expect(Object.fromEntries(response.headers)).toMatchObject({ 'x-ratelimit-limit-requests': '2', 'x-ratelimit-remaining-requests': '1' });
  expect(response.headers.get('x-ratelimit-reset-requests')).toMatch(/^(?:30|29\.\d+)s$/);
  await ask(client);
  const limited = await ask(client).catch((error: unknown) => error);
  expect(limited).toBeInstanceOf(RateLimitError);
  expect(limited).toMatchObject({ status: 429, type: 'requests', code: 'rate_limit_exceeded' });
  const { headers } = limited as RateLimitError;
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(20);
  expect(headers.get('x-ratelimit-remaining-requests')).toBe('0');

  const poor = await keyOf({ budgetTokens: 10 });
  await ask(poor.client);
  const spent = await ask(poor.client).catch((error: unknown) => error);
  expect(spent).toMatchObject({ status: 429, type: 'insufficient_quota', code: 'insufficient_quota' });
  await expect(ask((await keyOf({ monthlyBudgetTokens: 10 })).client)).resolves.toBeDefined();
});

test('tokens a minute: the answer that runs may borrow, the next one waits', async () => {
  const { client } = await keyOf({ tokensPerMinute: 20 });
  const { data, response } = await client.chat.completions.create({ model: 'parley-nano', messages: hello, max_tokens: 40, temperature: 0 }).withResponse();
  expect(response.headers.get('x-ratelimit-limit-tokens')).toBe('20');
  expect(data.usage?.total_tokens).toBeGreaterThan(20);
  await expect(ask(client)).rejects.toMatchObject({ status: 429, type: 'tokens', code: 'rate_limit_exceeded' });
});

test('what is used is written: whole answers, completions, embeddings, and one whose reader left', async () => {
  const { client, id } = await keyOf();
  const chat = await ask(client);
  const text = await client.completions.create({ model: 'parley-nano', prompt: 'The', max_tokens: 3 });
  const vectors = await client.embeddings.create({ model: 'parley-nano', input: 'Good morning!' });
  await server.gate.ledger.flush();
  const whole = [chat.usage, text.usage, vectors.usage].reduce((sum, usage) => sum + (usage?.total_tokens ?? NaN), 0);
  expect(await store.usage.totals(id)).toMatchObject({ requests: 3, totalTokens: whole });
  const stream = await client.chat.completions.create({ model: 'parley-nano', messages: hello, stream: true, max_tokens: 450, n: 16, temperature: 1 });
  let seen = 0;
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content && ++seen === 3) break;
  while ((await store.usage.totals(id)).requests < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  const { completionTokens } = await store.usage.totals(id);
  const before = (chat.usage?.completion_tokens ?? 0) + (text.usage?.completion_tokens ?? 0);
  expect(completionTokens).toBeGreaterThanOrEqual(before + 3);
  expect(completionTokens).toBeLessThan(before + 16 * 450);
});

test('a key that is revoked is refused within a second and a half, and a thousand checks cost the store a few', async () => {
  const { key, id, client } = await keyOf();
  const { keys } = store;
  const verify = keys.verify.bind(keys);
  let looked = 0;
  Object.assign(store.keys, { verify: async (text: string) => {
    looked++;
    return verify(text);
  } });
  const began = performance.now();
  for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 50 }, async () => server.gate.credentials.key(`Bearer ${key}`)));
  expect(looked).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - began) / 1000));
  Object.assign(store.keys, { verify });
  await client.models.list();
  await store.keys.revoke(id);
  const revoked = performance.now();
  const asked = async (): Promise<unknown> => client.models.list().then(() => null, (error: unknown) => error);
  let refused = await asked();
  for (; refused === null && performance.now() - revoked < 1500; refused = await asked()) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(refused).toMatchObject({ status: 401, code: 'invalid_api_key', message: expect.stringContaining('was revoked') as string });
});

const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });

test('sign-in: a cookie that scripts and other sites cannot use, the same answer for a wrong name and a wrong password, and an end to guessing', async () => {
  await using own = await openStore('memory:', WEAK);
  await own.accounts.create({ name: 'Anna', password: 'correct horse' });
  await using people = await open({ store: own, preload: false });
  const url = `${people.url}/api/session`;
  expect(await (await fetch(url, { headers: { 'accept-language': 'fr, zh-CN;q=0.8, en;q=0.5' } })).json()).toMatchObject({ user: null, signInRequired: true, locale: 'zh' });
  expect((await fetch(`${people.url}/api/models`)).status).toBe(401);
  const [unknown, wrong] = await Promise.all(['nobody', 'anna'].map(async (name) => fetch(url, json({ name, password: 'wrong horse' }))));
  expect([unknown?.status, await unknown?.text()]).toEqual([wrong?.status, await wrong?.text()]);
  const signed = await fetch(url, json({ name: 'anna', password: 'correct horse' }));
  const [set = ''] = signed.headers.getSetCookie();
  expect(set).toMatch(/^parley_session=[\w-]{20,}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/);
  expect(await signed.json()).toMatchObject({ user: { name: 'Anna' } });
  const cookie = set.split(';')[0] ?? '';
  expect((await fetch(`${people.url}/api/models`, { headers: { cookie } })).status).toBe(200);
  const overTls = await fetch(url, json({ name: 'anna', password: 'correct horse' }, { origin: people.url.replace('http:', 'https:') }));
  expect(overTls.headers.getSetCookie()[0]).toMatch(/^__Host-parley_session=.*; Secure$/);
  // Another site's form, script, and a plain text that is JSON.
  for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) expect((await fetch(url, json({ name: 'anna', password: 'correct horse' }, headers))).status).toBe(403);
  expect((await fetch(url, { method: 'POST', body: '{"name":"anna","password":"correct horse"}' })).status).toBe(415);
  expect((await fetch(url, json({ name: 'anna', password: 'x'.repeat(10_000) }))).status).toBe(413);
  expect((await fetch(url, { method: 'DELETE', headers: { cookie } })).headers.getSetCookie()).toHaveLength(2);
  expect((await fetch(`${people.url}/api/models`, { headers: { cookie } })).status).toBe(401);
  const statuses: number[] = [];
  for (let i = 0; i < 10; i++) statuses.push((await fetch(url, json({ name: 'anna', password: `guess ${i}` }))).status);
  expect(statuses).toEqual([...Array.from({ length: 8 }, () => 401), 429, 429]);
});

test('pages of named origins may use /v1 and read its errors; no others, and nothing but /v1', async () => {
  const ask1 = async (path: string, origin: string): Promise<Response> => fetch(`${server.url}${path}`, {
    method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type,x-stainless-os' },
  });
  const allowed = await ask1('/v1/chat/completions', 'https://app.example');
  expect([allowed.status, allowed.headers.get('access-control-allow-origin'), allowed.headers.get('access-control-allow-headers'), allowed.headers.get('access-control-allow-credentials')])
    .toEqual([204, 'https://app.example', 'authorization,content-type,x-stainless-os', null]);
  const refused = await fetch(`${server.url}/v1/models`, { headers: { origin: 'https://app.example' } });
  expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, 'https://app.example']);
  for (const [path, origin] of [['/v1/chat/completions', 'https://evil.example'], ['/v1/models', 'null'], ['/api/session', 'https://app.example']] as const) {
    const response = await ask1(path, origin);
    expect([path, response.status, response.headers.get('access-control-allow-origin')]).toEqual([path, 405, null]);
  }
});

test('browsers are told what may run: nothing of others, nothing inline, isolated from other origins', async () => {
  const { headers } = await fetch(`${server.url}/health`);
  const policy = headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toMatch(/script-src 'self' 'wasm-unsafe-eval';/);
  expect(policy).toContain("worker-src 'self' blob:");
  expect(policy).toContain("frame-ancestors 'none'");
  expect([headers.get('cross-origin-opener-policy'), headers.get('cross-origin-embedder-policy'), headers.get('x-content-type-options')]).toEqual(['same-origin', 'require-corp', 'nosniff']);
  expect((await fetch(`${server.url}/v1/models`)).headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
});

/** Bytes on a connection of their own, and what comes back until it ends. */
async function raw(text: string, url = server.url): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(text));
    socket.setEncoding('utf8').on('data', (part: string) => void (answer += part)).on('close', () => resolve(answer)).on('error', reject);
  });
}

test('what is too large, too slow, or no HTTP is refused in OpenAI\'s form, also before there is a request', async () => {
  const { key } = await keyOf();
  const authorization = `Bearer ${key}`;
  const url = await fetch(`${server.url}/v1/models/${'x'.repeat(9000)}`, { headers: { authorization } });
  expect([url.status, await url.json()]).toMatchObject([414, { error: { code: 'url_too_long' } }]);
  const headers = await raw(`GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`);
  expect(headers).toMatch(/^HTTP\/1\.1 431 [\s\S]*"code":"headers_too_large"/);
  expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"bad_request"/);
  await using strict = await open({ preload: false, bodyBytes: 1000, sockets: { requestSeconds: 0.4, headersSeconds: 0.3, connections: 3 } });
  // A body that says how long it is, one that does not, and one that never comes.
  const large = { model: 'parley-nano', prompt: 'x'.repeat(2000) };
  expect((await fetch(`${strict.url}/v1/completions`, json(large, { authorization }))).status).toBe(413);
  const chunked = await fetch(`${strict.url}/v1/completions`, { ...json(large, { authorization }), body: new Blob([JSON.stringify(large)]).stream(), duplex: 'half' } as RequestInit);
  expect([chunked.status, await chunked.json()]).toMatchObject([413, { error: { code: 'request_too_large' } }]);
  expect(await raw('GET /health HTTP/1.1\r\nHost: 127.', strict.url)).toContain('408');
  expect(await raw(`POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"mod`, strict.url)).toContain('408');
  const many = Array.from({ length: 6 }, () => connect(Number(new URL(strict.url).port), '127.0.0.1'));
  await Promise.all(many.map(async (socket) => new Promise((resolve) => socket.on('close', resolve).on('error', resolve).on('connect', () => setTimeout(resolve, 100)))));
  expect(strict.gate.counters.dropped.lines().at(-1)).toMatch(/_total [1-9]/);
  for (const socket of many) socket.destroy();
});

test('logs and counters have who, what and how long, and nobody\'s words', async () => {
  const { client } = await keyOf();
  await ask(client, { messages: [{ role: 'user', content: 'my secret is plum jam' }] });
  await fetch(`${server.url}/v1/models?q=plum`);
  const { key } = await keyOf({ scopes: ['metrics'] });
  const metrics = await (await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${key}` } })).text();
  expect(metrics).toMatch(/^parley:http_requests_total\{route="POST \/v1\/chat\/completions",status="200"\} \d+$/m);
  expect(metrics).toMatch(/^parley:http_rate_limited_total\{reason="rate_limit_exceeded",kind="requests"\} 1$/m);
  expect(metrics).toMatch(/^parley:auth_failures_total\{reason="invalid_api_key"\} \d+$/m);
  expect(metrics).toMatch(/^vllm:time_to_first_token_seconds_bucket\{model_name="parley-nano",le="\+Inf"\} \d+$/m);
  expect(metrics).toMatch(/^vllm:request_success_total\{model_name="parley-nano",finished_reason="abort"\} 1$/m);
  const mine = lines.filter(({ path, status }) => path === '/v1/chat/completions' && status === 200).at(-1);
  expect(mine).toMatchObject({ event: 'request', method: 'POST', who: 'key:test', completionTokens: 4, error: null, left: false });
  expect(JSON.stringify(lines)).not.toContain('plum');
});

test('the end: not ready, nothing new, what runs goes on; then it is cut off with an error that the client raises; and words are logged where that is asked for', async () => {
  let written = '';
  const ending = await open({ log: createLog('json', { content: true, write: (line) => void (written += line) }) });
  const { client } = await keyOf();
  const own = client.withOptions({ baseURL: `${ending.url}/v1` });
  expect(await (await fetch(`${ending.url}/ready`)).json()).toEqual({ status: 'ready', server: 'ready', store: 'reachable' });
  const said = await ask(own, { messages: [{ role: 'user', content: 'my secret is plum jam' }] });
  const short = await own.chat.completions.create({ model: 'parley-nano', messages: hello, stream: true, max_tokens: 5, temperature: 0 });
  let words = 0;
  let shortEnded = false;
  const readingShort = (async () => {
    for await (const chunk of short) if (chunk.choices[0]?.delta.content) words++;
    shortEnded = true;
  })();
  const endless = { model: 'parley-nano', messages: hello, max_tokens: 450, n: 128, temperature: 1 } as const;
  const long = await own.chat.completions.create({ ...endless, stream: true });
  const reading = (async () => {
    for await (const _ of long);
  })().catch((error: unknown) => error);
  const whole = own.chat.completions.create(endless).catch((error: unknown) => error);
  // The short one may have ended already.
  while (ending.gate.lifecycle.running < (shortEnded ? 2 : 3)) await new Promise((resolve) => setTimeout(resolve, 5));
  const closing = ending.close(60_000);
  const again = ending.close();
  const ready = await fetch(`${ending.url}/ready`);
  expect([ready.status, await ready.json(), ready.headers.get('connection')]).toEqual([503, { status: 'not_ready', server: 'draining', store: 'reachable' }, 'close']);
  expect((await fetch(`${ending.url}/health`)).status).toBe(200);
  const refused = await ask(own).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(InternalServerError);
  expect(refused).toMatchObject({ status: 503, code: 'server_shutting_down' });
  expect([(refused as APIError).headers?.get('retry-after'), (refused as APIError).headers?.get('connection')]).toEqual(['5', 'close']);
  await readingShort;
  expect(words).toBeGreaterThan(0);
  while (ending.gate.lifecycle.running > 2) await new Promise((resolve) => setTimeout(resolve, 5));
  // As when the time is over.
  ending.gate.lifecycle.end();
  expect(await reading).toBeInstanceOf(APIError);
  expect(await reading).toMatchObject({ code: 'server_shutting_down', type: 'server_error' });
  expect(await whole).toMatchObject({ status: 503, code: 'server_shutting_down' });
  expect([await closing, await again]).toEqual([{ cutOff: 2 }, { cutOff: 2 }]);
  await expect(fetch(`${ending.url}/health`)).rejects.toThrow('fetch failed');
  const line = JSON.parse(written.split('\n').find((each) => each.includes('plum')) ?? '') as { content: { request: string; answer: string } };
  expect(line.content.request).toContain('plum jam');
  expect(line.content.answer).toBe(said.choices[0]?.message.content);
});

test('a server that others reach asks for keys, whatever its name, and does not start without one', async () => {
  await using empty = await openStore('memory:');
  for (const place of [{ host: '0.0.0.0' }, { hosts: ['chat.example'] }, { host: '0.0.0.0', store: empty }]) {
    await expect(serve({ models: ['parley-nano'], port: 0, preload: false, store: undefined, ...place })).rejects.toThrow("'parley keys create' or an account with 'parley accounts create'");
  }
  const { key } = await empty.keys.create({ name: 'only' });
  await using named = await open({ store: empty, hosts: ['chat.example'], preload: false });
  const status = async (headers: Record<string, string>): Promise<number | undefined> => new Promise((resolve, reject) => {
    httpRequest(`${named.url}/v1/models`, { headers }, (response) => resolve(response.resume().statusCode)).on('error', reject).end();
  });
  expect(await status({ host: 'chat.example' })).toBe(401);
  expect(await status({ host: 'chat.example', authorization: `Bearer ${key}` })).toBe(200);
  expect(await status({ host: 'evil.example', authorization: `Bearer ${key}` })).toBe(403);
  expect(await status({})).toBe(401);
});
