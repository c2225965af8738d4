/** Ready, draining, ended: what the server takes on and until when it finishes what it has. */
import { ApiError } from '@parley/protocol';

export class Lifecycle {
  #draining = false;
  readonly #ended = new AbortController();

  /** No new work is taken on. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Aborted with an ApiError (503) when answers that still run have to end. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  drain(): void {
    this.#draining = true;
  }

  end(): void {
    this.#draining = true;
    this.#ended.abort(new ApiError('The server is shutting down: this answer was cut off. Ask again.', { status: 503, code: 'server_shutting_down' }));
  }
}
