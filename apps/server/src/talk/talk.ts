/**
 * The answers that are being written for the page. A job belongs to a message, not to a connection: it goes on when the browser leaves,
 * and ends when the model does, when somebody stops it, or with the server. Its message is in the store from before the first token.
 */
import { ApiError, type ErrorBody, type GenerateRequest, invalidRequest, type TalkEnd, type TalkError, type TalkMessage } from '@parley/protocol';
import type { UsageHook } from '../gate/usage.ts';
import { toApiError } from '../generation.ts';
import type { Models, OpenModel, RemoteModel } from '../models.ts';
import type { Message, Store } from '../store/types.ts';
import { Answer, freshSeed, type Turn, withSystem } from './answer.ts';
import { eventsAfter, Job, type NumberedEvent } from './job.ts';
import { detailsOf, kept, messageOf, noConversation, noMessage } from './views.ts';
import { AnswerWriter, HEARTBEAT_MS } from './writer.ts';

export interface TalkOptions {
  readonly models: Models;
  readonly store: Store;
  /** Aborted, with an error as its reason, when answers have to end because the server does. */
  readonly ended?: AbortSignal | undefined;
  /** What failed inside, for the operator. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

export interface AskOptions {
  readonly owner: string;
  readonly conversationId: string;
  readonly request: GenerateRequest;
  readonly usage: UsageHook;
}

interface Running {
  readonly owner: string;
  readonly conversationId: string;
  readonly job: Job;
}

class StoppedError extends Error {
  override name = 'StoppedError';
}

export class Talk {
  readonly store: Store;
  readonly #models: Models;
  readonly #ended: AbortSignal | undefined;
  readonly #onFault: (error: unknown) => void;
  readonly #running = new Map<string, Running>();

  constructor({ models, store, ended, onFault = () => {} }: TalkOptions) {
    this.store = store;
    this.#models = models;
    this.#ended = ended;
    this.#onFault = onFault;
  }

  /**
   * Answers that a server left unfinished become `failed`, with what had been written. To be called before the first request. `shared`:
   * other servers write to the same database and touch what they write; from now on what nobody has touched for four heartbeats is ended.
   */
  async recover({ shared = false }: { readonly shared?: boolean } = {}): Promise<number> {
    const end = async (): Promise<number> => this.store.conversations.endInterrupted(Date.now() - (shared ? 4 * HEARTBEAT_MS : 0));
    if (shared) {
      const timer = setInterval(() => void end().catch(this.#onFault), 4 * HEARTBEAT_MS).unref();
      this.#ended?.addEventListener('abort', () => clearInterval(timer), { once: true });
    }
    return end();
  }

  /** Answers that are being written. */
  get running(): number {
    return this.#running.size;
  }

  /** When all answers that are being written now are over and kept. */
  async idle(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ job }) => job.ended));
  }

  /** Begins an answer. When this resolves, its message is kept and `start` can be told. Throws ApiError. */
  async ask({ owner, conversationId, request, usage }: AskOptions): Promise<Job> {
    const { parentId, parameters = {} } = request;
    const model = await modelOf(this.#models, request.model);
    const { conversations } = this.store;
    if (await kept(conversations.message(owner, conversationId, parentId)) === null) {
      throw await conversations.get(owner, conversationId) === null ? noConversation(conversationId) : noMessage(parentId, 'parentId');
    }
    const branch = await kept(conversations.branch(owner, conversationId, parentId));
    const turns = turnsOf(branch);
    if (parameters.max_tokens !== undefined && 'contextLength' in model && parameters.max_tokens > model.contextLength) {
      throw invalidRequest(`'max_tokens' is ${parameters.max_tokens}, and ${model.id} has room for ${model.contextLength} tokens in all`, 'parameters.max_tokens', 'invalid_value');
    }
    const seed = parameters.seed ?? freshSeed();
    const message = await kept(conversations.append(owner, conversationId, {
      parentId, role: 'assistant', content: '', status: 'streaming', model: model.id, details: { seed, parameters },
    }));
    const job = new Job({ type: 'start', messageId: message.id, seed, model: model.id });
    this.#running.set(message.id, { owner, conversationId, job });
    void this.#run(job, { owner, conversationId, model, turns, parameters, usage });
    return job;
  }

  /** Events of an answer with ids over `after`: as they come while it is written, from the store afterwards. Throws ApiError. */
  async watch(place: { owner: string; conversationId: string; messageId: string; after: number }): Promise<(signal: AbortSignal) => AsyncIterable<readonly NumberedEvent[]>> {
    const { owner, conversationId, messageId, after } = place;
    const running = this.#find(place);
    if (running !== undefined) return (signal) => running.job.watch(after, signal);
    const message = await kept(this.store.conversations.message(owner, conversationId, messageId));
    if (message === null || message.role !== 'assistant') throw noMessage(messageId);
    return async function* past() {
      const events = pastEvents(message, after);
      if (events.length > 0) yield events;
      await Promise.resolve();
    };
  }

  /** Ends an answer where it is. One that is over stays as it was. Throws ApiError. */
  async stop(place: { owner: string; conversationId: string; messageId: string }): Promise<TalkMessage> {
    const running = this.#find(place);
    running?.job.abort(new StoppedError('stopped'));
    await running?.job.ended;
    const message = await kept(this.store.conversations.message(place.owner, place.conversationId, place.messageId));
    if (message === null) throw noMessage(place.messageId);
    return messageOf(message);
  }

  /** Ends what is being written in a conversation that is about to go. */
  async stopAll(owner: string, conversationId: string): Promise<void> {
    const jobs = [...this.#running.values()].filter((each) => each.owner === owner && each.conversationId === conversationId).map(({ job }) => job);
    for (const job of jobs) job.abort(new StoppedError('stopped'));
    await Promise.all(jobs.map(({ ended }) => ended));
  }

  #find({ owner, conversationId, messageId }: { owner: string; conversationId: string; messageId: string }): Running | undefined {
    const running = this.#running.get(messageId);
    return running?.owner === owner && running.conversationId === conversationId ? running : undefined;
  }

  /** Does not reject: what goes wrong is told in the answer. */
  async #run(job: Job, work: { owner: string; conversationId: string; model: OpenModel | RemoteModel; turns: readonly Turn[]; parameters: NonNullable<GenerateRequest['parameters']>; usage: UsageHook }): Promise<void> {
    const { owner, conversationId, model, turns, parameters, usage } = work;
    const { messageId, seed } = job.start;
    const writer = new AnswerWriter(this.store, { owner, conversationId, messageId: messageId ?? '' }, (error) => job.abort(asError(error)));
    const signal = this.#ended === undefined ? job.signal : AbortSignal.any([job.signal, this.#ended]);
    const answer = new Answer({ model, turns: withSystem(turns, parameters.system), parameters, seed, queueKey: owner, signal, usage });
    let content = '';
    let error: ErrorBody['error'] | null = null;
    try {
      for await (const token of answer) {
        job.push(token);
        content += token[0];
        writer.update(content);
      }
    } catch (failure) {
      if (!(job.signal.reason instanceof StoppedError)) error = this.#tellable(failure);
    }
    const facts = answer.facts();
    const status = error !== null ? 'failed' : job.signal.reason instanceof StoppedError && facts.finishReason === null ? 'stopped' : 'complete';
    const { finishReason, tokensPerSecond, timeToFirstTokenMs, droppedMessages } = facts;
    let last: TalkEnd | TalkError = error === null && status !== 'failed'
      ? { type: 'end', status, finishReason, usage: facts.usage, tokensPerSecond, timeToFirstTokenMs, droppedMessages }
      : { type: 'error', error: error ?? toApiError(null).body.error };
    try {
      await writer.finish({
        content, status, finishReason, usage: facts.usage,
        details: { seed, parameters, tokensPerSecond, timeToFirstTokenMs, droppedMessages, ...(error && { error }), tokens: job.tokens },
      });
    } catch (failure) {
      // The reader has the words and must know that nobody else has them.
      last = { type: 'error', error: this.#tellable(failure, 'This answer could not be kept: the database does not take it.') };
    }
    this.#running.delete(messageId ?? '');
    job.end(last);
  }

  #tellable(failure: unknown, message?: string): ErrorBody['error'] {
    const { body, status } = toApiError(failure);
    if (status >= 500) this.#onFault(failure);
    return message === undefined ? body.error : { ...body.error, message, code: 'not_kept' };
  }
}

/** A model by name, the default one by none; ours is loaded first. Throws ApiError. */
export const modelOf = async (models: Models, name = models.defaultModel): Promise<OpenModel | RemoteModel> => models.remote(name) ?? (await models.get(name));

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** The branch as the model reads it. Answers without a word (stopped or failed at once) are no turns. Throws ApiError where it cannot be answered. */
function turnsOf(branch: readonly Message[]): readonly Turn[] {
  const last = branch.at(-1);
  if (last?.role !== 'user') throw invalidRequest(`the message to answer is the ${last?.role ?? 'unknown'}'s: pass a user's message as parentId`, 'parentId', 'invalid_value');
  if (branch.some(({ status }) => status === 'streaming')) {
    throw new ApiError('An answer that comes before this message is still being written: wait for it, or stop it.', { status: 409, param: 'parentId', code: 'still_streaming' });
  }
  return branch.flatMap(({ role, content }) => (role === 'tool' || (role === 'assistant' && content === '') ? [] : [{ role, content }]));
}

/** An answer that nobody is writing any more, as the events it was. */
export function pastEvents(message: Message, after: number): readonly NumberedEvent[] {
  const details = detailsOf(message) ?? {};
  const { seed = 0, tokens = [], tokensPerSecond = 0, timeToFirstTokenMs = null, droppedMessages = 0, error } = details;
  const start = { type: 'start' as const, messageId: message.id, seed, model: message.model ?? '' };
  const usage = message.usage ?? { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };
  const finishReason = message.finishReason === 'stop' || message.finishReason === 'length' ? message.finishReason : null;
  const last: TalkEnd | TalkError = error !== undefined || message.status === 'failed' || message.status === 'streaming'
    ? { type: 'error', error: error ?? new ApiError('This answer is being written by another server: load the conversation again.', { status: 503, code: 'elsewhere' }).body.error }
    : { type: 'end', status: message.status, finishReason, usage, tokensPerSecond, timeToFirstTokenMs, droppedMessages };
  if (tokens.map(([text]) => text).join('') === message.content) {
    const events: NumberedEvent[] = [];
    for (let at = after; ;) {
      const more = eventsAfter({ start, tokens, last }, at);
      if (more.length === 0) return events;
      events.push(...more);
      at += more.length;
    }
  }
  // Written before a crash, or imported: the words are here, the tokens are not, so their ids go on from the reader's.
  const events = [...(after < 0 ? [start] : []), { type: 'text' as const, content: message.content }, last];
  return events.map((event, i) => ({ id: after + 1 + i, event }));
}
