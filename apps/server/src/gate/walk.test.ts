/** Every route of the app, asked by everybody who may not. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hono } from 'hono';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp, type Environment } from '../app.ts';
import { Models } from '../models.ts';
import { openStore } from '../store/open.ts';
import { type KeyRecord, type Scope, SCOPES, type Store } from '../store/types.ts';
import { Talk } from '../talk/talk.ts';
import { Gate } from './gate.ts';
import { ROUTES } from './routes.ts';

let now = Date.now();
let store: Store;
let page: string;
let models: Models;
let app: Hono<Environment>;
const make = (gate: Gate): Hono<Environment> => createApp({ models, store, gate, page, talk: new Talk({ models, store }) });

beforeAll(async () => {
  page = await mkdtemp(join(tmpdir(), 'parley-page-'));
  await writeFile(join(page, 'index.html'), '<!doctype html><title>Parley</title>');
  store = await openStore('memory:', { now: () => now, cost: { N: 2, r: 1, p: 1 } });
  models = new Models({ models: ['parley-nano'] });
  app = make(new Gate({ store, exposed: true }));
});
afterAll(async () => {
  await models[Symbol.asyncDispose]();
  await store.close();
  await rm(page, { recursive: true });
});

interface Walked {
  readonly name: string;
  readonly method: string;
  readonly path: string;
}

const walk = (of: Hono<Environment>): Walked[] => [...new Map(of.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }): [string, Walked] => [`${method} ${path}`, { name: `${method} ${path}`, method, path }])).values()];
const needOf = ({ name }: Walked): string => ROUTES[name]?.need ?? 'missing';
const ask = async (of: Hono<Environment>, { method, path }: Pick<Walked, 'method' | 'path'>, headers: Record<string, string> = {}, id = 'x'): Promise<Response> =>
  of.request(`http://127.0.0.1${path.replace('/*', '/').replace(/:\w+(?:\{[^}]*\})?/g, id)}`, {
    method, headers: { ...(method === 'GET' ? {} : { 'content-type': 'application/json' }), ...headers }, ...(method === 'GET' || method === 'DELETE' ? {} : { body: '{}' }),
  });
const codeOf = async (response: Response): Promise<string | null> => ((await response.json()) as { error: { code: string | null } }).error.code;
/** `open` for whatever the route itself says. */
const outcome = async (response: Response): Promise<string> => (response.status === 401 || response.status === 403 ? `${response.status} ${await codeOf(response)}` : 'open');
/** What each route says, by its name. */
const outcomes = async (of: Hono<Environment>, headers: Record<string, string>): Promise<Record<string, string>> => {
  const all: Record<string, string> = {};
  for (const route of walk(of)) all[route.name] = await outcome(await ask(of, route, headers));
  return all;
};
const expected = (of: Hono<Environment>, by: (need: string) => string): Record<string, string> => Object.fromEntries(walk(of).map((route) => [route.name, by(needOf(route))]));
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

test('every route of the app is in the table, and the table has no other', () => {
  const routes = walk(app);
  expect(Object.keys(ROUTES).filter((name) => !routes.some((route) => route.name === name))).toEqual([]);
  expect(routes.filter((route) => needOf(route) === 'missing').map(({ name }) => name)).toEqual([]);
  expect(routes.length).toBeGreaterThan(25);
});

test.each([
  ['nothing', {}, 'null'], ['a word that is no key', bearer('nonsense'), 'invalid_api_key'], ['a key of nobody', bearer(`pk-parley-${'0'.repeat(43)}`), 'invalid_api_key'],
  ['a password', { authorization: 'Basic eDp5' }, 'null'], ['a cookie of nobody', { cookie: 'parley_session=guess' }, 'null'],
])('with %s, every route but the public ones is closed', async (_, headers, code) => {
  expect(await outcomes(app, headers)).toEqual(expected(app, (need) => (need === 'public' ? 'open' : need === 'page' ? '401 sign_in_required' : `401 ${code}`)));
});

test.each(SCOPES)('a key without the scope %s does not open what needs it, nor anything of the page', async (lacking) => {
  const { key } = await store.keys.create({ name: `all but ${lacking}`, scopes: SCOPES.filter((scope) => scope !== lacking) });
  expect(await outcomes(app, bearer(key))).toEqual(expected(app, (need) => (need === 'page' ? '401 sign_in_required' : need === lacking ? '403 insufficient_permissions' : 'open')));
});

test('expired and revoked keys open nothing', async () => {
  const scopes: readonly Scope[] = SCOPES;
  const expired = await store.keys.create({ name: 'expired', scopes, expiresAt: now + 1000 });
  const revoked = await store.keys.create({ name: 'revoked', scopes });
  await store.keys.revoke(revoked.record.id);
  const clock = Date.now;
  now += 2000;
  Date.now = () => now;
  try {
    for (const { key } of [expired, revoked]) {
      expect(await outcomes(app, bearer(key))).toEqual(expected(app, (need) => (need === 'public' ? 'open' : need === 'page' ? '401 sign_in_required' : '401 invalid_api_key')));
    }
  } finally {
    Date.now = clock;
  }
});

test('what one owner has is not there for another, by key or by account', async () => {
  const keys: { key: string; record: KeyRecord }[] = [];
  for (const name of ['a', 'b']) keys.push(await store.keys.create({ name }));
  const [mine, other] = keys;
  await store.responses.put(mine?.record.id ?? '', { id: 'resp_secret', previousId: null, input: [], response: { id: 'resp_secret', object: 'response', status: 'completed', output: [] } });
  const cookies: Record<string, string>[] = [];
  for (const name of ['anna', 'bob']) {
    const account = await store.accounts.create({ name, password: 'correct horse' });
    cookies.push({ cookie: `parley_session=${(await store.accounts.signIn(account.id)).token}` });
    if (name !== 'anna') continue;
    await store.conversations.create(account.id, { id: 'conv_secret', title: 'secret words' });
    await store.conversations.append(account.id, 'conv_secret', { id: 'msg_secret', parentId: null, role: 'user', content: 'secret words' });
    await store.personas.create(account.id, { id: 'per_secret', name: 'secret words', system: 'secret words' });
  }
  expect(await (await app.request('http://127.0.0.1/api/conversations', { headers: cookies[0] ?? {} })).text()).toContain('secret words');
  for (const route of walk(app).filter((each) => needOf(each) !== 'public')) {
    const [headers, id] = needOf(route) === 'page' ? [cookies[1] ?? {}, route.path.includes('personas') ? 'per_secret' : 'conv_secret'] : [bearer(other?.key ?? ''), 'resp_secret'];
    const response = await ask(app, route, headers, id);
    const text = await response.text();
    expect(text, route.name).not.toContain('secret words');
    // Whatever is named by an id is not there, or was not asked for well enough to look.
    expect(!/:\w+/.test(route.path) || [400, 404].includes(response.status), `${route.name}: ${response.status} ${text}`).toBe(true);
  }
  expect(await store.responses.get(mine?.record.id ?? '', 'resp_secret')).not.toBeNull();
  expect(await store.conversations.get((await store.accounts.findByName('anna'))?.id ?? '', 'conv_secret')).toMatchObject({ title: 'secret words' });
});

test('a route that is not in the table is not there, for whoever asks', async () => {
  const local = make(new Gate());
  local.get('/v1/forgotten', (context) => context.text('open'));
  local.all('/v1/all', (context) => context.text('open'));
  local.post('/api/forgotten', (context) => context.text('open'));
  for (const [method, path] of [['GET', '/v1/forgotten'], ['GET', '/v1/all'], ['POST', '/v1/all'], ['POST', '/api/forgotten'], ['GET', '/api/nowhere']] as const) {
    const response = await ask(local, { method, path });
    expect([path, response.status, await codeOf(response)]).toEqual([path, 404, 'unknown_url']);
  }
  // The table is no secret: what a path takes is told, whatever it is asked for.
  for (const [method, path, allowed] of [
    ['PUT', '/v1/models', 'GET'], ['OPTIONS', '/v1/models', 'GET'], ['GET', '/v1/chat/completions', 'POST'], ['PUT', '/v1/responses/resp_1', 'GET, DELETE'], ['DELETE', '/v1/models/a/b', 'GET'],
  ] as const) {
    const response = await ask(local, { method, path });
    expect([path, response.status, await codeOf(response), response.headers.get('allow')]).toEqual([path, 405, 'method_not_supported', allowed]);
  }
  const bare = await ask(local, { method: 'POST', path: '/chat/completions' });
  expect([bare.status, ((await bare.json()) as { error: { message: string } }).error.message]).toEqual([404, 'Invalid URL (POST /chat/completions): the base URL ends in /v1, so that this is /v1/chat/completions']);
});

test('on this machine, without keys and accounts, nobody is asked; but not for another name, not for a page of another origin, not through a proxy', async () => {
  await using empty = await openStore('memory:', { cost: { N: 2, r: 1, p: 1 } });
  const local = createApp({ models, store: empty, talk: new Talk({ models, store: empty }) });
  const open = expected(local, () => 'open');
  expect(await outcomes(local, {})).toEqual(open);
  expect(await outcomes(local, { origin: 'http://127.0.0.1', 'sec-fetch-site': 'same-origin' })).toEqual(open);
  for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { origin: 'http://127.0.0.1:3000' }, { 'sec-fetch-site': 'cross-site' }]) {
    const all = await outcomes(local, headers);
    expect(all).toEqual(Object.fromEntries(walk(local).map((route) => [route.name, needOf(route) === 'public' && route.method === 'GET' ? 'open' : '403 origin_not_allowed'])));
  }
  expect(await outcomes(local, { 'x-forwarded-for': '10.0.0.1' })).toEqual(expected(local, (need) => (need === 'public' ? 'open' : '403 forwarded_request')));
  for (const { name, method, path } of walk(local)) expect((await local.request(`http://evil.example${path}`, { method })).status, name).toBe(403);
});

test('the end of the last key does not open a server that asked for keys', async () => {
  await using own = await openStore('memory:');
  const gate = new Gate({ store: own });
  const { record } = await own.keys.create({ name: 'only' });
  await own.keys.revoke(record.id);
  const response = await createApp({ models, store: own, gate }).request('http://127.0.0.1/v1/models');
  expect(response.status).toBe(401);
});
