/** What readers produce and everything after them consumes: one document at a time. */
import type { ChatMessage } from '@parley/tokenizer';

/** Where a document was read: the file as it was named, and the line (from 1) it begins on. */
export interface Place {
  readonly path: string;
  readonly line: number;
}

interface Common extends Place {
  /** What decides whether it is held out, where that is not the document itself. */
  readonly heldOutBy?: string;
}

export interface TextDocument extends Common {
  readonly kind: 'text';
  readonly text: string;
}

export interface Conversation extends Common {
  readonly kind: 'conversation';
  readonly messages: readonly ChatMessage[];
}

export type Document = TextDocument | Conversation;

/** The text of a document as people wrote it: a conversation's turns are set on lines of their own. */
export function plainText(document: Document): string {
  return document.kind === 'text' ? document.text : document.messages.map((message) => message.content).join('\n');
}

/** UTF-8 bytes of what people wrote: the denominator of bits per byte. Roles and markers do not count. */
export function textBytes(document: Document): number {
  if (document.kind === 'text') return Buffer.byteLength(document.text);
  return document.messages.reduce((sum, message) => sum + Buffer.byteLength(message.content), 0);
}

/** One string per distinct document: what duplicates are found by. */
export function identity(document: Document): string {
  return document.kind === 'text'
    ? `t\0${document.text}`
    : `c\0${document.messages.map((message) => `${message.role}\0${message.content}`).join('\0')}`;
}

/** What the held-out split hashes: documents that share it are on the same side. */
export function splitIdentity(document: Document): string {
  return document.heldOutBy === undefined ? identity(document) : `k\0${document.heldOutBy.trim()}`;
}
