/** Bodies in, server-sent events out. */
import { ApiError, invalidRequest } from '@parley/protocol';
import type { Context } from 'hono';
import type { Environment } from './app.ts';
import { toApiError } from './generation.ts';

/** A comment now and then, so that proxies do not take a model that thinks for a dead connection. */
const PING_MS = 15_000;

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
  const signal = AbortSignal.any([left.signal, context.get('signal')]);
  const gone = (): boolean => left.signal.aborted || context.req.raw.signal.aborted;
  const values = produce(signal)[Symbol.asyncIterator]();
  const first = await values.next();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (text: string): void => controller.enqueue(encoder.encode(text));
      // Who has left leaves before what was being computed for them ends, and nothing can be written to them.
      const ping = setInterval(() => {
        if (!gone()) send(': ping\n\n');
      }, PING_MS);
      try {
        for (let next = first; next.done !== true; next = await values.next()) send(`${named ? `event: ${(next.value as { type: string }).type}\n` : ''}data: ${JSON.stringify(next.value)}\n\n`);
        if (!named) send('data: [DONE]\n\n');
      } catch (error) {
        if (gone()) return;
        const failure = toApiError(error);
        context.get('record').error = failure.code ?? failure.type;
        send(`data: ${JSON.stringify(failure.body)}\n\n`);
      } finally {
        clearInterval(ping);
        if (!gone()) controller.close();
      }
    },
    async cancel() {
      left.abort(new ApiError('the client left', { status: 499 }));
      await values.return?.();
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' } });
}
