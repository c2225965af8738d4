import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ApiError } from '@parley/protocol';
import { Hono } from 'hono';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Environment } from '../app.ts';
import { pageRoutes } from './page.ts';

let root: string;
let get: (path: string, headers?: Record<string, string>) => Promise<Response>;
const script = `console.log(${JSON.stringify('x'.repeat(5000))})`;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'parley-page-'));
  await mkdir(join(root, 'dist/assets'), { recursive: true });
  await writeFile(join(root, 'secret.txt'), 'secret');
  await writeFile(join(root, 'dist/index.html'), '<!doctype html><title>page</title>');
  await writeFile(join(root, 'dist/assets/index-BcD3fG7h.js'), script);
  await writeFile(join(root, 'dist/favicon.svg'), '<svg/>');
  const app = new Hono<Environment>();
  pageRoutes(app, join(root, 'dist'));
  app.onError((error, context) => context.json({}, error instanceof ApiError ? error.status as 404 : 500));
  get = async (path, headers = {}) => app.request(`http://127.0.0.1${path}`, { headers: { accept: 'text/html,*/*', ...headers } });
});
afterAll(async () => rm(root, { recursive: true }));

test('files with a hash in their name are kept for ever, the page is asked for again and told when it is the same', async () => {
  const asset = await get('/assets/index-BcD3fG7h.js', { accept: '*/*' });
  expect([asset.status, asset.headers.get('cache-control'), asset.headers.get('content-type')]).toEqual([200, 'public, max-age=31536000, immutable', 'text/javascript; charset=utf-8']);
  const index = await get('/');
  expect([index.status, index.headers.get('cache-control')]).toEqual([200, 'no-cache']);
  const etag = index.headers.get('etag') ?? '';
  expect((await get('/', { 'if-none-match': etag })).status).toBe(304);
  await writeFile(join(root, 'dist/index.html'), '<!doctype html><title>a newer page</title>');
  const newer = await get('/', { 'if-none-match': etag });
  expect(newer.status).toBe(200);
  expect(await newer.text()).toContain('newer');
});

test('what is large is sent compressed to those who take it, under an etag of its own', async () => {
  const plain = await get('/assets/index-BcD3fG7h.js');
  const zipped = await get('/assets/index-BcD3fG7h.js', { 'accept-encoding': 'br, gzip;q=0.8' });
  expect([zipped.headers.get('content-encoding'), zipped.headers.get('vary')]).toEqual(['gzip', 'accept-encoding']);
  expect(gunzipSync(new Uint8Array(await zipped.arrayBuffer())).toString()).toBe(script);
  expect(await plain.text()).toBe(script);
  expect(plain.headers.get('etag')).not.toBe(zipped.headers.get('etag'));
  expect((await get('/assets/index-BcD3fG7h.js', { 'accept-encoding': 'gzip;q=0' })).headers.get('content-encoding')).toBeNull();
});

test('addresses of the page are the page; files that are missing are missing; nothing outside the folder is read', async () => {
  expect(await (await get('/c/conv_123')).text()).toContain('<title>');
  expect((await get('/c/conv_123', { accept: 'application/json' })).status).toBe(404);
  expect((await get('/assets/index-gone0000.js')).status).toBe(404);
  for (const path of ['/../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '/assets/%2e%2e%2f%2e%2e%2fsecret.txt', '/..%5csecret.txt', '/%00', '/%E0%A4%A']) {
    expect(await (await get(path)).text()).not.toContain('secret');
  }
});

test('a page that is not built says how to build it', async () => {
  const app = new Hono<Environment>();
  pageRoutes(app, join(root, 'nowhere'));
  const response = await app.request('http://127.0.0.1/');
  expect(response.status).toBe(503);
  expect(await response.text()).toContain('npm run build -w @parley/web');
});
