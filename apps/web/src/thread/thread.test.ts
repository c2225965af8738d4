/** The thread over the invented server: what a person does, and what is then shown. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Api, RequestError } from '../api.ts';
import { createFakeApi } from '../fake-api.ts';
import { page } from '../state.ts';
import { createThread, type Thread } from './thread.ts';
import { branchTo, siblingsOf } from './tree.ts';

beforeEach(() => {
  vi.stubGlobal('location', { hash: '' });
  vi.stubGlobal('history', { pushState: (_: unknown, __: string, href: string) => { location.hash = href; } });
  vi.stubGlobal('document', { visibilityState: 'visible' });
  vi.stubGlobal('requestAnimationFrame', (run: () => void) => setTimeout(run, 0));
  vi.stubGlobal('addEventListener', () => {});
  vi.stubGlobal('removeEventListener', () => {});
  page.set({ conversationId: null, temporary: false, chat: {}, models: [] });
});
afterEach(() => vi.unstubAllGlobals());

const shown = ({ store }: Thread): string[] => branchTo(store.get().tree, store.get().leaf).map(({ role, content }) => `${role}: ${content}`);
const lastId = ({ store }: Thread): string => store.get().leaf ?? '';
const open = (client: Api): Thread => createThread(client);

test('a question makes a conversation with an address, and its answer comes in whole', async () => {
  const thread = open(createFakeApi({ reply: (text) => `heard ${text}` }));
  await thread.send('hello');
  expect(shown(thread)).toEqual(['user: hello', 'assistant: heard hello']);
  expect(location.hash).toBe(`#/c/${thread.store.get().id}`);
  expect(thread.store.get().live.size).toBe(0);
  expect(thread.store.get().announcement).toBe('heard hello');
  expect((await thread.details(lastId(thread))).details?.tokens?.map(([text]) => text).join('')).toBe('heard hello');
});

test('another answer is a sibling, and the old one can be turned back to', async () => {
  let count = 0;
  const thread = open(createFakeApi({ reply: () => `answer ${++count}` }));
  await thread.send('q');
  const first = lastId(thread);
  await thread.regenerate(first);
  expect(shown(thread).at(-1)).toBe('assistant: answer 2');
  expect(siblingsOf(thread.store.get().tree, first)).toHaveLength(2);
  thread.turn(lastId(thread), -1);
  expect(shown(thread).at(-1)).toBe('assistant: answer 1');
  thread.turn(lastId(thread), -1);
  expect(shown(thread).at(-1)).toBe('assistant: answer 1');
});

test('an edited question is a branch of its own; the other stays with what followed it', async () => {
  const thread = open(createFakeApi({ reply: (text) => `re ${text}` }));
  await thread.send('one');
  await thread.send('two');
  const two = branchTo(thread.store.get().tree, lastId(thread))[2]?.id ?? '';
  await thread.edit(two, 'three');
  expect(shown(thread)).toEqual(['user: one', 'assistant: re one', 'user: three', 'assistant: re three']);
  thread.turn(branchTo(thread.store.get().tree, lastId(thread))[2]?.id ?? '', -1);
  expect(shown(thread)).toEqual(['user: one', 'assistant: re one', 'user: two', 'assistant: re two']);
});

test('a question that could not be kept stays, says so, and is sent once when tried again', async () => {
  const api = createFakeApi({ reply: () => 'here' });
  const append = vi.fn<Api['appendMessage']>((...args) => api.appendMessage(...args)).mockRejectedValueOnce(new RequestError('unreachable', { status: 0 }));
  const thread = open({ ...api, appendMessage: append });
  await thread.send('hello');
  expect(shown(thread)).toEqual(['user: hello']);
  expect(thread.store.get().failures.get(lastId(thread))?.unreachable).toBe(true);
  await thread.retry(lastId(thread));
  expect(shown(thread)).toEqual(['user: hello', 'assistant: here']);
  expect(append).toHaveBeenCalledTimes(2);
  expect(thread.store.get().failures.size).toBe(0);
});

test('an answer that is refused is asked for again without another question', async () => {
  const api = createFakeApi({ reply: () => 'here' });
  let refuse = true;
  const thread = open({
    ...api,
    generate: (...args) => {
      if (!refuse) return api.generate(...args);
      refuse = false;
      return (async function* refused() { yield await Promise.reject(new RequestError('busy', { status: 429 })); })();
    },
  });
  await thread.send('hello');
  expect(thread.store.get().failures.get(lastId(thread))?.status).toBe(429);
  await thread.retry(lastId(thread));
  expect(shown(thread)).toEqual(['user: hello', 'assistant: here']);
});

test('a connection that breaks is picked up after the last event: no word twice, none missing', async () => {
  const api = createFakeApi({ reply: () => 'a b c d e f g h' });
  const resumed: number[] = [];
  const thread = open({
    ...api,
    generate: (...args) => (async function* broken() {
      let count = 0;
      for await (const event of api.generate(...args)) {
        yield event;
        if (++count === 4) throw new RequestError('broke off', { status: 0 });
      }
    })(),
    resume: (conversation, id, after, signal) => {
      resumed.push(after);
      return api.resume(conversation, id, after, signal);
    },
  });
  await thread.send('q');
  expect(shown(thread).at(-1)).toBe('assistant: a b c d e f g h');
  expect(resumed).toEqual([3]);
});

test('stop keeps what was written, in a temporary chat too', async () => {
  for (const temporary of [false, true]) {
    page.set({ temporary, conversationId: null });
    const thread = open(createFakeApi({ tokensPerSecond: 200, reply: () => 'word '.repeat(400) }));
    const sent = thread.send('q');
    await vi.waitUntil(() => [...thread.store.get().live.values()].some((live) => live.text().length > 20));
    await thread.stop();
    await sent;
    const answer = thread.store.get().tree.byId.get(lastId(thread));
    expect(answer?.status).toBe('stopped');
    expect(answer?.content.length).toBeGreaterThan(20);
    expect(answer?.content.length).toBeLessThan(1900);
  }
});

test('a temporary chat asks with all that was said and makes no conversation', async () => {
  page.set({ temporary: true });
  const api = createFakeApi({ reply: (text) => `re ${text}` });
  const temporary = vi.fn<Api['temporary']>((...args) => api.temporary(...args));
  const thread = open({ ...api, temporary });
  await thread.send('one');
  await thread.send('two');
  expect(temporary.mock.calls[1]?.[0].messages).toEqual([{ role: 'user', content: 'one' }, { role: 'assistant', content: 're one' }, { role: 'user', content: 'two' }]);
  expect(thread.store.get().id).toBeNull();
  expect((await api.conversations()).items).toEqual([]);
});
