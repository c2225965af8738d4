/**
 * Functions in conversations. Templates that know them get them as Hugging Face's templates expect (functions as JSON schemas, calls and
 * results as messages of their own); for the others they are written into the messages in the form that most models have learnt
 * (Nous Research's Hermes 2 Pro, 2024): descriptions in the system message, `<tool_call>` around calls, `<tool_response>` around results.
 */
import type { ChatMessage, ToolDefinition } from './chat.ts';

/** How a model writes calls: `open`, then `begin` of a function, its arguments in JSON and `end`, with `separator` between calls, then `close`. */
export interface CallForm {
  readonly name: 'hermes' | 'llama' | 'mistral' | 'mistral-args';
  /** What opens calls, and where: anywhere in the answer, or only as its beginning. */
  readonly trigger: string;
  readonly at: 'anywhere' | 'start';
  readonly open: string;
  readonly begin: (name: string) => string;
  readonly end: string;
  readonly separator: string;
  readonly close: string;
  /** More than one call in an answer. */
  readonly several: boolean;
}

const HERMES: CallForm = {
  name: 'hermes', trigger: '<tool_call>', at: 'anywhere', open: '', begin: (name) => `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `,
  end: '}\n</tool_call>', separator: '\n', close: '', several: true,
};
/** Llama 3.1 to 3.3, by Meta's prompt format: the answer is one call and nothing else. */
const LLAMA: CallForm = {
  name: 'llama', trigger: '{"name"', at: 'start', open: '', begin: (name) => `{"name": ${JSON.stringify(name)}, "parameters": `,
  end: '}', separator: '', close: '', several: false,
};
/** Mistral's tokenizers v3 to v7: a list after a token. */
const MISTRAL: CallForm = {
  name: 'mistral', trigger: '[TOOL_CALLS]', at: 'anywhere', open: '[TOOL_CALLS][', begin: (name) => `{"name": ${JSON.stringify(name)}, "arguments": `,
  end: '}', separator: ', ', close: ']', several: true,
};
/** Mistral's later ones: the token before each call, and one between name and arguments. */
const MISTRAL_ARGS: CallForm = {
  name: 'mistral-args', trigger: '[TOOL_CALLS]', at: 'anywhere', open: '', begin: (name) => `[TOOL_CALLS]${name}[ARGS]`,
  end: '', separator: '', close: '', several: true,
};

/** The form of a chat template, and whether the template itself writes functions out. */
export function callFormOf(template?: string): { readonly form: CallForm; readonly inTemplate: boolean } {
  const known = template !== undefined && /\btools\b/.test(template) ? formIn(template) : undefined;
  return { form: known ?? HERMES, inTemplate: known !== undefined };
}

/** By what such a template writes; undefined for forms that are not known here. */
function formIn(template: string): CallForm | undefined {
  // Qwen3-Coder and its kin write arguments as XML between the same marks.
  if (template.includes('<function=') || template.includes('[CALL_ID]')) return undefined;
  if (template.includes('[TOOL_CALLS]')) return template.includes('[ARGS]') ? MISTRAL_ARGS : MISTRAL;
  if (template.includes('<tool_call>')) return HERMES;
  return template.includes('"parameters": ') && template.includes('ipython') ? LLAMA : undefined;
}

/** A message as templates read it. */
export function templateMessage(message: ChatMessage, form: CallForm): Record<string, unknown> {
  const { role, content, toolCalls, toolCallId, name } = message;
  const idOf = (id: string): string => (form.name.startsWith('mistral') ? shortId(id) : id);
  return {
    role, content,
    ...(toolCalls && toolCalls.length > 0 && {
      tool_calls: toolCalls.map((call) => ({ id: idOf(call.id), type: 'function', function: { name: call.name, arguments: call.arguments } })),
    }),
    ...(toolCallId !== undefined && { tool_call_id: idOf(toolCallId) }),
    ...(name !== undefined && { name }),
  };
}

/** Mistral's templates take ids of nine letters and digits, and no others: those that are none, told apart by a hash (FNV-1a, 64 bits). */
function shortId(id: string): string {
  if (/^[A-Za-z0-9]{9}$/.test(id)) return id;
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(id)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(36).padStart(9, '0').slice(-9);
}

/** The same conversation for a template that knows system, user and assistant and nothing of functions. */
export function plainMessages(messages: readonly ChatMessage[], tools: readonly ToolDefinition[]): ChatMessage[] {
  const plain: ChatMessage[] = [];
  let results: ChatMessage | undefined;
  for (const { role, content, toolCalls = [] } of messages) {
    if (role === 'tool') {
      const result = `<tool_response>\n${content}\n</tool_response>`;
      // Results of one turn are one message: such templates take turns.
      if (results === undefined) plain.push((results = { role: 'user', content: result }));
      else results.content += `\n${result}`;
      continue;
    }
    results = undefined;
    const calls = toolCalls.map((call) => `${HERMES.begin(call.name)}${JSON.stringify(call.arguments)}${HERMES.end}`);
    plain.push({ role, content: [...(content === '' && calls.length > 0 ? [] : [content]), ...calls].join('\n') });
  }
  if (tools.length === 0) return plain;
  const [first, ...rest] = plain;
  const text = describeTools(tools);
  return first?.role === 'system' ? [{ ...first, content: `${first.content}\n\n${text}` }, ...rest] : [{ role: 'system', content: text }, ...plain];
}

const describeTools = (tools: readonly ToolDefinition[]): string => [
  'You may call these functions:', '<tools>', ...tools.map((tool) => JSON.stringify(tool)), '</tools>',
  'To call one, write its name and its arguments as JSON:', `<tool_call>\n{"name": <name>, "arguments": <arguments>${HERMES.end}`,
].join('\n');
