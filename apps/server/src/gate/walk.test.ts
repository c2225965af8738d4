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
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

test('every route of the app is in the table', () => {
  const routes = walk(app);
  expect(routes.filter((route) => needOf(route) === 'missing').map(({ name }) => name)).toEqual([]);
  expect(routes.length).toBeGreaterThan(25);
});

test('without a key, and with a word that is none, every route but the public ones is closed', async () => {
  for (const headers of [{}, bearer('nonsense'), bearer('pk-parley-0000000000000000000000000000000000000000000'), { authorization: 'Basic eDp5' }, { cookie: 'parley_session=guess' }]) {
    for (const route of walk(app)) {
      const response = await ask(app, route, headers);
      if (needOf(route) === 'public') expect([401, 403], route.name).not.toContain(response.status);
      else expect([route.name, response.status]).toEqual([route.name, 401]);
    }
  }
});

test('a key opens what its scopes name, and nothing of the page', async () => {
  for (const lacking of SCOPES) {
    const { key } = await store.keys.create({ name: `all but ${lacking}`, scopes: SCOPES.filter((scope) => scope !== lacking) });
    for (const route of walk(app)) {
      const need = needOf(route);
      if (need === 'public') continue;
      const response = await ask(app, route, bearer(key));
      if (need === 'page') expect([route.name, response.status, await codeOf(response)]).toEqual([route.name, 401, 'sign_in_required']);
      else if (need === lacking) expect([route.name, response.status, await codeOf(response)]).toEqual([route.name, 403, 'insufficient_permissions']);
      else expect([401, 403], route.name).not.toContain(response.status);
    }
  }
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
      for (const route of walk(app).filter((each) => needOf(each) !== 'public')) {
        const response = await ask(app, route, bearer(key));
        expect([route.name, response.status, await codeOf(response)]).toEqual([route.name, 401, needOf(route) === 'page' ? 'sign_in_required' : 'invalid_api_key']);
      }
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
  for (const route of walk(app)) {
    const [headers, id] = needOf(route) === 'page' ? [cookies[1] ?? {}, route.path.includes('personas') ? 'per_secret' : 'conv_secret'] : [bearer(other?.key ?? ''), 'resp_secret'];
    if (needOf(route) === 'public') continue;
    const response = await ask(app, route, headers, id);
    const text = await response.text();
    expect(text, route.name).not.toContain('secret words');
    if (/:\w+/.test(route.path)) expect([400, 404], `${route.name}: ${response.status} ${text}`).toContain(response.status);
  }
  expect(await store.responses.get(mine?.record.id ?? '', 'resp_secret')).not.toBeNull();
  expect(await store.conversations.get((await store.accounts.findByName('anna'))?.id ?? '', 'conv_secret')).toMatchObject({ title: 'secret words' });
});

test('a route that is not in the table is not there, for whoever asks', async () => {
  const local = make(new Gate());
  local.get('/v1/forgotten', (context) => context.text('open'));
  local.all('/v1/all', (context) => context.text('open'));
  local.post('/api/forgotten', (context) => context.text('open'));
  for (const [method, path] of [['GET', '/v1/forgotten'], ['GET', '/v1/all'], ['POST', '/v1/all'], ['POST', '/api/forgotten'], ['GET', '/api/nowhere'], ['PUT', '/v1/models'], ['OPTIONS', '/v1/models']] as const) {
    const response = await ask(local, { method, path });
    expect([path, response.status, await codeOf(response)]).toEqual([path, 404, 'unknown_url']);
  }
});

test('on this machine, without keys and accounts, nobody is asked; but not for another name, not for a page of another origin, not through a proxy', async () => {
  await using empty = await openStore('memory:', { cost: { N: 2, r: 1, p: 1 } });
  const local = createApp({ models, store: empty, talk: new Talk({ models, store: empty }) });
  for (const route of walk(local)) {
    expect([401, 403], route.name).not.toContain((await ask(local, route)).status);
    expect((await local.request(`http://evil.example${route.path}`, { method: route.method })).status, route.name).toBe(403);
    if (needOf(route) === 'public' && route.method === 'GET') continue;
    for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { origin: 'http://127.0.0.1:3000' }, { 'sec-fetch-site': 'cross-site' }]) {
      expect((await ask(local, route, headers)).status, `${route.name} ${JSON.stringify(headers)}`).toBe(403);
    }
    if (needOf(route) !== 'public') expect((await ask(local, route, { 'x-forwarded-for': '10.0.0.1' })).status, route.name).toBe(403);
    expect([401, 403], route.name).not.toContain((await ask(local, route, { origin: 'http://127.0.0.1', 'sec-fetch-site': 'same-origin' })).status);
  }
});

test('the end of the last key does not open a server that asked for keys', async () => {
  await using own = await openStore('memory:');
  const gate = new Gate({ store: own });
  const { record } = await own.keys.create({ name: 'only' });
  await own.keys.revoke(record.id);
  const response = await createApp({ models, store: own, gate }).request('http://127.0.0.1/v1/models');
  expect(response.status).toBe(401);
});
