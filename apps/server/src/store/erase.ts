/** What belongs to somebody: deleting it, handing it over. */
import type { Engine, Queries } from './database.ts';
import { forget } from './search.ts';
import type { Adopted, Store } from './types.ts';

export async function erase(db: Queries, engine: Engine, owner: string): ReturnType<Store['erase']> {
  const gone = async (table: 'conversations' | 'personas' | 'responses'): Promise<number> =>
    Number((await db.deleteFrom(table).where('owner', '=', owner).executeTakeFirst()).numDeletedRows);
  const counts = { conversations: await gone('conversations'), personas: await gone('personas'), responses: await gone('responses') };
  await forget(db, engine);
  return counts;
}

/** Search is by the rows' own numbers, and goes with them. Throws `conflict` where `to` has one of the ids. */
export async function handOver(db: Queries, from: string, to: string): Promise<Adopted> {
  const given = async (table: 'conversations' | 'personas' | 'responses'): Promise<number> =>
    Number((await db.updateTable(table).set({ owner: to }).where('owner', '=', from).executeTakeFirst()).numUpdatedRows);
  return { conversations: await given('conversations'), personas: await given('personas'), responses: await given('responses') };
}
