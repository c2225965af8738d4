/** The messages of a conversation: a tree, of which one branch is shown. */
import { type Selectable, sql } from 'kysely';
import { conversationKey, noConversation } from './conversations.ts';
import { batches, type Context, fromJson, type Queries, type Tables, toJson } from './database.ts';
import { newId } from './ids.ts';
import { index } from './search.ts';
import { type Conversations, type JsonObject, type Message, type MessageStatus, type MessageUsage, type Role, StoreError } from './types.ts';

type MessageMethods = Pick<Conversations, 'append' | 'updateMessage' | 'removeMessage' | 'message' | 'messages' | 'branch' | 'endInterrupted'>;

/** Without details: those of 10,000 answers are hundreds of megabytes. */
const SMALL = [
  'messages.key', 'messages.conversation_key', 'messages.id', 'messages.parent_id', 'messages.role', 'messages.content', 'messages.created_at',
  'messages.updated_at', 'messages.status', 'messages.model', 'messages.finish_reason', 'messages.usage',
] as const;

/** Keys to a statement. */
const KEYS = 1000;

type Row = Omit<Selectable<Tables['messages']>, 'details'> & { readonly details?: string | null };

export const toMessage = (row: Row, conversationId: string): Message => ({
  id: row.id, conversationId, parentId: row.parent_id, role: row.role as Role, content: row.content, createdAt: row.created_at, updatedAt: row.updated_at,
  status: row.status as MessageStatus, model: row.model, finishReason: row.finish_reason, usage: fromJson<MessageUsage>(row.usage),
  details: fromJson<JsonObject>(row.details ?? null),
});

const noMessage = (conversation: string, id: string): StoreError => new StoreError('not_found', `there is no message '${id}' in conversation '${conversation}'`);

export function messageMethods({ db, engine, now }: Context): MessageMethods {
  /** What is still being written is found when it is done: taking it up anew with every piece would be most of the work. */
  const take = async (turn: Queries, row: { key: number; content: string; status: string }): Promise<void> => {
    if (row.status !== 'streaming' && row.content !== '') await index(turn, engine, 'messages', [{ key: row.key, text: row.content }]);
  };

  return {
    async append(owner, conversationId, message) {
      const { id = newId('msg'), parentId, role, content, status = 'complete', activate = true } = message;
      const at = now();
      try {
        return await db.transaction().execute(async (turn) => {
          // First, so that in Postgres those who append to one conversation take turns.
          const conversation = await turn.updateTable('conversations').set({
            updated_at: sql<number>`case when updated_at > ${at} then updated_at else ${at} end`, ...(activate && { active_leaf: id }),
          }).where('owner', '=', owner).where('id', '=', conversationId).returning('key').executeTakeFirst();
          if (conversation === undefined) throw noConversation(conversationId);
          if (parentId !== null) {
            const parent = await turn.selectFrom('messages').select('key').where('conversation_key', '=', conversation.key).where('id', '=', parentId).executeTakeFirst();
            if (parent === undefined) throw new StoreError('invalid', `the parent '${parentId}' is no message of conversation '${conversationId}'`);
          }
          const row = await turn.insertInto('messages').values({
            conversation_key: conversation.key, id, parent_id: parentId, role, content, created_at: at, updated_at: at, status, model: message.model ?? null,
            finish_reason: message.finishReason ?? null, usage: toJson(message.usage), details: toJson(message.details),
          }).returningAll().executeTakeFirstOrThrow();
          await take(turn, row);
          return toMessage(row, conversationId);
        });
      } catch (error) {
        if (error instanceof StoreError && error.code === 'conflict') throw new StoreError('conflict', `conversation '${conversationId}' has a message '${id}' already`, { cause: error });
        throw error;
      }
    },

    async updateMessage(owner, conversationId, id, patch) {
      return await db.transaction().execute(async (turn) => {
        const conversation = await conversationKey(turn, owner, conversationId);
        const row = conversation === undefined ? undefined : await turn.updateTable('messages').set({
          ...(patch.content !== undefined && { content: patch.content }), ...(patch.status !== undefined && { status: patch.status }),
          ...(patch.model !== undefined && { model: patch.model }), ...(patch.finishReason !== undefined && { finish_reason: patch.finishReason }),
          ...(patch.usage !== undefined && { usage: toJson(patch.usage) }), ...(patch.details !== undefined && { details: toJson(patch.details) }),
          updated_at: now(),
        }).where('conversation_key', '=', conversation).where('id', '=', id).returningAll().executeTakeFirst();
        if (row === undefined) throw noMessage(conversationId, id);
        if (patch.content !== undefined || patch.status !== undefined) await take(turn, row);
        return toMessage(row, conversationId);
      });
    },

    async removeMessage(owner, conversationId, id) {
      return await db.transaction().execute(async (turn) => {
        const conversation = await turn.selectFrom('conversations').select(['key', 'active_leaf']).where('owner', '=', owner).where('id', '=', conversationId)
          .$if(engine === 'postgres', (query) => query.forUpdate()).executeTakeFirst();
        if (conversation === undefined) return false;
        const { key } = conversation;
        const tree = await treeOf(turn, key);
        const gone = below(tree, id);
        const [message] = gone;
        if (message === undefined) return false;
        // Last first: nothing is removed before what follows it.
        for (const slice of batches(gone.map((node) => node.key).reverse(), KEYS)) await turn.deleteFrom('messages').where('key', 'in', slice).execute();
        const ids = new Set(gone.map((node) => node.id));
        if (conversation.active_leaf !== null && ids.has(conversation.active_leaf)) {
          const rest = tree.filter((node) => !ids.has(node.id));
          // The last of a branch is a leaf, and the newest.
          const leaf = (message.parent_id === null ? rest : below(rest, message.parent_id)).at(-1);
          await turn.updateTable('conversations').set({ active_leaf: leaf?.id ?? null }).where('key', '=', key).execute();
        }
        return true;
      });
    },

    async message(owner, conversationId, id) {
      const row = await db.selectFrom('messages').innerJoin('conversations', 'conversations.key', 'messages.conversation_key').selectAll('messages')
        .where('conversations.owner', '=', owner).where('conversations.id', '=', conversationId).where('messages.id', '=', id).executeTakeFirst();
      return row === undefined ? null : toMessage(row, conversationId);
    },

    async messages(owner, conversationId, { details = false } = {}) {
      const conversation = await conversationKey(db, owner, conversationId);
      if (conversation === undefined) return [];
      const rows: Row[] = await db.selectFrom('messages').select(details ? [...SMALL, 'messages.details'] : SMALL)
        .where('conversation_key', '=', conversation).orderBy('key').execute();
      return rows.map((row) => toMessage(row, conversationId));
    },

    async branch(owner, conversationId, leaf) {
      const conversation = await db.selectFrom('conversations').select(['key', 'active_leaf']).where('owner', '=', owner).where('id', '=', conversationId).executeTakeFirst();
      if (conversation === undefined) throw noConversation(conversationId);
      const id = leaf === undefined ? conversation.active_leaf : leaf;
      if (id === null) return [];
      const path = above(await treeOf(db, conversation.key), id);
      if (path.length === 0) throw noMessage(conversationId, id);
      const rows: Row[] = [];
      for (const slice of batches(path.map((node) => node.key), KEYS)) {
        rows.push(...await db.selectFrom('messages').select(SMALL).where('key', 'in', slice).orderBy('key').execute());
      }
      return rows.map((row) => toMessage(row, conversationId));
    },

    async endInterrupted(before) {
      return await db.transaction().execute(async (turn) => {
        const rows = await turn.updateTable('messages').set({ status: 'failed', updated_at: now() })
          .where('status', '=', 'streaming').where('updated_at', '<', before).returning(['key', 'content', 'status']).execute();
        for (const row of rows) await take(turn, row);
        return rows.length;
      });
    },
  };
}

/** A tree without its texts. */
interface Node {
  readonly key: number;
  readonly id: string;
  readonly parent_id: string | null;
}

/**
 * The tree of a conversation, as appended: what follows has a higher number than what it follows. It is walked here and not by a recursive
 * query, which SQLite did well and Postgres, until it had statistics, in the square of the length: 9 s for a branch of 3,000.
 */
async function treeOf(db: Queries, conversation: number): Promise<Node[]> {
  return await db.selectFrom('messages').select(['key', 'id', 'parent_id']).where('conversation_key', '=', conversation).orderBy('key').execute();
}

/** A message and all that follows from it. */
function below(tree: readonly Node[], id: string): Node[] {
  const ids = new Set<string>();
  return tree.filter((node) => (node.id === id || (node.parent_id !== null && ids.has(node.parent_id))) && ids.add(node.id));
}

/** From the beginning to a message; empty where there is none of that id. */
function above(tree: readonly Node[], id: string): Node[] {
  const nodes = new Map(tree.map((node) => [node.id, node]));
  const path: Node[] = [];
  for (let node = nodes.get(id); node !== undefined; node = nodes.get(node.parent_id ?? '')) path.push(node);
  return path.reverse();
}
