/**
 * The tables, as the steps that made them. Steps are only ever added: a database that exists has gone through those before, and none is
 * taken back. What differs between the two databases is in `words`.
 */
import { sql } from 'kysely';
import type { Engine, Queries } from './database.ts';
import { index } from './search.ts';

export interface Migration {
  /** 1, 2, 3 … without gaps. */
  readonly version: number;
  readonly name: string;
  run(db: Queries, engine: Engine): Promise<void>;
}

/** A row's own number. SQLite's are never used again after a row is deleted (`autoincrement`). */
const key = (engine: Engine): string => (engine === 'sqlite' ? 'integer primary key autoincrement' : 'bigint generated always as identity primary key');

async function execute(db: Queries, ...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export const migrations: readonly Migration[] = [
  {
    version: 1,
    name: 'conversations and messages',
    run: async (db, engine) => await execute(db,
      `create table conversations (key ${key(engine)}, owner text not null, id text not null, title text not null, created_at bigint not null,
        updated_at bigint not null, archived integer not null, active_leaf text, settings text not null, unique (owner, id))`,
      'create index conversations_by_time on conversations (owner, updated_at desc, key desc)',
      'create index conversations_by_archived on conversations (owner, archived, updated_at desc, key desc)',
      // That a parent is there is looked after in messages.ts, under the lock of its conversation. As a foreign key it cost an index more, a cascade
      // would stop at a depth of 1,000 in SQLite, and Postgres, before it has statistics, checked it by reading the whole conversation.
      // Details come last: SQLite then reads the other columns without the pages that they overflow into.
      `create table messages (key ${key(engine)}, conversation_key bigint not null references conversations (key) on delete cascade, id text not null,
        parent_id text, role text not null, content text not null, created_at bigint not null, updated_at bigint not null, status text not null,
        model text, finish_reason text, usage text, details text, unique (conversation_key, id))`,
      "create index messages_being_written on messages (updated_at) where status = 'streaming'",
    ),
  },
  {
    version: 2,
    name: 'keys and usage',
    run: async (db) => await execute(db,
      `create table api_keys (id text primary key, name text not null, hash text not null unique, prefix text not null, scopes text not null,
        created_at bigint not null, expires_at bigint, budget_tokens bigint, monthly_budget_tokens bigint, requests_per_minute bigint,
        tokens_per_minute bigint, last_used_at bigint, revoked_at bigint)`,
      `create table usage (key_id text not null, model text not null, hour bigint not null, requests bigint not null, prompt_tokens bigint not null,
        completion_tokens bigint not null, cached_tokens bigint not null, primary key (key_id, hour, model))`,
    ),
  },
  {
    version: 3,
    name: 'accounts',
    run: async (db) => await execute(db,
      `create table accounts (id text primary key, name text not null, name_folded text not null unique, password text not null,
        created_at bigint not null, last_sign_in_at bigint)`,
      `create table sessions (hash text primary key, account_id text not null references accounts (id) on delete cascade,
        created_at bigint not null, expires_at bigint not null)`,
      'create index sessions_by_account on sessions (account_id)',
    ),
  },
  {
    version: 4,
    name: 'personas and stored responses',
    run: async (db) => await execute(db,
      `create table personas (owner text not null, id text not null, name text not null, system text not null, parameters text,
        created_at bigint not null, updated_at bigint not null, primary key (owner, id))`,
      `create table responses (owner text not null, id text not null, previous_id text, created_at bigint not null, expires_at bigint not null,
        input text not null, response text not null, primary key (owner, id))`,
      'create index responses_by_end on responses (expires_at)',
    ),
  },
  {
    version: 5,
    name: 'full text search',
    run: async (db, engine) => {
      if (engine === 'sqlite') {
        for (const [table, fts] of [['messages', 'message_search'], ['conversations', 'title_search']] as const) {
          await execute(db,
            `create virtual table ${fts} using fts5 (terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii')`,
            `create trigger ${table}_unfound after delete on ${table} begin delete from ${fts} where rowid = old.key; end`,
          );
        }
      } else {
        for (const table of ['messages', 'conversations']) {
          await execute(db, `alter table ${table} add column search tsvector`, `create index ${table}_by_search on ${table} using gin (search)`);
        }
      }
      await indexAll(db, engine, 'messages', 'content');
      await indexAll(db, engine, 'conversations', 'title');
    },
  },
];

async function indexAll(db: Queries, engine: Engine, table: 'messages' | 'conversations', column: 'content' | 'title'): Promise<void> {
  for (let last = 0; ;) {
    const { rows } = await sql<{ key: number; text: string }>`
      select key, ${sql.ref(column)} as text from ${sql.table(table)} where key > ${last} order by key limit 500`.execute(db);
    await index(db, engine, table, rows);
    const end = rows.at(-1);
    if (end === undefined) return;
    last = end.key;
  }
}
