/**
 * The server's /api in memory, for developing without a model (`npx vite --mode fake` in apps/web) and for tests of components: the same
 * tree of messages, streams that can be resumed and stopped, and invented words.
 */
import type { ConversationDetail, ConversationSummary, Persona, TalkEvent, TalkMessage, TokenDetail } from '@parley/protocol';
import { type Api, type NumberedEvent, RequestError } from './api.ts';

export interface FakeOptions {
  /** Default: as fast as promises go. */
  readonly tokensPerSecond?: number;
  /** What the assistant says to a text. Default: a sentence about it. */
  readonly reply?: (question: string) => string;
}

interface Job {
  readonly messageId: string;
  readonly events: TalkEvent[];
  stopped: boolean;
  readonly wake: Set<() => void>;
}

export function createFakeApi(options: FakeOptions = {}): Api {
  const { tokensPerSecond, reply = (question: string) => `You said: “${question}”. This is an invented answer of **several words**, with \`code\`.` } = options;
  const conversations = new Map<string, ConversationDetail>();
  const jobs = new Map<string, Job>();
  const personas = new Map<string, Persona>();
  const started = Date.now();
  let counter = 0;
  const fresh = (kind: string): string => `${kind}-${++counter}`;
  const now = (): number => started + counter++;
  const pause = (): Promise<void> => (tokensPerSecond === undefined ? Promise.resolve() : new Promise((resolve) => void setTimeout(resolve, 1000 / tokensPerSecond)));
  const found = (id: string): ConversationDetail => {
    const conversation = conversations.get(id);
    if (conversation === undefined) throw new RequestError(`There is no conversation '${id}'.`, { status: 404, code: 'conversation_not_found' });
    return conversation;
  };
  const summary = ({ id, title, createdAt, updatedAt, archived, settings }: ConversationDetail): ConversationSummary => ({ id, title, createdAt, updatedAt, archived, settings });
  const put = (conversation: ConversationDetail): ConversationDetail => (conversations.set(conversation.id, conversation), conversation);
  const withMessage = (id: string, message: TalkMessage): void => {
    const conversation = found(id);
    const known = conversation.messages.some((each) => each.id === message.id);
    const messages = known ? conversation.messages.map((each) => (each.id === message.id ? message : each)) : [...conversation.messages, message];
    put({ ...conversation, messages, updatedAt: now(), activeLeaf: known ? conversation.activeLeaf : message.id });
  };

  async function* eventsOf(job: Job, after: number, signal?: AbortSignal): AsyncGenerator<NumberedEvent> {
    for (let id = after + 1; ; id++) {
      while (id >= job.events.length) {
        signal?.throwIfAborted();
        await new Promise<void>((resolve) => {
          job.wake.add(resolve);
          signal?.addEventListener('abort', () => resolve(), { once: true });
        });
      }
      signal?.throwIfAborted();
      const event = job.events[id] as TalkEvent;
      yield { id, event };
      if (event.type === 'end' || event.type === 'error') return;
    }
  }

  /** Speaks to the end whoever listens. */
  async function speak(job: Job, question: string, model: string, onEnd: (content: string, tokens: TokenDetail[], end: TalkEvent & { type: 'end' }) => void): Promise<void> {
    const emit = (event: TalkEvent): void => {
      job.events.push(event);
      for (const wake of job.wake) wake();
      job.wake.clear();
    };
    emit({ type: 'start', messageId: job.messageId, seed: 7, model });
    const tokens: TokenDetail[] = [];
    for (const [index, text] of (reply(question).match(/\s*\S+|\s+$/g) ?? []).entries()) {
      await pause();
      if (job.stopped) break;
      const probability = 0.25 + 0.75 * Math.abs(Math.sin(index * 1.7));
      const top = [{ text, logprob: Math.log(probability) }, { text: ' else', logprob: Math.log((1 - probability) * 0.6 + 1e-6) }, { text: ' other', logprob: Math.log((1 - probability) * 0.3 + 1e-6) }];
      tokens.push([text, Math.log(probability), top.map((each) => [each.text, each.logprob] as const)]);
      emit({ type: 'token', text, logprob: Math.log(probability), top, index });
    }
    const end = {
      type: 'end', status: job.stopped ? 'stopped' : 'complete', finishReason: job.stopped ? null : 'stop',
      usage: { promptTokens: 12, completionTokens: tokens.length, cachedTokens: 0 }, tokensPerSecond: tokensPerSecond ?? 1000, timeToFirstTokenMs: 25, droppedMessages: 0,
    } as const;
    onEnd(tokens.map(([text]) => text).join(''), tokens, end);
    emit(end);
  }

  return {
    session: async () => ({ user: null, signInRequired: false, locale: 'en', version: 'fake' }),
    signIn: async ({ name }) => ({ user: { id: name, name }, signInRequired: true, locale: 'en', version: 'fake' }),
    signOut: async () => ({ user: null, signInRequired: false, locale: 'en', version: 'fake' }),
    models: async () => [
      { id: 'parley-mini', title: 'Parley mini', contextLength: 1024, default: true }, { id: 'parley-nano', title: 'Parley nano', contextLength: 512, default: false },
    ],
    conversations: async ({ search = '', archived = false, cursor, limit = 50 } = {}) => {
      const matching = [...conversations.values()].filter((each) => each.archived === archived
        && (each.title + each.messages.map(({ content }) => content).join('\n')).toLowerCase().includes(search.toLowerCase()))
        .toSorted((a, b) => b.updatedAt - a.updatedAt);
      const from = Number(cursor ?? 0);
      return { items: matching.slice(from, from + limit).map((each) => ({ ...summary(each), match: null })), next: from + limit < matching.length ? String(from + limit) : null };
    },
    createConversation: async ({ title = 'New conversation', settings = {} }) => {
      const at = now();
      return summary(put({ id: fresh('c'), title, createdAt: at, updatedAt: at, archived: false, settings, activeLeaf: null, messages: [] }));
    },
    conversation: async (id) => {
      const conversation = found(id);
      return { ...conversation, messages: conversation.messages.map(({ details, ...rest }) => (details?.error ? { ...rest, details: { error: details.error } } : rest)) };
    },
    updateConversation: async (id, patch) => {
      const { title, archived, activeLeaf, settings } = patch;
      return summary(put({
        ...found(id), ...(title !== undefined && { title }), ...(archived !== undefined && { archived }), ...(activeLeaf !== undefined && { activeLeaf }), ...(settings && { settings }),
      }));
    },
    removeConversation: async (id) => {
      found(id);
      conversations.delete(id);
    },
    appendMessage: async (id, { parentId, content }) => {
      const message: TalkMessage = { id: fresh('m'), conversationId: id, parentId, role: 'user', content, createdAt: now(), status: 'complete' };
      withMessage(id, message);
      return message;
    },
    message: async (id, messageId) => {
      const message = found(id).messages.find((each) => each.id === messageId);
      if (message === undefined) throw new RequestError(`There is no message '${messageId}'.`, { status: 404 });
      return message;
    },
    generate: async function* generate(id, { parentId, model = 'parley-mini', parameters }, signal) {
      const question = found(id).messages.find((each) => each.id === parentId);
      if (question === undefined) throw new RequestError(`There is no message '${parentId}'.`, { status: 404 });
      const message: TalkMessage = { id: fresh('m'), conversationId: id, parentId, role: 'assistant', content: '', createdAt: now(), status: 'streaming', model };
      const job: Job = { messageId: message.id, events: [], stopped: false, wake: new Set() };
      jobs.set(message.id, job);
      withMessage(id, message);
      void speak(job, question.content, model, (content, tokens, { status, finishReason, usage, tokensPerSecond: speed }) => {
        const details = { seed: 7, ...(parameters && { parameters }), tokensPerSecond: speed, timeToFirstTokenMs: 25, tokens };
        withMessage(id, { ...message, content, status, ...(finishReason && { finishReason }), usage, details });
      });
      yield* eventsOf(job, -1, signal);
    },
    resume: async function* resume(_, messageId, after, signal) {
      const job = jobs.get(messageId);
      if (job === undefined) throw new RequestError(`There is no stream of '${messageId}'.`, { status: 404 });
      yield* eventsOf(job, after, signal);
    },
    stop: async (id, messageId) => {
      const job = jobs.get(messageId);
      if (job) job.stopped = true;
      return found(id).messages.find((each) => each.id === messageId) as TalkMessage;
    },
    temporary: async function* temporary({ messages, model = 'parley-mini' }, signal) {
      const job: Job = { messageId: '', events: [], stopped: false, wake: new Set() };
      signal?.addEventListener('abort', () => { job.stopped = true; }, { once: true });
      void speak(job, messages.at(-1)?.content ?? '', model, () => {});
      for await (const numbered of eventsOf(job, -1, signal)) {
        yield numbered.event.type === 'start' ? { ...numbered, event: { ...numbered.event, messageId: null } } : numbered;
      }
    },
    personas: async () => [...personas.values()],
    createPersona: async (persona) => {
      const made = { id: fresh('p'), name: persona.name, system: persona.system, ...(persona.parameters && { parameters: persona.parameters }) };
      personas.set(made.id, made);
      return made;
    },
    updatePersona: async (id, { name, system, parameters }) => {
      const persona = personas.get(id);
      if (persona === undefined) throw new RequestError(`There is no persona '${id}'.`, { status: 404 });
      const changed = { ...persona, ...(name !== undefined && { name }), ...(system !== undefined && { system }), ...(parameters && { parameters }) };
      personas.set(id, changed);
      return changed;
    },
    removePersona: async (id) => void personas.delete(id),
    exportUrl: 'data:application/json,{}',
    conversationExportUrl: () => 'data:text/plain,',
    importAll: async () => ({ format: 'parley', conversations: 0, messages: 0, personas: 0, skipped: 0, notes: [] }),
  };
}
