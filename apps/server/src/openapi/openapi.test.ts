/** The description against what it describes: routes, requests and answers. */
import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js';
import type { Hono } from 'hono';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp, type Environment } from '../app.ts';
import { ROUTES } from '../gate/routes.ts';
import { Models } from '../models.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/types.ts';
import { Talk } from '../talk/talk.ts';
import { type Described, type Document, pathOf } from './document.ts';
import { OPERATIONS } from './operations.ts';
import { DOCS_POLICY } from './page.ts';

let models: Models;
let store: Store;
let app: Hono<Environment>;
let document: Document;
const get = async (path: string): Promise<Response> => app.request(`http://127.0.0.1${path}`);
beforeAll(async () => {
  models = new Models({ models: ['parley-nano'], open: { threads: 1 } });
  store = await openStore('memory:');
  app = createApp({ models, store, talk: new Talk({ models, store }) });
  document = (await (await get('/openapi.json')).json()) as Document;
});
afterAll(async () => {
  await models[Symbol.asyncDispose]();
  await store.close();
});

const operationOf = (route: string): Described | undefined => {
  const [method = '', path = ''] = route.split(' ');
  return document.paths[pathOf(path)]?.[method.toLowerCase()];
};
/** Schemas of the document with its components at hand. */
const compile = (schema: unknown) => new Ajv2020({ strict: false, validateFormats: false }).compile({ ...(schema as object), components: document.components } as AnySchema);
const holds = (schema: unknown, value: unknown): void => {
  const validate = compile(schema);
  expect({ valid: validate(value), errors: validate.errors, value }).toEqual({ valid: true, errors: null, value });
};
const post = async (path: string, body: object): Promise<Response> =>
  app.request(`http://127.0.0.1${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
const answerSchema = (operation: Described | undefined, status: number): unknown => {
  const response = operation?.responses[status] as { $ref?: string; content?: Record<string, { schema: unknown }> } | undefined;
  if (response?.$ref !== undefined) return { $ref: '#/components/schemas/Error' };
  return response?.content?.['application/json']?.schema;
};

test('every route of the app is described by hand, and nothing that is not there', () => {
  const routes = new Set(app.routes.filter(({ method, path }) => method !== 'ALL' && !path.includes('*')).map(({ method, path }) => `${method} ${path}`));
  expect([...routes].filter((route) => operationOf(route) === undefined)).toEqual([]);
  expect([...routes].filter((route) => OPERATIONS[route] === undefined)).toEqual([]);
  const described = Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  expect(described.toSorted()).toEqual([...routes].map((route) => route.split(' ').map((part, i) => (i === 1 ? pathOf(part) : part)).join(' ')).toSorted());
  expect(Object.keys(OPERATIONS).filter((route) => !Object.hasOwn(ROUTES, route))).toEqual([]);
});

test('it is OpenAPI 3.1: operations have names of their own, references lead somewhere, parameters of paths are named', () => {
  expect(document.openapi).toBe('3.1.0');
  const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.values(methods).map((operation) => ({ path, operation })));
  expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
  for (const { path, operation } of operations) {
    const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map(({ name }) => `{${name}}`);
    expect(named).toEqual(path.match(/\{\w+\}/g) ?? []);
    expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true);
  }
  for (const [, reference = ''] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    expect(reference.split('/').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], document), reference).toBeDefined();
  }
});

test('requests that it allows are answered as it says, and those that it does not are refused', async () => {
  for (const [path, more] of [
    ['/v1/chat/completions', { max_tokens: 4, logprobs: true, top_logprobs: 2 }], ['/v1/completions', { max_tokens: 4, logprobs: 1 }], ['/v1/embeddings', { encoding_format: 'float' }],
    ['/v1/engines/davinci/completions', { max_tokens: 2 }],
  ] as const) {
    const operation = operationOf(`POST ${path.replace('davinci', ':engine')}`);
    const content = operation?.requestBody?.content['application/json'];
    const body = { ...content?.example, ...more };
    holds(content?.schema, body);
    const response = await post(path, body);
    expect(response.status, path).toBe(200);
    holds(answerSchema(operation, 200), await response.json());
    for (const wrong of [{ ...body, temprature: 1 }, { ...body, user: 3 }]) {
      expect(compile(content?.schema)(wrong), JSON.stringify(wrong)).toBe(false);
      const refused = await post(path, wrong);
      expect(refused.status).toBe(400);
      holds(answerSchema(operation, 400), await refused.json());
    }
  }
});

test('every event of a stream is what it says', async () => {
  for (const route of ['POST /v1/chat/completions', 'POST /v1/completions']) {
    const content = (operationOf(route)?.responses[200] as { content: Record<string, { 'x-event-schema': unknown }> } | undefined)?.content['text/event-stream'];
    const text = await (await post(route.slice(5), { ...OPERATIONS[route]?.example, stream: true, stream_options: { include_usage: true }, max_tokens: 5 })).text();
    const events = text.split('\n\n').filter((event) => event.startsWith('data: {')).map((event) => JSON.parse(event.slice(6)) as unknown);
    expect(events.length).toBeGreaterThan(2);
    for (const event of events) holds(content?.['x-event-schema'], event);
  }
});

test('what is only read is as it says: models, health, readiness, errors of unknown models', async () => {
  for (const [path, route, status] of [
    ['/v1/models', 'GET /v1/models', 200], ['/v1/models/parley-nano', 'GET /v1/models/:id{.+}', 200], ['/v1/models/none', 'GET /v1/models/:id{.+}', 404], ['/health', 'GET /health', 200],
  ] as const) {
    const response = await get(path);
    expect(response.status).toBe(status);
    holds(answerSchema(operationOf(route), status), await response.json());
  }
  const ready = await get('/ready');
  holds(answerSchema(operationOf('GET /ready'), ready.status), await ready.json());
});

test('the page tells of every operation and needs nothing but itself', async () => {
  const response = await get('/docs');
  const html = await response.text();
  for (const methods of Object.values(document.paths)) for (const { operationId, summary } of Object.values(methods)) {
    expect(html).toContain(`id="${operationId}"`);
    expect(html).toContain(summary);
  }
  expect(response.headers.get('content-security-policy')).toBe(DOCS_POLICY);
  expect(html).not.toMatch(/<script|<link|<img|\son\w+=|\sstyle=|javascript:|src=|@import|url\(/i);
  const style = /<style>([\s\S]*)<\/style>/.exec(html)?.[1] ?? '';
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style));
  expect(DOCS_POLICY).toContain(`'sha256-${Buffer.from(digest).toString('base64')}'`);
});
