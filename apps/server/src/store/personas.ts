/** Personas: system prompts with a name, and what to sample with. */
import type { Selectable } from 'kysely';
import { type Context, fromJson, type Tables, toJson } from './database.ts';
import { newId } from './ids.ts';
import { type JsonObject, type Persona, type Personas, StoreError } from './types.ts';

export const toPersona = (row: Selectable<Tables['personas']>): Persona => ({
  id: row.id, name: row.name, system: row.system, parameters: fromJson<JsonObject>(row.parameters), createdAt: row.created_at, updatedAt: row.updated_at,
});

export function personas({ db, now }: Context): Personas {
  return {
    async list(owner) {
      const rows = await db.selectFrom('personas').selectAll().where('owner', '=', owner).execute();
      // Here, because databases sort names by rules of their own.
      return rows.map(toPersona).sort((a, b) => a.name.localeCompare(b.name, 'en') || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
    },
    async get(owner, id) {
      const row = await db.selectFrom('personas').selectAll().where('owner', '=', owner).where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toPersona(row);
    },
    async create(owner, { id = newId('per'), name, system, parameters }) {
      const at = now();
      return toPersona(await db.insertInto('personas').values({ owner, id, name, system, parameters: toJson(parameters), created_at: at, updated_at: at })
        .returningAll().executeTakeFirstOrThrow());
    },
    async update(owner, id, { name, system, parameters }) {
      const row = await db.updateTable('personas').set({
        ...(name !== undefined && { name }), ...(system !== undefined && { system }), ...(parameters !== undefined && { parameters: toJson(parameters) }), updated_at: now(),
      }).where('owner', '=', owner).where('id', '=', id).returningAll().executeTakeFirst();
      if (row === undefined) throw new StoreError('not_found', `there is no persona '${id}'`);
      return toPersona(row);
    },
    async remove(owner, id) {
      return (await db.deleteFrom('personas').where('owner', '=', owner).where('id', '=', id).executeTakeFirst()).numDeletedRows > 0n;
    },
  };
}
