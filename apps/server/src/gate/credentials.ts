/** Who asks: by the key in the Authorization header (programs), by the cookie (people at the page), or because nobody else can reach us. */
import { createHash } from 'node:crypto';
import { ApiError } from '@parley/protocol';
import { type KeyRecord, keyState, type Session, type Store, type UsageTotals, startOfMonth } from '../store/types.ts';
import { BriefCache } from './brief-cache.ts';
import { type Identity, LOCAL } from './identity.ts';

/** Whoever may use a key's budget, as the store had it a moment ago. */
export interface Standing {
  readonly record: KeyRecord;
  /** `performance.now()` of when the store was asked. */
  readonly asOf: number;
  readonly total: UsageTotals | null;
  readonly month: UsageTotals | null;
}

export interface Admitted {
  readonly identity: Identity;
  /** Of keys. */
  readonly standing?: Standing;
}

const COOKIE = 'parley_session';
/** Browsers take it only with Secure, for this host and all paths: no other host of the domain can set it. */
const SECURE_COOKIE = `__Host-${COOKIE}`;

export class Credentials {
  readonly #store: Store | undefined;
  readonly #exposed: boolean;
  readonly #keys = new BriefCache<Standing | null>();
  readonly #sessions = new BriefCache<Session | null>();
  readonly #any = new BriefCache<boolean>({ most: 2 });

  /** `exposed`: others than who sits at this machine can reach the server, so that nobody is let in without a name. */
  constructor(store: Store | undefined, exposed: boolean) {
    this.#store = store;
    this.#exposed = exposed;
  }

  /** Of programs. Throws ApiError (401). Revoking works within a second: that long a key that was found good is not asked about again. */
  async key(authorization: string | undefined): Promise<Admitted> {
    const store = this.#store;
    // Revoked and expired keys count: the last key's end must not open the server.
    if (!this.#exposed && (store === undefined || !(await this.#any.get('keys', async () => (await store.keys.list()).length > 0)))) return { identity: LOCAL };
    const text = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (text === undefined) {
      throw unauthorized("You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).", null);
    }
    const standing = store === undefined ? null : await this.#keys.get(digest(text), async () => standingOf(store, text));
    if (standing === null) throw unauthorized(`Incorrect API key provided: ${masked(text)}. 'parley keys list' shows the keys of this server.`);
    const { record } = standing;
    const state = keyState(record);
    if (state !== 'active') throw unauthorized(`The API key ${masked(text)} (${record.name}) ${state === 'expired' ? 'has expired' : 'was revoked'}. 'parley keys create' makes another.`);
    return { identity: { kind: 'key', id: record.id, name: record.name, scopes: record.scopes }, standing };
  }

  /** Of people at the page. Throws ApiError (401 `sign_in_required`). */
  async person(cookies: string | undefined): Promise<Admitted> {
    const session = await this.session(cookies);
    if (session !== null) return { identity: { kind: 'account', id: session.account.id, name: session.account.name, scopes: ['chat', 'embeddings', 'models'] } };
    if (!(await this.signInRequired())) return { identity: LOCAL };
    throw new ApiError('Sign in first: POST /api/session with a name and a password.', { status: 401, type: 'authentication_error', code: 'sign_in_required' });
  }

  async signInRequired(): Promise<boolean> {
    const store = this.#store;
    return this.#exposed || (store !== undefined && (await this.#any.get('accounts', async () => store.accounts.any())));
  }

  async session(cookies: string | undefined): Promise<Session | null> {
    const store = this.#store;
    const token = tokenOf(cookies);
    if (store === undefined || token === null) return null;
    const session = await this.#sessions.get(digest(token), async () => store.accounts.session(token));
    return session !== null && session.expiresAt > Date.now() ? session : null;
  }

  /** Signed out here means signed out now. */
  async signOut(cookies: string | undefined): Promise<void> {
    const token = tokenOf(cookies);
    if (this.#store === undefined || token === null) return;
    await this.#store.accounts.signOut(token);
    this.#sessions.forget(digest(token));
  }
}

async function standingOf(store: Store, text: string): Promise<Standing | null> {
  const asOf = performance.now();
  // The store keeps hashes of keys and looks one up by its hash: how long that takes says nothing about the key.
  const record = (await store.keys.verify(text)) ?? (await store.keys.find(text));
  if (record === null) return null;
  const { id, budgetTokens, monthlyBudgetTokens } = record;
  return {
    record, asOf,
    total: budgetTokens === null ? null : await store.usage.totals(id),
    month: monthlyBudgetTokens === null ? null : await store.usage.totals(id, startOfMonth()),
  };
}

/** Keys are looked up by what nobody can guess a beginning of, so that comparing them tells nothing by its time. */
const digest = (secret: string): string => createHash('sha256').update(secret).digest('base64');

/** `pk-parl*****************4f2a`, as OpenAI shows it: enough to recognize one's own. */
const masked = (key: string): string => (key.length <= 12 ? '*'.repeat(key.length) : `${key.slice(0, 8).replace(/[^\w-]/g, '?')}${'*'.repeat(Math.min(20, key.length - 12))}${key.slice(-4).replace(/[^\w-]/g, '?')}`);

const unauthorized = (message: string, code: string | null = 'invalid_api_key'): ApiError =>
  new ApiError(message, { status: 401, type: 'invalid_request_error', code, headers: { 'www-authenticate': 'Bearer' } });

function tokenOf(cookies: string | undefined): string | null {
  const all = new Map((cookies ?? '').split(';').map((part) => {
    const at = part.indexOf('=');
    return [part.slice(0, Math.max(0, at)).trim(), part.slice(at + 1).trim()] as const;
  }));
  const token = all.get(SECURE_COOKIE) ?? all.get(COOKIE);
  return token !== undefined && /^[\w.~-]{1,200}$/.test(token) ? token : null;
}

/** `Set-Cookie` lines: not for scripts, not for requests that another site starts; over TLS only, where this came by TLS. */
export function sessionCookie(token: string, { secure, maxAgeSeconds }: { secure: boolean; maxAgeSeconds: number }): string {
  return `${secure ? SECURE_COOKIE : COOKIE}=${token}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`;
}

export const endedCookies: readonly string[] = [sessionCookie('', { secure: false, maxAgeSeconds: 0 }), sessionCookie('', { secure: true, maxAgeSeconds: 0 })];
