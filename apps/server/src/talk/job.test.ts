import type { TokenDetail } from '@parley/protocol';
import { expect, test } from 'vitest';
import type { Message } from '../store/types.ts';
import { Job, type NumberedEvent } from './job.ts';
import { pastEvents } from './talk.ts';

const start = { type: 'start', messageId: 'm', seed: 1, model: 'x' } as const;
const end = { type: 'end', status: 'complete', finishReason: 'stop', usage: { promptTokens: 1, completionTokens: 2, cachedTokens: 0 }, tokensPerSecond: 3, timeToFirstTokenMs: 4, droppedMessages: 0 } as const;
const token = (i: number): TokenDetail => [`t${i} `, -i, [[`t${i} `, -i], ['other', -i - 1]]];

/** A watcher that leaves after some events and comes back with the id of the last, until the end. */
async function watchInPieces(job: Job, next: (n: number) => number): Promise<NumberedEvent[]> {
  const seen: NumberedEvent[] = [];
  for (;;) {
    const leave = new AbortController();
    let left = next(40);
    for await (const batch of job.watch(seen.at(-1)?.id ?? -1, leave.signal)) {
      for (const event of batch) {
        if (left-- <= 0) break;
        seen.push(event);
      }
      if (left <= 0) leave.abort();
    }
    if (seen.at(-1)?.event.type === 'end') return seen;
  }
}

test.each([1, 2, 3, 4, 5])('watchers that leave and come back see every event once and in order, however an answer comes (seed %i)', async (seed) => {
  let state = seed;
  const next = (n: number): number => (state = (state * 48271) % 2147483647) % n;
  const job = new Job(start);
  const watchers = Array.from({ length: 6 }, () => watchInPieces(job, next));
  const count = 600 + next(400);
  for (let i = 0; i < count; i++) {
    job.push(token(i));
    if (next(3) === 0) await new Promise((resolve) => void setImmediate(resolve));
  }
  job.end(end);
  const late = watchInPieces(job, next);
  for (const events of await Promise.all([...watchers, late])) {
    expect(events.map(({ id }) => id)).toEqual(Array.from({ length: count + 2 }, (_, i) => i));
    expect(events.flatMap(({ event }) => (event.type === 'token' ? [event.text] : [])).join('')).toBe(job.tokens.map(([text]) => text).join(''));
  }
  await job.ended;
});

test('an answer read back from the store is told as it was while it was written, from any event on', async () => {
  const job = new Job(start);
  for (let i = 0; i < 300; i++) job.push(token(i));
  job.end(end);
  const message: Message = {
    id: 'm', conversationId: 'c', parentId: 'p', role: 'assistant', content: job.tokens.map(([text]) => text).join(''), createdAt: 0, updatedAt: 0, status: 'complete',
    model: 'x', finishReason: 'stop', usage: end.usage, details: { seed: 1, tokensPerSecond: 3, timeToFirstTokenMs: 4, droppedMessages: 0, tokens: job.tokens },
  };
  for (const after of [-1, 0, 1, 255, 256, 299, 300, 301, 500]) {
    const live: NumberedEvent[] = [];
    for await (const batch of job.watch(after, new AbortController().signal)) live.push(...batch);
    expect(pastEvents(message, after)).toEqual(live);
  }
  // What a crash left has its words, not its tokens.
  const { details: _, ...rest } = message;
  const crashed = pastEvents({ ...rest, status: 'failed', details: null }, 7);
  expect(crashed.map(({ id, event }) => [id, event.type])).toEqual([[8, 'text'], [9, 'error']]);
  expect(crashed[0]?.event).toMatchObject({ content: message.content });
});

test('a watcher that leaves while nothing comes is let go', async () => {
  const job = new Job(start);
  const leave = new AbortController();
  const events = job.watch(0, leave.signal);
  const waiting = events.next();
  leave.abort();
  expect((await waiting).done).toBe(true);
});
