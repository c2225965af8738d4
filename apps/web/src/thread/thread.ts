/**
 * The open conversation: its tree of messages, the answers being written, and everything that can be done with them. The server owns the
 * truth; what was typed is shown before the server has it, and stays, with a way to try again, where the server could not be asked.
 */
import type { TalkEnd, TalkEvent, TalkMessage } from '@parley/protocol';
import { type Api, type NumberedEvent, RequestError, toRequestError } from '../api.ts';
import { conversationHref, conversationOf, conversationsChanged, createStore, onFreshStart, page, setAnswering, type Store } from '../state.ts';
import { LiveAnswer } from './live.ts';
import { branchTo, EMPTY_TREE, leafUnder, replaceMessage, siblingsOf, type Tree, treeOf, withMessage, withoutMessage } from './tree.ts';

export interface ThreadState {
  readonly id: string | null;
  /** '' until it is opened again, where it was begun here. */
  readonly title: string;
  readonly loading: boolean;
  /** Why the conversation could not be opened. */
  readonly loadError: RequestError | null;
  readonly tree: Tree;
  /** The end of the branch that is shown. */
  readonly leaf: string | null;
  /** By the answer's id. */
  readonly live: ReadonlyMap<string, LiveAnswer>;
  /** Questions that an answer was asked for and has not begun. */
  readonly waiting: ReadonlySet<string>;
  /** By the id of the question that could not be kept or answered. */
  readonly failures: ReadonlyMap<string, RequestError>;
  /** The answer whose details are open. */
  readonly detailsOf: string | null;
  /** The question that is being edited. */
  readonly editing: string | null;
  /** Said once to those who listen to the page rather than see it. */
  readonly announcement: string;
}

const CLOSED: ThreadState = {
  id: null, title: '', loading: false, loadError: null, tree: EMPTY_TREE, leaf: null, live: new Map(), waiting: new Set(), failures: new Map(), detailsOf: null,
  editing: null, announcement: '',
};

/** Ids that no server gave. */
const LOCAL = 'local:';
/** Before asking a server again that went away; the last goes on being used. */
const BACKOFF_MS = [300, 1000, 2000, 4000, 8000];

export interface Thread {
  readonly store: Store<ThreadState>;
  /** Follows the address until the returned function is called. */
  start(): () => void;
  send(content: string): Promise<void>;
  /** Another question beside this one, and an answer to it. */
  edit(id: string, content: string): Promise<void>;
  /** Another answer beside this one. */
  regenerate(id: string): Promise<void>;
  /** What failed after this message, once more. */
  retry(id: string): Promise<void>;
  /** Ends what is being written or waited for in the branch that is shown. */
  stop(): Promise<void>;
  /** Shows the branch of a sibling, `step` to the right. */
  turn(id: string, step: 1 | -1): void;
  reload(): Promise<void>;
  /** The message with its tokens, from the server unless it is here. */
  details(id: string, signal?: AbortSignal): Promise<TalkMessage>;
}

export function createThread(client: Api): Thread {
  const store = createStore<ThreadState>(CLOSED);
  /** What runs for the open conversation; aborted when another is opened. The server writes on by itself. */
  let scope = new AbortController();
  let counter = 0;
  const localId = (): string => `${LOCAL}${Date.now().toString(36)}-${++counter}`;

  const put = (message: TalkMessage): void => store.set(({ tree }) => ({ tree: withMessage(tree, message) }));
  const setFailure = (id: string, error: RequestError | null): void => store.set(({ failures }) => {
    const next = new Map(failures);
    if (error) next.set(id, error);
    else next.delete(id);
    return { failures: next };
  });
  const setWaiting = (id: string, value: boolean): void => store.set(({ waiting }) => {
    const next = new Set(waiting);
    if (value) next.add(id);
    else next.delete(id);
    return { waiting: next };
  });
  const setLive = (id: string, live: LiveAnswer | null): void => store.set((state) => {
    const next = new Map(state.live);
    if (live) next.set(id, live);
    else next.delete(id);
    return { live: next };
  });

  function close(): void {
    scope.abort(new DOMException('another conversation was opened', 'AbortError'));
    scope = new AbortController();
    store.set(CLOSED);
  }

  async function open(id: string): Promise<void> {
    close();
    const { signal } = scope;
    page.set({ conversationId: id, temporary: false });
    store.set({ id, loading: true });
    try {
      const conversation = await client.conversation(id, signal);
      signal.throwIfAborted();
      const tree = treeOf(conversation.messages);
      const { activeLeaf } = conversation;
      const leaf = activeLeaf !== null && tree.byId.has(activeLeaf) ? leafUnder(tree, activeLeaf) : leafUnder(tree, null);
      page.set({ chat: conversation.settings });
      store.set({ tree, leaf, title: conversation.title, loading: false });
      for (const message of conversation.messages) {
        if (message.status === 'streaming') void follow(message.id, client.resume(id, message.id, -1, signal), signal);
      }
    } catch (error) {
      if (!signal.aborted) store.set({ loading: false, loadError: toRequestError(error) });
    }
  }

  async function ask(parentId: string | null, content: string): Promise<void> {
    const { signal } = scope;
    const local: TalkMessage = { id: localId(), conversationId: store.get().id ?? '', parentId, role: 'user', content, createdAt: Date.now(), status: 'complete' };
    put(local);
    store.set({ leaf: local.id, editing: null });
    await keepAndAnswer(local.id, signal);
  }

  /** Gives a question that is only here to the server, and has it answered. */
  async function keepAndAnswer(localMessage: string, signal: AbortSignal): Promise<void> {
    const local = store.get().tree.byId.get(localMessage);
    if (local === undefined) return;
    setFailure(local.id, null);
    if (page.get().temporary) return answer(local.id);
    setWaiting(local.id, true);
    try {
      const id = store.get().id ?? await create(signal);
      const kept = await client.appendMessage(id, { parentId: local.parentId, content: local.content });
      conversationsChanged();
      if (signal.aborted) return;
      store.set(({ tree, leaf, waiting }) => ({
        tree: replaceMessage(tree, local.id, kept), leaf: leaf === local.id ? kept.id : leaf, waiting: new Set([...waiting].filter((each) => each !== local.id)),
      }));
      await answer(kept.id);
    } catch (error) {
      if (signal.aborted) return;
      setWaiting(local.id, false);
      setFailure(local.id, toRequestError(error));
    }
  }

  /** The server names it by its first question. */
  async function create(signal: AbortSignal): Promise<string> {
    const { id } = await client.createConversation({ settings: page.get().chat });
    signal.throwIfAborted();
    store.set({ id });
    page.set({ conversationId: id });
    // Not through location.hash: what is shown already is not to be opened again.
    history.pushState(null, '', conversationHref(id));
    return id;
  }

  async function answer(parentId: string): Promise<void> {
    const { signal } = scope;
    const { chat, temporary, models } = page.get();
    const { id, tree } = store.get();
    const model = models.some((each) => each.id === chat.model) ? chat.model : undefined;
    const request = { ...(model !== undefined && { model }), ...(chat.parameters && { parameters: chat.parameters }) };
    setFailure(parentId, null);
    setWaiting(parentId, true);
    if (temporary) {
      const messages = branchTo(tree, parentId).flatMap(({ role, content }) => (role === 'tool' ? [] : [{ role, content }]));
      const abort = new AbortController();
      const either = AbortSignal.any([signal, abort.signal]);
      stoppers.set(parentId, () => abort.abort());
      await begin(parentId, client.temporary({ messages, ...request }, either), signal);
    } else if (id !== null) {
      await begin(parentId, client.generate(id, { parentId, ...request }, signal), signal);
    }
  }

  /** What stops an answer that the server has no id for: by the question's id while it is waited for, then by the answer's. */
  const stoppers = new Map<string, () => void>();
  /** Questions whose answer was stopped before it began. */
  const stopped = new Set<string>();

  /** Waits for the answer's beginning, makes it a message, and follows it. */
  async function begin(parentId: string, events: AsyncIterable<NumberedEvent>, signal: AbortSignal): Promise<void> {
    const iterator = events[Symbol.asyncIterator]();
    const settle = (): void => {
      setWaiting(parentId, false);
      stoppers.delete(parentId);
      stopped.delete(parentId);
    };
    try {
      const first = await iterator.next();
      if (signal.aborted) return;
      if (first.done === true) throw new RequestError('The server sent no answer.', { status: 502 });
      const { event } = first.value;
      if (event.type === 'error') throw new RequestError(event.error.message, { status: 500, code: event.error.code });
      const { messageId, model } = event.type === 'start' ? event : { messageId: null, model: undefined };
      const id = messageId ?? localId();
      const stopper = stoppers.get(parentId);
      if (messageId === null && stopper) stoppers.set(id, stopper);
      const wasStopped = stopped.has(parentId);
      store.set(({ tree, leaf, live }) => ({
        tree: withMessage(tree, {
          id, conversationId: store.get().id ?? '', parentId, role: 'assistant', content: '', createdAt: Date.now(), status: 'streaming', ...(model !== undefined && { model }),
        }),
        // Whoever looked at another branch meanwhile stays there.
        leaf: leaf === parentId || branchTo(tree, leaf).some((each) => each.id === parentId) ? id : leaf,
        live: new Map(live).set(id, new LiveAnswer()),
      }));
      settle();
      if (wasStopped) void stopMessage(id);
      await follow(id, (async function* rest() {
        yield first.value;
        yield* { [Symbol.asyncIterator]: () => iterator };
      })(), signal);
    } catch (error) {
      const gaveUp = stopped.has(parentId);
      settle();
      if (!signal.aborted && !gaveUp) setFailure(parentId, toRequestError(error));
    }
  }

  /** Takes an answer's events to its end, over as many connections as it needs. */
  async function follow(id: string, events: AsyncIterable<NumberedEvent>, signal: AbortSignal): Promise<void> {
    const live = store.get().live.get(id) ?? new LiveAnswer();
    setLive(id, live);
    const written = store.get().id;
    if (written !== null) setAnswering(written, id);
    let after = -1;
    let failures = 0;
    let source = events;
    for (;;) {
      try {
        for await (const { id: number, event } of source) {
          after = number;
          failures = 0;
          live.setReconnecting(false);
          live.take(event);
          if (event.type === 'end' || event.type === 'error') return finish(id, live, event);
        }
        // The stream ended without saying so: the connection broke.
        throw new RequestError('The connection broke off.', { status: 0 });
      } catch (error) {
        if (signal.aborted) return;
        if (stopped.has(id)) return finish(id, live, null);
        const failure = toRequestError(error);
        const conversation = store.get().id;
        if (conversation === null || !failure.retryable) return conversation === null ? fail(id, live, failure) : refresh(id, live, failure, signal);
        live.setReconnecting(true);
        await pause(BACKOFF_MS[Math.min(failures++, BACKOFF_MS.length - 1)] ?? 0, signal);
        if (signal.aborted) return;
        source = client.resume(conversation, id, after, signal);
      }
    }
  }

  /** `null`: it was stopped here, and the server said nothing more. */
  function finish(id: string, live: LiveAnswer, event: (TalkEvent & { type: 'end' | 'error' }) | null): void {
    const message = store.get().tree.byId.get(id);
    stoppers.delete(id);
    stopped.delete(id);
    if (message === undefined) return;
    const content = live.text();
    // What the server keeps is asked for on a click; what nobody keeps stays here.
    const { conversationId, chat } = page.get();
    const own = conversationId === null && { tokens: live.tokens, ...(live.seed !== undefined && { seed: live.seed }), ...(chat.parameters && { parameters: chat.parameters }) };
    const end: Partial<TalkEnd> = event?.type === 'end' ? event : {};
    put({
      ...message,
      content,
      status: event === null ? 'stopped' : event.type === 'error' ? 'failed' : event.status,
      ...(end.finishReason && { finishReason: end.finishReason }),
      ...(end.usage && { usage: end.usage }),
      details: {
        ...own,
        ...(end.tokensPerSecond !== undefined && { tokensPerSecond: end.tokensPerSecond }),
        ...(typeof end.timeToFirstTokenMs === 'number' && { timeToFirstTokenMs: end.timeToFirstTokenMs }),
        ...(end.droppedMessages !== undefined && { droppedMessages: end.droppedMessages }),
        ...(event?.type === 'error' && { error: event.error }),
      },
    });
    setLive(id, null);
    if (conversationId !== null) setAnswering(conversationId, null);
    if (event?.type === 'end') store.set({ announcement: content });
    conversationsChanged();
  }

  function fail(id: string, live: LiveAnswer, failure: RequestError): void {
    finish(id, live, { type: 'error', error: { message: failure.message, type: 'server_error', param: null, code: failure.code } });
  }

  /** The stream is not there any more: the message is as the server has it. */
  async function refresh(id: string, live: LiveAnswer, failure: RequestError, signal: AbortSignal): Promise<void> {
    const conversation = store.get().id;
    if (conversation === null) return fail(id, live, failure);
    try {
      const message = await client.message(conversation, id, signal);
      if (signal.aborted) return;
      put(message.status === 'streaming' ? { ...message, status: 'failed' } : message);
      setLive(id, null);
      setAnswering(conversation, null);
    } catch (error) {
      if (!signal.aborted) fail(id, live, toRequestError(error));
    }
  }

  async function stopMessage(id: string): Promise<void> {
    const stopper = stoppers.get(id);
    const conversation = store.get().id;
    stopped.add(id);
    if (stopper) stopper();
    else if (conversation !== null) await client.stop(conversation, id).catch(() => stopped.delete(id));
  }

  return {
    store,
    start: () => {
      const sync = (): void => {
        const id = conversationOf(location.hash);
        if (id !== null && id !== store.get().id) void open(id);
        else if (id === null && store.get().id !== null) {
          page.set({ conversationId: null });
          close();
        }
      };
      const ended = onFreshStart(close);
      addEventListener('hashchange', sync);
      addEventListener('popstate', sync);
      sync();
      return () => {
        ended();
        removeEventListener('hashchange', sync);
        removeEventListener('popstate', sync);
        close();
      };
    },
    send: (content) => ask(store.get().leaf, content),
    edit: async (id, content) => {
      const message = store.get().tree.byId.get(id);
      if (message === undefined) return;
      // A question that the server never got is not a branch: it is corrected.
      if (id.startsWith(LOCAL) && store.get().failures.has(id)) {
        store.set(({ tree }) => ({ tree: withoutMessage(tree, id), leaf: message.parentId }));
        setFailure(id, null);
      }
      await ask(message.parentId, content);
    },
    regenerate: async (id) => {
      const parentId = store.get().tree.byId.get(id)?.parentId;
      if (typeof parentId !== 'string') return;
      store.set({ leaf: parentId });
      await answer(parentId);
    },
    retry: (id) => {
      const local = id.startsWith(LOCAL) && !page.get().temporary;
      return local ? keepAndAnswer(id, scope.signal) : answer(id);
    },
    stop: async () => {
      const { tree, leaf, live, waiting } = store.get();
      for (const { id } of branchTo(tree, leaf)) {
        if (live.has(id)) await stopMessage(id);
        if (waiting.has(id)) {
          stopped.add(id);
          stoppers.get(id)?.();
        }
      }
    },
    turn: (id, step) => {
      const { tree, id: conversation } = store.get();
      const siblings = siblingsOf(tree, id);
      const next = siblings[siblings.indexOf(id) + step];
      if (next === undefined) return;
      const leaf = leafUnder(tree, next);
      store.set({ leaf, detailsOf: null, editing: null });
      // Where a person last was is a convenience: not worth a word where it could not be kept.
      if (conversation !== null && leaf !== null && !leaf.startsWith(LOCAL)) client.updateConversation(conversation, { activeLeaf: leaf }).catch(() => undefined);
    },
    reload: async () => {
      const { id } = store.get();
      if (id !== null) await open(id);
    },
    details: async (id, signal) => {
      const { tree, id: conversation, live } = store.get();
      const message = tree.byId.get(id);
      if (message === undefined) throw new RequestError('This answer is not here any more.', { status: 404 });
      if (message.details?.tokens !== undefined || conversation === null || live.has(id)) return message;
      const whole = await client.message(conversation, id, signal);
      if (store.get().tree.byId.has(id)) put(whole);
      return whole;
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      removeEventListener('online', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    // Coming back to the network is the best time to ask again.
    addEventListener('online', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
