/** Server-sent events: texts in, a response out. */
import { ApiError } from '@parley/protocol';

/** A comment now and then, so that proxies do not take a model that thinks for a dead connection. */
const PING_MS = 15_000;

/** One event as the wire has it: its data as JSON, with a number to resume after and a name where they are given. */
export function eventText(data: unknown, { id, name }: { id?: number; name?: string } = {}): string {
  return `${id === undefined ? '' : `id: ${id}\n`}${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`;
}

export interface EventSource {
  /** Whole events. The next are asked for when those before were taken: a slow reader slows whoever makes them and costs no memory. */
  readonly texts: AsyncIterator<string>;
  /** What `texts` has given already. */
  readonly first?: IteratorResult<string> | undefined;
  /** Aborted when the reader goes before the end. */
  readonly left: AbortController;
  /** What the reader is told when `texts` fails; null: nothing, the connection breaks off. */
  readonly failure: (error: unknown) => string | null;
  readonly cacheControl?: 'no-cache' | 'no-store';
}

export function eventResponse({ texts, first, left, failure, cacheControl = 'no-cache' }: EventSource): Response {
  const encoder = new TextEncoder();
  let given = first;
  let ping: NodeJS.Timeout | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      ping = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': ping\n\n'));
      }, PING_MS).unref();
    },
    async pull(controller) {
      try {
        const next = given ?? (await texts.next());
        given = undefined;
        if (left.signal.aborted) return;
        if (next.done !== true) {
          controller.enqueue(encoder.encode(next.value));
          return;
        }
      } catch (error) {
        if (left.signal.aborted) return;
        const told = failure(error);
        if (told === null) {
          clearInterval(ping);
          controller.error(error);
          return;
        }
        controller.enqueue(encoder.encode(told));
      }
      clearInterval(ping);
      controller.close();
    },
    async cancel() {
      clearInterval(ping);
      left.abort(new ApiError('the client left', { status: 499 }));
      await texts.return?.();
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': cacheControl, 'x-accel-buffering': 'no' } });
}
