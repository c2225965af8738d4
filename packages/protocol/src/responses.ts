/** POST /v1/responses and what belongs to it: text in and out, functions, events. What is not offered is refused by its name. */
import * as z from 'zod';
import { generationFields } from './common.ts';
import { functionName, parametersSchema } from './tools.ts';

const status = z.enum(['in_progress', 'completed', 'incomplete']).nullish();
const onlyText = 'this server reads text: parts of other types (images, files, audio) are not understood';
const onlyFunctions = 'functions can be called here: tools of OpenAI\'s own (web search, file search, computer, MCP and others) are not offered';

const part = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('input_text'), text: z.string() }),
  // What an earlier response said, given back as it came.
  z.strictObject({ type: z.literal('output_text'), text: z.string(), annotations: z.array(z.unknown()).max(0).optional(), logprobs: z.array(z.unknown()).nullish(), parsed: z.unknown().optional() }),
], { error: onlyText });

const message = z.strictObject({
  type: z.literal('message'), role: z.enum(['user', 'assistant', 'system', 'developer']), content: z.union([z.string(), z.array(part)]),
  id: z.string().nullish(), status, phase: z.null().optional(),
});
const functionCall = z.strictObject({
  type: z.literal('function_call'), call_id: z.string().min(1), name: functionName, arguments: z.string(), id: z.string().nullish(), status,
  parsed_arguments: z.unknown().optional(),
});
const functionCallOutput = z.strictObject({
  type: z.literal('function_call_output'), call_id: z.string().min(1).max(64), output: z.union([z.string(), z.array(part)]), id: z.string().nullish(), status,
});

const item = z.preprocess(
  (value) => (typeof value === 'object' && value !== null && !('type' in value) ? { ...value, type: 'message' } : value),
  z.discriminatedUnion('type', [message, functionCall, functionCallOutput], { error: 'items are of type message, function_call or function_call_output here: others (reasoning, item_reference, calls of OpenAI\'s own tools) are not understood' }),
);

const tool = z.strictObject({
  type: z.literal('function', onlyFunctions), name: functionName, description: z.string().nullish(), parameters: parametersSchema.nullish(), strict: z.boolean().nullish(),
});
const namedTool = z.strictObject({ type: z.literal('function', onlyFunctions), name: functionName });
const toolChoice = z.union([
  z.enum(['none', 'auto', 'required'], { error: "has to be 'none', 'auto', 'required', a function, or allowed_tools" }),
  namedTool,
  z.strictObject({ type: z.literal('allowed_tools'), mode: z.enum(['auto', 'required']), tools: z.array(namedTool).min(1) }),
]);

const format = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({ type: z.literal('json_schema'), name: z.string(), schema: z.record(z.string(), z.unknown()), description: z.string().nullish(), strict: z.boolean().nullish() }),
]);

const { temperature, top_p, top_k, min_p, repetition_penalty, seed } = generationFields;

export const responseRequest = z.strictObject({
  model: z.string().min(1),
  input: z.union([z.string(), z.array(item).min(1)]),
  instructions: z.string().nullish(),
  previous_response_id: z.string().min(1).nullish(),
  /** Default: true where the server keeps anything. */
  store: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_obfuscation: z.boolean().optional() }).nullish(),
  text: z.strictObject({ format: format.nullish(), verbosity: z.literal('medium', 'how much is said is the model\'s own: leave verbosity out').nullish() }).nullish(),
  tools: z.array(tool).max(128, '128 functions at most').nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  temperature, top_p,
  max_output_tokens: z.number().int().min(1).nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  include: z.array(z.literal('message.output_text.logprobs', 'message.output_text.logprobs is what can be included here')).nullish(),
  /** auto: the oldest turns are left out where the conversation is too long. */
  truncation: z.enum(['auto', 'disabled']).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  // Beyond OpenAI's.
  top_k, min_p, repetition_penalty, seed,
  // Of no effect on what is said.
  user: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
  prompt_cache_options: z.unknown().optional(),
  service_tier: z.enum(['auto', 'default']).nullish(),
  // Not offered.
  background: z.literal(false, 'responses are answered while you wait: leave background out, or stream').nullish(),
  reasoning: z.null('the models here say what they think: leave reasoning out').optional(),
  max_tool_calls: z.null('it counts calls of OpenAI\'s own tools, of which there are none: leave max_tool_calls out').optional(),
  conversation: z.null('conversations are gone on with by previous_response_id: leave conversation out').optional(),
  prompt: z.null('prompts are not kept here: write them as instructions and input').optional(),
  context_management: z.null('a conversation that is too long is cut by truncation: leave context_management out').optional(),
  moderation: z.null('nothing is moderated here: leave moderation out').optional(),
});

export type ResponseRequest = z.output<typeof responseRequest>;
export type ResponseInputItem = z.output<typeof item>;
export type ResponseTool = z.output<typeof tool>;
export type ResponseToolChoice = z.output<typeof toolChoice>;

export interface ResponseLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly Omit<ResponseLogprob, 'top_logprobs'>[];
}

export interface ResponseText {
  readonly type: 'output_text';
  readonly text: string;
  readonly annotations: readonly [];
  readonly logprobs: readonly ResponseLogprob[];
}

type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export interface ResponseMessage {
  readonly id: string;
  readonly type: 'message';
  readonly role: 'assistant';
  readonly status: ItemStatus;
  readonly content: readonly ResponseText[];
}

export interface ResponseFunctionCall {
  readonly id: string;
  readonly type: 'function_call';
  readonly status: ItemStatus;
  readonly call_id: string;
  readonly name: string;
  readonly arguments: string;
}

export type ResponseOutputItem = ResponseMessage | ResponseFunctionCall;

export interface ResponseUsage {
  readonly input_tokens: number;
  readonly input_tokens_details: { readonly cached_tokens: number; readonly cache_write_tokens: number };
  readonly output_tokens: number;
  readonly output_tokens_details: { readonly reasoning_tokens: number };
  readonly total_tokens: number;
}

export interface ResponseObject {
  readonly id: string;
  readonly object: 'response';
  readonly created_at: number;
  readonly completed_at: number | null;
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed';
  readonly error: { readonly code: 'server_error' | 'rate_limit_exceeded' | 'invalid_prompt'; readonly message: string } | null;
  readonly incomplete_details: { readonly reason: 'max_output_tokens' } | null;
  readonly output: readonly ResponseOutputItem[];
  /** Once it is answered. */
  readonly usage?: ResponseUsage;
  readonly model: string;
  // What was asked, with its defaults.
  readonly instructions: string | null;
  readonly previous_response_id: string | null;
  readonly store: boolean;
  readonly background: false;
  readonly text: { readonly format: unknown };
  readonly tools: readonly unknown[];
  readonly tool_choice: unknown;
  readonly parallel_tool_calls: boolean;
  readonly temperature: number;
  readonly top_p: number;
  readonly top_logprobs: number;
  readonly max_output_tokens: number | null;
  readonly truncation: 'auto' | 'disabled';
  readonly reasoning: null;
  readonly service_tier: 'default';
  readonly metadata: Readonly<Record<string, string>>;
}

interface InText {
  readonly item_id: string;
  readonly output_index: number;
  readonly content_index: number;
}

/** Without `sequence_number`, which counts a stream's events from 0. */
export type ResponseEvent =
  | { readonly type: 'response.created' | 'response.in_progress' | 'response.completed' | 'response.incomplete' | 'response.failed'; readonly response: ResponseObject }
  | { readonly type: 'response.output_item.added' | 'response.output_item.done'; readonly output_index: number; readonly item: ResponseOutputItem }
  | ({ readonly type: 'response.content_part.added' | 'response.content_part.done'; readonly part: ResponseText } & InText)
  | ({ readonly type: 'response.output_text.delta'; readonly delta: string; readonly logprobs: readonly ResponseLogprob[] } & InText)
  | ({ readonly type: 'response.output_text.done'; readonly text: string; readonly logprobs: readonly ResponseLogprob[] } & InText)
  | { readonly type: 'response.function_call_arguments.delta'; readonly item_id: string; readonly output_index: number; readonly delta: string }
  | { readonly type: 'response.function_call_arguments.done'; readonly item_id: string; readonly output_index: number; readonly name: string; readonly arguments: string };

/** An item of a response's input as GET …/input_items lists it. */
export type ResponseInputResource =
  | { readonly id: string; readonly type: 'message'; readonly role: 'user' | 'system' | 'developer'; readonly status: 'completed'; readonly content: readonly { readonly type: 'input_text'; readonly text: string }[] }
  | ResponseOutputItem
  | { readonly id: string; readonly type: 'function_call_output'; readonly status: 'completed'; readonly call_id: string; readonly output: string };

export interface ResponseInputList {
  readonly object: 'list';
  readonly data: readonly ResponseInputResource[];
  readonly has_more: boolean;
  readonly first_id: string;
  readonly last_id: string;
}
