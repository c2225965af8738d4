/** Responses of /v1/responses that a later request may go on from. */
import type { Selectable } from 'kysely';
import { type Context, fromJson, type Tables } from './database.ts';
import type { JsonObject, StoredResponse, StoredResponses } from './types.ts';

/** As long as OpenAI keeps them. */
const LIFETIME_MS = 30 * 24 * 3600_000;

const toResponse = (row: Selectable<Tables['responses']>): StoredResponse => ({
  id: row.id, previousId: row.previous_id, createdAt: row.created_at, expiresAt: row.expires_at, input: fromJson<unknown[]>(row.input) ?? [],
  response: fromJson<JsonObject>(row.response) ?? {},
});

export function responses({ db, now }: Context): StoredResponses {
  const get = async (owner: string, id: string): Promise<StoredResponse | null> => {
    const row = await db.selectFrom('responses').selectAll().where('owner', '=', owner).where('id', '=', id).where('expires_at', '>', now()).executeTakeFirst();
    return row === undefined ? null : toResponse(row);
  };

  return {
    async put(owner, { id, previousId, input, response, expiresAt }) {
      const at = now();
      return toResponse(await db.insertInto('responses').values({
        owner, id, previous_id: previousId, created_at: at, expires_at: expiresAt ?? at + LIFETIME_MS, input: JSON.stringify(input), response: JSON.stringify(response),
      }).returningAll().executeTakeFirstOrThrow());
    },
    get,
    async chain(owner, id) {
      const rows: StoredResponse[] = [];
      const seen = new Set<string>();
      for (let next: string | null = id; next !== null;) {
        const response = await get(owner, next);
        // One that came before it cannot follow from it; only a client that made up ids could have it so.
        if (response === null || seen.has(next)) return null;
        seen.add(next);
        rows.push(response);
        next = response.previousId;
      }
      return rows.reverse();
    },
    async remove(owner, id) {
      return (await db.deleteFrom('responses').where('owner', '=', owner).where('id', '=', id).executeTakeFirst()).numDeletedRows > 0n;
    },
  };
}
