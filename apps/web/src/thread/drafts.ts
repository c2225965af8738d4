/** What was typed and not sent, by conversation; kept by the browser. A temporary chat's stays in memory. */

const PREFIX = 'parley.draft.';
const NEW = 'new';

const keyOf = (conversation: string | null): string => `${PREFIX}${conversation ?? NEW}`;

export function readDraft(conversation: string | null): string {
  try {
    return localStorage.getItem(keyOf(conversation)) ?? '';
  } catch {
    return '';
  }
}

export function writeDraft(conversation: string | null, text: string): void {
  try {
    if (text === '') localStorage.removeItem(keyOf(conversation));
    else localStorage.setItem(keyOf(conversation), text);
  } catch {
    // A browser that keeps nothing, or is full: the text is still in the field.
  }
}
