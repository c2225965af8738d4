/** GET /api/export, POST /api/import, and one conversation as a file: what a person has here belongs to them. */
import { ApiError, invalidRequest, type TalkExport } from '@parley/protocol';
import type { Hono } from 'hono';
import type { Environment } from '../app.ts';
import type { Conversation, Message, Store } from '../store/types.ts';
import { importFile } from '../talk/import.ts';
import { attachment, markdownOf } from '../talk/markdown.ts';
import type { Talk } from '../talk/talk.ts';
import { kept, noConversation } from '../talk/views.ts';

export function transferRoutes(app: Hono<Environment>, { store }: Talk): void {
  /** A file of hundreds of megabytes is a multiple of that while it is read: one at a time. */
  const importing = new Set<string>();

  app.get('/api/export', (context) => {
    const date = new Date().toISOString().slice(0, 10);
    const body = ReadableStream.from(encoded(everything(store, context.get('identity').id)));
    return new Response(body as unknown as ReadableStream<Uint8Array>, {
      headers: { 'content-type': 'application/json; charset=utf-8', 'content-disposition': attachment(`parley-${date}`, 'json'), 'cache-control': 'no-store' },
    });
  });

  app.post('/api/import', async (context) => {
    if (importing.size > 0) throw new ApiError('Another file is being taken over: try again in a moment.', { status: 429, type: 'rate_limit_error', code: 'import_busy', headers: { 'retry-after': '5' } });
    const { id: owner } = context.get('identity');
    importing.add(owner);
    try {
      return context.json(await importFile(store, owner, await context.req.text()));
    } finally {
      importing.delete(owner);
    }
  });

  app.get('/api/conversations/:id/export', async (context) => {
    const id = context.req.param('id');
    const format = context.req.query('format') ?? 'markdown';
    if (format !== 'markdown' && format !== 'json') throw invalidRequest(`'format' is '${format}': markdown or json`, 'format', 'invalid_value');
    const { id: owner } = context.get('identity');
    const conversation = await kept(store.conversations.get(owner, id));
    if (conversation === null) throw noConversation(id);
    if (format === 'json') {
      const one = { ...head(), conversations: [await whole(store, owner, conversation)], personas: [] } satisfies TalkExport;
      return context.body(JSON.stringify(one), 200, { 'content-type': 'application/json; charset=utf-8', 'content-disposition': attachment(conversation.title, 'json') });
    }
    const branch = conversation.activeLeaf === null ? [] : await kept(store.conversations.branch(owner, id));
    return context.body(markdownOf(conversation, branch), 200, { 'content-type': 'text/markdown; charset=utf-8', 'content-disposition': attachment(conversation.title, 'md') });
  });
}

const head = () => ({ format: 'parley-export' as const, version: 1 as const, exportedAt: Date.now() });

async function whole(store: Store, owner: string, conversation: Conversation): Promise<Conversation & { readonly messages: readonly Omit<Message, 'conversationId'>[] }> {
  const messages = await store.conversations.messages(owner, conversation.id, { details: true });
  // Read a moment apart: a leaf that came or went in between is none of these messages.
  const { activeLeaf } = conversation;
  const leaf = activeLeaf !== null && !messages.some(({ id }) => id === activeLeaf) ? messages.at(-1)?.id ?? null : activeLeaf;
  return { ...conversation, activeLeaf: leaf, messages: messages.map(withoutPlace) };
}

function withoutPlace(message: Message): Omit<Message, 'conversationId'> {
  const { conversationId, ...rest } = message;
  void conversationId;
  return rest;
}

/** The export piece by piece, so that no more than one conversation is in memory. */
async function* everything(store: Store, owner: string): AsyncGenerator<string, void> {
  const ids = new Set<string>();
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: { readonly items: readonly { readonly id: string }[]; readonly next: string | null } = await store.conversations.list(owner, { limit: 200, ...(cursor !== undefined && { cursor }) });
    for (const { id } of page.items) ids.add(id);
    cursor = page.next;
  }
  const { format, version, exportedAt } = head();
  yield `{"format":${JSON.stringify(format)},"version":${version},"exportedAt":${exportedAt},"conversations":[`;
  let separator = '';
  for (const id of ids) {
    const conversation = await store.conversations.get(owner, id);
    if (conversation === null) continue;
    yield separator + JSON.stringify(await whole(store, owner, conversation));
    separator = ',\n';
  }
  yield `],"personas":${JSON.stringify(await store.personas.list(owner))}}\n`;
}

async function* encoded(texts: AsyncIterable<string>): AsyncGenerator<Uint8Array, void> {
  const encoder = new TextEncoder();
  for await (const text of texts) yield encoder.encode(text);
}
