/** What answers cost, counted as they come, so that one cut off is counted too. */
import type { GenerateEvent, Usage } from '@parley/generate';

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

export function usageHook(spend: (spent: Spent) => void, write: (spent: Spent) => void): UsageHook {
  return {
    add(spent) {
      spend(spent);
      write(spent);
    },
    async *count(model, events) {
      let spent = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };
      const nothing = { model, ...spent };
      try {
        for await (const event of events) {
          if (event.type === 'start') {
            const promptTokens = event.prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
            spent = { ...spent, promptTokens };
            spend({ ...nothing, promptTokens });
          } else if (event.type === 'token') {
            spent = { ...spent, completionTokens: spent.completionTokens + 1 };
            spend({ ...nothing, completionTokens: 1 });
          } else if (event.type === 'done') {
            // Beams that lost were computed and never told.
            const { completionTokens, cachedTokens } = event.usage;
            spend({ ...nothing, completionTokens: completionTokens - spent.completionTokens });
            spent = { ...spent, completionTokens, cachedTokens };
          }
          yield event;
        }
      } finally {
        if (spent.promptTokens + spent.completionTokens > 0) write({ model, ...spent });
      }
    },
  };
}
