/** Schemas of answers, for the document. The compiler holds them to the types that the routes write. */
import type { ChatCompletion, ChatCompletionChunk, Completion, EmbeddingResponse, ErrorBody, ModelList, ModelObject, Usage } from '@parley/protocol';
import * as z from 'zod';

/** Optional fields of the types do not take undefined; those of a schema do, and JSON has none. */
type Loose<T> = T extends readonly (infer Item)[] ? readonly Loose<Item>[] : T extends object ? { readonly [Key in keyof T]: Loose<T[Key]> | (undefined extends T[Key] ? undefined : never) } : T;

const whole = z.int().min(0);
const finish = z.enum(['stop', 'length', 'tool_calls', 'content_filter']);

export const usage = z.object({
  prompt_tokens: whole, completion_tokens: whole, total_tokens: whole, prompt_tokens_details: z.object({ cached_tokens: whole }).optional(),
}) satisfies z.ZodType<Loose<Usage>>;

/** An empty list. JSON schema has no tuple of nothing. */
const nothing = z.array(z.never()).max(0) as z.ZodType as z.ZodType<readonly []>;

const tokenLogprob = z.object({ token: z.string(), logprob: z.number().max(0), bytes: z.array(whole.max(255)).nullable() });
const logprobs = z.object({ content: z.array(tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob) })), refusal: z.null() });
const toolCall = z.object({ id: z.string(), type: z.literal('function'), function: z.object({ name: z.string(), arguments: z.string() }) });

export const chatCompletion = z.object({
  id: z.string(), object: z.literal('chat.completion'), created: whole, model: z.string(),
  choices: z.array(z.object({
    index: whole,
    message: z.object({
      role: z.literal('assistant'), content: z.string().nullable(), refusal: z.null(), annotations: nothing, tool_calls: z.array(toolCall).optional(),
    }),
    logprobs: logprobs.nullable(), finish_reason: finish,
  })),
  usage,
}) satisfies z.ZodType<Loose<ChatCompletion>>;

export const chatCompletionChunk = z.object({
  id: z.string(), object: z.literal('chat.completion.chunk'), created: whole, model: z.string(),
  choices: z.array(z.object({
    index: whole,
    delta: z.object({
      role: z.literal('assistant').optional(), content: z.string().nullable().optional(), refusal: z.null().optional(),
      tool_calls: z.array(z.object({
        index: whole, id: z.string().optional(), type: z.literal('function').optional(), function: z.object({ name: z.string().optional(), arguments: z.string() }),
      })).optional(),
    }),
    logprobs: logprobs.nullable().optional(), finish_reason: finish.nullable(),
  })),
  usage: usage.nullable().optional(),
}) satisfies z.ZodType<Loose<ChatCompletionChunk>>;

export const completion = z.object({
  id: z.string(), object: z.literal('text_completion'), created: whole, model: z.string(),
  choices: z.array(z.object({
    index: whole, text: z.string(),
    logprobs: z.object({
      tokens: z.array(z.string()), token_logprobs: z.array(z.number().nullable()),
      top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullable(), text_offset: z.array(whole),
    }).nullable(),
    finish_reason: finish.nullable(),
  })),
  usage: usage.nullable().optional(),
}) satisfies z.ZodType<Loose<Completion>>;

export const embeddings = z.object({
  object: z.literal('list'),
  data: z.array(z.object({ object: z.literal('embedding'), index: whole, embedding: z.union([z.array(z.number()), z.string()]) })),
  model: z.string(), usage: z.object({ prompt_tokens: whole, total_tokens: whole }),
}) satisfies z.ZodType<EmbeddingResponse>;

export const model = z.object({ id: z.string(), object: z.literal('model'), created: whole, owned_by: z.string() }) satisfies z.ZodType<ModelObject>;
export const modelList = z.object({ object: z.literal('list'), data: z.array(model) }) satisfies z.ZodType<ModelList>;

export const error = z.object({
  error: z.object({
    message: z.string(),
    type: z.enum(['invalid_request_error', 'authentication_error', 'permission_error', 'not_found_error', 'rate_limit_error', 'server_error']),
    param: z.string().nullable(), code: z.string().nullable(),
  }),
}) satisfies z.ZodType<ErrorBody>;

export const health = z.object({ status: z.literal('ok') });
export const readiness = z.object({ status: z.enum(['ready', 'not_ready']), server: z.string(), store: z.enum(['none', 'reachable', 'unreachable']) });
