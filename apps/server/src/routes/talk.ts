/** Answers for the page: asked for, watched, taken up again after a reload, stopped; and those of which nothing is kept. */
import { generateRequest, invalidRequest, parseRequest, stopRequest, type TalkModel, type TalkStart, temporaryRequest } from '@parley/protocol';
import type { Context, Hono } from 'hono';
import type { Environment } from '../app.ts';
import { toApiError } from '../generation.ts';
import type { Models } from '../models.ts';
import { readBody } from '../stream.ts';
import { Answer, freshSeed, withSystem } from '../talk/answer.ts';
import { numberedEvents } from '../talk/events.ts';
import { eventsAfter, type NumberedEvent, type Transcript } from '../talk/job.ts';
import { contextLengthOf, modelTitle } from '../talk/model-facts.ts';
import { modelOf, type Talk } from '../talk/talk.ts';

export function talkRoutes(app: Hono<Environment>, talk: Talk): void {
  app.post('/api/conversations/:id/generate', async (context) => {
    const request = parseRequest(generateRequest, await readBody(context));
    const job = await talk.ask({ owner: context.get('identity').id, conversationId: context.req.param('id'), request, usage: context.get('usage') });
    return numberedEvents((signal) => job.watch(-1, signal));
  });

  app.get('/api/conversations/:id/stream', async (context) => {
    const messageId = context.req.query('messageId') ?? '';
    if (messageId === '') throw invalidRequest("Missing required parameter: 'messageId'.", 'messageId', 'missing_required_parameter');
    return numberedEvents(await talk.watch({ owner: context.get('identity').id, conversationId: context.req.param('id'), messageId, after: afterOf(context) }));
  });

  app.post('/api/conversations/:id/stop', async (context) => {
    const { messageId } = parseRequest(stopRequest, await readBody(context));
    return context.json(await talk.stop({ owner: context.get('identity').id, conversationId: context.req.param('id'), messageId }));
  });
}

/** What does not need a store. */
export function plainTalkRoutes(app: Hono<Environment>, models: Models): void {
  app.get('/api/models', async (context) => {
    const known = await models.list();
    return context.json(await Promise.all(known.map(async (id): Promise<TalkModel> => (
      { id, title: modelTitle(id), contextLength: await contextLengthOf(id), default: id === models.defaultModel }
    ))));
  });

  app.post('/api/temporary/generate', async (context) => {
    const { messages, model: name, parameters = {} } = parseRequest(temporaryRequest, await readBody(context));
    if (messages.at(-1)?.role !== 'user') throw invalidRequest("the last message has to be the user's: it is what is answered", 'messages', 'invalid_value');
    const model = await modelOf(models, name);
    const seed = parameters.seed ?? freshSeed();
    const usage = context.get('usage');
    const until = context.get('signal');
    const turns = withSystem(messages, parameters.system);
    return numberedEvents((left) => {
      const signal = AbortSignal.any([left, until]);
      return temporary(new Answer({ model, turns, parameters, seed, queueKey: context.get('identity').id, signal, usage }), { type: 'start', messageId: null, seed, model: model.id });
    });
  });
}

/** The events of an answer that nobody can come back to. */
async function* temporary(answer: Answer, start: TalkStart): AsyncGenerator<readonly NumberedEvent[], void> {
  yield [{ id: 0, event: start }];
  let id = 0;
  let last: Transcript['last'];
  try {
    for await (const token of answer) yield eventsAfter({ start, tokens: [token], last: null }, 0).map(({ event }) => ({ id: ++id, event: event.type === 'token' ? { ...event, index: id - 1 } : event }));
    const { finishReason, usage, tokensPerSecond, timeToFirstTokenMs, droppedMessages } = answer.facts();
    last = { type: 'end', status: 'complete', finishReason, usage, tokensPerSecond, timeToFirstTokenMs, droppedMessages };
  } catch (error) {
    last = { type: 'error', error: toApiError(error).body.error };
  }
  yield [{ id: id + 1, event: last }];
}

/** The event that the reader has seen last. Browsers that connect again by themselves say it in a header; the address is then older. */
function afterOf(context: Context<Environment>): number {
  const text = context.req.header('last-event-id') ?? context.req.query('after') ?? '-1';
  if (!/^(?:-1|\d{1,9})$/.test(text)) throw invalidRequest(`'after' is '${text}': the id of an event, or -1 for all of them`, 'after', 'invalid_value');
  return Number(text);
}
