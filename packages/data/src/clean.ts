/**
 * Cleaning, step by step. Each step has a name, under which the documents it changed are counted.
 *
 * The light steps always run and cannot hurt: one Unicode form (NFC), one kind of line end, no control characters, no blank edges.
 * The others are asked for, in a recipe by `clean: [html, whitespace]` on a source:
 *
 * - `mojibake`: UTF-8 that was read as Windows-1252 is turned back where that is certain; texts that stay garbled are dropped.
 * - `html`: tags and character references to text. `wiki`: MediaWiki's markup. `markdown`: images and links to their text.
 * - `boilerplate`: lines of navigation, sharing, copyright and cookies.
 * - `width`: full-width Latin letters, digits and signs, half-width kana, ligatures and letters in fancy fonts to the ordinary ones
 *   (NFKC for these alone). Chinese punctuation, circled numbers, fractions and powers stay.
 * - `whitespace`: one space for many, no space at the ends of lines, no invisible characters, at most one blank line.
 */
import { isNavigation } from './boilerplate.ts';
import type { Document } from './document.ts';
import { stripTags } from './html.ts';
import { stripMarkdownLinks, stripWiki } from './markup.ts';
import { repairMojibake } from './mojibake.ts';

export const CLEAN_STEPS = ['mojibake', 'html', 'wiki', 'markdown', 'boilerplate', 'width', 'whitespace'] as const;
export type CleanStep = (typeof CLEAN_STEPS)[number];
/** The steps that suit any text from the web: `clean: full`. Markup languages are for those who know their texts are in one. */
export const FULL_CLEANING: readonly CleanStep[] = ['mojibake', 'html', 'boilerplate', 'width', 'whitespace'];

export type Change =
  | 'byte_order_mark' | 'line_ends' | 'control_characters' | 'unicode_nfc' | 'lone_surrogates' | 'blank_edges' | 'shared_lines' | CleanStep;

// C0 except tab and line feed, DEL and C1: none of them is text.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Forms that differ in width or font only: full-width letters, digits and signs, half-width kana and Hangul, ligatures, mathematical alphabets. */
const WIDTH = /[\uff03-\uff06\uff0a\uff0b\uff0d\uff0f-\uff19\uff1c-\uff1e\uff20-\uff3a\uff3c\uff3e-\uff5a\uff5c\uff65-\uffdc\uffe0\uffe1\uffe5\ufb00-\ufb06]+|[\u{1d400}-\u{1d7ff}]+/gu;
/** Soft hyphens, zero-width spaces and joiners that join nothing; the joiners of emoji, Persian and Indic scripts stay. */
const INVISIBLE = /[\u00ad\u200b\u2060\ufeff]/g;
const SPACES = /[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+/g;

export interface CleanOptions {
  /** Besides the light ones. */
  readonly steps?: readonly CleanStep[] | undefined;
  /** Lines to be removed; see SharedLines. */
  readonly shared?: { has(line: string): boolean } | undefined;
  /** Called for each change with the text before and after it. */
  readonly onChange?: ((change: Change, before: string, after: string) => void) | undefined;
}

export function cleanText(text: string, { steps = [], shared, onChange }: CleanOptions = {}): { text: string; changes: Change[] } {
  const changes: Change[] = [];
  const become = (next: string, change: Change): void => {
    if (next === text) return;
    onChange?.(change, text, next);
    text = next;
    changes.push(change);
  };
  const wanted = new Set(steps);
  if (text.includes('\ufeff')) become(text.replaceAll('\ufeff', ''), 'byte_order_mark');
  if (text.includes('\r')) become(text.replace(/\r\n?/g, '\n'), 'line_ends');
  // Before control characters go: some are the halves of what mojibake was.
  if (wanted.has('mojibake')) become(repairMojibake(text) ?? text, 'mojibake');
  become(text.replace(CONTROL, ''), 'control_characters');
  become(text.toWellFormed(), 'lone_surrogates');
  become(text.normalize('NFC'), 'unicode_nfc');
  // Wiki markup before HTML: its references and tables are written with tags.
  if (wanted.has('wiki')) become(stripWiki(text), 'wiki');
  if (wanted.has('html')) become(stripTags(text), 'html');
  if (wanted.has('markdown')) become(stripMarkdownLinks(text), 'markdown');
  if (wanted.has('boilerplate')) become(withoutLines(text, isNavigation), 'boilerplate');
  if (shared !== undefined) become(withoutLines(text, (line) => shared.has(line)), 'shared_lines');
  if (wanted.has('width')) become(text.replace(WIDTH, (run) => run.normalize('NFKC')), 'width');
  if (wanted.has('whitespace')) become(tidy(text), 'whitespace');
  become(text.trim(), 'blank_edges');
  return { text, changes };
}

export function cleanDocument(document: Document, options: CleanOptions = {}): { document: Document; changes: Set<Change> } {
  if (document.kind === 'text') {
    const { text, changes } = cleanText(document.text, options);
    return { document: { ...document, text }, changes: new Set(changes) };
  }
  const changes = new Set<Change>();
  // A turn may well be a line that others say too.
  const { steps, onChange } = options;
  const messages = document.messages.map((message) => {
    const cleaned = cleanText(message.content, { steps, onChange });
    for (const change of cleaned.changes) changes.add(change);
    return { ...message, content: cleaned.text };
  });
  return { document: { ...document, messages }, changes };
}

function withoutLines(text: string, unwanted: (line: string) => boolean): string {
  const lines = text.split('\n');
  const kept = lines.filter((line) => !unwanted(line));
  return kept.length === lines.length ? text : kept.join('\n');
}

/** The indentation of a line stays, as spaces: in verse and code it means something. */
function tidy(text: string): string {
  return text
    .replace(INVISIBLE, '')
    .split('\n')
    .map((line) => {
      const indent = /^[ \t]*/.exec(line)?.[0] ?? '';
      return (indent + line.slice(indent.length).replace(SPACES, ' ').replace(/^ /, '')).trimEnd();
    })
    .join('\n')
    .replace(/\n{3,}/g, '\n\n');
}
