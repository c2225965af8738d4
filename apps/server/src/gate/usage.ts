/** What answers cost, counted as they come, so that one cut off is counted too. */
import type { GenerateEvent, Usage } from '@parley/generate';
import type { Counters } from './counters.ts';

export interface Spent extends Usage {
  readonly model: string;
}

/** `context.get('usage')`: bound to who asks. May outlive the request, for work that goes on after the reader has left. */
export interface UsageHook {
  /** One piece of work that has ended: embeddings, an answer of another server. Returns at once; what is written is not waited for. */
  add(spent: Spent): void;
  /** Events of a generation, passed on as they are: each token counts when it comes, and the sum is written when they end, however they end. */
  count(model: string, events: AsyncIterable<GenerateEvent>): AsyncGenerator<GenerateEvent, void>;
}

export interface UsageParts {
  /** Tokens, prompt and answer together, as they come. A correction may be below 0. */
  readonly spend: (tokens: number) => void;
  /** The sum, once it is known. */
  readonly write: (spent: Spent) => void;
  readonly counters: Counters;
  /** What is said, where it is to be logged. */
  readonly say?: ((text: string) => void) | undefined;
}

export function usageHook({ spend, write, counters, say = () => {} }: UsageParts): UsageHook {
  return {
    add(spent) {
      spend(spent.promptTokens + spent.completionTokens);
      write(spent);
    },
    async *count(model, events) {
      const labels = { model_name: model };
      const began = performance.now();
      const last = new Map<number, number>();
      let done = false;
      let [promptTokens, completionTokens, cachedTokens] = [0, 0, 0];
      try {
        for await (const event of events) {
          if (event.type === 'start') {
            promptTokens = event.prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
            spend(promptTokens);
          } else if (event.type === 'token') {
            completionTokens++;
            spend(1);
            say(event.text);
            const now = performance.now();
            const before = last.get(event.index);
            if (before !== undefined) counters.betweenTokens.observe(labels, (now - before) / 1000);
            else if (last.size === 0) counters.firstToken.observe(labels, (now - began) / 1000);
            last.set(event.index, now);
          } else if (event.type === 'end') {
            counters.finished.add({ ...labels, finished_reason: event.finishReason });
          } else {
            done = true;
            // Beams that lost were computed and never told.
            spend(event.usage.completionTokens - completionTokens);
            ({ completionTokens, cachedTokens } = event.usage);
          }
          yield event;
        }
      } finally {
        if (promptTokens > 0) {
          if (!done) counters.finished.add({ ...labels, finished_reason: 'abort' });
          counters.whole.observe(labels, (performance.now() - began) / 1000);
          counters.promptTokens.observe(labels, promptTokens);
          counters.answerTokens.observe(labels, completionTokens);
          write({ model, promptTokens, completionTokens, cachedTokens });
        }
      }
    },
  };
}
