/**
 * Files and folders to documents.
 *
 * - `.txt`, `.md`, `.markdown`: a file is a document; one over a megabyte is several, cut between paragraphs.
 * - `.html`, `.htm`: a file is a document, its main text (see html.ts).
 * - `.jsonl`, `.ndjson`: one object a line: `{text}`, `{messages: [{role, content}]}` or `{prompt, completion}`, or whatever
 *   a template makes of it. `.csv`, `.tsv`, `.parquet`: rows are such objects, columns their fields.
 * - any of them but Parquet with `.zst`, `.gz` or `.xz`. Folders are walked recursively, in the order of names.
 *
 * One document is in memory at a time; of Parquet one row group, of CSV one chunk of a quarter of a megabyte.
 */
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChatMessage } from '@parley/tokenizer';
import type { Conversation, Document, Place } from './document.ts';
import { DataError } from './errors.ts';
import { readChunks, readLines, uncompressedName } from './lines.ts';
import { readCsv } from './csv.ts';
import { cutPoint } from './cut.ts';
import { pageText } from './html.ts';
import { readParquet } from './parquet.ts';
import { fillTemplate } from './template.ts';

/** A text file longer than this (in UTF-16 units) is cut into several documents. */
const LONGEST_TEXT = 1 << 20;
const LONGEST_PAGE = 16e6;

export interface ReadOptions {
  /** For JSON lines and rows of tables: how to make a text of an object, e.g. `'{title}\n\n{text}'`. */
  readonly text?: string | undefined;
  /**
   * For JSON lines: how to make a two-turn conversation of an object. Both or neither. Of several wordings each object gets
   * one, by its hash: the same one every time. Several completions stand beside as many prompts; a single one serves all.
   */
  readonly prompt?: string | readonly string[] | undefined;
  readonly completion?: string | readonly string[] | undefined;
  /** Take only objects in which these fields have these values. */
  readonly where?: Readonly<Record<string, FieldValue>> | undefined;
  /** Values of fields to be written differently, before any template: `{ label: { '0': 'negative' } }`. Every value has to be there. */
  readonly map?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
  /** A template of what decides whether an object is held out, so that documents made of the same thing go the same way. */
  readonly heldOutBy?: string | undefined;
  /** A system message put before every conversation that has none. */
  readonly system?: string | undefined;
  /** Called for each object that `where` passes over. */
  readonly onSkip?: (() => void) | undefined;
  /** For CSV and TSV without a row of names: the names of the columns. */
  readonly columns?: readonly string[] | undefined;
  /** For CSV and TSV: false where double quotes are ordinary characters. Default true. */
  readonly quotes?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type FieldValue = string | number | boolean;

export interface FoundFiles {
  /** Files with a format we read, sorted. */
  readonly files: string[];
  /** What was passed over in folders: files and folders that are hidden, files with other formats, runs and models of Parley, node_modules. */
  readonly ignored: string[];
}

type Format = 'text' | 'html' | 'json-lines' | 'csv' | 'parquet';

function formatOf(path: string): Format | null {
  const name = uncompressedName(path).toLowerCase();
  if (/\.(?:txt|md|markdown|text)$/.test(name)) return 'text';
  if (/\.html?$/.test(name)) return 'html';
  if (/\.(?:jsonl|ndjson)$/.test(name)) return 'json-lines';
  if (/\.[ct]sv$/.test(name)) return 'csv';
  if (/\.parquet$/i.test(path)) return 'parquet';
  return null;
}

const FORMATS = '.txt, .md, .html, .jsonl, .csv, .tsv (each also as .gz, .zst or .xz) and .parquet';

/** The readable files under a file or folder. Throws DataError when there are none. */
export async function findFiles(path: string): Promise<FoundFiles> {
  const info = await stat(path).catch((error: unknown) => {
    throw new DataError('there is no such file or folder', { path, cause: error });
  });
  if (info.isFile()) {
    if (formatOf(path) === null) throw new DataError(`has a name that says no format known here: use ${FORMATS}`, { path });
    return { files: [path], ignored: [] };
  }
  const files: string[] = [];
  const ignored: string[] = [];
  const folders = [path];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = await readdir(folder, { withFileTypes: true });
    const names = entries.map((entry) => entry.name);
    if (folder !== path && isOurs(names)) {
      ignored.push(folder);
      continue;
    }
    for (const entry of entries) {
      const full = join(folder, entry.name);
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') folders.push(full);
      else if (entry.isDirectory() || entry.name.startsWith('.') || formatOf(full) === null) ignored.push(full);
      else files.push(full);
    }
  }
  if (files.length === 0) {
    throw new DataError(`holds no text (${ignored.length} other files or folders were passed over): put ${FORMATS} there`, { path });
  }
  return { files: files.sort(), ignored: ignored.sort() };
}

/** Runs and models that stand among the texts, as after training on the working directory: their cards and metrics are no texts. */
function isOurs(names: readonly string[]): boolean {
  const has = (name: string): boolean => names.includes(name);
  return (has('recipe.yaml') && (has('checkpoints') || has('tokenizer') || has('lock'))) || (has('config.json') && has('tokenizer.json'));
}

/** The documents of one file. */
export async function* readDocuments(path: string, options: ReadOptions = {}): AsyncGenerator<Document> {
  const format = formatOf(path);
  if (format === null) throw new DataError(`has a name that says no format known here: use ${FORMATS}`, { path });
  if (format === 'text') yield* readText(path, options.signal);
  else if (format === 'html') yield* readPage(path, options.signal);
  else {
    const rows = format === 'csv' ? readCsv(path, options) : format === 'parquet' ? readParquet(path, options.signal) : readJsonLines(path, options.signal);
    for await (const { object, line } of rows) {
      if (isWanted(object, options)) yield toDocument(object, { path, line }, options);
      else options.onSkip?.();
    }
  }
}

async function* readPage(path: string, signal?: AbortSignal): AsyncGenerator<Document> {
  let html = '';
  for await (const chunk of readChunks(path, signal)) {
    html += chunk;
    if (html.length > LONGEST_PAGE) throw new DataError('is a page of more than 16 million characters: split it, or convert it to text', { path });
  }
  yield { kind: 'text', text: pageText(html), path, line: 1 };
}

async function* readText(path: string, signal?: AbortSignal): AsyncGenerator<Document> {
  let text = '';
  let line = 1;
  for await (const chunk of readChunks(path, signal)) {
    text += chunk;
    while (text.length > LONGEST_TEXT) {
      const end = cutPoint(text, LONGEST_TEXT);
      const part = text.slice(0, end);
      yield { kind: 'text', text: part, path, line };
      line += part.split('\n').length - 1;
      text = text.slice(end);
    }
  }
  if (text !== '') yield { kind: 'text', text, path, line };
}

async function* readJsonLines(path: string, signal?: AbortSignal): AsyncGenerator<{ object: Record<string, unknown>; line: number }> {
  for await (const { text, line } of readLines(path, signal)) {
    if (text.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new DataError(`is not JSON (${error instanceof Error ? error.message : String(error)}); it begins ${preview(text)}`, {
        path, line, cause: error,
      });
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new DataError(`is not a JSON object but ${preview(text)}: one object a line is expected`, { path, line });
    }
    yield { object: value as Record<string, unknown>, line };
  }
}

/** Whether an object has what `where` asks for. A number matches its digits, which is all that a CSV file has. */
export function isWanted(object: Readonly<Record<string, unknown>>, { where = {} }: Pick<ReadOptions, 'where'>): boolean {
  return Object.entries(where).every(([field, value]) =>
    object[field] === value || (typeof object[field] === 'string' && object[field] === String(value)));
}

/** One object of a JSON lines file as a document; `place` is for its errors. */
export function toDocument(object: Readonly<Record<string, unknown>>, place: Place, options: ReadOptions = {}): Document {
  const document = makeDocument(mapFields(object, place, options), place, options);
  return options.heldOutBy === undefined ? document : { ...document, heldOutBy: fillTemplate(options.heldOutBy, object, place) };
}

function makeDocument(object: Readonly<Record<string, unknown>>, place: Place, options: ReadOptions): Document {
  if (options.text !== undefined) return { kind: 'text', text: fillTemplate(options.text, object, place), ...place };
  if (options.prompt !== undefined && options.completion !== undefined) {
    const [prompt, completion] = wording(options.prompt, options.completion, object);
    return pair(fillTemplate(prompt, object, place), fillTemplate(completion, object, place), place, options);
  }
  if (object['messages'] !== undefined) return conversation(object['messages'], place, options);
  if (typeof object['text'] === 'string') return { kind: 'text', text: object['text'], ...place };
  if (typeof object['prompt'] === 'string' && typeof object['completion'] === 'string') {
    return pair(object['prompt'], object['completion'], place, options);
  }
  throw new DataError(
    `has the fields ${Object.keys(object).join(', ')}; it needs "text", or "messages", or "prompt" and "completion" ` +
      '(or give a template, such as text: \'{title}\\n\\n{body}\')',
    place,
  );
}

/** The object with the values of `map` in place of its own. */
function mapFields(object: Readonly<Record<string, unknown>>, place: Place, { map }: ReadOptions): Readonly<Record<string, unknown>> {
  if (map === undefined) return object;
  const mapped = Object.entries(map).map(([field, values]) => {
    const value = object[field];
    const key = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
    if (key !== undefined && Object.hasOwn(values, key)) return [field, values[key]] as const;
    throw new DataError(`the field "${field}" is ${JSON.stringify(value) ?? 'missing'}; its map knows ${Object.keys(values).join(', ')}`, place);
  });
  return { ...object, ...Object.fromEntries(mapped) };
}

/** One of several wordings, by the object's hash. */
function wording(
  prompt: string | readonly string[], completion: string | readonly string[], object: Readonly<Record<string, unknown>>,
): [prompt: string, completion: string] {
  const prompts = typeof prompt === 'string' ? [prompt] : prompt;
  const completions = typeof completion === 'string' ? [completion] : completion;
  const digest = createHash('sha256').update(JSON.stringify(object)).digest();
  const index = prompts.length === 1 ? 0 : digest.readUInt32LE(0) % prompts.length;
  return [prompts[index] ?? '', completions[completions.length === 1 ? 0 : index] ?? ''];
}

function pair(prompt: string, completion: string, place: Place, options: ReadOptions): Conversation {
  const messages: ChatMessage[] = [{ role: 'user', content: prompt }, { role: 'assistant', content: completion }];
  return { kind: 'conversation', messages: withSystem(messages, options), ...place };
}

function conversation(value: unknown, place: Place, options: ReadOptions): Conversation {
  if (!Array.isArray(value) || value.length === 0) throw new DataError('"messages" is not a list of messages', place);
  const messages = value.map((entry: unknown, index): ChatMessage => {
    const { role, content } = (typeof entry === 'object' && entry !== null ? entry : {}) as { role?: unknown; content?: unknown };
    if (role !== 'system' && role !== 'user' && role !== 'assistant') {
      throw new DataError(`message ${index + 1} has the role ${preview(String(role))}: system, user and assistant are known`, place);
    }
    if (typeof content !== 'string') throw new DataError(`message ${index + 1} has no text in "content"`, place);
    return { role, content };
  });
  return { kind: 'conversation', messages: withSystem(messages, options), ...place };
}

function withSystem(messages: ChatMessage[], options: ReadOptions): ChatMessage[] {
  if (options.system === undefined || messages[0]?.role === 'system') return messages;
  return [{ role: 'system', content: options.system }, ...messages];
}

function preview(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
