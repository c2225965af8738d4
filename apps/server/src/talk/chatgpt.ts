/**
 * ChatGPT's export, conversations.json: a list of conversations, each a tree of nodes by id. Taken over is what people and the model said to
 * each other, with all branches; what only ChatGPT's machinery reads (hidden messages, calls of tools and what they gave) is left out
 * and its children move up. What was left out is counted.
 */
import * as z from 'zod';
import { titleOf } from './title.ts';

const time = z.number().nullish();

const node = z.looseObject({
  id: z.string().optional(),
  parent: z.string().nullish(),
  message: z.looseObject({
    author: z.looseObject({ role: z.string() }),
    create_time: time,
    recipient: z.string().nullish(),
    content: z.looseObject({ content_type: z.string(), parts: z.array(z.unknown()).nullish(), text: z.string().nullish() }).nullish(),
    metadata: z.looseObject({ model_slug: z.string().nullish(), is_visually_hidden_from_conversation: z.boolean().nullish() }).nullish(),
  }).nullish(),
});

export const chatgptConversation = z.looseObject({
  id: z.string().min(1).optional(),
  conversation_id: z.string().min(1).optional(),
  title: z.string().nullish(),
  create_time: time,
  update_time: time,
  current_node: z.string().nullish(),
  is_archived: z.boolean().nullish(),
  mapping: z.record(z.string(), node),
}).refine(({ id, conversation_id: other }) => (id ?? other) !== undefined, 'has neither id nor conversation_id');

type Conversation = z.output<typeof chatgptConversation>;
type Node = z.output<typeof node>;

/** What could not be taken over, and how often. */
export type LeftOut = Map<string, number>;

const milliseconds = (value: number | null | undefined, otherwise: number): number => (typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.round(value * 1000) : otherwise);

/** As the store's export has it. */
export interface ImportedConversation {
  readonly id: string;
  readonly title: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly archived: boolean;
  readonly settings: object;
  readonly activeLeaf: string | null;
  readonly messages: readonly object[];
}

/** A conversation in the store's form of export; null where nothing was said in it. */
export function fromChatgpt(conversation: Conversation, leftOut: LeftOut): ImportedConversation | null {
  const { mapping } = conversation;
  const createdAt = milliseconds(conversation.create_time, milliseconds(conversation.update_time, 0));
  const spoken = new Map<string, { role: 'system' | 'user' | 'assistant'; content: string; model: string | null; createdAt: number }>();
  for (const [id, { message }] of Object.entries(mapping)) {
    const said = message === null || message === undefined ? null : wordsOf(message, leftOut);
    if (said !== null) spoken.set(id, { ...said, model: said.role === 'assistant' ? message?.metadata?.model_slug ?? null : null, createdAt: milliseconds(message?.create_time, createdAt) });
  }
  const ancestor = (from: string | null | undefined): string | null => {
    const seen = new Set<string>();
    for (let id = from; id !== null && id !== undefined && Object.hasOwn(mapping, id); id = mapping[id]?.parent) {
      if (spoken.has(id)) return id;
      if (seen.has(id)) break;
      seen.add(id);
    }
    return null;
  };
  const parents = new Map([...spoken.keys()].map((id) => [id, ancestor(mapping[id]?.parent)] as const));
  const order = parentsFirst(parents);
  if (order.length === 0) return null;
  const messages = order.map((id) => {
    const { role, content, model, createdAt: at } = spoken.get(id) ?? { role: 'user', content: '', model: null, createdAt };
    return { id, parentId: parents.get(id) ?? null, role, content, createdAt: at, updatedAt: at, status: 'complete', model, finishReason: null, usage: null, details: null };
  });
  const opening = messages.find(({ role }) => role === 'user')?.content ?? '';
  const title = conversation.title?.trim() ?? '';
  return {
    id: conversation.id ?? conversation.conversation_id ?? '', title: (title === '' ? titleOf(opening) : title).slice(0, 300).toWellFormed(), createdAt,
    updatedAt: milliseconds(conversation.update_time, createdAt), archived: conversation.is_archived ?? false, settings: {},
    activeLeaf: ancestor(conversation.current_node) ?? order.at(-1) ?? null, messages,
  };
}

/** What a message says to people; null where that is nothing. */
function wordsOf({ author, content, metadata, recipient }: NonNullable<Node['message']>, leftOut: LeftOut): { role: 'system' | 'user' | 'assistant'; content: string } | null {
  const count = (what: string): null => {
    leftOut.set(what, (leftOut.get(what) ?? 0) + 1);
    return null;
  };
  const { role } = author;
  if (metadata?.is_visually_hidden_from_conversation === true) return null;
  if (role === 'tool') return count('answers of tools');
  if (role !== 'system' && role !== 'user' && role !== 'assistant') return count(`messages of the role '${role.slice(0, 40)}'`);
  if (role === 'assistant' && typeof recipient === 'string' && recipient !== 'all') return count('calls of tools');
  if (content === null || content === undefined) return null;
  const { content_type: type, parts, text } = content;
  if (type !== 'text' && type !== 'multimodal_text' && type !== 'code') return count(`messages of the type '${type.slice(0, 40)}'`);
  const words = (parts ?? [text ?? '']).map((part) => {
    if (typeof part === 'string') return part;
    if (isText(part)) return part.text;
    count('pictures and other attachments (their place says [attachment])');
    return '[attachment]';
  }).join('\n').trim();
  return words === '' ? null : { role, content: words.toWellFormed() };
}

const isText = (part: unknown): part is { text: string } => typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string';

/** Ids so that each comes after its parent, siblings as they were. Of a circle, which no conversation is, one opens it. */
function parentsFirst(parents: Map<string, string | null>): readonly string[] {
  const order: string[] = [];
  const placed = new Set<string>();
  for (const id of parents.keys()) {
    const chain: string[] = [];
    const onChain = new Set<string>();
    let at: string | null = id;
    while (at !== null && !placed.has(at)) {
      if (onChain.has(at)) {
        parents.set(chain.at(-1) ?? at, null);
        break;
      }
      chain.push(at);
      onChain.add(at);
      at = parents.get(at) ?? null;
    }
    for (const each of chain.toReversed()) {
      if (placed.has(each)) continue;
      placed.add(each);
      order.push(each);
    }
  }
  return order;
}
