/** Bodies in, server-sent events out. */
import { invalidRequest } from '@parley/protocol';
import type { Context } from 'hono';
import type { Environment } from './app.ts';
import { toApiError } from './generation.ts';
import { eventResponse, eventText } from './sse.ts';

/** The body as JSON. `secret`: not to be logged, whatever is asked for. Throws ApiError. */
export async function readBody(context: Context<Environment>, { secret = false } = {}): Promise<unknown> {
  const text = await context.req.text();
  if (!secret) context.get('record').request = text;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw invalidRequest(`We could not parse the JSON body of your request: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

/**
 * `data: {…}` for each value and `data: [DONE]` at the end, as OpenAI streams. What fails before the first value is an answer with
 * its status; later, an error inside the stream, which OpenAI's clients raise. When the reader goes, the signal is aborted; when the
 * server ends, it is too, and the reader is told. `named`: events carry their type as SSE's event, and none says that it is over.
 */
export async function eventStream(
  context: Context<Environment>, produce: (signal: AbortSignal) => AsyncIterable<unknown>, { named = false } = {},
): Promise<Response> {
  const left = new AbortController();
  const values = produce(AbortSignal.any([left.signal, context.get('signal')]));
  const texts = async function* (): AsyncGenerator<string, void> {
    for await (const value of values) yield eventText(value, named ? { name: (value as { type: string }).type } : {});
    if (!named) yield 'data: [DONE]\n\n';
  }();
  return eventResponse({
    texts, left, first: await texts.next(),
    failure: (error) => {
      // Who has left leaves before what was being computed for them ends: that is no failure.
      if (context.req.raw.signal.aborted) return null;
      const failure = toApiError(error);
      context.get('record').error = failure.code ?? failure.type;
      return eventText(failure.body);
    },
  });
}
