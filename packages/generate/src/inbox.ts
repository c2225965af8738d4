/** What was told about one request and was not read yet: from where the events are made to where they are read. */
import type { GenerateEvent } from './events.ts';

export class Inbox {
  readonly events: GenerateEvent[] = [];
  /** There will be nothing more: the request is complete, was stopped, or failed. */
  ended = false;
  error: Error | undefined;
  #wake: (() => void) | undefined;

  notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  async changed(): Promise<void> {
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  /** Events as they come, until the end or the error; throws the signal's reason as soon as it is aborted and somebody is notified. */
  async *read(signal: AbortSignal | undefined): AsyncGenerator<GenerateEvent, void> {
    for (;;) {
      signal?.throwIfAborted();
      const event = this.events.shift();
      if (event) yield event;
      else if (this.error !== undefined) throw this.error;
      else if (this.ended) return;
      else await this.changed();
    }
  }
}
