/** Deleting what belongs to somebody. */
import type { Engine, Queries } from './database.ts';
import { forget } from './search.ts';
import type { Store } from './types.ts';

export async function erase(db: Queries, engine: Engine, owner: string): ReturnType<Store['erase']> {
  const gone = async (table: 'conversations' | 'personas' | 'responses'): Promise<number> =>
    Number((await db.deleteFrom(table).where('owner', '=', owner).executeTakeFirst()).numDeletedRows);
  const counts = { conversations: await gone('conversations'), personas: await gone('personas'), responses: await gone('responses') };
  await forget(db, engine);
  return counts;
}
