/** The tables as TypeScript sees them, and the handle that queries go through. The tables themselves are made in migrations.ts. */
import { type Dialect, type Generated, Kysely, type Transaction } from 'kysely';

export type Engine = 'sqlite' | 'postgres';

/** `key` is a number of the database's own: it orders rows as they came, and joins are on it. `id` is what the world knows. */
export interface Tables {
  conversations: {
    key: Generated<number>; owner: string; id: string; title: string; created_at: number; updated_at: number;
    /** 0 or 1. */
    archived: number; active_leaf: string | null; settings: string;
  };
  messages: {
    key: Generated<number>; conversation_key: number; id: string; parent_id: string | null; role: string; content: string; created_at: number;
    updated_at: number; status: string; model: string | null; finish_reason: string | null; usage: string | null; details: string | null;
  };
  personas: { owner: string; id: string; name: string; system: string; parameters: string | null; created_at: number; updated_at: number };
  responses: { owner: string; id: string; previous_id: string | null; created_at: number; expires_at: number; input: string; response: string };
  api_keys: {
    id: string; name: string; hash: string; prefix: string; scopes: string; created_at: number; expires_at: number | null; budget_tokens: number | null;
    monthly_budget_tokens: number | null; requests_per_minute: number | null; tokens_per_minute: number | null; last_used_at: number | null; revoked_at: number | null;
  };
  usage: { key_id: string; model: string; hour: number; requests: number; prompt_tokens: number; completion_tokens: number; cached_tokens: number };
  accounts: { id: string; name: string; name_folded: string; password: string; created_at: number; last_sign_in_at: number | null };
  sessions: { hash: string; account_id: string; created_at: number; expires_at: number };
}

export interface Context {
  readonly db: Kysely<Tables>;
  readonly engine: Engine;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A query builder that may be in a transaction. */
export type Queries = Kysely<Tables> | Transaction<Tables>;

export const connect = (dialect: Dialect): Kysely<Tables> => new Kysely<Tables>({ dialect });

export const toJson = (value: unknown): string | null => (value === null || value === undefined ? null : JSON.stringify(value));
/** Of a column that this program wrote. */
export const fromJson = <Value>(text: string | null): Value | null => (text === null ? null : (JSON.parse(text) as Value));

/** Slices of a list: statements have a limit of parameters (SQLite 32,766, Postgres 65,535). */
export function* batches<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
