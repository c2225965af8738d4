/** Postgres for Kysely, through `pg`, which is loaded only where a Postgres is named. */
import { type Dialect, PostgresDialect, type PostgresPoolClient, type PostgresQueryResult } from 'kysely';
import { StoreError } from './types.ts';

/**
 * Postgres' text has no U+0000; a model may say it, and a person may paste it. It is written as two noncharacters, which Unicode keeps for
 * such purposes, and the first of those as itself with another.
 */
export const escapeNul = (text: string): string =>
  (/[\0\uFDD0]/.test(text) ? text.replace(/[\0\uFDD0]/g, (char) => (char === '\0' ? '\uFDD0\uFDD1' : '\uFDD0\uFDD2')) : text);
export const unescapeNul = (text: string): string =>
  (text.includes('\uFDD0') ? text.replace(/\uFDD0([\uFDD1\uFDD2])/g, (_, kind: string) => (kind === '\uFDD1' ? '\0' : '\uFDD0')) : text);

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
function toStoreError(error: unknown, where: string): StoreError {
  if (error instanceof StoreError) return error;
  const { code } = error as { code?: unknown };
  if (code === '23505') return new StoreError('conflict', 'there is one with this id or name already', { cause: error });
  if (code === '23503') return new StoreError('invalid', 'it refers to something that is not there', { cause: error });
  // Classes 42 and 22 are mistakes of ours or of a database that is not Parley's; all others are the connection, the disk, the operator.
  return new StoreError('unavailable', `the database ${where} failed`, { cause: error });
}

/** The database of a URL without its password. */
export function describePostgres(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host === '' ? 'local' : host}${pathname}`;
}

export async function postgresDialect(url: string): Promise<Dialect> {
  const { default: pg } = await import('pg');
  const where = describePostgres(url);
  const pool = new pg.Pool({
    connectionString: url, max: 10, connectionTimeoutMillis: 5000, keepAlive: true, application_name: 'parley', allowExitOnIdle: true,
    types: {
      // 20 is int8, which pg gives as text because it may be over 2^53; ours are times and counts of tokens.
      getTypeParser: ((oid: number, format?: 'text'): unknown => (oid === 20 && format !== ('binary' as string) ? Number : pg.types.getTypeParser(oid, format))) as typeof pg.types.getTypeParser,
    },
  });
  // A connection that breaks while nobody uses it is dropped from the pool; without a listener it would end the process.
  pool.on('error', () => {});
  return new PostgresDialect({
    pool: {
      options: pool.options,
      end: async () => await pool.end(),
      connect: async (): Promise<PostgresPoolClient> => {
        const client = await pool.connect().catch((error: unknown) => {
          throw toStoreError(error, where);
        });
        return wrap(client, where);
      },
    },
  });
}

interface Client {
  query(sql: string, parameters: unknown[]): Promise<{ command: string; rowCount: number | null; rows: Record<string, unknown>[] }>;
  release(destroy?: boolean): void;
}

const encode = (value: unknown): unknown => {
  if (typeof value === 'string') return escapeNul(value);
  return Array.isArray(value) ? value.map(encode) : value;
};

function wrap(client: Client, where: string): PostgresPoolClient {
  const query = async (sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<unknown>> => {
    try {
      const result = await client.query(sql, parameters.map(encode));
      for (const row of result.rows) {
        for (const name in row) {
          const value = row[name];
          if (typeof value === 'string') row[name] = unescapeNul(value);
        }
      }
      return result as unknown as PostgresQueryResult<unknown>;
    } catch (error) {
      throw toStoreError(error, where);
    }
  };
  return { query: query as PostgresPoolClient['query'], release: (destroy?: boolean) => client.release(destroy) } as PostgresPoolClient;
}
