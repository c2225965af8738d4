/** /api/conversations, /api/personas: what the page lists, opens, names and deletes. Whose it is, the gate has said. */
import {
  type ConversationDetail, type ConversationPage, conversationPatch, invalidRequest, newConversation, newPersona, newUserMessage, parseRequest, personaPatch,
} from '@parley/protocol';
import type { Context, Hono } from 'hono';
import type { Environment } from '../app.ts';
import type { ListOptions } from '../store/types.ts';
import { readBody } from '../stream.ts';
import type { Talk } from '../talk/talk.ts';
import { titleOf } from '../talk/title.ts';
import { kept, listedOf, messageOf, noConversation, noMessage, personaOf, summaryOf } from '../talk/views.ts';

export function conversationRoutes(app: Hono<Environment>, talk: Talk): void {
  const { conversations, personas } = talk.store;
  const owner = (context: Context<Environment>): string => context.get('identity').id;

  app.get('/api/conversations', async (context) => {
    const { items, next } = await kept(conversations.list(owner(context), listOptions(context)));
    return context.json({ items: items.map(listedOf), next } satisfies ConversationPage);
  });

  app.post('/api/conversations', async (context) => {
    const { title = '', settings = {} } = parseRequest(newConversation, await readBody(context));
    return context.json(summaryOf(await kept(conversations.create(owner(context), { title, settings }))), 201);
  });

  app.get('/api/conversations/:id', async (context) => {
    const id = context.req.param('id');
    const conversation = await kept(conversations.get(owner(context), id));
    if (conversation === null) throw noConversation(id);
    const listed = await kept(conversations.messages(owner(context), id));
    // Why an answer failed is shown with it; failures are few.
    const messages = await Promise.all(listed.map(async (message) => messageOf(
      message.status === 'failed' ? (await conversations.message(owner(context), id, message.id)) ?? message : message, { brief: true },
    )));
    return context.json({ ...summaryOf(conversation), activeLeaf: conversation.activeLeaf, messages } satisfies ConversationDetail);
  });

  app.patch('/api/conversations/:id', async (context) => {
    const id = context.req.param('id');
    const { title, archived, activeLeaf, settings } = parseRequest(conversationPatch, await readBody(context));
    const patch = { ...(title !== undefined && { title }), ...(archived !== undefined && { archived }), ...(activeLeaf !== undefined && { activeLeaf }), ...(settings && { settings }) };
    return context.json(summaryOf(await kept(conversations.update(owner(context), id, patch))));
  });

  app.delete('/api/conversations/:id', async (context) => {
    const id = context.req.param('id');
    await talk.stopAll(owner(context), id);
    if (!await kept(conversations.remove(owner(context), id))) throw noConversation(id);
    return context.body(null, 204);
  });

  app.post('/api/conversations/:id/messages', async (context) => {
    const id = context.req.param('id');
    const { parentId, content } = parseRequest(newUserMessage, await readBody(context));
    const conversation = await kept(conversations.get(owner(context), id));
    if (conversation === null) throw noConversation(id);
    const message = await kept(conversations.append(owner(context), id, { parentId, role: 'user', content }));
    // Until somebody gives it a name.
    if (conversation.title === '') await kept(conversations.update(owner(context), id, { title: titleOf(content) }));
    return context.json(messageOf(message), 201);
  });

  app.get('/api/conversations/:id/messages/:messageId', async (context) => {
    const { id, messageId } = context.req.param();
    const message = await kept(conversations.message(owner(context), id, messageId));
    if (message === null) throw noMessage(messageId);
    return context.json(messageOf(message));
  });

  app.get('/api/personas', async (context) => context.json((await kept(personas.list(owner(context)))).map(personaOf)));

  app.post('/api/personas', async (context) => {
    const persona = parseRequest(newPersona, await readBody(context));
    return context.json(personaOf(await kept(personas.create(owner(context), persona))), 201);
  });

  app.patch('/api/personas/:id', async (context) => {
    const { name, system, parameters } = parseRequest(personaPatch, await readBody(context));
    const patch = { ...(name !== undefined && { name }), ...(system !== undefined && { system }), ...(parameters && { parameters }) };
    return context.json(personaOf(await kept(personas.update(owner(context), context.req.param('id'), patch))));
  });

  app.delete('/api/personas/:id', async (context) => {
    const id = context.req.param('id');
    if (!await kept(personas.remove(owner(context), id))) throw noConversation(id, 'persona');
    return context.body(null, 204);
  });
}

const LIST_PARAMETERS = ['search', 'archived', 'cursor', 'limit'];

/** Throws ApiError where a parameter is unknown or has a value that it cannot have. */
function listOptions(context: Context<Environment>): ListOptions {
  const query = context.req.query();
  for (const name of Object.keys(query)) {
    if (!LIST_PARAMETERS.includes(name)) throw invalidRequest(`Unknown parameter: '${name}'. There are: ${LIST_PARAMETERS.join(', ')}.`, name, 'unknown_parameter');
  }
  const { search = '', archived = '', cursor = '', limit = '' } = query;
  if (!['', 'true', 'false'].includes(archived)) throw invalidRequest(`'archived' is '${archived}': true, false, or left out for both`, 'archived', 'invalid_value');
  if (limit !== '' && (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > 200)) throw invalidRequest(`'limit' is '${limit}': 1 to 200`, 'limit', 'invalid_value');
  return {
    ...(search.trim() !== '' && { search }), ...(archived !== '' && { archived: archived === 'true' }), ...(cursor !== '' && { cursor }), ...(limit !== '' && { limit: Number(limit) }),
  };
}
