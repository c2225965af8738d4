/** Opens the store: SQLite in a file or in memory, or Postgres. What it can do is in types.ts. */
import { chmod, mkdir, open as openFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Dialect, sql } from 'kysely';
import { accounts } from './accounts.ts';
import { conversationMethods } from './conversations.ts';
import { connect, type Context, type Engine } from './database.ts';
import { erase } from './erase.ts';
import { keys } from './keys.ts';
import { messageMethods } from './messages.ts';
import { migrate } from './migrate.ts';
import type { Migration } from './migrations.ts';
import { type Cost, DEFAULT_COST } from './passwords.ts';
import { personas } from './personas.ts';
import { describePostgres, postgresDialect } from './postgres.ts';
import { responses } from './responses.ts';
import { forget } from './search.ts';
import { sqliteDialect } from './sqlite/dialect.ts';
import { transferMethods } from './transfer.ts';
import { type Store, StoreError } from './types.ts';
import { usage } from './usage.ts';

export { dataFolder, type Location, storeUrl } from './location.ts';
export {
  type Account, type Accounts, type Adopted, type Conversation, type Conversations, DEFAULT_SCOPES, type Export, type ImportCounts, type JsonObject, type KeyRecord, type Keys,
  keyState, type ListedConversation, type ListOptions, type Message, type MessagePatch, type MessageStatus, type MessageUsage, type NewKey, type NewMessage,
  type Page, type Persona, type Personas, type Role, type Scope, SCOPES, type Session, startOfMonth, type Store, type StoredResponse, type StoredResponses,
  StoreError, type StoreErrorCode, type UsageEntry, type UsageLog, type UsageTotals,
} from './types.ts';

const PRUNE_MS = 6 * 3600_000;
/** How long a write waits for another process's. */
const BUSY_MS = 10_000;

export interface OpenStoreOptions {
  /** What time it is, milliseconds since 1970. For tests. */
  readonly now?: (() => number) | undefined;
  /** Of passwords. For tests. */
  readonly cost?: Cost | undefined;
  /** For tests of migrations. */
  readonly migrations?: readonly Migration[] | undefined;
}

interface Place {
  readonly engine: Engine;
  readonly description: string;
  readonly dialect: Dialect;
  /** The database's file; null where there is none. */
  readonly file: string | null;
}

/**
 * `sqlite:PATH`, `postgres://user:password@host/name`, or `memory:`. Makes the database where there is none, and brings an older one up to
 * date. Throws StoreError `invalid` for another kind of URL, `unavailable` where it cannot be opened, `newer` where a newer Parley wrote it.
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<Store> {
  const { now = Date.now, cost = DEFAULT_COST, migrations } = options;
  const { engine, description, dialect, file } = await placeOf(url);
  const db = connect(dialect);
  const context: Context = { db, engine, now };

  const prune = async (at = now()): Promise<void> => {
    await db.deleteFrom('sessions').where('expires_at', '<=', at).execute();
    await db.deleteFrom('responses').where('expires_at', '<=', at).execute();
  };
  try {
    await migrate(db, { engine, file, now, migrations });
    await prune();
  } catch (error) {
    await db.destroy();
    throw error instanceof StoreError ? error : new StoreError('unavailable', `${description} cannot be opened`, { cause: error });
  }
  // What it does not manage it does the next time.
  const timer = setInterval(() => void prune().then(async () => await forget(db, engine)).catch(() => {}), PRUNE_MS).unref();

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    clearInterval(timer);
    // A last statement waits for its turn behind those under way; Postgres' pool waits by itself.
    await sql`select 1`.execute(db).catch(() => {});
    await db.destroy();
  };

  const store: Store = {
    conversations: { ...conversationMethods(context), ...messageMethods(context), ...transferMethods(context) },
    personas: personas(context),
    responses: responses(context),
    keys: keys(context),
    accounts: accounts(context, cost),
    usage: usage(context),
    description,
    ping: async () => void await sql`select 1`.execute(db),
    erase: async (owner) => await db.transaction().execute(async (turn) => await erase(turn, engine, owner)),
    prune,
    close: async () => await (closing ??= close()),
    [Symbol.asyncDispose]: async () => await store.close(),
  };
  return store;
}

async function placeOf(url: string): Promise<Place> {
  if (url === 'memory:') {
    return { engine: 'sqlite', description: 'SQLite in memory', dialect: sqliteDialect({ path: ':memory:', busyMs: BUSY_MS }), file: null };
  }
  if (/^postgres(?:ql)?:\/\//.test(url)) {
    if (!URL.canParse(url)) throw new StoreError('invalid', 'the URL of the database cannot be read: write postgres://user:password@host:5432/name');
    return { engine: 'postgres', description: `Postgres ${describePostgres(url)}`, dialect: await postgresDialect(url), file: null };
  }
  const [, path] = /^sqlite:(.+)$/.exec(url) ?? [];
  if (path === undefined) {
    // No URL is repeated here: it may have a password in it.
    throw new StoreError('invalid', `a database of the kind '${url.split(':')[0] ?? ''}:' is not known: write sqlite:PATH, postgres://user:password@host/name, or memory:`);
  }
  const file = resolve(path);
  await makePrivate(file);
  return { engine: 'sqlite', description: `SQLite ${file}`, dialect: sqliteDialect({ path: file, busyMs: BUSY_MS }), file };
}

/** Folder and file for the person who runs the server only; SQLite gives the files beside it the same rights. */
async function makePrivate(file: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await using handle = await openFile(file, 'a', 0o600);
    if ((await handle.stat()).size === 0) await chmod(file, 0o600);
  } catch (cause) {
    throw new StoreError('unavailable', `${file} cannot be written: choose another folder with --data`, { cause });
  }
}
