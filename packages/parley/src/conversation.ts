/** A conversation with a model, without the terminal: who said what, and the next answer. */
import type { ChatMessage } from '@parley/tokenizer';
import type { TextGenerationOptions, TextGenerationPipeline } from '@parley/tasks';

export type AnswerPart =
  | { readonly type: 'text'; readonly text: string }
  /** Messages that are newly left out, so that the conversation fits the context. */
  | { readonly type: 'dropped'; readonly messages: number };

export class Conversation {
  readonly #pipe: TextGenerationPipeline;
  readonly #options: TextGenerationOptions;
  #system: string | undefined;
  #turns: ChatMessage[] = [];
  /** How many of the oldest turns the last answer was computed without. */
  #dropped = 0;

  constructor(pipe: TextGenerationPipeline, setting: { system?: string | undefined; options?: TextGenerationOptions } = {}) {
    this.#pipe = pipe;
    this.#system = setting.system;
    this.#options = setting.options ?? {};
  }

  get system(): string | undefined {
    return this.#system;
  }

  set system(text: string | undefined) {
    this.#system = text;
  }

  get messages(): readonly ChatMessage[] {
    return this.#system === undefined ? this.#turns : [{ role: 'system', content: this.#system }, ...this.#turns];
  }

  reset(): void {
    this.#turns = [];
    this.#dropped = 0;
  }

  /**
   * The answer to `text`, as it comes. What was said is remembered, also when the answer is stopped by the signal (the signal's
   * reason is then thrown); after an error, or if nothing was said, the conversation is as before.
   */
  async *answer(text: string, signal: AbortSignal): AsyncGenerator<AnswerPart, void> {
    const question: ChatMessage = { role: 'user', content: text };
    const messages = [...this.messages, question];
    // Every answer has its own place in the sequence of a seed.
    const seed = typeof this.#options.seed === 'number' ? { seed: this.#options.seed + this.#turns.length / 2 } : {};
    let answer = '';
    let failed = false;
    try {
      const events = this.#pipe.stream(messages, {
        ...this.#options, ...seed, context_overflow: 'stop', conversation_overflow: 'drop-oldest', signal,
      });
      for await (const event of events) {
        if (event.type === 'start') {
          const dropped = event.prompts[0]?.droppedMessages ?? 0;
          if (dropped > this.#dropped) yield { type: 'dropped', messages: dropped - this.#dropped };
          this.#dropped = dropped;
        } else if (event.type === 'token' && event.text !== '') {
          answer += event.text;
          yield { type: 'text', text: event.text };
        }
      }
    } catch (error) {
      failed = !signal.aborted || answer === '';
      throw error;
    } finally {
      if (!failed) this.#turns.push(question, { role: 'assistant', content: answer });
    }
  }
}
