/** An answer's numbered events, as a response: a reader who was cut off asks for those after the last one it has. */
import { eventResponse, eventText } from '../sse.ts';
import type { NumberedEvent } from './job.ts';

/** `signal` of `produce` is aborted when the reader goes. */
export function numberedEvents(produce: (signal: AbortSignal) => AsyncIterable<readonly NumberedEvent[]>): Response {
  const left = new AbortController();
  const texts = async function* (): AsyncGenerator<string, void> {
    for await (const batch of produce(left.signal)) yield batch.map(({ id, event }) => eventText(event, { id })).join('');
  }();
  return eventResponse({ texts, left, failure: () => null, cacheControl: 'no-store' });
}
