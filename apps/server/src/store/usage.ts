/** Tokens that were used, as sums per identity, model and hour. */
import { sql } from 'kysely';
import type { Context } from './database.ts';
import { startOfMonth, type UsageLog } from './types.ts';

const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;

/** A sum as a whole number; Postgres' own type for sums of large integers is another. */
const sum = (column: 'requests' | 'prompt_tokens' | 'completion_tokens' | 'cached_tokens') => sql<number>`cast(coalesce(sum(${sql.ref(column)}), 0) as bigint)`.as(column);
const SUMS = [sum('requests'), sum('prompt_tokens'), sum('completion_tokens'), sum('cached_tokens')];

interface Sums {
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cached_tokens: number;
}

const toTotals = (row: Sums) => ({
  requests: row.requests, promptTokens: row.prompt_tokens, completionTokens: row.completion_tokens, cachedTokens: row.cached_tokens,
  totalTokens: row.prompt_tokens + row.completion_tokens,
});

export function usage({ db, now }: Context): UsageLog {
  return {
    async add({ keyId, model, promptTokens, completionTokens, cachedTokens, at = now() }) {
      await db.insertInto('usage').values({
        key_id: keyId, model, hour: Math.floor(at / HOUR_MS) * HOUR_MS, requests: 1, prompt_tokens: promptTokens, completion_tokens: completionTokens, cached_tokens: cachedTokens,
      }).onConflict((conflict) => conflict.columns(['key_id', 'hour', 'model']).doUpdateSet((build) => ({
        requests: build('usage.requests', '+', 1),
        prompt_tokens: build('usage.prompt_tokens', '+', build.ref('excluded.prompt_tokens')),
        completion_tokens: build('usage.completion_tokens', '+', build.ref('excluded.completion_tokens')),
        cached_tokens: build('usage.cached_tokens', '+', build.ref('excluded.cached_tokens')),
      }))).execute();
    },
    async totals(keyId, since = 0) {
      const row = await db.selectFrom('usage').select(SUMS).where('key_id', '=', keyId).where('hour', '>=', Math.floor(since / HOUR_MS) * HOUR_MS).executeTakeFirstOrThrow();
      return toTotals(row);
    },
    async report({ keyId, since, until, period }) {
      let query = db.selectFrom('usage').select(['key_id', 'model', sql<number>`hour - hour % ${sql.lit(DAY_MS)}`.as('day'), ...SUMS]).groupBy(['key_id', 'model', 'day']);
      if (keyId !== undefined) query = query.where('key_id', '=', keyId);
      if (since !== undefined) query = query.where('hour', '>=', Math.floor(since / HOUR_MS) * HOUR_MS);
      if (until !== undefined) query = query.where('hour', '<', until);
      const rows = await query.orderBy('day').orderBy('key_id').orderBy('model').execute();
      const sums = new Map<string, ReturnType<typeof toTotals> & { keyId: string; model: string; start: number }>();
      for (const row of rows) {
        const start = period === 'day' ? row.day : startOfMonth(row.day);
        const name = JSON.stringify([start, row.key_id, row.model]);
        const { requests, promptTokens, completionTokens, cachedTokens, totalTokens } = toTotals(row);
        const so = sums.get(name) ?? { keyId: row.key_id, model: row.model, start, requests: 0, promptTokens: 0, completionTokens: 0, cachedTokens: 0, totalTokens: 0 };
        sums.set(name, {
          ...so, requests: so.requests + requests, promptTokens: so.promptTokens + promptTokens, completionTokens: so.completionTokens + completionTokens,
          cachedTokens: so.cachedTokens + cachedTokens, totalTokens: so.totalTokens + totalTokens,
        });
      }
      return [...sums.values()].sort((a, b) => a.start - b.start);
    },
  };
}
