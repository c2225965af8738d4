/**
 * What a chosen file would bring, before anything is sent: Parley's own export, or the conversations.json of ChatGPT's. The server reads
 * the file once more and has the last word; this is so that nobody imports blindly and that what is wrong is named at once.
 */

export interface ImportPreview {
  readonly format: 'parley' | 'chatgpt';
  readonly conversations: readonly { readonly title: string; readonly messages: number; readonly at: number | undefined }[];
  readonly messages: number;
  readonly personas: readonly string[];
  /** What is sent: the file as it was read. */
  readonly body: unknown;
}

export type ImportFault =
  | { readonly kind: 'empty' }
  | { readonly kind: 'zip' }
  | { readonly kind: 'json'; readonly line: number; readonly message: string }
  | { readonly kind: 'unknown'; readonly fields: string }
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'damaged'; readonly where: string }
  | { readonly kind: 'nothing' };

/** For the reader of a file to fold into its sentence. */
export class ImportError extends Error {
  override name = 'ImportError';
  readonly fault: ImportFault;

  constructor(fault: ImportFault) {
    super(`the file cannot be imported: ${fault.kind}`);
    this.fault = fault;
  }
}

/** Throws ImportError. */
export function previewImport(text: string): ImportPreview {
  if (text.startsWith('PK\u0003\u0004')) throw new ImportError({ kind: 'zip' });
  const plain = text.replace(/^\uFEFF/, '');
  if (plain.trim() === '') throw new ImportError({ kind: 'empty' });
  let body: unknown;
  try {
    body = JSON.parse(plain) as unknown;
  } catch (error) {
    throw jsonFault(plain, error);
  }
  const preview = Array.isArray(body) ? chatgpt(body) : parley(body);
  if (preview.conversations.length === 0 && preview.personas.length === 0) throw new ImportError({ kind: 'nothing' });
  return preview;
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

function parley(body: unknown): ImportPreview {
  if (!isFields(body)) throw new ImportError({ kind: 'unknown', fields: typeof body });
  if (body['format'] !== 'parley-export') throw new ImportError({ kind: 'unknown', fields: Object.keys(body).slice(0, 5).join(', ') });
  if (body['version'] !== 1) throw new ImportError({ kind: 'version', version: String(body['version']) });
  const { conversations: list = [], personas: people = [] } = body;
  if (!Array.isArray(list)) throw new ImportError({ kind: 'damaged', where: 'conversations' });
  if (!Array.isArray(people)) throw new ImportError({ kind: 'damaged', where: 'personas' });
  const conversations = list.map((entry: unknown, i) => {
    if (!isFields(entry) || typeof entry['title'] !== 'string' || !Array.isArray(entry['messages'])) throw new ImportError({ kind: 'damaged', where: `conversations[${i}]` });
    return { title: entry['title'], messages: entry['messages'].length, at: typeof entry['updatedAt'] === 'number' ? entry['updatedAt'] : undefined };
  });
  const personas = people.map((entry: unknown, i) => {
    if (!isFields(entry) || typeof entry['name'] !== 'string') throw new ImportError({ kind: 'damaged', where: `personas[${i}]` });
    return entry['name'];
  });
  return { format: 'parley', conversations, personas, messages: conversations.reduce((sum, { messages }) => sum + messages, 0), body };
}

/** ChatGPT's: a list of conversations, each a `mapping` of nodes; times in seconds. Nodes without text by a person or the assistant are scaffolding. */
function chatgpt(list: readonly unknown[]): ImportPreview {
  const conversations = list.map((entry, i) => {
    if (!isFields(entry) || !isFields(entry['mapping'])) throw new ImportError(i === 0 ? { kind: 'unknown', fields: 'list' } : { kind: 'damaged', where: `[${i}].mapping` });
    const messages = Object.values(entry['mapping']).filter(isSaid).length;
    const time = entry['update_time'] ?? entry['create_time'];
    return { title: typeof entry['title'] === 'string' ? entry['title'] : '', messages, at: typeof time === 'number' ? time * 1000 : undefined };
  });
  return { format: 'chatgpt', conversations, personas: [], messages: conversations.reduce((sum, { messages }) => sum + messages, 0), body: list };
}

function isSaid(node: unknown): boolean {
  const message = isFields(node) ? node['message'] : undefined;
  if (!isFields(message)) return false;
  const { author, content } = message;
  const role = isFields(author) ? author['role'] : undefined;
  const parts = isFields(content) && Array.isArray(content['parts']) ? content['parts'] : [];
  return (role === 'user' || role === 'assistant') && parts.some((part) => typeof part === 'string' && part !== '');
}

/** Where the JSON breaks, as a line: engines tell the place in different words, a few in none. */
function jsonFault(text: string, error: unknown): ImportError {
  const message = error instanceof Error ? error.message : String(error);
  const line = /line (\d+)/.exec(message)?.[1];
  const position = /position (\d+)/.exec(message)?.[1];
  const end = position === undefined ? text.length : Number(position);
  return new ImportError({ kind: 'json', line: line === undefined ? text.slice(0, end).split('\n').length : Number(line), message });
}
