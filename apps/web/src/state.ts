/**
 * The state that parts of the page share: who is signed in, what is chosen, what is open. One small store; the messages of the open
 * conversation have their own (thread/thread.ts), so that a word that arrives wakes nothing that is told here.
 */
import { useCallback, useSyncExternalStore } from 'react';
import type { SessionInfo, TalkModel, TalkSettings } from '@parley/protocol';
import type { Language } from './i18n.ts';

export interface Store<T> {
  readonly get: () => T;
  /** Merges a patch; no listener is called where nothing changed. */
  readonly set: (patch: Partial<T> | ((state: T) => Partial<T>)) => void;
  /** Returns what ends the subscription. */
  readonly subscribe: (listener: () => void) => () => void;
}

export function createStore<T extends object>(initial: T): Store<T> {
  let state = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    set: (change) => {
      const patch = typeof change === 'function' ? change(state) : change;
      const changed = (Object.keys(patch) as (keyof T)[]).some((key) => !Object.is(patch[key], state[key]));
      if (!changed) return;
      state = { ...state, ...patch };
      for (const listener of listeners) listener();
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** `select` has to give the same (===) value for the same state: a field or a primitive, not a fresh object. */
export function useStore<T, S>(store: Store<T>, select: (state: T) => S): S {
  return useSyncExternalStore(store.subscribe, useCallback(() => select(store.get()), [store, select]));
}

/** What a person chose; kept by the browser. */
export interface Preferences {
  readonly theme: 'system' | 'light' | 'dark';
  readonly language: 'auto' | Language;
  /** What new conversations begin with: model, persona, parameters (`parameters.system` is the system prompt). */
  readonly chat: TalkSettings;
  /** On wide windows, whether the history is shown. */
  readonly sidebar: boolean;
}

const DEFAULTS: Preferences = { theme: 'system', language: 'auto', chat: {}, sidebar: true };
/** Also read by public/before-paint.js. */
const STORAGE_KEY = 'parley.preferences';

export interface PageState {
  /** Null until the server has answered. */
  readonly session: SessionInfo | null;
  readonly models: readonly TalkModel[];
  readonly preferences: Preferences;
  /** Of the conversation that is open; null: a new one that nothing was said in yet, or a temporary one. */
  readonly conversationId: string | null;
  /** A chat that is not kept. */
  readonly temporary: boolean;
  /** What the open conversation goes on with; change it with `setChat` of chat-settings.ts. */
  readonly chat: TalkSettings;
  /** Grows when the list of conversations may have changed: a new one, a title, one that was talked in. */
  readonly conversationsVersion: number;
  /** Conversations that an answer is being written in, as far as this page knows, and the answer's id. */
  readonly answering: ReadonlyMap<string, string>;
  /** On narrow windows, whether the history lies over the thread. */
  readonly drawer: boolean;
  readonly settings: boolean;
  readonly online: boolean;
}

const remembered = readPreferences();

export const page: Store<PageState> = createStore<PageState>({
  session: null,
  models: [],
  preferences: remembered,
  conversationId: null,
  temporary: false,
  chat: remembered.chat,
  conversationsVersion: 0,
  answering: new Map(),
  drawer: false,
  settings: false,
  online: typeof navigator === 'undefined' || navigator.onLine,
});

export const usePage = <S>(select: (state: PageState) => S): S => useStore(page, select);

export function setPreferences(patch: Partial<Preferences>): void {
  page.set((state) => ({ preferences: { ...state.preferences, ...patch } }));
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(page.get().preferences));
  } catch {
    // A browser that keeps nothing: the choice holds until the page is left.
  }
}

export const openSettings = (): void => page.set({ settings: true });
export const closeSettings = (): void => page.set({ settings: false });
export const closeDrawer = (): void => page.set({ drawer: false });
export const conversationsChanged = (): void => page.set((state) => ({ conversationsVersion: state.conversationsVersion + 1 }));

/** Null: it is written. */
export const setAnswering = (conversationId: string, messageId: string | null): void => page.set(({ answering }) => {
  const next = new Map(answering);
  if (messageId === null) next.delete(conversationId);
  else next.set(conversationId, messageId);
  return { answering: next };
});

/** Conversations have addresses, so that they can be opened in another tab and gone back to. */
export const conversationHref = (id: string): string => `#/c/${encodeURIComponent(id)}`;

export function openConversation(id: string): void {
  closeDrawer();
  location.hash = conversationHref(id);
}

/** An empty thread; its conversation is created with the first question. Also ends a temporary chat, whose words are then gone. */
export function newConversation(options: { readonly temporary?: boolean } = {}): void {
  const { temporary = false } = options;
  const already = location.hash === '' || location.hash === '#/';
  page.set(({ preferences }) => ({ conversationId: null, temporary, drawer: false, chat: preferences.chat }));
  if (!already) location.hash = '#/';
  for (const listener of freshStarts) listener();
}

const freshStarts = new Set<() => void>();
/** Called whenever an empty thread is asked for, also when one is open already. */
export function onFreshStart(listener: () => void): () => void {
  freshStarts.add(listener);
  return () => void freshStarts.delete(listener);
}

/** The conversation that an address names. */
export function conversationOf(hash: string): string | null {
  const match = /^#\/c\/([^/]+)$/.exec(hash);
  if (match?.[1] === undefined) return null;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return null;
  }
}

/** What an older version of the page left, or something else under our name, is taken where it fits and forgotten where not. */
function readPreferences(): Preferences {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '{}');
    if (typeof kept !== 'object' || kept === null) return DEFAULTS;
    const record = kept as Record<string, unknown>;
    const one = <T extends string>(value: unknown, choices: readonly T[], otherwise: T): T => choices.find((choice) => choice === value) ?? otherwise;
    return {
      theme: one(record['theme'], ['system', 'light', 'dark'], DEFAULTS.theme),
      language: one(record['language'], ['auto', 'en', 'zh'], DEFAULTS.language),
      chat: typeof record['chat'] === 'object' && record['chat'] !== null ? record['chat'] : {},
      sidebar: record['sidebar'] !== false,
    };
  } catch {
    return DEFAULTS;
  }
}
