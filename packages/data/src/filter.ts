/** What a recipe keeps of a source: limits and patterns. Every document dropped or cut has a reason that is counted. */
import type { Document } from './document.ts';
import { plainText } from './document.ts';
import { cutPoint } from './cut.ts';
import type { QualityRule } from './quality.ts';

export interface Filters {
  /** Documents with less text than this (UTF-16 units) are dropped. */
  readonly minCharacters?: number | undefined;
  /** Documents with more text than this are dropped. */
  readonly maxCharacters?: number | undefined;
  /** Texts are cut to at most this many characters, between paragraphs or sentences. Conversations are left alone. */
  readonly cutCharacters?: number | undefined;
  /** Conversations with a longer turn are dropped. */
  readonly maxTurnCharacters?: number | undefined;
  /** Documents that match one of these are dropped. */
  readonly exclude?: readonly RegExp[] | undefined;
}

export type DropReason =
  | 'empty' | 'no_answer' | 'not_selected' | 'too_short' | 'too_long' | 'turn_too_long' | 'excluded' | 'duplicate' | 'over_source_limit'
  | 'near_duplicate' | 'contaminated'
  | 'mojibake' | 'other_language' | QualityRule;

export type Filtered = { readonly keep: Document; readonly cut: boolean } | { readonly drop: DropReason };

export function filterDocument(document: Document, filters: Filters): Filtered {
  const text = plainText(document);
  if (text.trim() === '') return { drop: 'empty' };
  if (document.kind === 'conversation') {
    if (!document.messages.some((message) => message.role === 'assistant' && message.content !== '')) return { drop: 'no_answer' };
    const { maxTurnCharacters = Infinity } = filters;
    if (document.messages.some((message) => message.content.length > maxTurnCharacters)) return { drop: 'turn_too_long' };
  }
  if (text.length < (filters.minCharacters ?? 0)) return { drop: 'too_short' };
  if (text.length > (filters.maxCharacters ?? Infinity)) return { drop: 'too_long' };
  if (filters.exclude?.some((pattern) => pattern.test(text)) === true) return { drop: 'excluded' };
  if (document.kind === 'text' && filters.cutCharacters !== undefined && document.text.length > filters.cutCharacters) {
    const cut = document.text.slice(0, cutPoint(document.text, filters.cutCharacters)).trimEnd();
    return { keep: { ...document, text: cut }, cut: true };
  }
  return { keep: document, cut: false };
}
