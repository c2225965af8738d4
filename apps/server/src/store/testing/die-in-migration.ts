/** A process that dies in the middle of a migration, after it has changed a table and moved rows. */
import { sql } from 'kysely';
import { migrations } from '../migrations.ts';
import { openStore } from '../open.ts';

await openStore(process.argv[2] ?? '', {
  migrations: [...migrations, {
    version: migrations.length + 1,
    name: 'never finished',
    run: async (db) => {
      await sql`alter table conversations add column colour text`.execute(db);
      await sql`update conversations set colour = 'red', title = 'half migrated'`.execute(db);
      await sql`create table half (done integer)`.execute(db);
      process.kill(process.pid, 'SIGKILL');
      await new Promise(() => {});
    },
  }],
});
