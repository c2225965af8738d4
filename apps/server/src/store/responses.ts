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
  return {
    async put(owner, { id, previousId, input, response, expiresAt }) {
      const at = now();
      return toResponse(await db.insertInto('responses').values({
        owner, id, previous_id: previousId, created_at: at, expires_at: expiresAt ?? at + LIFETIME_MS, input: JSON.stringify(input), response: JSON.stringify(response),
      }).returningAll().executeTakeFirstOrThrow());
    },
    async get(owner, id) {
      const row = await db.selectFrom('responses').selectAll().where('owner', '=', owner).where('id', '=', id).where('expires_at', '>', now()).executeTakeFirst();
      return row === undefined ? null : toResponse(row);
    },
    async chain(owner, id) {
      const rows = await db.withRecursive('above(id, previous_id, distance)', (query) => query
        .selectFrom('responses').select(({ lit }) => ['responses.id', 'responses.previous_id', lit(0).as('distance')])
        .where('owner', '=', owner).where('responses.id', '=', id).where('expires_at', '>', now())
        .unionAll(query.selectFrom('responses').innerJoin('above', 'above.previous_id', 'responses.id')
          .select(({ eb }) => ['responses.id', 'responses.previous_id', eb('above.distance', '+', 1).as('distance')])
          .where('owner', '=', owner).where('expires_at', '>', now())))
        .selectFrom('above').innerJoin('responses', 'responses.id', 'above.id').selectAll('responses')
        .where('owner', '=', owner).orderBy('above.distance', 'desc').execute();
      return rows[0]?.previous_id === null ? rows.map(toResponse) : null;
    },
    async remove(owner, id) {
      return (await db.deleteFrom('responses').where('owner', '=', owner).where('id', '=', id).executeTakeFirst()).numDeletedRows > 0n;
    },
  };
}
