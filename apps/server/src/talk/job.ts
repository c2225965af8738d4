/**
 * An answer that is being written, and those who watch it. Its events are a function of its tokens: 0 is the start, i + 1 is token i, the
 * one after the last token is the end. So nothing is kept twice, a watcher is only a number, and an answer read back from the store gives
 * the same events with the same ids as it did while it was written.
 */
import type { TalkEnd, TalkError, TalkEvent, TalkStart, TokenDetail } from '@parley/protocol';

export interface NumberedEvent {
  readonly id: number;
  readonly event: TalkEvent;
}

/** What an answer's events are made of. Null as `last`: it is still being written. */
export interface Transcript {
  readonly start: TalkStart;
  readonly tokens: readonly TokenDetail[];
  readonly last: TalkEnd | TalkError | null;
}

/** Events given to a watcher at once, at most. */
const BATCH = 256;

/** Events with ids over `after`, as many as there are but not over BATCH. */
export function eventsAfter({ start, tokens, last }: Transcript, after: number): NumberedEvent[] {
  const count = tokens.length + (last === null ? 1 : 2);
  const events: NumberedEvent[] = [];
  for (let id = after + 1; id < count && events.length < BATCH; id++) {
    const token = tokens[id - 1];
    events.push({ id, event: id === 0 ? start : token === undefined ? last ?? start : tokenEvent(token, id - 1) });
  }
  return events;
}

const tokenEvent = ([text, logprob, top]: TokenDetail, index: number): TalkEvent => ({
  type: 'token', text, logprob, top: top.map(([each, value]) => ({ text: each, logprob: value })), index,
});

export class Job {
  readonly start: TalkStart;
  readonly tokens: TokenDetail[] = [];
  readonly #abort = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #last: TalkEnd | TalkError | null = null;
  #changed = Promise.withResolvers<void>();

  constructor(start: TalkStart) {
    this.start = start;
  }

  get last(): TalkEnd | TalkError | null {
    return this.#last;
  }

  /** Aborted with the reason why the answer ends early. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** When the answer is over, kept, and told. Does not reject. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  abort(reason: Error): void {
    this.#abort.abort(reason);
  }

  push(token: TokenDetail): void {
    this.tokens.push(token);
    this.#tell();
  }

  end(last: TalkEnd | TalkError): void {
    this.#last = last;
    this.#tell();
    this.#ended.resolve();
  }

  /**
   * Events with ids over `after`, in batches of those that are there; waits for more until the last one. Each watcher goes at its own
   * pace. An `after` beyond the answer gets what comes after that, or nothing.
   */
  async *watch(after: number, signal: AbortSignal): AsyncGenerator<readonly NumberedEvent[], void> {
    const wake = (): void => this.#tell();
    signal.addEventListener('abort', wake, { once: true });
    try {
      for (let at = after; !signal.aborted;) {
        const changed = this.#changed.promise;
        const events = eventsAfter(this, at);
        if (events.length > 0) {
          at += events.length;
          yield events;
        } else if (this.#last !== null) {
          return;
        } else {
          await changed;
        }
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  #tell(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}
