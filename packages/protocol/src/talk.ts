/**
 * The page's own API, under /api: what the browser sends (schemas, strict) and what it gets (types). JSON both ways; errors have OpenAI's
 * envelope as everywhere. Times are milliseconds since 1970. A conversation is a tree of messages: siblings are answers that were
 * generated again or questions that were edited, `activeLeaf` is the end of the branch that is shown.
 *
 *     GET    /api/session                          → SessionInfo            POST signInRequest → SessionInfo      DELETE → SessionInfo
 *     GET    /api/models                           → TalkModel[]
 *     GET    /api/conversations?search=&archived=&cursor=&limit=  → ConversationPage
 *     POST   /api/conversations                    newConversation → 201 ConversationSummary
 *     GET    /api/conversations/:id                → ConversationDetail     (messages without details, but for what failed)
 *     PATCH  /api/conversations/:id                conversationPatch → ConversationSummary
 *     DELETE /api/conversations/:id                → 204
 *     POST   /api/conversations/:id/messages       newUserMessage → 201 TalkMessage
 *     GET    /api/conversations/:id/messages/:messageId  → TalkMessage      (with details, for a click)
 *     POST   /api/conversations/:id/generate       generateRequest → SSE of TalkEvent
 *     GET    /api/conversations/:id/stream?messageId=&after=N → SSE of TalkEvent, those with ids over N (or over Last-Event-ID)
 *     POST   /api/conversations/:id/stop           stopRequest → TalkMessage, as it was when it stopped
 *     GET    /api/conversations/:id/export?format=markdown|json → a file
 *     POST   /api/temporary/generate               temporaryRequest → SSE of TalkEvent; nothing is kept, and leaving ends it
 *     GET    /api/personas → Persona[]             POST newPersona → 201 Persona
 *     PATCH  /api/personas/:id personaPatch → Persona                       DELETE → 204
 *     GET    /api/export                           → TalkExport, a file
 *     POST   /api/import                           TalkExport or ChatGPT's conversations.json → ImportReport
 */
import * as z from 'zod';
import type { ErrorBody } from './errors.ts';

// ---- who, and with what -----------------------------------------------------------------------------------------------------------

export interface SessionInfo {
  /** Null: nobody is signed in, and nobody has to where `signInRequired` is false. */
  readonly user: { readonly id: string; readonly name: string } | null;
  readonly signInRequired: boolean;
  /** The browser's preferred language among those of the page: `en`, `zh`. */
  readonly locale: string;
  readonly version: string;
}

export const signInRequest = z.strictObject({ name: z.string().min(1).max(200), password: z.string().min(1).max(1000) });
export type SignInRequest = z.output<typeof signInRequest>;

export interface TalkModel {
  readonly id: string;
  /** For people: `Parley mini`. */
  readonly title: string;
  /** Tokens; null while it is not known (a model that was never opened, another endpoint that does not say). */
  readonly contextLength: number | null;
  readonly default: boolean;
}

/** How to answer. What is left out is what the model's own folder says. */
export const talkParameters = z.strictObject({
  /** What the assistant is told before the conversation. It takes the place of system messages in the branch. */
  system: z.string().max(100_000).optional(),
  temperature: z.number().min(0).max(2).optional(),
  top_p: z.number().gt(0).max(1).optional(),
  top_k: z.number().int().min(0).optional(),
  min_p: z.number().min(0).max(1).optional(),
  repetition_penalty: z.number().gt(0).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  no_repeat_ngram_size: z.number().int().min(0).optional(),
  /** Tokens of the answer at most. Left out: until the model ends or its context is full. */
  max_tokens: z.number().int().min(1).optional(),
  stop: z.array(z.string().min(1)).max(4).optional(),
  /** The same seed gives the same answer to the same conversation. Left out: a new one, told in `start` and kept. */
  seed: z.number().int().min(0).max(2 ** 32 - 1).optional(),
});
export type TalkParameters = z.output<typeof talkParameters>;

/** What a conversation goes on with. Kept for the page: `generate` uses what is sent to it. */
export const talkSettings = z.strictObject({ model: z.string().max(500).optional(), personaId: z.string().max(100).optional(), parameters: talkParameters.optional() });
export type TalkSettings = z.output<typeof talkSettings>;

// ---- conversations and messages ---------------------------------------------------------------------------------------------------

export interface ConversationSummary {
  readonly id: string;
  readonly title: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly archived: boolean;
  readonly settings: TalkSettings;
}

/** In a list; with `match` where a search found a message's words, not only the title. */
export interface ListedConversation extends ConversationSummary {
  readonly match: { readonly messageId: string; readonly text: string } | null;
}

export interface ConversationPage {
  /** The one that was talked in last comes first. */
  readonly items: readonly ListedConversation[];
  /** Pass it as `cursor` for those that follow; null: there are no more. */
  readonly next: string | null;
}

export interface ConversationDetail extends ConversationSummary {
  readonly activeLeaf: string | null;
  /** All branches, parents before their children. */
  readonly messages: readonly TalkMessage[];
}

/**
 * streaming: being written. complete: the model ended it, or as long as was allowed. stopped: somebody stopped it. failed: `details.error`
 * says why; what was written until then is there.
 */
export type MessageStatus = 'streaming' | 'complete' | 'stopped' | 'failed';

export interface TalkMessage {
  readonly id: string;
  readonly conversationId: string;
  /** Null: the first of its branch. */
  readonly parentId: string | null;
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly createdAt: number;
  readonly status: MessageStatus;
  /** Of answers: who wrote it. */
  readonly model?: string;
  readonly finishReason?: 'stop' | 'length';
  readonly usage?: TalkUsage;
  readonly details?: AnswerDetails;
}

export interface TalkUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt's, those that an earlier request had left. */
  readonly cachedTokens: number;
}

/** About an answer, for whoever clicks on it: from GET …/messages/:messageId. Lists have it only where an answer failed, for `error`. */
export interface AnswerDetails {
  readonly seed?: number;
  readonly parameters?: TalkParameters;
  readonly tokensPerSecond?: number;
  /** From the request to the first text, waiting included. */
  readonly timeToFirstTokenMs?: number;
  /** Messages, the oldest, that the model did not read because its context has no room for them. */
  readonly droppedMessages?: number;
  /** What went wrong, with status `failed`. */
  readonly error?: ErrorBody['error'];
  /** The answer token by token; their texts add up to the content. */
  readonly tokens?: readonly TokenDetail[];
}

/**
 * A token as it is kept: its text ('' where it is part of a character that a later one completes), its log-probability by the model's
 * own distribution, and the five likeliest with theirs, likeliest first.
 */
export type TokenDetail = readonly [text: string, logprob: number | null, top: readonly (readonly [text: string, logprob: number])[]];

const id = z.string().min(1).max(100);
const title = z.string().trim().min(1).max(300);

export const newConversation = z.strictObject({ title: title.optional(), settings: talkSettings.optional() });
export type NewConversation = z.output<typeof newConversation>;

export const conversationPatch = z.strictObject({ title: title.optional(), archived: z.boolean().optional(), activeLeaf: id.nullable().optional(), settings: talkSettings.optional() });
export type ConversationPatch = z.output<typeof conversationPatch>;

/** To edit a question, append another with the same parent. */
export const newUserMessage = z.strictObject({
  parentId: id.nullable(),
  content: z.string().min(1).refine((text) => text.trim() !== '', 'has to say something'),
});
export type NewUserMessage = z.output<typeof newUserMessage>;

// ---- answers as they come ---------------------------------------------------------------------------------------------------------

/** Answers the message `parentId`. Asking again with the same parent gives a sibling. */
export const generateRequest = z.strictObject({ parentId: id, model: z.string().min(1).optional(), parameters: talkParameters.optional() });
export type GenerateRequest = z.output<typeof generateRequest>;

export const stopRequest = z.strictObject({ messageId: id });
export type StopRequest = z.output<typeof stopRequest>;

export const temporaryRequest = z.strictObject({
  messages: z.array(z.strictObject({ role: z.enum(['system', 'user', 'assistant']), content: z.string() })).min(1),
  model: z.string().min(1).optional(),
  parameters: talkParameters.optional(),
});
export type TemporaryRequest = z.output<typeof temporaryRequest>;

/**
 * `data:` of the stream, each with an `id:` that counts from 0. One `start`, then tokens, then one `end` or `error`, which is the last.
 * `text` comes instead of tokens that are no longer at hand (the server was restarted): it is the whole answer so far and replaces what
 * is shown.
 */
export type TalkEvent = TalkStart | TalkToken | TalkText | TalkEnd | TalkError;

export interface TalkStart {
  readonly type: 'start';
  /** Of the answer; null in a temporary chat. */
  readonly messageId: string | null;
  readonly seed: number;
  readonly model: string;
}

export interface TalkToken {
  readonly type: 'token';
  readonly text: string;
  readonly logprob: number | null;
  readonly top: readonly { readonly text: string; readonly logprob: number }[];
  /** The how manieth token of the answer, from 0. */
  readonly index: number;
}

export interface TalkText {
  readonly type: 'text';
  readonly content: string;
}

export interface TalkEnd {
  readonly type: 'end';
  readonly status: 'complete' | 'stopped';
  /** Null where it was stopped. */
  readonly finishReason: 'stop' | 'length' | null;
  readonly usage: TalkUsage;
  readonly tokensPerSecond: number;
  readonly timeToFirstTokenMs: number | null;
  readonly droppedMessages: number;
}

/** The answer failed; what came before it stays. */
export interface TalkError {
  readonly type: 'error';
  readonly error: ErrorBody['error'];
}

// ---- personas ---------------------------------------------------------------------------------------------------------------------

export interface Persona {
  readonly id: string;
  readonly name: string;
  readonly system: string;
  readonly parameters?: TalkParameters;
}

const personaFields = { name: z.string().trim().min(1).max(200), system: z.string().max(100_000), parameters: talkParameters.optional() } as const;
export const newPersona = z.strictObject(personaFields);
export type NewPersona = z.output<typeof newPersona>;
export const personaPatch = z.strictObject({ name: personaFields.name.optional(), system: personaFields.system.optional(), parameters: talkParameters.optional() });
export type PersonaPatch = z.output<typeof personaPatch>;

// ---- export and import ------------------------------------------------------------------------------------------------------------

/** Everything of one person, as the store writes it. `version` grows when a reader of the older form would misread the newer. */
export interface TalkExport {
  readonly format: 'parley-export';
  readonly version: 1;
  readonly exportedAt: number;
  readonly conversations: readonly object[];
  readonly personas: readonly object[];
}

export interface ImportReport {
  readonly format: 'parley' | 'chatgpt';
  /** What is new. */
  readonly conversations: number;
  readonly messages: number;
  readonly personas: number;
  /** Messages that were there already. */
  readonly skipped: number;
  /** What could not be taken over, one line each: pictures, tool calls. */
  readonly notes: readonly string[];
}
