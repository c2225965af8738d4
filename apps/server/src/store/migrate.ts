/** Brings a database to the version of this program: all missing steps in one transaction, after a copy of the file was put aside. */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Kysely, sql } from 'kysely';
import { connect, type Engine, type Queries, type Tables } from './database.ts';
import { type Migration, migrations as allMigrations } from './migrations.ts';
import { sqliteDialect } from './sqlite/dialect.ts';
import { StoreError } from './types.ts';

/** Copies kept beside the file. */
const KEPT_BACKUPS = 3;
/** Of Postgres' advisory lock: 'parley' in ASCII. */
const LOCK = 0x70_61_72_6c;

export interface MigrateOptions {
  readonly engine: Engine;
  /** The database's file, of which a copy is made; null where there is none. */
  readonly file: string | null;
  readonly now: () => number;
  readonly migrations?: readonly Migration[] | undefined;
}

/** Throws StoreError `newer` where the database has seen steps that this program does not know. */
export async function migrate(db: Kysely<Tables>, { engine, file, now, migrations = allMigrations }: MigrateOptions): Promise<void> {
  // One transaction, so that of several programs that start at once one does it all and the others find it done. It is SQLite's only writer
  // from its beginning (begin immediate); in Postgres a lock is taken that stands for that.
  await db.transaction().execute(async (turn) => {
    if (engine === 'postgres') await sql`select pg_advisory_xact_lock(${LOCK})`.execute(turn);
    await sql`create table if not exists parley_schema (version integer primary key, name text not null, applied_at bigint not null)`.execute(turn);
    const before = await versionOf(turn);
    const newest = migrations.length;
    if (before > newest) {
      throw new StoreError('newer', `the database has version ${before} and this program knows up to ${newest}: it was used with a newer Parley. ` +
        `Use that, or restore a copy from before${file === null ? '' : ` (${basename(file)}.backup-… beside it)`}`);
    }
    if (before > 0 && before < newest && file !== null) await backUp(file, before, now());
    for (const migration of migrations.slice(before)) {
      await migration.run(turn, engine);
      await sql`insert into parley_schema (version, name, applied_at) values (${migration.version}, ${migration.name}, ${now()})`.execute(turn);
    }
  });
}

async function versionOf(db: Queries): Promise<number> {
  const { rows } = await sql<{ version: number | null }>`select max(version) as version from parley_schema`.execute(db);
  return rows[0]?.version ?? 0;
}

/** A whole, defragmented copy, made by SQLite over a connection of its own, which sees what was there before the transaction. */
async function backUp(file: string, version: number, now: number): Promise<void> {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const copy = `${file}.backup-v${version}-${stamp}`;
  // What an attempt in the same second left behind.
  await rm(copy, { force: true });
  // Made first, for its owner's eyes only; SQLite takes an empty file.
  await writeFile(copy, '', { mode: 0o600, flag: 'wx' });
  const db = connect(sqliteDialect({ path: file, busyMs: 0 }));
  try {
    await sql`vacuum into ${copy}`.execute(db);
  } finally {
    await db.destroy();
  }
  const beginning = `${basename(file)}.backup-v`;
  const age = (name: string): string => name.slice(-'20260101T000000Z'.length);
  const copies = (await readdir(dirname(file))).filter((name) => name.startsWith(beginning)).sort((a, b) => age(a).localeCompare(age(b)));
  for (const old of copies.slice(0, -KEPT_BACKUPS)) await rm(join(dirname(file), old), { force: true });
}
