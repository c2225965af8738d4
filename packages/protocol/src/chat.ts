/** POST /v1/chat/completions: request, answer and chunks, as OpenAI's specification has them for text. */
import * as z from 'zod';
import { type FinishReason, generationFields, streamFields, type Usage } from './common.ts';
import { chatToolCall, chatToolChoice, chatTools, type ToolCallChunk, type ToolCallMessage } from './tools.ts';

const textPart = z.strictObject({ type: z.literal('text', 'this server reads text: parts of other types (images, audio, files) are not understood'), text: z.string() });
/** A text, or parts that are joined. */
const content = z.union([z.string(), z.array(textPart).min(1)]).transform((value) => (typeof value === 'string' ? value : value.map(({ text }) => text).join('')));

const OLDER = 'functions, function_call and the role function are the older form: pass tools, tool_choice and the role tool';

const message = z.discriminatedUnion('role', [
  // Newer models of OpenAI call the system message the developer's.
  z.strictObject({ role: z.enum(['system', 'developer']), content, name: z.string().optional() }),
  z.strictObject({ role: z.literal('user'), content, name: z.string().optional() }),
  z.strictObject({
    role: z.literal('assistant'), content: content.nullish(), name: z.string().optional(), refusal: z.null().optional(),
    annotations: z.array(z.unknown()).max(0).optional(), tool_calls: z.array(chatToolCall).min(1).optional(),
    // What OpenAI's client adds for its caller and sends back.
    parsed: z.unknown().optional(), audio: z.null().optional(), function_call: z.null(OLDER).optional(),
  }).refine((value) => typeof value.content === 'string' || value.tool_calls !== undefined, { error: 'an assistant\'s message has content or tool_calls', path: ['content'] }),
  z.strictObject({ role: z.literal('tool'), content, tool_call_id: z.string().min(1), name: z.string().optional() }),
], { error: `the roles are system, developer, user, assistant and tool (${OLDER})` });

export const chatCompletionRequest = z.strictObject({
  model: z.string().min(1),
  messages: z.array(message).min(1),
  max_tokens: z.number().int().min(1).nullish(),
  max_completion_tokens: z.number().int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  response_format: z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name: z.string(), description: z.string().optional(), strict: z.boolean().nullish(),
        schema: z.union([z.boolean(), z.record(z.string(), z.unknown())]).optional(),
      }),
    }),
  ]).nullish(),
  ...generationFields,
  ...streamFields,
  // Of no effect on what is said: who asks, notes for the caller, hints to caches and queues of OpenAI's own.
  metadata: z.record(z.string(), z.string()).nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
  prompt_cache_options: z.unknown().optional(),
  service_tier: z.enum(['auto', 'default']).nullish(),
  // Only with the values that ask for what this server does anyway.
  modalities: z.array(z.literal('text', 'only text is written here')).nullish(),
  store: z.literal(false, 'answers are not stored under OpenAI\'s ids here: leave store out').nullish(),
  tools: chatTools.nullish(),
  tool_choice: chatToolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  functions: z.null(OLDER).optional(),
  function_call: z.null(OLDER).optional(),
});

export type ChatCompletionRequest = z.output<typeof chatCompletionRequest>;
export type ChatCompletionMessage = ChatCompletionRequest['messages'][number];

export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  /** The token's own UTF-8, which may be part of a character. */
  readonly bytes: readonly number[] | null;
}

export interface ChatLogprobs {
  readonly content: readonly (TokenLogprob & { readonly top_logprobs: readonly TokenLogprob[] })[];
  readonly refusal: null;
}

export interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    /** `content` is null where there are calls and nothing else. */
    readonly message: {
      readonly role: 'assistant'; readonly content: string | null; readonly refusal: null; readonly annotations: readonly [];
      readonly tool_calls?: readonly ToolCallMessage[];
    };
    readonly logprobs: ChatLogprobs | null;
    readonly finish_reason: FinishReason;
  }[];
  readonly usage: Usage;
}

export interface ChatCompletionChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta: { readonly role?: 'assistant'; readonly content?: string | null; readonly refusal?: null; readonly tool_calls?: readonly ToolCallChunk[] };
    readonly logprobs?: ChatLogprobs | null;
    readonly finish_reason: FinishReason | null;
  }[];
  /** With include_usage: null in every chunk but the last, which has no choices. */
  readonly usage?: Usage | null;
}
