/** Starting, ready, draining, ended: what the server takes on, and until when it finishes what it has. */
import { ApiError } from '@parley/protocol';

/** When another server, or this one started again, may be there. */
const RETRY_SECONDS = 5;

/** Work that goes on without a reader: draining waits for it too. */
export interface Background {
  readonly running: number;
  idle(): Promise<unknown>;
}

export class Lifecycle {
  #state: 'starting' | 'ready' | 'draining' = 'starting';
  #running = 0;
  #idle = Promise.withResolvers<void>();
  #cutOff = 0;
  readonly #background: Background[] = [];
  readonly #ended = new AbortController();

  get state(): 'starting' | 'ready' | 'draining' {
    return this.#state;
  }

  get draining(): boolean {
    return this.#state === 'draining';
  }

  /** Answers that have not ended. */
  get running(): number {
    return this.#background.reduce((sum, { running }) => sum + running, this.#running);
  }

  /** How many of them `end` found. */
  get cutOff(): number {
    return this.#cutOff;
  }

  /** Aborted with an ApiError (503) when answers that still run have to end. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** The model is loaded. */
  ready(): void {
    if (this.#state === 'starting') this.#state = 'ready';
  }

  /** No new work is taken on. */
  drain(): void {
    this.#state = 'draining';
  }

  /** What still runs is aborted. */
  end(): void {
    if (this.ended.aborted) return;
    this.#state = 'draining';
    this.#cutOff = this.running;
    this.#ended.abort(new ApiError('The server is shutting down: this answer was cut off. Ask again.', {
      status: 503, code: 'server_shutting_down', headers: { 'retry-after': String(RETRY_SECONDS) },
    }));
  }

  /** Throws ApiError (503) while draining. */
  admit(): void {
    if (!this.draining) return;
    throw new ApiError(`The server is shutting down and takes on nothing new. Try again in ${RETRY_SECONDS} s.`, {
      status: 503, code: 'server_shutting_down', headers: { 'retry-after': String(RETRY_SECONDS), connection: 'close' },
    });
  }

  /** A request came; to be called once more when its answer has ended. */
  enter(): () => void {
    if (this.#running++ === 0) this.#idle = Promise.withResolvers<void>();
    let left = false;
    return () => {
      if (left) return;
      left = true;
      if (--this.#running === 0) this.#idle.resolve();
    };
  }

  alsoWaitFor(background: Background): void {
    this.#background.push(background);
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    if (this.#running > 0) await this.#idle.promise;
    await Promise.all(this.#background.map(async (each) => each.idle()));
  }
}
