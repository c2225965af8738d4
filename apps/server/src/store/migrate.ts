/** Brings a database to the version of this program: step after step, each in a transaction, after a copy of the file was put aside. */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Kysely, sql } from 'kysely';
import type { Engine, Queries, Tables } from './database.ts';
import { type Migration, migrations as allMigrations } from './migrations.ts';
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
  await takeTurns(db, engine, async (turn) => {
    await sql`create table if not exists parley_schema (version integer primary key, name text not null, applied_at bigint not null)`.execute(turn);
  });
  const newest = migrations.length;
  const before = await versionOf(db);
  if (before > newest) {
    throw new StoreError('newer', `the database has version ${before} and this program knows up to ${newest}: it was used with a newer Parley. ` +
      `Use that, or restore a copy from before${file === null ? '' : ` (${basename(file)}.backup-… beside it)`}`);
  }
  if (before > 0 && before < newest && file !== null) await backUp(db, file, before, now());
  for (const migration of migrations.slice(before)) {
    await takeTurns(db, engine, async (turn) => {
      // Somebody else may have taken this step while we waited.
      if (await versionOf(turn) >= migration.version) return;
      await migration.run(turn, engine);
      await sql`insert into parley_schema (version, name, applied_at) values (${migration.version}, ${migration.name}, ${now()})`.execute(turn);
    });
  }
}

/** A transaction that no other process's migration runs beside. */
async function takeTurns(db: Kysely<Tables>, engine: Engine, run: (turn: Queries) => Promise<void>): Promise<void> {
  await db.transaction().execute(async (turn) => {
    // SQLite: transactions of ours begin with the lock for writing.
    if (engine === 'postgres') await sql`select pg_advisory_xact_lock(${LOCK})`.execute(turn);
    await run(turn);
  });
}

async function versionOf(db: Queries): Promise<number> {
  const { rows } = await sql<{ version: number | null }>`select max(version) as version from parley_schema`.execute(db);
  return rows[0]?.version ?? 0;
}

/** A whole, defragmented copy, made by SQLite itself while others may read and write. */
async function backUp(db: Kysely<Tables>, file: string, version: number, now: number): Promise<void> {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const copy = `${file}.backup-v${version}-${stamp}`;
  // What an attempt in the same second left unfinished.
  await rm(copy, { force: true });
  // Made first, for its owner's eyes only; SQLite takes an empty file.
  await writeFile(copy, '', { mode: 0o600, flag: 'wx' });
  await sql`vacuum into ${copy}`.execute(db);
  const beginning = `${basename(file)}.backup-v`;
  const age = (name: string): string => name.slice(-'20260101T000000Z'.length);
  const copies = (await readdir(dirname(file))).filter((name) => name.startsWith(beginning)).sort((a, b) => age(a).localeCompare(age(b)));
  for (const old of copies.slice(0, -KEPT_BACKUPS)) await rm(join(dirname(file), old), { force: true });
}
