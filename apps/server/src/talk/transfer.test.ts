/** Files out and in: everything of one person, one conversation, ChatGPT's export, and files that are none of these. */
import type { ConversationDetail, ConversationPage, ConversationSummary, ImportReport, Persona, TalkExport } from '@parley/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Models } from '../models.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/types.ts';
import { Client, serveTalk, type TalkServer } from './testing/client.ts';

let models: Models;
let store: Store;
let server: TalkServer;
beforeAll(async () => {
  models = new Models({ models: ['parley-nano'], open: { threads: 1 } });
  store = await openStore('memory:');
  server = await serveTalk({ store, models });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await store.close();
  await models[Symbol.asyncDispose]();
});

const person = (name: string): Client => new Client(server.url, name);
const trees = async (client: Client): Promise<unknown[]> => {
  const { items } = await client.call<ConversationPage>('GET', '/api/conversations');
  return Promise.all(items.map(async ({ id }) => client.call<ConversationDetail>('GET', `/api/conversations/${id}`)));
};

/** A tree: two questions, one of them edited, an answer with all that is kept about it. */
async function fill(owner: string): Promise<string> {
  const { id } = await store.conversations.create(owner, { title: 'Foxes & 狐狸: "a/b"', settings: { model: 'parley-nano' } });
  const first = await store.conversations.append(owner, id, { parentId: null, role: 'user', content: 'What is a fox?' });
  const answer = await store.conversations.append(owner, id, {
    parentId: first.id, role: 'assistant', content: 'An *animal*.', model: 'parley-nano', finishReason: 'stop', usage: { promptTokens: 3, completionTokens: 2, cachedTokens: 0 },
    details: { seed: 3, tokens: [['An', -0.5, [['An', -0.5]]], [' *animal*.', -1, []]] },
  });
  await store.conversations.append(owner, id, { parentId: answer.id, role: 'user', content: 'Thanks 🦊' });
  await store.conversations.append(owner, id, { parentId: null, role: 'user', content: 'What is a bear?' });
  await store.conversations.update(owner, id, { activeLeaf: answer.id });
  await store.personas.create(owner, { name: 'Tutor', system: 'Explain.', parameters: { temperature: 0.2 } });
  return id;
}

test('everything goes out and comes in again, for oneself and for another person; a second time changes nothing', async () => {
  const [ann, bob] = [person('ann'), person('bob')];
  const id = await fill('ann');
  const response = await ann.raw('GET', '/api/export');
  expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="parley-\d{4}-\d\d-\d\d\.json"/);
  const text = await response.text();
  expect(JSON.parse(text) as TalkExport).toMatchObject({ format: 'parley-export', version: 1 });
  expect(await ann.call<ImportReport>('POST', '/api/import', text)).toEqual({ format: 'parley', conversations: 0, messages: 0, personas: 0, skipped: 4, notes: [] });
  expect(await bob.call<ImportReport>('POST', '/api/import', text)).toEqual({ format: 'parley', conversations: 1, messages: 4, personas: 1, skipped: 0, notes: [] });
  expect(await trees(bob)).toEqual(await trees(ann));
  expect(await bob.call<Persona[]>('GET', '/api/personas')).toEqual(await ann.call<Persona[]>('GET', '/api/personas'));
  // What was deleted comes back, what was said since stays.
  await bob.call('POST', `/api/conversations/${id}/messages`, { parentId: null, content: 'Something new' });
  expect((await bob.call<ImportReport>('POST', '/api/import', text)).messages).toBe(0);
  expect((await bob.call<ConversationDetail>('GET', `/api/conversations/${id}`)).messages).toHaveLength(5);
  await bob.call('DELETE', `/api/conversations/${id}`);
  expect((await bob.call<ImportReport>('POST', '/api/import', text)).messages).toBe(4);
});

test('one conversation as Markdown is the branch that is shown; as JSON it is the whole, and can be imported', async () => {
  const cat = person('cat');
  const id = await fill('cat');
  const markdown = await cat.raw('GET', `/api/conversations/${id}/export`);
  expect(markdown.headers.get('content-disposition')).toBe(`attachment; filename="Foxes & _ a b.md"; filename*=UTF-8''${encodeURIComponent('Foxes & 狐狸 a b')}.md`);
  const text = await markdown.text();
  expect(text).toMatch(/^# Foxes & 狐狸: "a\/b"\n\n\*\d{4}-\d\d-\d\d\*\n\n### User\n\nWhat is a fox\?\n\n### Assistant \(parley-nano\)\n\nAn \*animal\*\.\n$/);
  const json = await (await cat.raw('GET', `/api/conversations/${id}/export?format=json`)).text();
  expect(await person('dan').call<ImportReport>('POST', '/api/import', json)).toMatchObject({ conversations: 1, messages: 4, personas: 0 });
  expect(await trees(person('dan'))).toEqual(await trees(cat));
});

const node = (id: string, parent: string | null, role: string, parts: unknown[], extra: object = {}): [string, object] => [id, {
  id, parent, children: [], message: { id, author: { role }, create_time: 1_700_000_000.25, content: { content_type: 'text', parts }, recipient: 'all', metadata: {}, ...extra },
}];

test("ChatGPT's conversations.json: branches, hidden and tool messages left out with their children kept, pictures named", async () => {
  const chat = {
    title: 'Bears', create_time: 1_700_000_000, update_time: 1_700_000_100.5, conversation_id: 'c-1', current_node: 'n7', moderation_results: [],
    mapping: Object.fromEntries([
      ['root', { id: 'root', parent: null, children: ['n0'], message: null }],
      node('n0', 'root', 'system', [''], { metadata: { is_visually_hidden_from_conversation: true } }),
      node('n1', 'n0', 'user', ['What is a bear?']),
      node('n2', 'n1', 'assistant', ['search("bear")'], { recipient: 'browser' }),
      node('n3', 'n2', 'tool', ['result']),
      node('n4', 'n3', 'assistant', ['An animal.'], { metadata: { model_slug: 'gpt-4o' } }),
      node('n5', 'n1', 'assistant', ['A big animal.']),
      node('n6', 'n4', 'user', [{ content_type: 'image_asset_pointer', asset_pointer: 'file://x' }, 'And this?'], { content: { content_type: 'multimodal_text', parts: [{ asset_pointer: 'x' }, 'And this?'] } }),
      node('n7', 'n6', 'assistant', [''], { content: { content_type: 'thoughts', thoughts: [] } }),
    ]),
  };
  const file = [chat, { id: 'c-2', title: null, create_time: null, mapping: Object.fromEntries([node('a', 'gone', 'user', ['Hello there, my friend!'])]) }, { id: 'c-3', mapping: {} }];
  const eve = person('eve');
  const report = await eve.call<ImportReport>('POST', '/api/import', `\uFEFF${JSON.stringify(file)}`);
  expect(report).toMatchObject({ format: 'chatgpt', conversations: 2, messages: 5, skipped: 0 });
  expect(report.notes.toSorted()).toEqual([
    "1 conversations in which nothing was said were left out", "1 × left out: answers of tools", '1 × left out: calls of tools',
    "1 × left out: messages of the type 'thoughts'", '1 × left out: pictures and other attachments (their place says [attachment])',
  ]);
  const bears = await eve.call<ConversationDetail>('GET', '/api/conversations/c-1');
  expect(bears).toMatchObject({ title: 'Bears', createdAt: 1_700_000_000_000, updatedAt: 1_700_000_100_500, activeLeaf: 'n6' });
  expect(bears.messages.map(({ id, parentId, content }) => [id, parentId, content])).toEqual([
    ['n1', null, 'What is a bear?'], ['n4', 'n1', 'An animal.'], ['n5', 'n1', 'A big animal.'], ['n6', 'n4', '[attachment]\nAnd this?'],
  ]);
  expect(bears.messages[1]?.model).toBe('gpt-4o');
  expect((await eve.call<ConversationSummary>('GET', '/api/conversations/c-2')).title).toBe('Hello there, my friend!');
  expect(await eve.call<ImportReport>('POST', '/api/import', file)).toMatchObject({ conversations: 0, messages: 0, skipped: 5 });
});

test('a tree of 5,000 turns, and one with a circle, are taken over', async () => {
  const deep = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => node(`m${i}`, i === 0 ? null : `m${i - 1}`, i % 2 === 0 ? 'user' : 'assistant', [`turn ${i}`])).toReversed());
  const circle = Object.fromEntries([node('a', 'c', 'user', ['a']), node('b', 'a', 'assistant', ['b']), node('c', 'b', 'user', ['c']), node('d', 'd', 'user', ['d'])]);
  const fay = person('fay');
  const report = await fay.call<ImportReport>('POST', '/api/import', [{ id: 'deep', mapping: deep, current_node: 'm4999' }, { id: 'circle', mapping: circle }]);
  expect(report).toMatchObject({ conversations: 2, messages: 5_004 });
  const detail = await fay.call<ConversationDetail>('GET', '/api/conversations/deep');
  expect([detail.messages[0]?.id, detail.activeLeaf]).toEqual(['m0', 'm4999']);
});

test('files that are something else are refused with what is wrong and where, and nothing of them is taken over', async () => {
  const gus = person('gus');
  const message = { id: 'm', parentId: null, role: 'user', content: 'x', createdAt: 0, updatedAt: 0, status: 'complete', model: null, finishReason: null, usage: null, details: null };
  const conversation = { id: 'c', title: 't', createdAt: 0, updatedAt: 0, archived: false, activeLeaf: 'm', settings: {}, messages: [message] };
  const own = (change: object): object => ({ format: 'parley-export', version: 1, exportedAt: 0, conversations: [conversation, { ...conversation, id: 'd', ...change }], personas: [] });
  const refused: [unknown, RegExp][] = [
    ['', /not JSON/],
    ['PK\u0003\u0004 rest of an archive', /ZIP archive: unpack it/],
    ['{"format": "parley-export"', /not JSON/],
    ['"text"', /neither .* nor .*"text"/],
    ['null', /neither/],
    [{ hello: 1, world: 2 }, /'hello', 'world'/],
    [{ format: 'parley-export', version: 2, conversations: [], personas: [] }, /version/],
    [own({ activeLeaf: 'nobody' }), /conversations\.1\.activeLeaf.*nobody/],
    [own({ messages: [message, message] }), /conversations\.1\.messages\.1\.id: 'm' comes twice/],
    [own({ messages: [{ ...message, parentId: 'nobody' }] }), /conversations\.1\.messages\.0\.parentId/],
    [own({ messages: [{ ...message, role: 'king' }] }), /conversations\.1\.messages\.0\.role/],
    [own({ settings: { parameters: { temperature: 'hot' } } }), /conversations\[1\]\.settings\.parameters\.temperature/],
    [own({ messages: [{ ...message, details: { tokens: 'many' } }] }), /conversations\[1\]\.messages\[0\]\.details\.tokens/],
    [[{ id: 'x', mapping: Object.fromEntries([node('a', null, 'user', ['x'])]) }, { id: 'y', mapping: [] }], /\[1\]\.mapping/],
    [[{ id: 'x', mapping: { a: { message: { author: 'me' } } } }], /\[0\]\.mapping\.a\.message\.author/],
    [[{ mapping: {} }], /neither id nor conversation_id/],
    [[7], /\[0\]/],
  ];
  for (const [body, expected] of refused) {
    const response = await gus.raw('POST', '/api/import', body);
    const { error } = await response.json() as { error: { message: string } };
    expect([response.status, error.message]).toEqual([400, expect.stringMatching(expected)]);
  }
  expect((await gus.call<ConversationPage>('GET', '/api/conversations')).items).toEqual([]);
});
