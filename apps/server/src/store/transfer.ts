/** Everything of an owner out of the store, and into it. */
import { z } from 'zod';
import { toConversation } from './conversations.ts';
import { batches, type Context, type Queries, toJson } from './database.ts';
import { toMessage } from './messages.ts';
import { toPersona } from './personas.ts';
import { index } from './search.ts';
import { type Conversations, type Export, type ImportCounts, StoreError } from './types.ts';

type Transfer = Pick<Conversations, 'exportAll' | 'importAll'>;

/** Conversations read at once: between two slices others have their turn. */
const SLICE = 50;
/** Messages to a statement; a row has twelve parameters. */
const ROWS = 500;

const time = z.int().min(0);
const object = z.record(z.string(), z.unknown());
const id = z.string().min(1).max(200);

const messageSchema = z.object({
  id, parentId: id.nullable(), role: z.enum(['system', 'user', 'assistant', 'tool']), content: z.string(), createdAt: time, updatedAt: time.optional(),
  status: z.enum(['streaming', 'complete', 'stopped', 'failed']).default('complete'), model: z.string().nullable().default(null), finishReason: z.string().nullable().default(null),
  usage: z.object({ promptTokens: z.int().min(0), completionTokens: z.int().min(0), cachedTokens: z.int().min(0) }).nullable().default(null), details: object.nullable().default(null),
});
const conversationSchema = z.object({
  id, title: z.string(), createdAt: time, updatedAt: time, archived: z.boolean().default(false), activeLeaf: id.nullable().default(null), settings: object.default({}),
  messages: z.array(messageSchema),
});
const personaSchema = z.object({ id, name: z.string(), system: z.string(), parameters: object.nullable().default(null), createdAt: time, updatedAt: time });
/** What `importAll` takes. */
export const exportSchema = z.object({
  format: z.literal('parley-export'), version: z.literal(1), conversations: z.array(conversationSchema), personas: z.array(personaSchema).default([]),
});

type ImportedConversation = z.infer<typeof conversationSchema>;
type ImportedMessage = z.infer<typeof messageSchema>;

export function transferMethods(context: Context): Transfer {
  const { db, engine, now } = context;
  return {
    async exportAll(owner) {
      const conversations: Export['conversations'][number][] = [];
      for (let last = 0; ;) {
        // Each slice is of one moment: a conversation comes out with exactly the messages that it had.
        const slice = await db.transaction().setAccessMode('read only').setIsolationLevel('repeatable read').execute(async (turn) => {
          const rows = await turn.selectFrom('conversations').selectAll().where('owner', '=', owner).where('key', '>', last).orderBy('key').limit(SLICE).execute();
          const messages = rows.length === 0 ? [] : await turn.selectFrom('messages').selectAll().where('conversation_key', 'in', rows.map(({ key }) => key)).orderBy('key').execute();
          const of = Map.groupBy(messages, (message) => message.conversation_key);
          return rows.map((row) => ({ key: row.key, conversation: { ...toConversation(row), messages: (of.get(row.key) ?? []).map((message) => {
            const { conversationId: _, ...rest } = toMessage(message, row.id);
            return rest;
          }) } }));
        });
        conversations.push(...slice.map(({ conversation }) => conversation));
        const end = slice.at(-1);
        if (end === undefined) break;
        last = end.key;
      }
      const personas = await db.selectFrom('personas').selectAll().where('owner', '=', owner).orderBy('created_at').orderBy('id').execute();
      return { format: 'parley-export', version: 1, exportedAt: now(), conversations, personas: personas.map(toPersona) };
    },

    async importAll(owner, data) {
      const parsed = exportSchema.safeParse(data);
      if (!parsed.success) {
        const [issue] = parsed.error.issues;
        throw new StoreError('invalid', `this is no export of Parley: ${issue === undefined ? '' : `${issue.path.join('.') || 'the file'}: ${issue.message}`}`, { cause: parsed.error });
      }
      const { conversations, personas } = parsed.data;
      return await db.transaction().execute(async (turn) => {
        const counts = { conversations: 0, messages: 0, personas: 0, skipped: 0 };
        for (const [place, conversation] of conversations.entries()) {
          const done = await importConversation(turn, owner, conversation, `conversations.${place}`);
          counts.conversations += done.conversations;
          counts.messages += done.messages;
          counts.skipped += done.skipped;
        }
        for (const { id: personaId, name, system, parameters, createdAt, updatedAt } of personas) {
          const added = await turn.insertInto('personas').values({ owner, id: personaId, name, system, parameters: toJson(parameters), created_at: createdAt, updated_at: updatedAt })
            .onConflict((conflict) => conflict.doNothing()).executeTakeFirst();
          counts.personas += Number(added.numInsertedOrUpdatedRows ?? 0n);
        }
        return counts;
      });
    },
  };

  async function importConversation(turn: Queries, owner: string, conversation: ImportedConversation, place: string): Promise<Omit<ImportCounts, 'personas'>> {
    const there = await turn.selectFrom('conversations').select('key').where('owner', '=', owner).where('id', '=', conversation.id)
      .$if(engine === 'postgres', (query) => query.forUpdate()).executeTakeFirst();
    const known = new Set(there === undefined ? [] : (await turn.selectFrom('messages').select('id').where('conversation_key', '=', there.key).execute()).map((row) => row.id));
    const fresh = inOrder(conversation.messages, known, place);
    if (conversation.activeLeaf !== null && !known.has(conversation.activeLeaf) && !fresh.some((message) => message.id === conversation.activeLeaf)) {
      throw new StoreError('invalid', `${place}.activeLeaf: there is no message '${conversation.activeLeaf}'`);
    }
    let key = there?.key;
    if (key === undefined) {
      key = (await turn.insertInto('conversations').values({
        owner, id: conversation.id, title: conversation.title, created_at: conversation.createdAt, updated_at: conversation.updatedAt, archived: conversation.archived ? 1 : 0,
        active_leaf: conversation.activeLeaf, settings: JSON.stringify(conversation.settings),
      }).returning('key').executeTakeFirstOrThrow()).key;
      if (conversation.title !== '') await index(turn, engine, 'conversations', [{ key, text: conversation.title }]);
    }
    for (const slice of batches(fresh, ROWS)) {
      const rows = await turn.insertInto('messages').values(slice.map((message) => ({
        conversation_key: key, id: message.id, parent_id: message.parentId, role: message.role, content: message.content, created_at: message.createdAt,
        updated_at: message.updatedAt ?? message.createdAt,
        // Nobody writes on at what was being written when the file was made.
        status: message.status === 'streaming' ? 'failed' : message.status, model: message.model, finish_reason: message.finishReason,
        usage: toJson(message.usage), details: toJson(message.details),
      }))).returning(['key', 'content']).execute();
      await index(turn, engine, 'messages', rows.filter(({ content }) => content !== '').map((row) => ({ key: row.key, text: row.content })));
    }
    return { conversations: there === undefined ? 1 : 0, messages: fresh.length, skipped: conversation.messages.length - fresh.length };
  }
}

/** The messages that are not there yet, parents before what follows them. Throws `invalid` for ids that come twice, parents that are nowhere, and circles. */
function inOrder(messages: readonly ImportedMessage[], known: ReadonlySet<string>, place: string): ImportedMessage[] {
  const ids = new Set<string>();
  for (const [index, message] of messages.entries()) {
    if (ids.has(message.id)) throw new StoreError('invalid', `${place}.messages.${index}.id: '${message.id}' comes twice`);
    ids.add(message.id);
  }
  const fresh = messages.filter((message) => !known.has(message.id));
  const children = Map.groupBy(fresh, (message) => message.parentId);
  // The file's own order where it will do, which is always so in files of ours.
  const placed = new Set(known);
  if (fresh.every((message) => (message.parentId === null || placed.has(message.parentId)) && placed.add(message.id))) return fresh;
  const ordered: ImportedMessage[] = [];
  const ready = fresh.filter((message) => message.parentId === null || known.has(message.parentId)).reverse();
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    ordered.push(next);
    ready.push(...(children.get(next.id) ?? []).toReversed());
  }
  if (ordered.length < fresh.length) {
    const done = new Set(ordered);
    const lost = messages.findIndex((message) => !known.has(message.id) && !done.has(message));
    throw new StoreError('invalid', `${place}.messages.${lost}.parentId: '${messages[lost]?.parentId ?? ''}' is no message before it`);
  }
  return ordered;
}
