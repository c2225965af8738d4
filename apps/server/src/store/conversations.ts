/** Conversations as a list: found, made, changed, removed. Their messages are in messages.ts, in and out as a whole in transfer.ts. */
import type { Selectable } from 'kysely';
import { type Context, fromJson, type Queries, type Tables, toJson } from './database.ts';
import { newId } from './ids.ts';
import { excerpt, found, index, parseQuery, type Query } from './search.ts';
import { type Conversation, type Conversations, type JsonObject, type ListedConversation, type ListOptions, StoreError } from './types.ts';

type ListMethods = Pick<Conversations, 'list' | 'get' | 'create' | 'update' | 'remove'>;

const MOST_LISTED = 200;

export const toConversation = (row: Selectable<Tables['conversations']>): Conversation => ({
  id: row.id, title: row.title, createdAt: row.created_at, updatedAt: row.updated_at, archived: row.archived === 1, activeLeaf: row.active_leaf,
  settings: fromJson<JsonObject>(row.settings) ?? {},
});

export const noConversation = (id: string): StoreError => new StoreError('not_found', `there is no conversation '${id}'`);

/** The number of a conversation; undefined where the owner has none of that id. */
export async function conversationKey(db: Queries, owner: string, id: string): Promise<number | undefined> {
  return (await db.selectFrom('conversations').select('key').where('owner', '=', owner).where('id', '=', id).executeTakeFirst())?.key;
}

export function conversationMethods({ db, engine, now }: Context): ListMethods {
  return {
    async list(owner, options = {}) {
      const { search, archived, limit = 50 } = options;
      if (!Number.isInteger(limit) || limit < 1 || limit > MOST_LISTED) throw new StoreError('invalid', `limit is ${limit}: it takes 1 to ${MOST_LISTED}`);
      const looked = search === undefined ? null : parseQuery(search);
      let query = db.selectFrom('conversations').selectAll().where('owner', '=', owner);
      if (archived !== undefined) query = query.where('archived', '=', archived ? 1 : 0);
      if (looked !== null) {
        query = query.where((build) => build.or([
          build('key', 'in', found(engine, 'conversations', looked)),
          build('key', 'in', build.selectFrom('messages').select('conversation_key').where('messages.key', 'in', found(engine, 'messages', looked))),
        ]));
      }
      const place = parseCursor(options.cursor);
      if (place !== null) query = query.where((build) => build(build.refTuple('updated_at', 'key'), '<', build.tuple(place.updatedAt, place.key)));
      const rows = await query.orderBy('updated_at', 'desc').orderBy('key', 'desc').limit(limit + 1).execute();
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      const hits = looked === null || search === undefined ? new Map<number, ListedConversation['match']>() : await matches(shown.map(({ key }) => key), looked, search);
      return {
        items: shown.map((row) => ({ ...toConversation(row), match: hits.get(row.key) ?? null })),
        next: rows.length > limit && last !== undefined ? Buffer.from(`${last.updated_at}.${last.key}`).toString('base64url') : null,
      };
    },

    async get(owner, id) {
      const row = await db.selectFrom('conversations').selectAll().where('owner', '=', owner).where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toConversation(row);
    },

    async create(owner, { id = newId('conv'), title = '', settings = {} } = {}) {
      const at = now();
      return await db.transaction().execute(async (turn) => {
        const row = await turn.insertInto('conversations').values({
          owner, id, title, created_at: at, updated_at: at, archived: 0, active_leaf: null, settings: JSON.stringify(settings),
        }).returningAll().executeTakeFirstOrThrow();
        if (title !== '') await index(turn, engine, 'conversations', [{ key: row.key, text: title }]);
        return toConversation(row);
      });
    },

    async update(owner, id, { title, archived, activeLeaf, settings }) {
      return await db.transaction().execute(async (turn) => {
        const before = await turn.selectFrom('conversations').selectAll().where('owner', '=', owner).where('id', '=', id).executeTakeFirst();
        if (before === undefined) throw noConversation(id);
        if (typeof activeLeaf === 'string') {
          const leaf = await turn.selectFrom('messages').select('key').where('conversation_key', '=', before.key).where('id', '=', activeLeaf).executeTakeFirst();
          if (leaf === undefined) throw new StoreError('invalid', `the active leaf '${activeLeaf}' is no message of conversation '${id}'`);
        }
        const row = await turn.updateTable('conversations').set({
          ...(title !== undefined && { title }), ...(archived !== undefined && { archived: archived ? 1 : 0 }),
          ...(activeLeaf !== undefined && { active_leaf: activeLeaf }), ...(settings !== undefined && { settings: toJson(settings) ?? '{}' }),
          // Only messages are news: what is renamed, set or put away stays where it was in the list.
        }).where('key', '=', before.key).returningAll().executeTakeFirstOrThrow();
        if (title !== undefined && title !== before.title) await index(turn, engine, 'conversations', [{ key: row.key, text: title }]);
        return toConversation(row);
      });
    },

    async remove(owner, id) {
      const { numDeletedRows } = await db.deleteFrom('conversations').where('owner', '=', owner).where('id', '=', id).executeTakeFirst();
      return numDeletedRows > 0n;
    },
  };

  /** For each conversation the newest message that has what was looked for, where one has. */
  async function matches(conversations: readonly number[], looked: Query, search: string): Promise<Map<number, ListedConversation['match']>> {
    if (conversations.length === 0) return new Map();
    const newest = db.selectFrom('messages').select(({ fn }) => fn.max('messages.key').as('key'))
      .where('conversation_key', 'in', conversations).where('messages.key', 'in', found(engine, 'messages', looked)).groupBy('conversation_key');
    const rows = await db.selectFrom('messages').select(['conversation_key', 'id', 'content']).where('key', 'in', newest).execute();
    return new Map(rows.map((row) => [row.conversation_key, { messageId: row.id, text: excerpt(row.content, search) }]));
  }
}

function parseCursor(cursor: ListOptions['cursor']): { readonly updatedAt: number; readonly key: number } | null {
  if (cursor === undefined || cursor === null) return null;
  const [, updatedAt, key] = /^(\d{1,15})\.(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (updatedAt === undefined || key === undefined) throw new StoreError('invalid', `the cursor '${cursor}' is none that a list has given: use its 'next'`);
  return { updatedAt: Number(updatedAt), key: Number(key) };
}
