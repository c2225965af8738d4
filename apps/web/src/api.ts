/**
 * The server's /api routes as typed functions. Types are the protocol's; what they mean is told there (packages/protocol/src/talk.ts).
 * Everything the page asks goes through an `Api`, so that fake-api.ts can stand in for the server in development and in tests.
 */
import type {
  ConversationDetail, ConversationPage, ConversationPatch, ConversationSummary, ErrorBody, GenerateRequest, ImportReport, NewConversation, NewPersona,
  NewUserMessage, Persona, PersonaPatch, SessionInfo, SignInRequest, TalkEvent, TalkMessage, TalkModel, TemporaryRequest,
} from '@parley/protocol';
import { readEvents } from './sse.ts';

/** An event of a stream with its number, by which the stream can be gone on with. */
export interface NumberedEvent {
  readonly id: number;
  readonly event: TalkEvent;
}

export interface ListQuery {
  readonly search?: string;
  readonly archived?: boolean;
  readonly cursor?: string;
  readonly limit?: number;
}

/** Every method throws `RequestError`; those that take a signal throw its reason when it is aborted. */
export interface Api {
  session(): Promise<SessionInfo>;
  signIn(request: SignInRequest): Promise<SessionInfo>;
  signOut(): Promise<SessionInfo>;
  models(): Promise<readonly TalkModel[]>;
  conversations(query?: ListQuery, signal?: AbortSignal): Promise<ConversationPage>;
  createConversation(request: NewConversation): Promise<ConversationSummary>;
  conversation(id: string, signal?: AbortSignal): Promise<ConversationDetail>;
  updateConversation(id: string, patch: ConversationPatch): Promise<ConversationSummary>;
  removeConversation(id: string): Promise<void>;
  appendMessage(conversationId: string, message: NewUserMessage): Promise<TalkMessage>;
  /** With every token's probability. */
  message(conversationId: string, messageId: string, signal?: AbortSignal): Promise<TalkMessage>;
  generate(conversationId: string, request: GenerateRequest, signal?: AbortSignal): AsyncIterable<NumberedEvent>;
  /** Events after number `after`; -1: from the first. */
  resume(conversationId: string, messageId: string, after: number, signal?: AbortSignal): AsyncIterable<NumberedEvent>;
  stop(conversationId: string, messageId: string): Promise<TalkMessage>;
  temporary(request: TemporaryRequest, signal?: AbortSignal): AsyncIterable<NumberedEvent>;
  personas(): Promise<readonly Persona[]>;
  createPersona(persona: NewPersona): Promise<Persona>;
  updatePersona(id: string, patch: PersonaPatch): Promise<Persona>;
  removePersona(id: string): Promise<void>;
  /** Addresses of files, to be given to a link with `download`. */
  readonly exportUrl: string;
  conversationExportUrl(id: string, format: 'markdown' | 'json'): string;
  /** A file as it was exported here, or ChatGPT's conversations.json. */
  importAll(data: unknown): Promise<ImportReport>;
}

/**
 * A request that did not do what was asked. `status` 0: the server could not be reached. Whether the same request may succeed later is
 * computed, not guessed by callers.
 */
export class RequestError extends Error {
  override name = 'RequestError';
  readonly status: number;
  readonly code: string | null;
  readonly retryAfterSeconds: number | null;

  constructor(message: string, options: { status: number; code?: string | null; retryAfterSeconds?: number | null; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.code = options.code ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }

  get unreachable(): boolean {
    return this.status === 0;
  }

  get retryable(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export const toRequestError = (error: unknown): RequestError => (error instanceof RequestError
  ? error
  : new RequestError(error instanceof Error ? error.message : String(error), { status: 0, cause: error }));

interface Sent {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly accept?: string;
}

/** `base`: '' for the page's own origin. `onSignedOut` is called where the server wants a sign-in that the page thought it had. */
export function createApi(options: { readonly base?: string; readonly onSignedOut?: () => void } = {}): Api {
  const { base = '', onSignedOut } = options;

  const send = async (path: string, { method = 'GET', body, signal, accept = 'application/json' }: Sent = {}): Promise<Response> => {
    let response: Response;
    try {
      response = await fetch(`${base}/api${path}`, {
        method,
        headers: { accept, ...(body !== undefined && { 'content-type': 'application/json' }) },
        credentials: 'same-origin',
        // What was deleted a moment before the page was left is deleted.
        keepalive: method === 'DELETE',
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw new RequestError('The server cannot be reached.', { status: 0, cause: error });
    }
    if (response.ok) return response;
    if (response.status === 401 && path !== '/session') onSignedOut?.();
    throw await failureOf(response);
  };
  const json = async <T>(path: string, sent?: Sent): Promise<T> => (await send(path, sent)).json() as Promise<T>;
  const nothing = async (path: string, sent: Sent): Promise<void> => void (await send(path, sent));

  async function* stream(path: string, sent: Sent): AsyncGenerator<NumberedEvent> {
    const response = await send(path, { ...sent, accept: 'text/event-stream' });
    if (response.body === null) throw new RequestError('The server sent no answer.', { status: response.status });
    try {
      for await (const { id, data } of readEvents(response.body)) yield { id: Number(id), event: JSON.parse(data) as TalkEvent };
    } catch (error) {
      sent.signal?.throwIfAborted();
      throw new RequestError('The connection broke off.', { status: 0, cause: error });
    }
  }
  const at = (id: string): string => `/conversations/${encodeURIComponent(id)}`;

  return {
    session: () => json('/session'),
    signIn: (body) => json('/session', { method: 'POST', body }),
    signOut: () => json('/session', { method: 'DELETE' }),
    models: () => json('/models'),
    conversations: (query = {}, signal) => {
      const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined).map(([key, value]) => [key, String(value)]));
      return json(`/conversations?${search}`, { signal });
    },
    createConversation: (body) => json('/conversations', { method: 'POST', body }),
    conversation: (id, signal) => json(at(id), { signal }),
    updateConversation: (id, body) => json(at(id), { method: 'PATCH', body }),
    removeConversation: (id) => nothing(at(id), { method: 'DELETE' }),
    appendMessage: (id, body) => json(`${at(id)}/messages`, { method: 'POST', body }),
    message: (id, messageId, signal) => json(`${at(id)}/messages/${encodeURIComponent(messageId)}`, { signal }),
    generate: (id, body, signal) => stream(`${at(id)}/generate`, { method: 'POST', body, signal }),
    resume: (id, messageId, after, signal) => {
      const query = new URLSearchParams({ messageId, ...(after >= 0 && { after: String(after) }) });
      return stream(`${at(id)}/stream?${query}`, { signal });
    },
    stop: (id, messageId) => json(`${at(id)}/stop`, { method: 'POST', body: { messageId } }),
    temporary: (body, signal) => stream('/temporary/generate', { method: 'POST', body, signal }),
    personas: () => json('/personas'),
    createPersona: (body) => json('/personas', { method: 'POST', body }),
    updatePersona: (id, body) => json(`/personas/${encodeURIComponent(id)}`, { method: 'PATCH', body }),
    removePersona: (id) => nothing(`/personas/${encodeURIComponent(id)}`, { method: 'DELETE' }),
    exportUrl: `${base}/api/export`,
    conversationExportUrl: (id, format) => `${base}/api${at(id)}/export?format=${format}`,
    importAll: (body) => json('/import', { method: 'POST', body }),
  };
}

/** What the server says of a refusal; of anything else that answered (a proxy), its status. */
async function failureOf(response: Response): Promise<RequestError> {
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  const facts = { status: response.status, retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : null };
  try {
    const { error } = await response.json() as ErrorBody;
    return new RequestError(error.message, { ...facts, code: error.code });
  } catch (cause) {
    return new RequestError(`The server answered with status ${response.status}.`, { ...facts, cause });
  }
}
