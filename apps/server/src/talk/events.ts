/** Numbered server-sent events to a reader that takes them as fast as it can. */
import type { NumberedEvent } from './job.ts';

/** A comment now and then, so that proxies do not take a model that thinks for a dead connection. */
const PING_MS = 15_000;

export const sseText = ({ id, event }: NumberedEvent): string => `id: ${id}\ndata: ${JSON.stringify(event)}\n\n`;

/**
 * The response. A batch is asked for when the one before it has been taken, so a slow reader costs one batch of memory. `signal` of
 * `produce` is aborted when the reader goes.
 */
export function eventResponse(produce: (signal: AbortSignal) => AsyncIterable<readonly NumberedEvent[]>): Response {
  const left = new AbortController();
  const batches = produce(left.signal)[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  let ping: NodeJS.Timeout | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      ping = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': ping\n\n'));
      }, PING_MS);
      ping.unref();
    },
    async pull(controller) {
      try {
        const next = await batches.next();
        if (left.signal.aborted) return;
        if (next.done !== true) {
          controller.enqueue(encoder.encode(next.value.map(sseText).join('')));
          return;
        }
        clearInterval(ping);
        controller.close();
      } catch (error) {
        clearInterval(ping);
        controller.error(error);
      }
    },
    async cancel() {
      clearInterval(ping);
      left.abort(new Error('the reader left'));
      await batches.return?.();
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' } });
}
