/** Files that are brought along: what form they have, whether it is right, and the store's own form of it. */
import { type ApiError, type ImportReport, invalidRequest, talkParameters, talkSettings } from '@parley/protocol';
import * as z from 'zod';
import type { Store } from '../store/types.ts';
import { chatgptConversation, fromChatgpt, type LeftOut } from './chatgpt.ts';
import { kept } from './views.ts';

/** Conversations in a file, and messages in all of them. */
const MOST_CONVERSATIONS = 100_000;
const MOST_MESSAGES = 1_000_000;

const topEntry = z.tuple([z.string(), z.number()]);
const details = z.looseObject({
  seed: z.number().optional(), parameters: talkParameters.optional(), tokensPerSecond: z.number().optional(), timeToFirstTokenMs: z.number().nullish(),
  droppedMessages: z.number().optional(),
  error: z.looseObject({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string().nullable() }).optional(),
  tokens: z.array(z.tuple([z.string(), z.number().nullable(), z.array(topEntry)])).optional(),
});

/** Of our own form, what the store keeps without looking inside. The rest is the store's to check. */
const ownForm = z.looseObject({
  format: z.literal('parley-export'),
  version: z.number(),
  conversations: z.array(z.looseObject({
    settings: talkSettings.optional(), messages: z.array(z.looseObject({ details: details.nullish() })),
  })).max(MOST_CONVERSATIONS),
  personas: z.array(z.looseObject({ parameters: talkParameters.nullish() })).optional(),
});

/** Takes it over. All or nothing, and what is there already stays as it is. Throws ApiError naming what is wrong and where. */
export async function importFile(store: Store, owner: string, text: string): Promise<ImportReport> {
  const data = parse(text);
  const chat = asChatgpt(data);
  const notes: string[] = [];
  const converted = chat === null ? own(data) : chatgpt(chat, notes);
  const total = converted.conversations.reduce((sum, { messages }) => sum + messages.length, 0);
  if (total > MOST_MESSAGES) throw invalidRequest(`The file has ${total.toLocaleString('en')} messages; ${MOST_MESSAGES.toLocaleString('en')} can be taken over at once: split it.`, null, 'too_many');
  const { conversations, messages, personas, skipped } = await kept(store.conversations.importAll(owner, converted));
  return { format: chat === null ? 'parley' : 'chatgpt', conversations, messages, personas, skipped, notes };
}

function parse(text: string): unknown {
  if (text.startsWith('PK')) throw invalidRequest('This is a ZIP archive: unpack it and choose the file conversations.json in it.', null, 'not_json');
  try {
    return JSON.parse(text.startsWith('\uFEFF') ? text.slice(1) : text) as unknown;
  } catch (error) {
    throw invalidRequest(`The file is not JSON: ${error instanceof Error ? error.message : String(error)}.`, null, 'not_json');
  }
}

/** ChatGPT's list, or one conversation out of it; null for what says that it is ours. */
function asChatgpt(data: unknown): readonly unknown[] | null {
  if (Array.isArray(data)) return data as readonly unknown[];
  if (typeof data !== 'object' || data === null) throw unknownForm(JSON.stringify(data)?.slice(0, 40) ?? typeof data);
  if ('mapping' in data) return [data];
  if ('format' in data && data.format === 'parley-export') return null;
  throw unknownForm(`an object with ${Object.keys(data).slice(0, 5).map((key) => `'${key.slice(0, 40)}'`).join(', ') || 'nothing in it'}`);
}

const unknownForm = (what: string): ApiError =>
  invalidRequest(`The file is neither an export of Parley ('format': 'parley-export') nor ChatGPT's conversations.json (a list of conversations): it is ${what}.`, null, 'unknown_format');

interface Importable {
  readonly conversations: readonly { readonly messages: readonly object[] }[];
}

function own(data: unknown): Importable {
  const result = ownForm.safeParse(data);
  if (!result.success) throw wrong(result.error, []);
  return result.data;
}

function chatgpt(list: readonly unknown[], notes: string[]): Importable & object {
  if (list.length > MOST_CONVERSATIONS) throw invalidRequest(`The file has ${list.length.toLocaleString('en')} conversations; ${MOST_CONVERSATIONS.toLocaleString('en')} can be taken over at once: split it.`, null, 'too_many');
  const leftOut: LeftOut = new Map();
  let empty = 0;
  const conversations = list.flatMap((each, i) => {
    const result = chatgptConversation.safeParse(each);
    if (!result.success) throw wrong(result.error, [i]);
    const conversation = fromChatgpt(result.data, leftOut);
    if (conversation === null) empty++;
    return conversation === null ? [] : [conversation];
  });
  if (empty > 0) notes.push(`${empty} conversations in which nothing was said were left out`);
  for (const [what, times] of leftOut) notes.push(`${times} × left out: ${what}`);
  return { format: 'parley-export', version: 1, exportedAt: Date.now(), conversations, personas: [] } as Importable & object;
}

function wrong(error: z.ZodError, before: readonly (string | number)[]): ApiError {
  const [issue] = error.issues;
  const path = [...before, ...(issue?.path ?? [])];
  const where = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('').replace(/^\./, '') || 'the file';
  return invalidRequest(`${where}: ${issue?.message ?? 'is not as it should be'}. Nothing was taken over.`, where, 'invalid_file');
}
