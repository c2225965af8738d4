/** An answer's way into the store: often enough that a crash loses little, seldom enough that writing does not slow the talking. */
import type { Message, MessagePatch, Store } from '../store/types.ts';

/** Between writes; longer where the store is slow, so that writing takes at most a tenth of the time. */
const EVERY_MS = 200;
/** An answer that waits for its turn is touched now and then, so that other servers on the same database do not think it abandoned. */
export const HEARTBEAT_MS = 15_000;
const PATIENCE = 10;
/** Before the last write is tried again. */
const RETRY_MS: readonly number[] = [100, 1_000];

export interface Place {
  readonly owner: string;
  readonly conversationId: string;
  readonly messageId: string;
}

export class AnswerWriter {
  readonly #store: Store;
  readonly #place: Place;
  readonly #onFailure: (error: unknown) => void;
  #content = '';
  #timer: NodeJS.Timeout;
  #soon = false;
  #writing: Promise<void> = Promise.resolve();
  #pause = EVERY_MS;
  #closed = false;

  /** `onFailure`: a write in between failed, once. The last write throws instead. */
  constructor(store: Store, place: Place, onFailure: (error: unknown) => void) {
    this.#store = store;
    this.#place = place;
    this.#onFailure = onFailure;
    this.#timer = this.#later(HEARTBEAT_MS);
  }

  /** What has been written by now. Returns at once. */
  update(content: string): void {
    this.#content = content;
    if (this.#soon || this.#closed) return;
    this.#soon = true;
    clearTimeout(this.#timer);
    this.#timer = this.#later(this.#pause);
  }

  /** The whole answer, after all other writes. Throws what the store throws, after trying again. */
  async finish(patch: MessagePatch): Promise<Message> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#writing;
    const { owner, conversationId, messageId } = this.#place;
    for (const wait of RETRY_MS) {
      try {
        return await this.#store.conversations.updateMessage(owner, conversationId, messageId, patch);
      } catch (error) {
        if (isGone(error)) throw error;
        await new Promise((resolve) => void setTimeout(resolve, wait));
      }
    }
    return this.#store.conversations.updateMessage(owner, conversationId, messageId, patch);
  }

  #later(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#writing = this.#writing.then(() => this.#write());
    }, ms);
  }

  async #write(): Promise<void> {
    this.#soon = false;
    const { owner, conversationId, messageId } = this.#place;
    const content = this.#content;
    const began = performance.now();
    try {
      await this.#store.conversations.updateMessage(owner, conversationId, messageId, { content });
    } catch (error) {
      this.#onFailure(error);
      return;
    }
    if (this.#closed) return;
    this.#pause = Math.max(EVERY_MS, PATIENCE * (performance.now() - began));
    clearTimeout(this.#timer);
    this.#soon = this.#content !== content;
    this.#timer = this.#later(this.#soon ? this.#pause : HEARTBEAT_MS);
  }
}

const isGone = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'not_found';
