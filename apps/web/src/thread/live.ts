/**
 * An answer while it is written. It has its own subscribers (the one row that shows it), told at most once a frame: two hundred tokens a
 * second are sixty drawings, and nothing else on the page is drawn.
 */
import type { TalkEvent, TokenDetail } from '@parley/protocol';

export class LiveAnswer {
  readonly tokens: TokenDetail[] = [];
  #text = '';
  #reconnecting = false;
  #seed: number | undefined;
  readonly #listeners = new Set<() => void>();
  #scheduled = false;
  readonly #schedule: (run: () => void) => void;

  constructor(schedule: (run: () => void) => void = nextFrame) {
    this.#schedule = schedule;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  readonly text = (): string => this.#text;
  readonly reconnecting = (): boolean => this.#reconnecting;
  get seed(): number | undefined {
    return this.#seed;
  }

  setReconnecting(value: boolean): void {
    if (this.#reconnecting === value) return;
    this.#reconnecting = value;
    this.#changed();
  }

  take(event: TalkEvent): void {
    if (event.type === 'start') this.#seed = event.seed;
    else if (event.type === 'text') {
      this.#text = event.content;
      this.tokens.length = 0;
      this.#changed();
    } else if (event.type === 'token') {
      this.#text += event.text;
      this.tokens.push([event.text, event.logprob, event.top.map(({ text, logprob }) => [text, logprob] as const)]);
      this.#changed();
    }
  }

  #changed(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      for (const listener of this.#listeners) listener();
    });
  }
}

/** A window that is not seen gets no frames, but its screen reader may still be listened to. */
function nextFrame(run: () => void): void {
  if (document.visibilityState === 'hidden') setTimeout(run, 250);
  else requestAnimationFrame(run);
}
