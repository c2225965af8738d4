/** The page's one list of conversations, and what is done to them from anywhere in the page. */
import type { ListedConversation } from '@parley/protocol';
import { useSyncExternalStore } from 'react';
import type { RequestError } from '../api.ts';
import { client } from '../client.ts';
import { createStore, newConversation, openConversation, page, usePage } from '../state.ts';
import { ConversationList, type ListState, UNDO_MS } from './conversation-list.ts';

/** What was just done and can be taken back, or what went wrong: a line at the foot of the history. */
export type Notice =
  | { readonly kind: 'archived' | 'unarchived'; readonly undo: () => void }
  | { readonly kind: 'refused'; readonly error: RequestError };

export const notices = createStore<{ readonly notice: Notice | null }>({ notice: null });
let clearing: ReturnType<typeof setTimeout> | undefined;

export function notify(notice: Notice | null): void {
  clearTimeout(clearing);
  notices.set({ notice });
  if (notice !== null) clearing = setTimeout(() => notices.set({ notice: null }), UNDO_MS);
}

export const conversations = new ConversationList({ api: client, onRefused: (error) => notify({ kind: 'refused', error }) });

export const useConversations = (): ListState => useSyncExternalStore(conversations.subscribe, conversations.snapshot);

/** What the open conversation is called now, here or elsewhere; `otherwise`, where the history has not read it. */
export function useOpenTitle(otherwise: string): string {
  const id = usePage((state) => state.conversationId);
  const { items } = useConversations();
  return items.find((item) => item.id === id)?.title ?? otherwise;
}

/** Out of sight, with `UNDO_MS` to take it back. The open one gives way to a new chat, and comes back with it. */
export function removeConversation(id: string): void {
  notify(null);
  conversations.remove(id);
  if (page.get().conversationId === id) {
    returnTo = id;
    newConversation();
  }
}

/** The one that was open when it was deleted. */
let returnTo: string | null = null;

export function undoRemove(): void {
  const ids = conversations.undoRemove();
  if (returnTo !== null && ids.includes(returnTo)) openConversation(returnTo);
  returnTo = null;
}

export async function setArchived(conversation: ListedConversation, archived: boolean): Promise<void> {
  const undo = (): void => {
    notify(null);
    void conversations.undoArchive(conversation);
  };
  notify({ kind: archived ? 'archived' : 'unarchived', undo });
  await conversations.archive(conversation.id, archived);
}

/** Saves a file of the server's under the name that it gives. */
export function download(address: string): void {
  const link = document.createElement('a');
  link.href = address;
  link.download = '';
  link.click();
}
