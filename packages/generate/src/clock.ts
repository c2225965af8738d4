/** Time spent computing and tokens computed, for the figures at the end. The reader's own time between two events is left out. */
import type { Timings, Usage } from './events.ts';

export class Clock {
  promptTokens = 0;
  completionTokens = 0;
  cachedTokens = 0;
  #prefillMs = 0;
  #decodeMs = 0;
  #fed = 0;

  /** The first forward pass, over the prompts. */
  async prefill(work: () => Promise<void>): Promise<void> {
    const start = performance.now();
    await work();
    this.#prefillMs += performance.now() - start;
  }

  /** A later one, over `fed` tokens of as many sequences. */
  async decode(fed: number, work: () => Promise<void>): Promise<void> {
    const start = performance.now();
    await work();
    this.#decodeMs += performance.now() - start;
    this.#fed += fed;
  }

  /** Choosing tokens belongs to decoding. */
  choosing<Result>(work: () => Result): Result {
    const start = performance.now();
    const result = work();
    this.#decodeMs += performance.now() - start;
    return result;
  }

  get usage(): Usage {
    return { promptTokens: this.promptTokens, completionTokens: this.completionTokens, cachedTokens: this.cachedTokens };
  }

  get timings(): Timings {
    const tokensPerSecond = this.#fed === 0 ? 0 : this.#fed / (this.#decodeMs / 1000);
    return { prefillMs: this.#prefillMs, decodeMs: this.#decodeMs, tokensPerSecond };
  }
}
