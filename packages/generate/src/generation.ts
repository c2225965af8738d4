/** One request, running or about to: an AsyncIterable of events that can be read once, as a stream or as a whole. */
import { GenerateError } from './errors.ts';
import { collect, type GenerateEvent, type GenerateResult } from './events.ts';

/**
 * Nothing is computed before the first event is asked for. Leaving the loop stops the computation and frees its memory.
 *
 *     for await (const event of generator.generate('Once upon')) if (event.type === 'token') write(event.text);
 *     const { sequences } = await generator.generate('Once upon').result();
 */
export class Generation implements AsyncIterable<GenerateEvent> {
  readonly #start: () => AsyncGenerator<GenerateEvent, void>;
  #taken = false;

  constructor(start: () => AsyncGenerator<GenerateEvent, void>) {
    this.#start = start;
  }

  [Symbol.asyncIterator](): AsyncGenerator<GenerateEvent, void> {
    if (this.#taken) {
      throw new GenerateError('this generation has been read already: keep its events or its result(), or call generate() again');
    }
    this.#taken = true;
    return this.#start();
  }

  /** Reads to the end and adds it all up. */
  async result(): Promise<GenerateResult> {
    return await collect(this);
  }
}
