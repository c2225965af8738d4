/** Deleting what belongs to somebody. */
import type { Queries } from './database.ts';
import type { Store } from './types.ts';

export async function erase(db: Queries, owner: string): ReturnType<Store['erase']> {
  const gone = async (table: 'conversations' | 'personas' | 'responses'): Promise<number> =>
    Number((await db.deleteFrom(table).where('owner', '=', owner).executeTakeFirst()).numDeletedRows);
  return { conversations: await gone('conversations'), personas: await gone('personas'), responses: await gone('responses') };
}
