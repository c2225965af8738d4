/** The databases that one suite runs over. Postgres is among them where PARLEY_TEST_POSTGRES names one; each store gets a schema of its own there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type OpenStoreOptions } from '../open.ts';
import type { Store } from '../types.ts';

/** Passwords that cost next to nothing. */
export const CHEAP = { N: 2 ** 4, r: 8, p: 1 };

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
}

export interface TestEngine {
  readonly name: string;
  /** A database of nothing. Gone when disposed. */
  make(): Promise<TestDatabase>;
}

const POSTGRES = process.env['PARLEY_TEST_POSTGRES'];

const sqlite: TestEngine = {
  name: 'SQLite',
  make: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-store-'));
    return { url: `sqlite:${join(folder, 'parley.sqlite')}`, [Symbol.asyncDispose]: async () => await rm(folder, { recursive: true }) };
  },
};

const postgres: TestEngine = {
  name: 'Postgres',
  make: async () => {
    const { default: pg } = await import('pg');
    const schema = `parley_${Math.random().toString(36).slice(2)}`;
    const client = new pg.Client({ connectionString: POSTGRES });
    await client.connect();
    await client.query(`create schema ${schema}`);
    const url = new URL(POSTGRES ?? '');
    url.searchParams.set('options', `-c search_path=${schema}`);
    return {
      url: url.href,
      [Symbol.asyncDispose]: async () => {
        await client.query(`drop schema ${schema} cascade`);
        await client.end();
      },
    };
  },
};

export const hasPostgres = POSTGRES !== undefined;
/** Those that can be had here. */
export const engines: readonly TestEngine[] = hasPostgres ? [sqlite, postgres] : [sqlite];

export interface TestStore extends AsyncDisposable {
  readonly store: Store;
  readonly url: string;
}

/** An empty store, closed and deleted when disposed. */
export async function emptyStore(engine: TestEngine, options: OpenStoreOptions = {}): Promise<TestStore> {
  await using stack = new AsyncDisposableStack();
  const { url } = stack.use(await engine.make());
  const store = stack.use(await openStore(url, { cost: CHEAP, ...options }));
  const kept = stack.move();
  return { store, url, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
}
