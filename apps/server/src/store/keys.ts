/** API keys. What is kept of a key is its SHA-256: 256 random bits need no slower hash, and each request is checked. */
import type { Selectable } from 'kysely';
import { type Context, fromJson, type Tables } from './database.ts';
import { newId, newSecret, sha256 } from './ids.ts';
import { DEFAULT_SCOPES, type KeyRecord, type Keys, keyState, type NewKey, type Scope, SCOPES, StoreError } from './types.ts';

const BEGINNING = 'pk-parley-';
/** Between two notes of when a key was used. */
const NOTE_MS = 60_000;

const toRecord = (row: Selectable<Tables['api_keys']>): KeyRecord => ({
  id: row.id, name: row.name, prefix: row.prefix, scopes: fromJson<Scope[]>(row.scopes) ?? [], createdAt: row.created_at, expiresAt: row.expires_at,
  budgetTokens: row.budget_tokens, monthlyBudgetTokens: row.monthly_budget_tokens, requestsPerMinute: row.requests_per_minute,
  tokensPerMinute: row.tokens_per_minute, lastUsedAt: row.last_used_at, revokedAt: row.revoked_at,
});

export function keys({ db, now }: Context): Keys {
  const find = async (key: string): Promise<KeyRecord | null> => {
    if (!key.startsWith(BEGINNING)) return null;
    const row = await db.selectFrom('api_keys').selectAll().where('hash', '=', sha256(key)).executeTakeFirst();
    return row === undefined ? null : toRecord(row);
  };

  return {
    async create(wanted) {
      check(wanted, now());
      const secret = newSecret();
      const key = `${BEGINNING}${secret}`;
      const row = await db.insertInto('api_keys').values({
        id: newId('key'), name: wanted.name, hash: sha256(key), prefix: `${BEGINNING}${secret.slice(0, 4)}`, scopes: JSON.stringify([...new Set(wanted.scopes ?? DEFAULT_SCOPES)]),
        created_at: now(), expires_at: wanted.expiresAt ?? null, budget_tokens: wanted.budgetTokens ?? null, monthly_budget_tokens: wanted.monthlyBudgetTokens ?? null,
        requests_per_minute: wanted.requestsPerMinute ?? null, tokens_per_minute: wanted.tokensPerMinute ?? null, last_used_at: null, revoked_at: null,
      }).returningAll().executeTakeFirstOrThrow();
      return { key, record: toRecord(row) };
    },
    async verify(key) {
      const record = await find(key);
      const at = now();
      if (record === null || keyState(record, at) !== 'active') return null;
      if (record.lastUsedAt !== null && at - record.lastUsedAt < NOTE_MS) return record;
      await db.updateTable('api_keys').set({ last_used_at: at }).where('id', '=', record.id).execute();
      return { ...record, lastUsedAt: at };
    },
    find,
    async get(id) {
      const row = await db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toRecord(row);
    },
    async list() {
      return (await db.selectFrom('api_keys').selectAll().orderBy('created_at').orderBy('id').execute()).map(toRecord);
    },
    async any() {
      const row = await db.selectFrom('api_keys').select('id').where('revoked_at', 'is', null)
        .where((build) => build.or([build('expires_at', 'is', null), build('expires_at', '>', now())])).limit(1).executeTakeFirst();
      return row !== undefined;
    },
    async revoke(id) {
      const row = await db.updateTable('api_keys').set((build) => ({ revoked_at: build.fn.coalesce('revoked_at', build.val(now())) })).where('id', '=', id)
        .returningAll().executeTakeFirst();
      return row === undefined ? null : toRecord(row);
    },
  };
}

function check({ name, scopes, expiresAt, ...limits }: NewKey, now: number): void {
  if (name.trim() === '') throw new StoreError('invalid', 'the key has no name: say what it is for');
  if (scopes?.length === 0) throw new StoreError('invalid', `the key has no scope, so nothing could be done with it: name some of ${SCOPES.join(', ')}`);
  if (typeof expiresAt === 'number' && expiresAt <= now) throw new StoreError('invalid', `the key would have expired already, ${new Date(expiresAt).toISOString()}: name a time to come`);
  for (const [limit, value] of Object.entries(limits)) {
    if (typeof value === 'number' && !(Number.isSafeInteger(value) && value >= 1)) throw new StoreError('invalid', `${limit} is ${value}: it takes a whole number from 1`);
  }
}
