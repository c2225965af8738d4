/** What several endpoints share. Requests are strict: a field that is neither here nor refused by name is an error. */
import * as z from 'zod';

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens: number };
}

const whole = z.number().int();

/** Sampling and its relatives: OpenAI's, then the extensions that other servers have made common. */
export const generationFields = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  n: whole.min(1).max(128).nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(4)]).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d+$/, 'keys are token ids'), z.number().min(-100).max(100)).nullish(),
  seed: whole.nullish(),
  user: z.string().optional(),
  top_k: whole.min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).nullish(),
  no_repeat_ngram_size: whole.min(0).nullish(),
  num_beams: whole.min(1).nullish(),
  stop_token_ids: z.array(whole.min(0)).nullish(),
} as const;

export const streamFields = {
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() }).nullish(),
} as const;
