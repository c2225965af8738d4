/**
 * Full text search, the same in both databases: a text becomes a set of terms here, and the database finds the texts that have all terms of
 * a query. Words are terms as they are; scripts that are written without blanks give every character and every pair of neighbours, so
 * that 天气 is found in 今天天气很好. Case, width and accents do not matter.
 *
 * SQLite keeps the terms in FTS5 tables without content, under its plainest tokenizer, which only splits at blanks; Postgres in a tsvector
 * column with a GIN index. Their own tokenizers would have found different things: FTS5's trigrams nothing for a word of two characters,
 * and Postgres' parsers no Chinese.
 */
import { type RawBuilder, sql } from 'kysely';
import { batches, type Engine, type Queries } from './database.ts';

/** Different terms kept of one text; a book has some ten thousand. */
const MOST_TERMS = 20_000;
/** Letters of a term; Postgres takes 2046 bytes. */
const LONGEST_TERM = 64;

const DENSE = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}ー々`;
const RUN = new RegExp(String.raw`[${DENSE}]+|(?:(?![${DENSE}])[\p{L}\p{N}\p{M}])+`, 'gu');
const DENSE_START = new RegExp(`^[${DENSE}]`, 'u');

/** Letters of one kind: full width is half width, é is e, ＡＢＣ is abc. Kana and Hangul keep their marks. */
const fold = (text: string): string => text.normalize('NFKD').replaceAll(/[\u0300-\u036f]/g, '').normalize('NFC').toLowerCase();

interface Run {
  readonly dense: boolean;
  readonly text: string;
}

const runs = (text: string): Run[] => Array.from(fold(text).matchAll(RUN), ([run]) => ({ dense: DENSE_START.test(run), text: run }));

/** Of a text to be found: each once. */
export function termsOf(text: string): string[] {
  const terms = new Set<string>();
  for (const run of runs(text)) {
    if (terms.size >= MOST_TERMS) break;
    if (!run.dense) terms.add(cut(run.text));
    else {
      let before = '';
      for (const char of run.text) {
        terms.add(char);
        if (before !== '') terms.add(before + char);
        before = char;
      }
    }
  }
  return [...terms];
}

const cut = (term: string): string => (term.length <= LONGEST_TERM ? term : Array.from(term).slice(0, LONGEST_TERM).join(''));

export interface Query {
  /** All of them must be there. */
  readonly terms: readonly string[];
  /** A word that is still being typed: some term begins with it. */
  readonly prefix: string | null;
}

/** Null where there is nothing to look for: every text has it. */
export function parseQuery(text: string): Query | null {
  const all = runs(text);
  const last = all.at(-1);
  if (last === undefined) return null;
  const open = !last.dense && /[\p{L}\p{N}\p{M}]$/u.test(text) ? last : null;
  const terms = new Set<string>();
  for (const run of all) {
    if (run === open) continue;
    const chars = Array.from(run.text);
    if (!run.dense) terms.add(cut(run.text));
    else if (chars.length === 1) terms.add(run.text);
    else for (let at = 1; at < chars.length; at++) terms.add(`${chars[at - 1] ?? ''}${chars[at] ?? ''}`);
  }
  return { terms: [...terms], prefix: open === null ? null : cut(open.text) };
}

export type Indexed = 'messages' | 'conversations';
const FTS = { messages: 'message_search', conversations: 'title_search' } as const;

/** Takes up, or takes up anew, what rows can be found by. */
export async function index(db: Queries, engine: Engine, table: Indexed, entries: readonly { readonly key: number; readonly text: string }[]): Promise<void> {
  for (const slice of batches(entries, 500)) {
    const rows = slice.map(({ key, text }) => ({ key, terms: termsOf(text).join(' ') }));
    await (engine === 'sqlite'
      ? sql`insert or replace into ${sql.table(FTS[table])} (rowid, terms) values ${sql.join(rows.map(({ key, terms }) => sql`(${key}, ${terms})`))}`
      : sql`update ${sql.table(table)} as row set search = array_to_tsvector(string_to_array(found.terms, ' '))
          from unnest(${rows.map(({ key }) => key)}::bigint[], ${rows.map(({ terms }) => terms)}::text[]) as found (key, terms) where row.key = found.key`).execute(db);
  }
}

/**
 * Terms of what was deleted leave the file. SQLite only marks them until it merges the parts of the index that they are in (its option
 * `secure-delete` does nothing in tables without content); Postgres' go with their rows, when it vacuums.
 */
export async function forget(db: Queries, engine: Engine): Promise<void> {
  if (engine === 'postgres') return;
  for (const fts of Object.values(FTS)) await sql`insert into ${sql.table(fts)} (${sql.ref(fts)}) values ('optimize')`.execute(db);
}

/** Keys of the rows that a query finds, as a subquery. Terms are letters and digits only, so that nothing in them needs escaping. */
export function found(engine: Engine, table: Indexed, { terms, prefix }: Query): RawBuilder<number> {
  if (engine === 'sqlite') {
    const match = [...terms.map((term) => `"${term}"`), ...(prefix === null ? [] : [`"${prefix}"*`])].join(' AND ');
    return sql`(select rowid from ${sql.table(FTS[table])} where ${sql.table(FTS[table])} match ${match})`;
  }
  const match = [...terms.map((term) => `'${term}'`), ...(prefix === null ? [] : [`'${prefix}':*`])].join(' & ');
  return sql`(select key from ${sql.table(table)} where search @@ ${match}::tsquery)`;
}

/** Of a text that was found: some 120 characters around the first of what was looked for. */
export function excerpt(text: string, search: string): string {
  const lower = text.toLowerCase();
  const words = runs(search).map((run) => run.text);
  const at = words.map((word) => lower.indexOf(word)).filter((place) => place >= 0).sort((a, b) => a - b)[0] ?? 0;
  const from = Math.max(0, at - 40);
  const to = Math.min(text.length, from + 120);
  // Whole characters: never from the middle of a pair of surrogates.
  const piece = text.slice(from, to).replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, '').replaceAll(/\s+/g, ' ').trim();
  return `${from > 0 ? '…' : ''}${piece}${to < text.length ? '…' : ''}`;
}
