/** A conversation as a page of Markdown: the branch that is shown. */
import type { Conversation, Message } from '../store/types.ts';

const SPEAKERS = { system: 'System', user: 'User', assistant: 'Assistant', tool: 'Tool' } as const;

export function markdownOf(conversation: Conversation, branch: readonly Message[]): string {
  const title = conversation.title === '' ? 'Conversation' : conversation.title;
  const parts = branch.map(({ role, model, content, status }) => {
    const speaker = `### ${SPEAKERS[role]}${role === 'assistant' && model !== null ? ` (${model})` : ''}`;
    const note = status === 'complete' ? [] : [`*(${status})*`];
    return [speaker, content.trim(), ...note].filter((part) => part !== '').join('\n\n');
  });
  return `${[`# ${title}`, `*${new Date(conversation.createdAt).toISOString().slice(0, 10)}*`, ...parts].join('\n\n')}\n`;
}

/** For a Content-Disposition header: the name in ASCII, and as it is (RFC 6266). */
export function attachment(title: string, extension: string): string {
  // eslint-disable-next-line no-control-regex -- names of files have none
  const name = (title.replace(/[\u0000-\u001f\u007f<>:"/\\|?*]+/g, ' ').replace(/\s+/g, ' ').trim() || 'conversation').toWellFormed().slice(0, 100).toWellFormed();
  const ascii = name.replace(/[^\x20-\x7e]+/g, '_').replace(/["\\]/g, '_');
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${ascii}.${extension}"; filename*=UTF-8''${encoded}.${extension}`;
}
