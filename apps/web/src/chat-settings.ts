/** Model, persona and parameters of the open conversation. */
import type { TalkSettings } from '@parley/protocol';
import { client } from './client.ts';
import { page, setPreferences } from './state.ts';

/**
 * Replaces what the open conversation goes on with, and keeps it with the conversation; without one open, new conversations begin with it
 * from now on. Resolves when the server has it; throws `RequestError`, the choice then holds until the page is left.
 */
export async function setChat(chat: TalkSettings): Promise<void> {
  page.set({ chat });
  const { conversationId, temporary } = page.get();
  if (conversationId !== null) await client.updateConversation(conversationId, { settings: chat });
  else if (!temporary) setPreferences({ chat });
}
