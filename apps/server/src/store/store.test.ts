/** What every method of the store promises, over each database. The tree has a test of its own beside this (tree.test.ts). Long, as every test runs over each. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore } from './open.ts';
import { emptyStore, engines, hasPostgres, type TestStore } from './testing/databases.ts';
import { keyState, startOfMonth, type Store, StoreError } from './types.ts';

const HOUR = 3600_000;
const START = Date.UTC(2026, 2, 15, 12);

const code = async (promise: Promise<unknown>): Promise<unknown> => await promise.then(() => 'resolved', (error: unknown) => (error instanceof StoreError ? error.code : error));

describe.each(engines)('$name', (engine) => {
  let opened: TestStore;
  let store: Store;
  let clock = START;
  let nobody = 0;
  const someone = (): string => `owner-${nobody++}`;
  beforeAll(async () => {
    opened = await emptyStore(engine, { now: () => clock++ });
    store = opened.store;
  });
  afterAll(async () => await opened[Symbol.asyncDispose]());

  test('a conversation is made, changed, found again and removed with its messages', async () => {
    const owner = someone();
    const made = await store.conversations.create(owner, { title: 'First', settings: { model: 'parley-mini' } });
    expect(made).toMatchObject({ title: 'First', archived: false, activeLeaf: null, settings: { model: 'parley-mini' } });
    expect(made.id).toMatch(/^conv_[0-9A-Za-z]{22}$/);
    const question = await store.conversations.append(owner, made.id, { parentId: null, role: 'user', content: 'Why?' });
    const asked = await store.conversations.get(owner, made.id);
    const changed = await store.conversations.update(owner, made.id, { title: 'Second', archived: true, activeLeaf: null, settings: {} });
    expect(changed).toMatchObject({ id: made.id, title: 'Second', archived: true, activeLeaf: null, settings: {} });
    // Only messages move a conversation up the list.
    expect(changed.updatedAt).toBe(asked?.updatedAt);
    expect(changed.updatedAt).toBeGreaterThanOrEqual(question.createdAt);
    expect(await store.conversations.get(owner, made.id)).toEqual(changed);
    expect(await code(store.conversations.create(owner, { id: made.id }))).toBe('conflict');
    expect(await store.conversations.remove(owner, made.id)).toBe(true);
    expect(await store.conversations.remove(owner, made.id)).toBe(false);
    expect(await store.conversations.get(owner, made.id)).toBeNull();
    expect(await store.conversations.messages(owner, made.id)).toEqual([]);
    expect(await code(store.conversations.update(owner, made.id, { title: 'Third' }))).toBe('not_found');
  });

  test('what belongs to another owner is as good as not there, and ids are each owner\'s own', async () => {
    const [a, b] = [someone(), someone()];
    const { conversations, personas, responses } = store;
    const { id } = await conversations.create(a, { id: 'same', title: 'secret plans' });
    const message = await conversations.append(a, id, { id: 'm', parentId: null, role: 'user', content: 'secret words' });
    await personas.create(a, { id: 'p', name: 'Poet', system: 'Rhyme.' });
    await responses.put(a, { id: 'r', previousId: null, input: [], response: {} });
    const nothing = async (): Promise<void> => {
      expect(await conversations.get(b, id)).toBeNull();
      expect(await conversations.message(b, id, message.id)).toBeNull();
      expect(await conversations.messages(b, id)).toEqual([]);
      expect((await conversations.list(b, { search: 'secret' })).items).toEqual([]);
      expect(await conversations.remove(b, id)).toBe(false);
      expect(await conversations.removeMessage(b, id, message.id)).toBe(false);
      expect(await code(conversations.update(b, id, { title: 'mine' }))).toBe('not_found');
      expect(await code(conversations.append(b, id, { parentId: 'm', role: 'user', content: 'mine' }))).toBe('not_found');
      expect(await code(conversations.updateMessage(b, id, message.id, { content: 'mine' }))).toBe('not_found');
      expect(await code(conversations.branch(b, id))).toBe('not_found');
      expect(await code(personas.update(b, 'p', { name: 'mine' }))).toBe('not_found');
      expect(await personas.get(b, 'p')).toBeNull();
      expect(await personas.list(b)).toEqual([]);
      expect(await personas.remove(b, 'p')).toBe(false);
      expect(await responses.get(b, 'r')).toBeNull();
      expect(await responses.chain(b, 'r')).toBeNull();
      expect(await responses.remove(b, 'r')).toBe(false);
      expect((await conversations.exportAll(b)).conversations).toEqual([]);
    };
    await nothing();
    expect(await store.erase(b)).toEqual({ conversations: 0, personas: 0, responses: 0 });
    expect((await conversations.create(b, { id: 'same' })).id).toBe('same');
    expect(await conversations.message(b, 'same', 'm')).toBeNull();
    expect(await store.erase(b)).toEqual({ conversations: 1, personas: 0, responses: 0 });
    expect((await conversations.messages(a, id)).map(({ content }) => content)).toEqual(['secret words']);
    expect(await store.erase(a)).toEqual({ conversations: 1, personas: 1, responses: 1 });
  });

  test('a message keeps all that it is told; lists leave its details out unless asked', async () => {
    const owner = someone();
    const { id } = await store.conversations.create(owner);
    const text = 'NUL \0, noncharacters \uFDD0\uFDD1\uFDD0\uFDD2, emoji 👩‍🚀, 中文, quotes \'"\\ and %_ \u2028';
    const usage = { promptTokens: 3, completionTokens: 5, cachedTokens: 2 };
    const details = { seed: 7, tokens: [{ text, logprob: -0.25, top: [] }], nul: '\0' };
    const first = await store.conversations.append(owner, id, { parentId: null, role: 'user', content: text });
    const answer = await store.conversations.append(owner, id, { parentId: first.id, role: 'assistant', content: '', status: 'streaming', model: 'm' });
    expect(first).toMatchObject({ content: text, status: 'complete', usage: null, details: null, model: null, finishReason: null });
    const done = await store.conversations.updateMessage(owner, id, answer.id, { content: text, status: 'complete', finishReason: 'stop', usage, details });
    expect(done).toEqual({ ...answer, content: text, status: 'complete', finishReason: 'stop', usage, details, updatedAt: done.updatedAt });
    expect(await store.conversations.message(owner, id, answer.id)).toEqual(done);
    expect(await store.conversations.messages(owner, id, { details: true })).toEqual([first, done]);
    expect(await store.conversations.messages(owner, id)).toEqual([first, { ...done, details: null }]);
    expect(await store.conversations.branch(owner, id)).toEqual([first, { ...done, details: null }]);
    expect((await store.conversations.updateMessage(owner, id, answer.id, { usage: null, details: null })).usage).toBeNull();
  });

  test('a message follows one of its own conversation, and has an id of its own there', async () => {
    const owner = someone();
    const [one, other] = [await store.conversations.create(owner), await store.conversations.create(owner)];
    const message = await store.conversations.append(owner, one.id, { id: 'x', parentId: null, role: 'user', content: 'a' });
    await expect(store.conversations.append(owner, other.id, { parentId: 'x', role: 'user', content: 'b' })).rejects.toThrow(`the parent 'x' is no message of conversation '${other.id}'`);
    await expect(store.conversations.append(owner, one.id, { id: 'x', parentId: null, role: 'user', content: 'b' })).rejects.toThrow(`conversation '${one.id}' has a message 'x' already`);
    expect(await code(store.conversations.append(owner, 'none', { parentId: null, role: 'user', content: 'b' }))).toBe('not_found');
    expect(await code(store.conversations.update(owner, other.id, { activeLeaf: 'x' }))).toBe('invalid');
    expect(await code(store.conversations.branch(owner, other.id, 'x'))).toBe('not_found');
    // What failed left nothing behind.
    expect(await store.conversations.get(owner, other.id)).toEqual(other);
    expect(await store.conversations.messages(owner, one.id)).toEqual([message]);
    expect(await store.conversations.branch(owner, other.id)).toEqual([]);
  });

  test('many at once: each append of a hundred is kept, in one conversation and in many', async () => {
    const owner = someone();
    const ids = await Promise.all(Array.from({ length: 10 }, async () => (await store.conversations.create(owner)).id));
    const sent = await Promise.all(Array.from({ length: 100 }, async (_, index) =>
      await store.conversations.append(owner, ids[index < 50 ? 0 : index % 10] ?? '', { parentId: null, role: 'user', content: String(index) })));
    const kept = (await Promise.all(ids.map(async (id) => await store.conversations.messages(owner, id)))).flat();
    expect(new Set(kept.map(({ id }) => id))).toEqual(new Set(sent.map(({ id }) => id)));
  });

  test('pages of a list are newest first, without gaps or repetitions, archived or not', async () => {
    const owner = someone();
    const made: string[] = [];
    for (let index = 0; index < 23; index++) made.push((await store.conversations.create(owner, { title: `T ${index}` })).id);
    for (const id of made.slice(0, 5)) await store.conversations.update(owner, id, { archived: true });
    const [oldest = ''] = made.slice(5);
    await store.conversations.append(owner, oldest, { parentId: null, role: 'user', content: 'news' });
    const walk = async (archived?: boolean): Promise<string[]> => {
      const seen: string[] = [];
      for (let cursor: string | null = null; ;) {
        const page = await store.conversations.list(owner, { archived, cursor, limit: 6 });
        seen.push(...page.items.map(({ id }) => id));
        if (page.next === null) return seen;
        cursor = page.next;
      }
    };
    const rest = made.slice(6).reverse();
    expect(await walk(false)).toEqual([oldest, ...rest]);
    expect(await walk(true)).toEqual(made.slice(0, 5).reverse());
    expect(await walk()).toEqual([oldest, ...rest, ...made.slice(0, 5).reverse()]);
    expect(await code(store.conversations.list(owner, { cursor: 'bm9uZQ' }))).toBe('invalid');
    expect(await code(store.conversations.list(owner, { limit: 0 }))).toBe('invalid');
  });

  test('search finds titles and messages: Chinese, beginnings, accents; not what was changed or deleted', async () => {
    const owner = someone();
    const weather = await store.conversations.create(owner, { title: 'Das Wetter' });
    const chinese = await store.conversations.create(owner, { title: '旅行计划' });
    const long = `${'words before '.repeat(40)} 今天北京的天气很好，适合散步。 ${'words after '.repeat(40)}`;
    const message = await store.conversations.append(owner, chinese.id, { parentId: null, role: 'user', content: long });
    const streamed = await store.conversations.append(owner, weather.id, { parentId: null, role: 'assistant', content: 'half a caf', status: 'streaming' });
    const find = async (search: string): Promise<string[]> => (await store.conversations.list(owner, { search })).items.map(({ id }) => id);
    expect(await find('天气')).toEqual([chinese.id]);
    expect(await find('气')).toEqual([chinese.id]);
    expect(await find('天气 散步')).toEqual([chinese.id]);
    expect(await find('旅行')).toEqual([chinese.id]);
    expect(await find('天地')).toEqual([]);
    expect(await find('WETT')).toEqual([weather.id]);
    expect(await find('wett ')).toEqual([]);
    expect(await find('caf')).toEqual([]);
    await store.conversations.updateMessage(owner, weather.id, streamed.id, { content: 'A whole Café.', status: 'complete' });
    expect(await find('cafe who')).toEqual([weather.id]);
    expect(await find('half')).toEqual([]);
    expect((await find('')).length).toBe(2);
    expect((await find('"?*')).length).toBe(2);
    const [hit] = (await store.conversations.list(owner, { search: '天气' })).items;
    expect(hit?.match?.messageId).toBe(message.id);
    expect(hit?.match?.text).toMatch(/^….*words before 今天北京的天气很好，适合散步。 words after .*…$/);
    expect((await store.conversations.list(owner, { search: 'wetter' })).items[0]?.match).toBeNull();
    await store.conversations.update(owner, weather.id, { title: 'Else' });
    expect(await find('wetter')).toEqual([]);
    expect(await find('els')).toEqual([weather.id]);
    await store.conversations.removeMessage(owner, chinese.id, message.id);
    expect(await find('天气')).toEqual([]);
    await store.conversations.remove(owner, weather.id);
    expect(await find('café')).toEqual([]);
  });

  test('answers that a process left half written become failed, and can be found', async () => {
    const owner = someone();
    const { id } = await store.conversations.create(owner);
    const old = await store.conversations.append(owner, id, { parentId: null, role: 'assistant', content: 'zeppelin', status: 'streaming' });
    const young = await store.conversations.append(owner, id, { parentId: null, role: 'assistant', content: 'airship', status: 'streaming' });
    expect(await store.conversations.endInterrupted(young.updatedAt)).toBe(1);
    expect((await store.conversations.messages(owner, id)).map(({ status }) => status)).toEqual(['failed', 'streaming']);
    expect((await store.conversations.list(owner, { search: 'zeppelin' })).items[0]?.match?.messageId).toBe(old.id);
    expect(await store.conversations.endInterrupted(clock)).toBe(1);
  });

  test('an export goes into an empty account as it came out, and twice changes nothing', async () => {
    const [from, to] = [someone(), someone()];
    const { id } = await store.conversations.create(from, { title: 'Trip 旅行', settings: { system: 'Be short.' } });
    const question = await store.conversations.append(from, id, { parentId: null, role: 'user', content: 'Where to?' });
    await store.conversations.append(from, id, { parentId: question.id, role: 'assistant', content: 'Rome', details: { seed: 1 } });
    await store.conversations.append(from, id, { parentId: question.id, role: 'assistant', content: 'Oslo' });
    await store.conversations.create(from, { title: 'Empty' });
    await store.personas.create(from, { name: 'Poet', system: 'Rhyme.', parameters: { temperature: 1 } });
    const exported = await store.conversations.exportAll(from);
    const file: unknown = JSON.parse(JSON.stringify(exported));
    expect(await store.conversations.importAll(to, file)).toEqual({ conversations: 2, messages: 3, personas: 1, skipped: 0 });
    expect({ ...await store.conversations.exportAll(to), exportedAt: 0 }).toEqual({ ...exported, exportedAt: 0 });
    expect(await store.conversations.importAll(to, file)).toEqual({ conversations: 0, messages: 0, personas: 0, skipped: 3 });
    expect((await store.conversations.list(to, { search: 'oslo' })).items.map((found) => found.id)).toEqual([id]);
    await store.conversations.append(from, id, { parentId: question.id, role: 'assistant', content: 'Bern' });
    expect(await store.conversations.importAll(to, await store.conversations.exportAll(from))).toEqual({ conversations: 0, messages: 1, personas: 0, skipped: 3 });
  });

  test('an import is all or nothing, takes messages in any order, and names the place that is wrong', async () => {
    const owner = someone();
    const base = { createdAt: START, role: 'user', content: 'x' };
    const file = (messages: readonly unknown[], activeLeaf: string | null = null): unknown => ({
      format: 'parley-export', version: 1, conversations: [{ id: 'good', title: '', createdAt: 1, updatedAt: 2, messages: [{ ...base, id: 'g', parentId: null }] },
        { id: 'c', title: 't', createdAt: 1, updatedAt: 2, activeLeaf, messages }],
    });
    for (const [messages, leaf, message] of [
      [[{ ...base, id: 'a', parentId: 'b' }], null, "conversations.1.messages.0.parentId: 'b' is no message before it"],
      [[{ ...base, id: 'a', parentId: 'b' }, { ...base, id: 'b', parentId: 'a' }], null, 'conversations.1.messages.0.parentId'],
      [[{ ...base, id: 'a', parentId: null }, { ...base, id: 'a', parentId: null }], null, "conversations.1.messages.1.id: 'a' comes twice"],
      [[{ ...base, id: 'a', parentId: null }], 'z', "conversations.1.activeLeaf: there is no message 'z'"],
      [[{ ...base, id: 'a', parentId: null, role: 'pope' }], null, 'conversations.1.messages.0.role'],
    ] as const) await expect(store.conversations.importAll(owner, file(messages, leaf))).rejects.toThrow(message);
    await expect(store.conversations.importAll(owner, { format: 'other' })).rejects.toThrow('this is no export of Parley: format');
    expect((await store.conversations.list(owner)).items).toEqual([]);
    await store.conversations.importAll(owner, file([{ ...base, id: 'c', parentId: 'b' }, { ...base, id: 'b', parentId: 'a' }, { ...base, id: 'a', parentId: null, status: 'streaming' }], 'c'));
    expect((await store.conversations.branch(owner, 'c')).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect((await store.conversations.messages(owner, 'c'))[0]?.status).toBe('failed');
  });

  test('personas', async () => {
    const owner = someone();
    const pirate = await store.personas.create(owner, { name: 'Pirate', system: 'Arr.' });
    const cook = await store.personas.create(owner, { name: 'cook', system: 'Taste.', parameters: { temperature: 0.2 } });
    expect(await store.personas.list(owner)).toEqual([cook, pirate]);
    const changed = await store.personas.update(owner, pirate.id, { name: 'Admiral', parameters: { top_k: 5 } });
    expect(changed).toEqual({ ...pirate, name: 'Admiral', parameters: { top_k: 5 }, updatedAt: changed.updatedAt });
    expect(await store.personas.get(owner, pirate.id)).toEqual(changed);
    expect(await store.personas.remove(owner, pirate.id)).toBe(true);
    expect(await store.personas.list(owner)).toEqual([cook]);
  });

  test('stored responses: a chain is whole or not there, and they end by themselves', async () => {
    const owner = someone();
    const put = async (id: string, previousId: string | null, expiresAt?: number) => await store.responses.put(owner, { id, previousId, input: [{ id }], response: { id, output: [] }, expiresAt });
    const [a, b, c] = [await put('a', null), await put('b', 'a'), await put('c', 'b')];
    expect(a.expiresAt - a.createdAt).toBe(30 * 24 * HOUR);
    expect(await store.responses.get(owner, 'b')).toEqual(b);
    expect(await store.responses.chain(owner, 'c')).toEqual([a, b, c]);
    expect(await store.responses.chain(owner, 'a')).toEqual([a]);
    expect(await code(put('a', null))).toBe('conflict');
    await put('itself', 'itself');
    expect(await store.responses.chain(owner, 'itself')).toBeNull();
    expect(await store.responses.remove(owner, 'b')).toBe(true);
    expect(await store.responses.chain(owner, 'c')).toBeNull();
    await put('short', null, clock + HOUR);
    expect(await store.responses.get(owner, 'short')).not.toBeNull();
    clock += 2 * HOUR;
    expect(await store.responses.get(owner, 'short')).toBeNull();
    await store.prune();
    expect((await store.erase(owner)).responses).toBe(3);
  });

  test('a key is shown once, works until it is revoked or ends, and is kept as a hash', async () => {
    const { keys } = store;
    expect(await keys.any()).toBe(false);
    const { key, record } = await keys.create({ name: 'app', scopes: ['chat', 'metrics'], expiresAt: clock + 10 * HOUR, budgetTokens: 1e12, monthlyBudgetTokens: 5, requestsPerMinute: 6, tokensPerMinute: 7 });
    expect(key).toMatch(/^pk-parley-[0-9A-Za-z]{43}$/);
    expect(key.startsWith(record.prefix) && record.prefix.length === 'pk-parley-'.length + 4).toBe(true);
    expect(record).toMatchObject({ name: 'app', scopes: ['chat', 'metrics'], budgetTokens: 1e12, monthlyBudgetTokens: 5, requestsPerMinute: 6, tokensPerMinute: 7, lastUsedAt: null, revokedAt: null });
    expect(JSON.stringify(await keys.list())).not.toContain(key.slice(14));
    const used = await keys.verify(key);
    expect(used?.lastUsedAt).toBeGreaterThan(record.createdAt);
    // Noted to the minute, not at each request.
    expect((await keys.verify(key))?.lastUsedAt).toBe(used?.lastUsedAt);
    expect(await keys.get(record.id)).toEqual(used);
    for (const wrong of ['', 'pk-parley-', `${key}x`, key.slice(0, -1), key.toLowerCase(), 'sk-other']) expect(await keys.verify(wrong)).toBeNull();
    const { key: plain, record: plainRecord } = await keys.create({ name: 'plain' });
    expect(plainRecord).toMatchObject({ scopes: ['chat', 'embeddings', 'models'], expiresAt: null, budgetTokens: null });
    const revoked = await keys.revoke(plainRecord.id);
    expect(revoked?.revokedAt).toBeGreaterThan(plainRecord.createdAt);
    expect(await keys.revoke(plainRecord.id)).toEqual(revoked);
    expect(await keys.verify(plain)).toBeNull();
    expect(await keys.find(plain)).toEqual(revoked);
    expect(await keys.revoke('key_none')).toBeNull();
    expect(await keys.any()).toBe(true);
    clock += 11 * HOUR;
    expect(await keys.verify(key)).toBeNull();
    const ended = await keys.find(key);
    expect(ended === null ? null : keyState(ended, clock)).toBe('expired');
    expect(await keys.any()).toBe(false);
    expect((await keys.list()).map(({ name }) => name)).toEqual(['app', 'plain']);
    expect(await code(keys.create({ name: 'x', expiresAt: clock - 1 }))).toBe('invalid');
    expect(await code(keys.create({ name: ' ' }))).toBe('invalid');
    expect(await code(keys.create({ name: 'x', budgetTokens: 0 }))).toBe('invalid');
    expect(await code(keys.create({ name: 'x', scopes: [] }))).toBe('invalid');
  });

  test('usage adds up per key, since an hour, per model, day and month', async () => {
    const key = someone();
    const add = async (at: number, model: string, promptTokens: number, keyId = key): Promise<void> => await store.usage.add({ keyId, model, promptTokens, completionTokens: 10, cachedTokens: 1, at });
    const february = Date.UTC(2026, 1, 28, 23, 30);
    const march = Date.UTC(2026, 2, 1, 0, 5);
    await Promise.all([add(february, 'a', 100), add(march, 'a', 1000), add(march + 60_000, 'a', 2000), add(march + HOUR, 'b', 5), add(march + 30 * HOUR, 'a', 7), add(march, 'a', 9, someone())]);
    expect(await store.usage.totals(key)).toEqual({ requests: 5, promptTokens: 3112, completionTokens: 50, cachedTokens: 5, totalTokens: 3162 });
    expect(await store.usage.totals(key, startOfMonth(march + HOUR))).toMatchObject({ requests: 4, promptTokens: 3012 });
    expect(await store.usage.totals(key, march + HOUR + 59)).toMatchObject({ requests: 2, promptTokens: 12 });
    expect(await store.usage.totals('nobody')).toEqual({ requests: 0, promptTokens: 0, completionTokens: 0, cachedTokens: 0, totalTokens: 0 });
    const rows = (period: 'day' | 'month', range = {}) => store.usage.report({ keyId: key, period, ...range }).then((all) => all.map(({ model, start, requests, promptTokens }) => [new Date(start).toISOString().slice(0, 10), model, requests, promptTokens]));
    expect(await rows('day')).toEqual([['2026-02-28', 'a', 1, 100], ['2026-03-01', 'a', 2, 3000], ['2026-03-01', 'b', 1, 5], ['2026-03-02', 'a', 1, 7]]);
    expect(await rows('month')).toEqual([['2026-02-01', 'a', 1, 100], ['2026-03-01', 'a', 3, 3007], ['2026-03-01', 'b', 1, 5]]);
    expect(await rows('month', { since: march, until: march + 2 * HOUR })).toEqual([['2026-03-01', 'a', 2, 3000], ['2026-03-01', 'b', 1, 5]]);
    expect((await store.usage.report({ period: 'month' })).length).toBe(4);
  });

  test('an account signs in with its password, whatever the case of its name and the composition of its letters', async () => {
    const { accounts } = store;
    expect(await accounts.any()).toBe(false);
    const zoë = await accounts.create({ name: ' Zo\u00eb ', password: 'passw\u00f6rd' });
    expect(zoë).toMatchObject({ name: 'Zoë', lastSignInAt: null });
    await expect(accounts.create({ name: 'ZOE\u0308', password: 'another one' })).rejects.toThrow("there is an account 'ZOE\u0308' already");
    await expect(accounts.create({ name: 'b', password: 'seven77' })).rejects.toThrow('the password has 7 characters: it takes 8 or more');
    expect(await code(accounts.create({ name: ' ', password: 'long enough' }))).toBe('invalid');
    expect((await accounts.verify('zoë', 'passwo\u0308rd'))?.id).toBe(zoë.id);
    expect(await accounts.verify('zoë', 'passwoerd')).toBeNull();
    expect(await accounts.verify('nobody', 'passw\u00f6rd')).toBeNull();
    expect((await accounts.findByName('ZOË'))?.lastSignInAt).toBeGreaterThan(zoë.createdAt);
    expect((await accounts.list()).map(({ id }) => id)).toEqual([zoë.id]);
    expect(await accounts.any()).toBe(true);
  });

  test('the first account is given what was there before it, all of it or nothing; a second is not', async () => {
    await using fresh = await emptyStore(engine);
    const { accounts, conversations, personas, responses } = fresh.store;
    const { id } = await conversations.create('local', { title: 'Tides' });
    await conversations.append('local', id, { parentId: null, role: 'user', content: 'Why is the sea salty?' });
    await personas.create('local', { name: 'Pirate', system: 'Arr.' });
    await responses.put('local', { id: 'resp_1', previousId: null, input: [], response: {} });
    await conversations.create('key_1', { title: 'of a program' });
    expect(await code(accounts.createFirst({ name: 'ann', password: 'short' }, 'local'))).toBe('invalid');
    expect((await conversations.list('local')).items).toHaveLength(1);

    const { account, adopted } = await accounts.createFirst({ name: 'ann', password: 'correct horse' }, 'local');
    expect(adopted).toEqual({ conversations: 1, personas: 1, responses: 1 });
    expect((await conversations.list(account.id, { search: 'salty' })).items.map((found) => found.id)).toEqual([id]);
    expect((await conversations.branch(account.id, id)).map(({ content }) => content)).toEqual(['Why is the sea salty?']);
    expect((await personas.list(account.id)).map(({ name }) => name)).toEqual(['Pirate']);
    expect((await responses.get(account.id, 'resp_1'))?.id).toBe('resp_1');
    expect((await conversations.list('local')).items).toEqual([]);
    expect((await conversations.list('key_1')).items).toHaveLength(1);

    await conversations.create('local', { title: 'later' });
    expect(await code(accounts.createFirst({ name: 'ANN', password: 'correct horse' }, 'local'))).toBe('conflict');
    expect((await accounts.createFirst({ name: 'bob', password: 'correct horse' }, 'local')).adopted).toBeNull();
    expect((await conversations.list('local')).items).toHaveLength(1);
  });

  test('sessions end by signing out, by time, by a new password and with their account, which takes along all that it owns', async () => {
    const { accounts } = store;
    const ann = await accounts.create({ name: 'ann', password: 'correct horse' });
    const first = await accounts.signIn(ann.id);
    const brief = await accounts.signIn(ann.id, { lifetimeMs: HOUR });
    expect(first.token).toMatch(/^[0-9A-Za-z]{43}$/);
    expect(await accounts.session(first.token)).toEqual(first.session);
    expect(await accounts.session('')).toBeNull();
    clock += 2 * HOUR;
    expect(await accounts.session(brief.token)).toBeNull();
    expect(await accounts.signOut(first.token)).toBe(true);
    expect(await accounts.session(first.token)).toBeNull();
    const second = await accounts.signIn(ann.id);
    await accounts.setPassword(ann.id, 'battery staple');
    expect(await accounts.session(second.token)).toBeNull();
    expect(await accounts.verify('ann', 'correct horse')).toBeNull();
    expect((await accounts.verify('ann', 'battery staple'))?.id).toBe(ann.id);
    const third = await accounts.signIn(ann.id);
    await store.conversations.create(ann.id);
    expect(await accounts.remove(ann.id)).toBe(true);
    expect(await accounts.remove(ann.id)).toBe(false);
    expect(await accounts.session(third.token)).toBeNull();
    expect((await store.conversations.list(ann.id)).items).toEqual([]);
    expect(await code(accounts.signIn(ann.id))).toBe('not_found');
    expect(await code(accounts.setPassword(ann.id, 'battery staple'))).toBe('not_found');
  });

  test('a password kept with older parameters is hashed anew when its person signs in', async () => {
    await store.accounts.create({ name: 'old', password: 'still the same' });
    await using dearer = await openStore(opened.url, { cost: { N: 2 ** 5, r: 8, p: 1 } });
    expect((await dearer.accounts.verify('old', 'still the same'))?.name).toBe('old');
    expect((await store.accounts.verify('old', 'still the same'))?.name).toBe('old');
    expect(await store.accounts.verify('old', 'not the same')).toBeNull();
  });

  test('what was kept is there when the store is opened again, by several at once too', async () => {
    const owner = someone();
    const { id } = await store.conversations.create(owner, { title: 'stays' });
    const others = await Promise.all([openStore(opened.url), openStore(opened.url), openStore(opened.url)]);
    for (const other of others) {
      expect((await other.conversations.get(owner, id))?.title).toBe('stays');
      await other.conversations.append(owner, id, { parentId: null, role: 'user', content: 'from elsewhere' });
      await other.ping();
      await other.close();
      await other.close();
      expect(await code(other.ping())).not.toBe('resolved');
    }
    expect((await store.conversations.messages(owner, id)).length).toBe(3);
  });
});

test.skipIf(!hasPostgres)('Postgres is among the databases of these tests; skipped where PARLEY_TEST_POSTGRES names none', () => {
  expect(engines.map(({ name }) => name)).toEqual(['SQLite', 'Postgres']);
});

test('words of what an owner has erased are nowhere in SQLite\'s file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-erase-'));
  const file = join(folder, 'parley.sqlite');
  await using store = await openStore(`sqlite:${file}`);
  const { id } = await store.conversations.create('a', { title: 'zebrafish' });
  await store.conversations.append('a', id, { parentId: null, role: 'user', content: 'axolotl' });
  await store.conversations.append('b', (await store.conversations.create('b')).id, { parentId: null, role: 'user', content: 'platypus' });
  await store.erase('a');
  await store.close();
  const bytes = (await readFile(file)).toString('latin1');
  expect(bytes).toContain('platypus');
  for (const word of ['ebrafish', 'xolotl']) expect(bytes).not.toContain(word);
  expect(await readdir(folder)).toEqual(['parley.sqlite']);
  await rm(folder, { recursive: true });
});

test('a store in memory needs no file', async () => {
  await using store = await openStore('memory:');
  const { id } = await store.conversations.create('a');
  expect((await store.conversations.get('a', id))?.id).toBe(id);
  expect(store.description).toBe('SQLite in memory');
});

test('what cannot be opened says so without a password in it', async () => {
  await expect(openStore('mysql://root:secret@localhost/x')).rejects.toThrow("a database of the kind 'mysql:' is not known: write sqlite:PATH");
  const gone = await openStore('postgres://someone:secret@127.0.0.1:1/x').catch((error: unknown) => error as StoreError);
  expect(gone).toMatchObject({ code: 'unavailable', message: 'the database 127.0.0.1:1/x failed' });
  await expect(openStore('sqlite:/dev/null/x.sqlite')).rejects.toThrow('/dev/null/x.sqlite cannot be written: choose another folder with --data');
  await expect(openStore(`sqlite:${import.meta.filename}`)).rejects.toThrow('is not a SQLite database: name another file');
});
