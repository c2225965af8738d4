/**
 * Light cleaning that cannot hurt: one Unicode form, one kind of line end, no control characters, no blank edges. Each
 * change is named, so that the manifest can count it. Deeper cleaning is a matter for a recipe's filters.
 */
import type { Document } from './document.ts';

export type Change = 'byte_order_mark' | 'line_ends' | 'control_characters' | 'unicode_nfc' | 'lone_surrogates' | 'blank_edges';

// C0 except tab and line feed, DEL and C1: none of them is text.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

export function cleanText(text: string): { text: string; changes: Change[] } {
  const changes: Change[] = [];
  const become = (next: string, change: Change): void => {
    if (next === text) return;
    text = next;
    changes.push(change);
  };
  if (text.includes('\ufeff')) become(text.replaceAll('\ufeff', ''), 'byte_order_mark');
  if (text.includes('\r')) become(text.replace(/\r\n?/g, '\n'), 'line_ends');
  become(text.replace(CONTROL, ''), 'control_characters');
  become(text.toWellFormed(), 'lone_surrogates');
  become(text.normalize('NFC'), 'unicode_nfc');
  become(text.trim(), 'blank_edges');
  return { text, changes };
}

export function cleanDocument(document: Document): { document: Document; changes: Set<Change> } {
  if (document.kind === 'text') {
    const { text, changes } = cleanText(document.text);
    return { document: { ...document, text }, changes: new Set(changes) };
  }
  const changes = new Set<Change>();
  const messages = document.messages.map((message) => {
    const cleaned = cleanText(message.content);
    for (const change of cleaned.changes) changes.add(change);
    return { ...message, content: cleaned.text };
  });
  return { document: { ...document, messages }, changes };
}
