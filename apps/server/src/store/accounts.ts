/** People who sign in to the page, and their sessions. */
import type { Insertable, Selectable } from 'kysely';
import type { Context, Queries, Tables } from './database.ts';
import { erase, handOver } from './erase.ts';
import { newId, newSecret, sha256 } from './ids.ts';
import { checkPassword, type Cost, hasCost, hashPassword, verifyPassword } from './passwords.ts';
import { type Account, type Accounts, StoreError } from './types.ts';

const SESSION_MS = 30 * 24 * 3600_000;
const LONGEST_NAME = 200;

const toAccount = (row: Selectable<Tables['accounts']>): Account => ({ id: row.id, name: row.name, createdAt: row.created_at, lastSignInAt: row.last_sign_in_at });

/** Names that look the same are the same. */
const fold = (name: string): string => name.normalize('NFKC').trim().toLowerCase();

export function accounts({ db, engine, now }: Context, cost: Cost): Accounts {
  /** Of nobody's password: what an unknown name is compared with, so that it takes as long as a known one. */
  let nobody: Promise<string> | undefined;

  const byName = async (name: string) => await db.selectFrom('accounts').selectAll().where('name_folded', '=', fold(name)).executeTakeFirst();

  const newRow = async ({ name, password }: { readonly name: string; readonly password: string }): Promise<Insertable<Tables['accounts']>> => {
    if (fold(name) === '') throw new StoreError('invalid', 'the account has no name');
    if (name.length > LONGEST_NAME) throw new StoreError('invalid', `the account's name has ${name.length} characters: it takes ${LONGEST_NAME} at most`);
    checkPassword(password);
    return { id: newId('acc'), name: name.trim(), name_folded: fold(name), password: await hashPassword(password, cost), created_at: now(), last_sign_in_at: null };
  };

  const insert = async (on: Queries, row: Insertable<Tables['accounts']>): Promise<Account> => {
    try {
      return toAccount(await on.insertInto('accounts').values(row).returningAll().executeTakeFirstOrThrow());
    } catch (error) {
      if (error instanceof StoreError && error.code === 'conflict') throw new StoreError('conflict', `there is an account '${row.name}' already`, { cause: error });
      throw error;
    }
  };

  return {
    async create(account) {
      return await insert(db, await newRow(account));
    },
    async createFirst(account, owner) {
      const row = await newRow(account);
      return await db.transaction().execute(async (turn) => {
        const made = await insert(turn, row);
        // A new account owns nothing yet: no id of the other owner's can be taken.
        const first = (await turn.selectFrom('accounts').select('id').where('id', '!=', made.id).limit(1).executeTakeFirst()) === undefined;
        return { account: made, adopted: first ? await handOver(turn, owner, made.id) : null };
      });
    },
    async list() {
      return (await db.selectFrom('accounts').selectAll().orderBy('created_at').orderBy('id').execute()).map(toAccount);
    },
    async get(id) {
      const row = await db.selectFrom('accounts').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : toAccount(row);
    },
    async findByName(name) {
      const row = await byName(name);
      return row === undefined ? null : toAccount(row);
    },
    async any() {
      return (await db.selectFrom('accounts').select('id').limit(1).executeTakeFirst()) !== undefined;
    },
    async verify(name, password) {
      const row = await byName(name);
      const right = await verifyPassword(password, row?.password ?? await (nobody ??= hashPassword(newSecret(), cost)));
      if (row === undefined || !right) return null;
      const at = now();
      // The old hash is named, so that a password changed meanwhile is not put back.
      await db.updateTable('accounts').set({ last_sign_in_at: at, ...(!hasCost(row.password, cost) && { password: await hashPassword(password, cost) }) })
        .where('id', '=', row.id).where('password', '=', row.password).execute();
      return { ...toAccount(row), lastSignInAt: at };
    },
    async setPassword(id, password) {
      checkPassword(password);
      const hash = await hashPassword(password, cost);
      await db.transaction().execute(async (turn) => {
        const { numUpdatedRows } = await turn.updateTable('accounts').set({ password: hash }).where('id', '=', id).executeTakeFirst();
        if (numUpdatedRows === 0n) throw new StoreError('not_found', `there is no account '${id}'`);
        await turn.deleteFrom('sessions').where('account_id', '=', id).execute();
      });
    },
    async remove(id) {
      return await db.transaction().execute(async (turn) => {
        const { numDeletedRows } = await turn.deleteFrom('accounts').where('id', '=', id).executeTakeFirst();
        if (numDeletedRows === 0n) return false;
        await erase(turn, engine, id);
        return true;
      });
    },
    async signIn(accountId, { lifetimeMs = SESSION_MS } = {}) {
      const row = await db.selectFrom('accounts').selectAll().where('id', '=', accountId).executeTakeFirst();
      if (row === undefined) throw new StoreError('not_found', `there is no account '${accountId}'`);
      const token = newSecret();
      const at = now();
      await db.insertInto('sessions').values({ hash: sha256(token), account_id: accountId, created_at: at, expires_at: at + lifetimeMs }).execute();
      return { token, session: { account: toAccount(row), createdAt: at, expiresAt: at + lifetimeMs } };
    },
    async session(token) {
      const row = await db.selectFrom('sessions').innerJoin('accounts', 'accounts.id', 'sessions.account_id').selectAll('accounts')
        .select(['sessions.created_at as began_at', 'sessions.expires_at']).where('hash', '=', sha256(token)).where('expires_at', '>', now()).executeTakeFirst();
      return row === undefined ? null : { account: toAccount(row), createdAt: row.began_at, expiresAt: row.expires_at };
    },
    async signOut(token) {
      return (await db.deleteFrom('sessions').where('hash', '=', sha256(token)).executeTakeFirst()).numDeletedRows > 0n;
    },
  };
}
