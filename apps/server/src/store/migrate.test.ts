/** Databases of every earlier version come up to date with what is in them; newer ones are refused; a death in the middle changes nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { connect } from './database.ts';
import { migrate } from './migrate.ts';
import { type Migration, migrations } from './migrations.ts';
import { openStore } from './open.ts';
import { postgresDialect } from './postgres.ts';
import { sqliteDialect } from './sqlite/dialect.ts';
import { engines } from './testing/databases.ts';

const CHILD = fileURLToPath(new URL('./testing/die-in-migration.ts', import.meta.url));
const fileOf = (url: string): string => url.slice('sqlite:'.length);
const backupsOf = async (url: string): Promise<string[]> => (await readdir(dirname(fileOf(url)))).filter((name) => name.includes('.backup-')).sort();

/** A database as an older program left it, with one conversation in it. */
async function makeOld(url: string, version: number): Promise<void> {
  const engine = url.startsWith('sqlite:') ? 'sqlite' : 'postgres';
  const db = connect(engine === 'sqlite' ? sqliteDialect({ path: fileOf(url), busyMs: 1000 }) : await postgresDialect(url));
  await migrate(db, { engine, file: null, now: () => 1, migrations: migrations.slice(0, version) });
  await sql`insert into conversations (owner, id, title, created_at, updated_at, archived, active_leaf, settings) values ('a', 'c', '旧的标题', 1, 1, 0, 'm', '{}')`.execute(db);
  await sql`insert into messages (conversation_key, id, role, content, created_at, updated_at, status)
    select key, 'm', 'user', 'an old message', 1, 1, 'complete' from conversations`.execute(db);
  await db.destroy();
}

/** One copy, of the version that was found, for its owner's eyes only. */
async function expectCopy(url: string, version: number): Promise<void> {
  const name = `parley.sqlite.backup-v${version}-20260102T030405Z`;
  expect(await backupsOf(url)).toEqual([name]);
  const copy = join(dirname(fileOf(url)), name);
  expect((await stat(copy)).mode & 0o777).toBe(0o600);
  using old = new DatabaseSync(copy, { readOnly: true });
  expect(old.prepare('select max(version) as version from parley_schema').get()).toEqual({ version });
  expect(old.prepare('select content from messages').all()).toEqual([{ content: 'an old message' }]);
}

describe.each(engines)('$name', (engine) => {

  test.each(migrations.slice(0, -1))('from version $version: what was in it is there and found', async ({ version }) => {
    await using database = await engine.make();
    await makeOld(database.url, version);
    const open = async () => await openStore(database.url, { now: () => Date.UTC(2026, 0, 2, 3, 4, 5) });
    // Two servers that start at once take each step once.
    const stores = await Promise.all([open(), open()]);
    for (const store of stores) {
      expect((await store.conversations.branch('a', 'c')).map(({ content }) => content)).toEqual(['an old message']);
      for (const search of ['old mess', '标题']) expect((await store.conversations.list('a', { search })).items.map(({ id }) => id)).toEqual(['c']);
      expect(await store.keys.any()).toBe(false);
      await store.close();
    }
    if (engine.name === 'SQLite') await expectCopy(database.url, version);
  });

  test('a database of a newer program is refused and left as it is', async () => {
    await using database = await engine.make();
    const newer: Migration = { version: migrations.length + 1, name: 'of the future', run: async (db) => void await sql`create table future (x integer)`.execute(db) };
    const store = await openStore(database.url, { migrations: [...migrations, newer] });
    await store.close();
    await expect(openStore(database.url)).rejects.toMatchObject({ code: 'newer', message: expect.stringContaining(`the database has version ${newer.version} and this program knows up to ${migrations.length}`) });
    const again = await openStore(database.url, { migrations: [...migrations, newer] });
    await again.close();
  });

  test('a step that fails, or in which the process dies, leaves the version before it whole', async () => {
    await using database = await engine.make();
    await makeOld(database.url, migrations.length);
    const child = spawn(process.execPath, [CHILD, database.url], { stdio: 'inherit' });
    expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
    const failing: Migration = {
      version: migrations.length + 1, name: 'fails', run: async (db) => {
        await sql`alter table conversations add column colour text`.execute(db);
        await sql`insert into nowhere values (1)`.execute(db);
      },
    };
    await expect(openStore(database.url, { migrations: [...migrations, failing] })).rejects.toMatchObject({ code: 'unavailable' });
    const store = await openStore(database.url);
    expect((await store.conversations.get('a', 'c'))?.title).toBe('旧的标题');
    await store.close();
    // And the step can be taken by a program that does it right.
    const right: Migration = { ...failing, run: async (db) => void await sql`alter table conversations add column colour text`.execute(db) };
    const fixed = await openStore(database.url, { migrations: [...migrations, right] });
    expect((await fixed.conversations.branch('a', 'c')).length).toBe(1);
    await fixed.close();
  });
});

test('versions count from 1 without gaps', () => {
  expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1));
});

test('the last three copies are kept; a new database and one that is up to date need none', async () => {
  const [sqlite] = engines;
  if (sqlite === undefined) throw new Error('there is always SQLite');
  await using database = await sqlite.make();
  const extra = (count: number): Migration[] => [...migrations, ...Array.from({ length: count }, (_, index) => ({ version: migrations.length + 1 + index, name: 'nothing', run: async () => {} }))];
  for (let count = 0; count < 6; count++) {
    const store = await openStore(database.url, { migrations: extra(Math.min(count, 5)), now: () => Date.UTC(2026, 0, 1 + count) });
    await store.close();
  }
  const version = (count: number): string => `parley.sqlite.backup-v${migrations.length + count}-2026010${count + 2}T000000Z`;
  expect(await backupsOf(database.url)).toEqual([2, 3, 4].map(version));
  expect((await stat(fileOf(database.url))).mode & 0o777).toBe(0o600);
  expect(basename(fileOf(database.url))).toBe('parley.sqlite');
});
