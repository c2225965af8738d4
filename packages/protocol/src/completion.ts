/** POST /v1/completions, and the older POST /v1/engines/{engine}/completions: texts that are gone on with. */
import * as z from 'zod';
import { type FinishReason, generationFields, streamFields, type Usage } from './common.ts';

const tokens = z.array(z.number().int().min(0)).min(1);

export const completionRequest = z.strictObject({
  /** Absent where the path or `engine` names it. */
  model: z.string().min(1).optional(),
  engine: z.string().min(1).optional(),
  /** A text, texts, tokens, or several lists of tokens. OpenAI's default is the end-of-text token: a text from nothing. */
  prompt: z.union([z.string(), z.array(z.string()).min(1), tokens, z.array(tokens).min(1)], {
    error: 'has to be a text, a list of texts, a list of token ids, or a list of such lists',
  }).nullish(),
  max_tokens: z.number().int().min(1).nullish(),
  /** Log-probabilities of each token and of this many likeliest ones. */
  logprobs: z.number().int().min(0).max(5).nullish(),
  echo: z.boolean().nullish(),
  best_of: z.number().int().min(1).max(20).nullish(),
  suffix: z.null('filling in before a suffix needs a model trained for it: leave suffix out').optional(),
  ...generationFields,
  ...streamFields,
});

export type CompletionRequest = z.output<typeof completionRequest>;

export interface CompletionLogprobs {
  readonly tokens: readonly string[];
  /** Null for the first token of an echoed prompt, which nothing comes before. */
  readonly token_logprobs: readonly (number | null)[];
  readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[] | null;
  /** Where each token's text begins, in UTF-16 units. */
  readonly text_offset: readonly number[];
}

/** A whole answer, and in the same shape each chunk of a streamed one. */
export interface Completion {
  readonly id: string;
  readonly object: 'text_completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly text: string;
    readonly logprobs: CompletionLogprobs | null;
    readonly finish_reason: FinishReason | null;
  }[];
  readonly usage?: Usage | null;
}
