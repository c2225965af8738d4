/**
 * What the server keeps, as interfaces: conversations, personas, stored responses, keys, accounts, usage. One implementation, over
 * SQLite and Postgres alike, is in open.ts.
 *
 * The rules that hold for every method:
 * - It is atomic, and what it did is on the disk when its promise resolves.
 * - `owner` is the id of an identity (`local`, a key's, an account's). What belongs to another owner is as good as not there.
 * - Times are milliseconds since 1970. Objects that come out are plain JSON data.
 * - Reading what is not there gives null (`remove`: false); changing it throws StoreError `not_found`.
 */

export type StoreErrorCode =
  /** There is no such thing, or it belongs to somebody else. */
  | 'not_found'
  /** The id or the name is taken. */
  | 'conflict'
  /** An argument that cannot be kept: a parent in another conversation, a password of three letters, a cursor of nobody. */
  | 'invalid'
  /** The database was written by a newer Parley. */
  | 'newer'
  /** It cannot be opened, or reached, or read. */
  | 'unavailable';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Any JSON object. The store keeps it as it is and does not look inside. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface Page<Item> {
  readonly items: readonly Item[];
  /** `cursor` of the page after this one; null at the end. */
  readonly next: string | null;
}

export interface Store extends AsyncDisposable {
  readonly conversations: Conversations;
  readonly personas: Personas;
  readonly responses: StoredResponses;
  readonly keys: Keys;
  readonly accounts: Accounts;
  readonly usage: UsageLog;
  /** What it is, for people: `SQLite /home/a/.local/share/parley/parley.sqlite`, `Postgres db.example/parley`. No password is in it. */
  readonly description: string;
  /** Resolves where the database answers, for /ready. Throws StoreError `unavailable`. */
  ping(): Promise<void>;
  /** Deletes conversations, personas and stored responses of an owner. Usage, which is numbers only, stays. */
  erase(owner: string): Promise<{ readonly conversations: number; readonly personas: number; readonly responses: number }>;
  /** Deletes sessions and responses whose time is over. Runs by itself when the store opens and every six hours. */
  prune(now?: number): Promise<void>;
  /** Waits for what is under way, then closes. Same as `[Symbol.asyncDispose]`. */
  close(): Promise<void>;
}

// Conversations -----------------------------------------------------------------------------------------------------------------------

export interface Conversation {
  readonly id: string;
  readonly title: string;
  readonly createdAt: number;
  /** Of the last message appended, or the last change of title or settings. Lists are sorted by it. */
  readonly updatedAt: number;
  readonly archived: boolean;
  /** The message that the shown branch ends with; null where there is none. */
  readonly activeLeaf: string | null;
  /** Of the page: model, system prompt, persona, parameters. */
  readonly settings: JsonObject;
}

/** A conversation in a list; `match` where there was a search and a message, not only the title, has what was looked for. */
export interface ListedConversation extends Conversation {
  readonly match: { readonly messageId: string; readonly text: string } | null;
}

export type Role = 'system' | 'user' | 'assistant' | 'tool';
export type MessageStatus = 'streaming' | 'complete' | 'stopped' | 'failed';

export interface MessageUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
}

/** One node of a conversation's tree. Messages of the same parent are siblings: versions of an edited question, answers made anew. */
export interface Message {
  readonly id: string;
  readonly conversationId: string;
  /** The message it follows; null at a beginning, of which an edited first message makes several. */
  readonly parentId: string | null;
  readonly role: Role;
  readonly content: string;
  readonly createdAt: number;
  /** Of the last `updateMessage`. */
  readonly updatedAt: number;
  readonly status: MessageStatus;
  readonly model: string | null;
  readonly finishReason: string | null;
  readonly usage: MessageUsage | null;
  /** Seed, tokens a second, every token's probability …: large, so lists of messages leave it null unless asked. */
  readonly details: JsonObject | null;
}

export interface NewMessage {
  /** Default: a new one. Taken in this conversation: `conflict`. */
  readonly id?: string | undefined;
  readonly parentId: string | null;
  readonly role: Role;
  readonly content: string;
  /** Default `complete`. */
  readonly status?: MessageStatus | undefined;
  readonly model?: string | null | undefined;
  readonly finishReason?: string | null | undefined;
  readonly usage?: MessageUsage | null | undefined;
  readonly details?: JsonObject | null | undefined;
  /** Make it the conversation's active leaf. Default true. */
  readonly activate?: boolean | undefined;
}

export type MessagePatch = Partial<Pick<Message, 'content' | 'status' | 'model' | 'finishReason' | 'usage' | 'details'>>;

export interface ListOptions {
  /** Words that the title or one message must have, all of them; the last may be a beginning. Any script, case and accents aside. */
  readonly search?: string | undefined;
  /** Only those that are, or are not. Absent: both. */
  readonly archived?: boolean | undefined;
  /** `next` of the page before. */
  readonly cursor?: string | null | undefined;
  /** 1 to 200, default 50. */
  readonly limit?: number | undefined;
}

export interface Conversations {
  /** Newest first. */
  list(owner: string, options?: ListOptions): Promise<Page<ListedConversation>>;
  get(owner: string, id: string): Promise<Conversation | null>;
  create(owner: string, options?: { readonly id?: string | undefined; readonly title?: string | undefined; readonly settings?: JsonObject | undefined }): Promise<Conversation>;
  /** `activeLeaf` may be any message of the conversation. */
  update(owner: string, id: string, patch: Partial<Pick<Conversation, 'title' | 'archived' | 'activeLeaf' | 'settings'>>): Promise<Conversation>;
  remove(owner: string, id: string): Promise<boolean>;
  append(owner: string, conversationId: string, message: NewMessage): Promise<Message>;
  updateMessage(owner: string, conversationId: string, id: string, patch: MessagePatch): Promise<Message>;
  /** Removes it and all that follows from it. An active leaf among them moves to the newest leaf that is left under the parent, or to the parent. */
  removeMessage(owner: string, conversationId: string, id: string): Promise<boolean>;
  /** One, with its details. */
  message(owner: string, conversationId: string, id: string): Promise<Message | null>;
  /** The whole tree, as appended. Empty where there is no such conversation. */
  messages(owner: string, conversationId: string, options?: { readonly details?: boolean }): Promise<Message[]>;
  /** From the beginning to `leaf` (default: the active one): what a prompt is made of. Throws `not_found` where there is no such message. */
  branch(owner: string, conversationId: string, leaf?: string | null): Promise<Message[]>;
  /** Everything of an owner, in the form that `importAll` takes. */
  exportAll(owner: string): Promise<Export>;
  /** Adds what is not there yet, by ids; the same file twice changes nothing. All or nothing. Throws `invalid` naming the place. */
  importAll(owner: string, data: unknown): Promise<ImportCounts>;
  /**
   * Answers of all owners that were being written and have not been touched since `before` become `failed`: their process is gone.
   * A server calls it once when it starts; one that shares its database calls it with the time of a heartbeat or two ago.
   */
  endInterrupted(before: number): Promise<number>;
}

export interface Export {
  readonly format: 'parley-export';
  readonly version: 1;
  readonly exportedAt: number;
  readonly conversations: readonly (Conversation & { readonly messages: readonly Omit<Message, 'conversationId'>[] })[];
  readonly personas: readonly Persona[];
}

export interface ImportCounts {
  readonly conversations: number;
  readonly messages: number;
  readonly personas: number;
  /** Messages that were there already. */
  readonly skipped: number;
}

// Personas ----------------------------------------------------------------------------------------------------------------------------

export interface Persona {
  readonly id: string;
  readonly name: string;
  readonly system: string;
  readonly parameters: JsonObject | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Personas {
  /** By name. */
  list(owner: string): Promise<Persona[]>;
  get(owner: string, id: string): Promise<Persona | null>;
  create(owner: string, persona: { readonly id?: string | undefined; readonly name: string; readonly system: string; readonly parameters?: JsonObject | null | undefined }): Promise<Persona>;
  update(owner: string, id: string, patch: Partial<Pick<Persona, 'name' | 'system' | 'parameters'>>): Promise<Persona>;
  remove(owner: string, id: string): Promise<boolean>;
}

// Stored responses of /v1/responses ---------------------------------------------------------------------------------------------------

export interface StoredResponse {
  readonly id: string;
  /** `previous_response_id` of the request. */
  readonly previousId: string | null;
  readonly createdAt: number;
  /** Default 30 days after createdAt, as OpenAI has it. */
  readonly expiresAt: number;
  /** Items of this request's own input. */
  readonly input: readonly unknown[];
  /** The response object, as it was answered; its `output` is in it. */
  readonly response: JsonObject;
}

export interface StoredResponses {
  /** Throws `conflict` where the id is taken. */
  put(owner: string, response: Omit<StoredResponse, 'createdAt' | 'expiresAt'> & { readonly expiresAt?: number | undefined }): Promise<StoredResponse>;
  get(owner: string, id: string): Promise<StoredResponse | null>;
  /** From the first to `id`. Null where it, or one that came before it, is gone. */
  chain(owner: string, id: string): Promise<StoredResponse[] | null>;
  remove(owner: string, id: string): Promise<boolean>;
}

// Keys and usage ----------------------------------------------------------------------------------------------------------------------

export const SCOPES = ['chat', 'embeddings', 'models', 'metrics', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];
/** Of a key for which none are named. */
export const DEFAULT_SCOPES: readonly Scope[] = ['chat', 'embeddings', 'models'];

export interface KeyRecord {
  /** `key_…`; the owner of what is made with it. */
  readonly id: string;
  readonly name: string;
  /** Its beginning, to recognize it by: `pk-parley-a1B2`. The rest is not known here. */
  readonly prefix: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: number;
  readonly expiresAt: number | null;
  /** Prompt and answer together, over the key's whole life. */
  readonly budgetTokens: number | null;
  /** The same in a calendar month, UTC. */
  readonly monthlyBudgetTokens: number | null;
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
  /** To the minute. */
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
}

export interface NewKey {
  readonly name: string;
  readonly scopes?: readonly Scope[] | undefined;
  readonly expiresAt?: number | null | undefined;
  readonly budgetTokens?: number | null | undefined;
  readonly monthlyBudgetTokens?: number | null | undefined;
  readonly requestsPerMinute?: number | null | undefined;
  readonly tokensPerMinute?: number | null | undefined;
}

export interface Keys {
  /** `key` is `pk-parley-` and 32 random bytes in base62 (43 characters); it cannot be had again. */
  create(key: NewKey): Promise<{ readonly key: string; readonly record: KeyRecord }>;
  /** The record of a key that may be used now; null for unknown, revoked and expired ones. Notes when it was used. */
  verify(key: string): Promise<KeyRecord | null>;
  /** The record whatever its state, to say why a key is refused. */
  find(key: string): Promise<KeyRecord | null>;
  get(id: string): Promise<KeyRecord | null>;
  /** Revoked ones too; oldest first. */
  list(): Promise<KeyRecord[]>;
  /** True where there is one that may be used now. */
  any(): Promise<boolean>;
  /** Null where there is no such key; a second time changes nothing. */
  revoke(id: string): Promise<KeyRecord | null>;
}

export function keyState(record: KeyRecord, now = Date.now()): 'active' | 'expired' | 'revoked' {
  if (record.revokedAt !== null) return 'revoked';
  return record.expiresAt !== null && record.expiresAt <= now ? 'expired' : 'active';
}

export interface UsageEntry {
  /** Id of the identity: a key's, an account's, or `local`. */
  readonly keyId: string;
  readonly model: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  /** Default: now. */
  readonly at?: number | undefined;
}

export interface UsageTotals {
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  /** Prompt and answer: what budgets count. */
  readonly totalTokens: number;
}

/** Kept as sums per identity, model and hour, so that budgets are a short sum however much was asked. */
export interface UsageLog {
  add(entry: UsageEntry): Promise<void>;
  /** `since` is taken down to its full hour. `startOfMonth()` gives that of a monthly budget. */
  totals(keyId: string, since?: number): Promise<UsageTotals>;
  /** Sums per identity, model and day (UTC) or month, oldest first. */
  report(options: { readonly keyId?: string | undefined; readonly since?: number | undefined; readonly until?: number | undefined; readonly period: 'day' | 'month' }):
    Promise<(UsageTotals & { readonly keyId: string; readonly model: string; readonly start: number })[]>;
}

/** The first millisecond of the calendar month, UTC. */
export function startOfMonth(now = Date.now()): number {
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

// Accounts ----------------------------------------------------------------------------------------------------------------------------

export interface Account {
  /** `acc_…`; the owner of what its person writes. */
  readonly id: string;
  /** As it was given; upper and lower case mean the same person. */
  readonly name: string;
  readonly createdAt: number;
  readonly lastSignInAt: number | null;
}

export interface Session {
  readonly account: Account;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** How many of each have changed hands. */
export interface Adopted {
  readonly conversations: number;
  readonly personas: number;
  readonly responses: number;
}

export interface Accounts {
  /** Throws `conflict` where the name is taken, `invalid` where the password has under 8 characters. */
  create(account: { readonly name: string; readonly password: string }): Promise<Account>;
  /**
   * Makes the account, and where it is the first, gives it in the same transaction what `owner` has: from then on nobody is `local`, and
   * what was written before could not be reached. `adopted` is null where there was an account already.
   */
  createFirst(account: { readonly name: string; readonly password: string }, owner: string): Promise<{ readonly account: Account; readonly adopted: Adopted | null }>;
  list(): Promise<Account[]>;
  get(id: string): Promise<Account | null>;
  findByName(name: string): Promise<Account | null>;
  any(): Promise<boolean>;
  /** The account where name and password are right. Unknown names take as long. Passwords kept with older parameters are hashed anew. */
  verify(name: string, password: string): Promise<Account | null>;
  /** Ends all its sessions. Throws `not_found`. */
  setPassword(id: string, password: string): Promise<void>;
  /** Deletes the account, its sessions, and all that it owns. */
  remove(id: string): Promise<boolean>;
  /** `token` is for the cookie; only its hash is kept. Default 30 days. */
  signIn(accountId: string, options?: { readonly lifetimeMs?: number | undefined }): Promise<{ readonly token: string; readonly session: Session }>;
  /** Null for unknown and expired tokens. */
  session(token: string): Promise<Session | null>;
  signOut(token: string): Promise<boolean>;
}
