/** The page's routes over HTTP, with the small model that ships and a store in memory. */
import type { ConversationDetail, ConversationPage, ConversationSummary, Persona, TalkMessage, TalkModel } from '@parley/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Models } from '../models.ts';
import { serve } from '../serve.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/types.ts';
import { Client, type Numbered, serveTalk, type TalkServer, textOf } from './testing/client.ts';

const MODEL = 'parley-nano';
const CONTEXT = 512;

let models: Models;
let store: Store;
let server: TalkServer;
let page: Client;
beforeAll(async () => {
  models = new Models({ models: [MODEL], open: { threads: 1 } });
  store = await openStore('memory:');
  server = await serveTalk({ store, models });
  page = new Client(server.url);
  await models.get(MODEL);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await store.close();
  await models[Symbol.asyncDispose]();
});

/** A conversation with one question. */
async function ask(content = 'Hello! How are you?', client = page): Promise<{ id: string; parentId: string; path: string }> {
  const { id } = await client.call<ConversationSummary>('POST', '/api/conversations', {});
  const path = `/api/conversations/${id}`;
  const { id: parentId } = await client.call<TalkMessage>('POST', `${path}/messages`, { parentId: null, content });
  return { id, parentId, path };
}

const messageIdOf = ([first]: readonly Numbered[]): string => (first?.event.type === 'start' ? first.event.messageId ?? '' : '');
/** Until the model has its context full: it is forbidden nothing, and its stop tokens end most answers early, so tests that need a long one ask for this. */
const long = { temperature: 1.4, seed: 5, top_p: 1, repetition_penalty: 1.5 } as const;

test('a conversation: made, named by its first words, answered, listed, renamed, archived, deleted', async () => {
  const { id, parentId, path } = await ask('What is the capital of France? I have to know it by tomorrow morning, please.');
  const events = await page.all('POST', `${path}/generate`, { parentId, parameters: { max_tokens: 12, seed: 7 } });
  expect(events.map(({ id: number }) => number)).toEqual(events.map((_, i) => i));
  expect(events[0]?.event).toMatchObject({ type: 'start', seed: 7, model: MODEL });
  expect(events.at(-1)?.event).toMatchObject({ type: 'end', status: 'complete', droppedMessages: 0, usage: { cachedTokens: expect.any(Number) as number } });
  const detail = await page.call<ConversationDetail>('GET', path);
  expect(detail).toMatchObject({ id, title: 'What is the capital of France?', archived: false, activeLeaf: messageIdOf(events) });
  expect(detail.messages.map(({ role, status, parentId: parent }) => [role, status, parent])).toEqual([['user', 'complete', null], ['assistant', 'complete', parentId]]);
  expect(detail.messages[1]).toMatchObject({ content: textOf(events), model: MODEL });
  expect(detail.messages[1]?.details).toBeUndefined();

  expect((await page.call<ConversationSummary>('PATCH', path, { title: 'Paris', archived: true })).title).toBe('Paris');
  await page.call('POST', `${path}/messages`, { parentId: messageIdOf(events), content: 'And of Spain?' });
  const list = async (query: string): Promise<string[]> => (await page.call<ConversationPage>('GET', `/api/conversations?${query}`)).items.map(({ title }) => title);
  expect(await list('archived=true')).toContain('Paris');
  expect(await list('archived=false')).not.toContain('Paris');
  expect((await page.call<ConversationPage>('GET', '/api/conversations?search=spain')).items).toMatchObject([{ id, match: { text: expect.stringContaining('Spain') as string } }]);
  expect((await page.raw('DELETE', path)).status).toBe(204);
  expect((await page.raw('GET', path)).status).toBe(404);
});

test('what is kept of an answer: its seed, which gives it again, times, and every token with five runners-up', async () => {
  const { parentId, path } = await ask();
  const events = await page.all('POST', `${path}/generate`, { parentId, model: MODEL, parameters: { max_tokens: 16, temperature: 0.9 } });
  const message = await page.call<TalkMessage>('GET', `${path}/messages/${messageIdOf(events)}`);
  const { seed, parameters, tokensPerSecond = 0, timeToFirstTokenMs = 0, tokens = [] } = message.details ?? {};
  expect(parameters).toEqual({ max_tokens: 16, temperature: 0.9 });
  expect([tokensPerSecond > 0, timeToFirstTokenMs > 0]).toEqual([true, true]);
  expect(tokens.map(([text]) => text).join('')).toBe(message.content);
  expect(tokens).toHaveLength(message.usage?.completionTokens ?? -1);
  for (const [, logprob, top] of tokens) {
    expect(top).toHaveLength(5);
    expect(logprob).toBeLessThanOrEqual(0);
    expect(top.map(([, value]) => value)).toEqual(top.map(([, value]) => value).toSorted((a, b) => b - a));
  }
  const again = await page.all('POST', `${path}/generate`, { parentId, parameters: { max_tokens: 16, temperature: 0.9, seed } });
  expect(textOf(again)).toBe(message.content);
  // Asked again with the same parent: a sibling, which is now the shown branch.
  const detail = await page.call<ConversationDetail>('GET', path);
  expect(detail.messages.filter((each) => each.parentId === parentId)).toHaveLength(2);
  expect(detail.activeLeaf).toBe(messageIdOf(again));
  expect((await page.call<ConversationDetail>('PATCH', path, { activeLeaf: message.id }), await page.call<ConversationDetail>('GET', path)).activeLeaf).toBe(message.id);
});

test.each([1, 2, 3])('a reader that leaves at random events and comes back has the whole answer, nothing lost, nothing twice (seed %i)', async (seed) => {
  let state = seed * 1000 + 7;
  const next = (n: number): number => (state = (state * 48271) % 2147483647) % n;
  const { parentId, path } = await ask('Tell me a story about a fox.');
  const seen: Numbered[] = [];
  const read = async (events: AsyncIterable<Numbered>): Promise<void> => {
    let left = 1 + next(12);
    for await (const event of events) {
      seen.push(event);
      if (--left === 0) return;
    }
  };
  await read(page.events('POST', `${path}/generate`, { parentId, parameters: { ...long, seed, max_tokens: 80 } }));
  const messageId = messageIdOf(seen);
  // Somebody else watches from the beginning, all the while.
  const other = page.all('GET', `${path}/stream?messageId=${messageId}`);
  while (seen.at(-1)?.event.type !== 'end') await read(page.events('GET', `${path}/stream?messageId=${messageId}&after=${seen.at(-1)?.id}`));
  expect(seen.map(({ id }) => id)).toEqual(seen.map((_, i) => i));
  expect(seen).toEqual(await other);
  expect(textOf(seen)).toBe((await page.call<TalkMessage>('GET', `${path}/messages/${messageId}`)).content);
  // And once more when nobody writes it any longer.
  expect(await page.all('GET', `${path}/stream?messageId=${messageId}`)).toEqual(seen);
});

test('an answer whose reader has gone is written to its end, as it comes', async () => {
  const { parentId, path } = await ask('Tell me a story about a bear.');
  let messageId = '';
  for await (const event of page.events('POST', `${path}/generate`, { parentId, parameters: { ...long, max_tokens: 200 } })) {
    messageId ||= messageIdOf([event]);
    if (event.id === 3) break;
  }
  const partial = await page.call<TalkMessage>('GET', `${path}/messages/${messageId}`);
  expect(partial.status).toBe('streaming');
  const rest = await page.all('GET', `${path}/stream?messageId=${messageId}&after=3`);
  const message = await page.call<TalkMessage>('GET', `${path}/messages/${messageId}`);
  expect(message.status).toBe('complete');
  expect(message.content.endsWith(textOf(rest))).toBe(true);
  expect(server.talk.running).toBe(0);
});

test('stop ends an answer where it is and keeps it; to stop what is over changes nothing', async () => {
  const { parentId, path } = await ask('Tell me everything about the sea.');
  const seen: Numbered[] = [];
  let stopped: TalkMessage | undefined;
  for await (const event of page.events('POST', `${path}/generate`, { parentId, parameters: long })) {
    seen.push(event);
    if (event.id === 4) stopped = await page.call<TalkMessage>('POST', `${path}/stop`, { messageId: messageIdOf(seen) });
  }
  expect(stopped).toMatchObject({ status: 'stopped', usage: { completionTokens: expect.any(Number) as number } });
  expect(stopped?.finishReason).toBeUndefined();
  expect(seen.at(-1)?.event).toMatchObject({ type: 'end', status: 'stopped', finishReason: null });
  expect(stopped?.content).toBe(textOf(seen));
  expect(await page.call<TalkMessage>('POST', `${path}/stop`, { messageId: messageIdOf(seen) })).toEqual(stopped);
  const stats = await models.stats();
  expect(stats.map(({ stats: { running, waiting } }) => running + waiting)).toEqual([0]);
  // Its tokens are counted, though nobody had its last event.
  expect(server.used.at(-1)).toMatchObject({ model: MODEL, completionTokens: stopped?.usage?.completionTokens });
});

test('a conversation that is longer than the context goes on without its oldest turns, keeps the system prompt, and says how many it left out', async () => {
  const { id } = await page.call<ConversationSummary>('POST', '/api/conversations', {});
  const path = `/api/conversations/${id}`;
  let parentId: string | null = null;
  for (let i = 0; i < 30; i++) {
    const message = await store.conversations.append('local', id, { parentId, role: i % 2 === 0 ? 'user' : 'assistant', content: `Turn ${i}: ${'the fox and the bear went home '.repeat(8)}` });
    parentId = message.id;
  }
  const last = await page.call<TalkMessage>('POST', `${path}/messages`, { parentId, content: 'And then?' });
  const events = await page.all('POST', `${path}/generate`, { parentId: last.id, parameters: { system: 'You are kind.', max_tokens: 8 } });
  const end = events.at(-1)?.event;
  const dropped = end?.type === 'end' ? end.droppedMessages : 0;
  expect(dropped).toBeGreaterThan(10);
  expect(end).toMatchObject({ status: 'complete' });
  const { usage, details } = await page.call<TalkMessage>('GET', `${path}/messages/${messageIdOf(events)}`);
  expect(details?.droppedMessages).toBe(dropped);
  expect((usage?.promptTokens ?? 0) + 8).toBeLessThanOrEqual(CONTEXT);
  // One question that has no room by itself fails, and says why.
  const huge = await page.call<TalkMessage>('POST', `${path}/messages`, { parentId: null, content: 'word '.repeat(2000) });
  const failed = await page.all('POST', `${path}/generate`, { parentId: huge.id });
  expect(failed.at(-1)?.event).toMatchObject({ type: 'error', error: { code: 'context_length_exceeded' } });
  const listed = (await page.call<ConversationDetail>('GET', path)).messages.find((each) => each.id === messageIdOf(failed));
  expect(listed).toMatchObject({ status: 'failed', details: { error: { code: 'context_length_exceeded' } } });
});

test('what one person has, another neither sees nor changes nor stops', async () => {
  const mine = new Client(server.url, 'ann');
  const other = new Client(server.url, 'bob');
  const { parentId, path } = await ask('My secret is a fox.', mine);
  const running = mine.all('POST', `${path}/generate`, { parentId, parameters: { max_tokens: 40, ...long } });
  const messageId = (await mine.call<ConversationDetail>('GET', path)).messages.at(-1)?.id ?? '';
  const persona = await mine.call<Persona>('POST', '/api/personas', { name: 'Fox', system: 'You are a fox.' });
  const tries: [string, string, unknown?][] = [
    ['GET', path], ['PATCH', path, { title: 'x' }], ['DELETE', path], ['GET', `${path}/messages/${messageId}`], ['GET', `${path}/stream?messageId=${messageId}`],
    ['POST', `${path}/stop`, { messageId }], ['POST', `${path}/messages`, { parentId: null, content: 'x' }], ['POST', `${path}/generate`, { parentId }],
    ['GET', `${path}/export?format=json`], ['PATCH', `/api/personas/${persona.id}`, { name: 'x' }], ['DELETE', `/api/personas/${persona.id}`],
  ];
  for (const [method, at, body] of tries) expect([method, at, (await other.raw(method, at, body)).status]).toEqual([method, at, 404]);
  expect((await other.call<ConversationPage>('GET', '/api/conversations')).items).toEqual([]);
  expect((await other.call<ConversationPage>('GET', '/api/conversations?search=secret')).items).toEqual([]);
  expect(await other.call<Persona[]>('GET', '/api/personas')).toEqual([]);
  expect(await (await other.raw('GET', '/api/export')).text()).not.toContain('secret');
  expect((await running).at(-1)?.event).toMatchObject({ type: 'end', status: 'complete' });
});

test('a temporary chat is answered like any other, leaves nothing, and ends when its reader goes', async () => {
  const temp = new Client(server.url, 'temp');
  const request = { messages: [{ role: 'user', content: 'Hello! How are you?' }], parameters: { seed: 7, max_tokens: 12 } };
  const events = await temp.all('POST', '/api/temporary/generate', request);
  expect(events.map(({ id }) => id)).toEqual(events.map((_, i) => i));
  const { parentId, path } = await ask();
  expect(textOf(events)).toBe(textOf(await page.all('POST', `${path}/generate`, { parentId, parameters: request.parameters })));
  expect(events[0]?.event).toMatchObject({ type: 'start', messageId: null });
  for await (const event of temp.events('POST', '/api/temporary/generate', { ...request, parameters: long })) if (event.id === 2) break;
  for (let tries = 0; ; tries++) {
    const [stats] = await models.stats();
    if (stats?.stats.running === 0) break;
    expect(tries).toBeLessThan(500);
    await new Promise((resolve) => void setTimeout(resolve, 5));
  }
  expect((await temp.call<ConversationPage>('GET', '/api/conversations')).items).toEqual([]);
});

test('many readers of one answer, one of which reads nothing, all at once', async () => {
  const { parentId, path } = await ask('Tell me a story about a cat.');
  const started = page.events('POST', `${path}/generate`, { parentId, parameters: { ...long, max_tokens: 120 } });
  const first = await started.next();
  const messageId = first.done === true ? '' : messageIdOf([first.value]);
  // `started` is not read on: its connection fills up and waits.
  const readers = await Promise.all(Array.from({ length: 8 }, () => page.all('GET', `${path}/stream?messageId=${messageId}`)));
  for (const events of readers) expect(events).toEqual(readers[0]);
  expect((await page.call<TalkMessage>('GET', `${path}/messages/${messageId}`)).content).toBe(textOf(readers[0] ?? []));
  await started.return();
});

test('the server ends: answers become failed, say so, and have what was written; a server that comes after finishes what one left open', async () => {
  await using second = await serveTalk({ store, models });
  const client = new Client(second.url);
  const { id, parentId, path } = await ask('Tell me a story about a dog.', client);
  const seen: Numbered[] = [];
  for await (const event of client.events('POST', `${path}/generate`, { parentId, parameters: long })) {
    seen.push(event);
    if (event.id === 5) second.end();
  }
  expect(seen.at(-1)?.event).toMatchObject({ type: 'error', error: { code: 'server_shutting_down' } });
  expect(await client.call('GET', `${path}/messages/${messageIdOf(seen)}`)).toMatchObject({ status: 'failed', content: textOf(seen), details: { error: { code: 'server_shutting_down' } } });

  const orphan = await store.conversations.append('local', id, { parentId, role: 'assistant', content: 'Once upon', status: 'streaming', model: MODEL });
  await new Promise((resolve) => void setTimeout(resolve, 2));
  await using third = await serveTalk({ store, models });
  const found = (await new Client(third.url).call<ConversationDetail>('GET', path)).messages.find((each) => each.id === orphan.id);
  expect(found).toMatchObject({ status: 'failed', content: 'Once upon', details: { error: { code: 'interrupted' } } });
  expect((await new Client(third.url).all('GET', `${path}/stream?messageId=${orphan.id}&after=3`)).map(({ event }) => event)).toMatchObject([{ type: 'text', content: 'Once upon' }, { type: 'error' }]);
});

test('requests that make no sense are refused by name', async () => {
  const { parentId, path } = await ask();
  const refused: [string, string, unknown, number, string][] = [
    ['POST', '/api/conversations', { name: 'x' }, 400, 'unknown_parameter'],
    ['POST', `${path}/messages`, { parentId: 'nobody', content: 'x' }, 400, 'invalid_value'],
    ['POST', `${path}/messages`, { parentId: null, content: '  ' }, 400, 'invalid_value'],
    ['POST', `${path}/generate`, { parentId: 'nobody' }, 404, 'not_found'],
    ['POST', `${path}/generate`, { parentId, model: 'nobody' }, 404, 'model_not_found'],
    ['POST', `${path}/generate`, { parentId, parameters: { temperature: 3 } }, 400, 'invalid_value'],
    ['POST', `${path}/generate`, { parentId, parameters: { warmth: 3 } }, 400, 'unknown_parameter'],
    ['POST', `${path}/generate`, '{', 400, ''],
    ['GET', `${path}/stream?messageId=nobody`, undefined, 404, 'not_found'],
    ['GET', `${path}/stream`, undefined, 400, 'missing_required_parameter'],
    ['GET', `${path}/stream?messageId=${parentId}&after=x`, undefined, 400, 'invalid_value'],
    ['GET', '/api/conversations?limit=0', undefined, 400, 'invalid_value'],
    ['GET', '/api/conversations?page=2', undefined, 400, 'unknown_parameter'],
    ['GET', '/api/conversations?cursor=nonsense', undefined, 400, 'invalid_value'],
    ['POST', '/api/temporary/generate', { messages: [{ role: 'assistant', content: 'x' }] }, 400, 'invalid_value'],
  ];
  for (const [method, at, body, status, code] of refused) {
    const response = await page.raw(method, at, body);
    const { error } = await response.json() as { error: { code: string | null; message: string } };
    expect([method, at, response.status, error.code ?? '']).toEqual([method, at, status, code]);
    expect(error.message.length).toBeGreaterThan(10);
  }
});

test('a model that another server computes answers like one of ours: the same words, the same runners-up, stopped the same way', async () => {
  await using upstream = await serve({ models: [MODEL], port: 0, open: { threads: 1 } });
  const fronted = new Models({ models: [`there/${MODEL}`], providers: [{ name: 'there', baseUrl: `${upstream.url}/v1` }] });
  await using front = await serveTalk({ store, models: fronted });
  const client = new Client(front.url);
  const { parentId, path } = await ask('Hello! How are you?', client);
  const parameters = { seed: 11, max_tokens: 10, temperature: 0.8 };
  const theirs = await client.all('POST', `${path}/generate`, { parentId, parameters });
  const ours = await page.all('POST', `${path}/generate`, { parentId, parameters });
  expect(theirs[0]?.event).toMatchObject({ model: `there/${MODEL}`, seed: 11 });
  expect(textOf(theirs)).toBe(textOf(ours));
  expect(theirs.slice(1, -1).filter(({ event }) => event.type === 'token' && event.top.length === 5).length).toBeGreaterThan(5);
  expect(theirs.at(-1)?.event).toMatchObject({ type: 'end', status: 'complete', usage: { completionTokens: expect.any(Number) as number } });
  expect(front.used.at(-1)?.promptTokens).toBeGreaterThan(0);
  const seen: Numbered[] = [];
  for await (const event of client.events('POST', `${path}/generate`, { parentId, parameters: long })) {
    seen.push(event);
    if (event.id === 3) await client.call('POST', `${path}/stop`, { messageId: messageIdOf(seen) });
  }
  expect(seen.at(-1)?.event).toMatchObject({ type: 'end', status: 'stopped' });
});

test('models for the picker, personas', async () => {
  const all = await page.call<TalkModel[]>('GET', '/api/models');
  expect(all[0]).toEqual({ id: MODEL, title: 'Parley nano', contextLength: CONTEXT, default: true });
  const persona = await page.call<Persona>('POST', '/api/personas', { name: 'Tutor', system: 'Explain.', parameters: { temperature: 0.2 } });
  expect(await page.call<Persona[]>('GET', '/api/personas')).toEqual([persona]);
  expect(await page.call<Persona>('PATCH', `/api/personas/${persona.id}`, { name: 'Teacher' })).toEqual({ ...persona, name: 'Teacher' });
  expect((await page.raw('DELETE', `/api/personas/${persona.id}`)).status).toBe(204);
  expect((await page.raw('DELETE', `/api/personas/${persona.id}`)).status).toBe(404);
});
