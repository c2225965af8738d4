/** POST /v1/chat/completions. The answer that is not streamed is a fold over the one that is. */
import type { ConstraintSpec, GenerateOptions, LogProbabilities } from '@parley/generate';
import {
  type ChatCompletion, type ChatCompletionChunk, type ChatCompletionMessage, type ChatCompletionRequest, chatCompletionRequest, type ChatLogprobs, invalidRequest,
  parseRequest, type TokenLogprob,
} from '@parley/protocol';
import type { ChatMessage, ToolCall } from '@parley/tokenizer';
import type { Hono } from 'hono';
import type { Environment } from '../app.ts';
import { generateOptions, isGreedy } from '../generation.ts';
import type { Models, OpenModel } from '../models.ts';
import { eventStream, readBody } from '../stream.ts';
import { argumentsOf } from '../tools/arguments.ts';
import type { Piece } from '../tools/call-parser.ts';
import { choiceOf, functionOf, planTools, type ToolPlan } from '../tools/plan.ts';
import { foldTold, told, type ToldEvent } from '../tools/told.ts';
import { LEAST_LOGPROB, newId, seconds, usageOf } from '../wire.ts';

export function chatRoutes(app: Hono<Environment>, models: Models): void {
  app.post('/v1/chat/completions', async (context) => {
    const request = parseRequest(chatCompletionRequest, await readBody(context));
    const model = await models.get(request.model);
    const plan = planOf(request, model);
    const options = optionsOf(request, model, plan);
    const prompt = { messages: messagesOf(request.messages), ...(plan && { tools: plan.definitions }) };
    const copies = isGreedy(options) ? (options.numReturnSequences ?? 1) : 1;
    const { id: queueKey } = context.get('identity');
    const run = (signal: AbortSignal): AsyncGenerator<ToldEvent> => {
      const events = model.generator.generate(prompt, { ...options, ...(copies > 1 && { numReturnSequences: 1 }), queueKey, signal });
      return told(context.get('usage').count(model.id, events), plan, model.tokenizer);
    };
    const head = { id: newId('chatcmpl'), created: seconds(), model: model.id };
    if (request.stream === true) return eventStream(context, (signal) => chunks(run(signal), { head, request, model, copies }));

    const { answers, usage } = await foldTold(run(context.get('signal')));
    const choices = Array.from({ length: copies }, () => answers).flat().map(({ text, calls, tokens, finishReason, logProbabilities }, index) => ({
      index, finish_reason: finishReason,
      message: {
        role: 'assistant' as const, content: text === '' && calls.length > 0 ? null : text, refusal: null, annotations: [] as const,
        ...(calls.length > 0 && { tool_calls: calls.map((call) => ({ id: newCallId(), type: 'function' as const, function: call })) }),
      },
      logprobs: logProbabilities === undefined ? null : logprobsOf(tokens, logProbabilities, model),
    }));
    return context.json({ ...head, object: 'chat.completion', choices, usage: usageOf(usage, copies) } satisfies ChatCompletion);
  });
}

const newCallId = (): string => newId('call').replace('-', '_');

function formatOf({ response_format: format }: ChatCompletionRequest): ConstraintSpec | undefined {
  if (format?.type === 'json_object') return { type: 'json' };
  if (format?.type !== 'json_schema') return undefined;
  if (format.json_schema.schema === undefined) {
    throw invalidRequest("'response_format.json_schema' has no schema", 'response_format.json_schema.schema', 'missing_required_parameter');
  }
  return { type: 'json_schema', schema: format.json_schema.schema };
}

function planOf(request: ChatCompletionRequest, { tokenizer }: OpenModel): ToolPlan | null {
  const tools = request.tools ?? [];
  const choice = choiceOf(request.tool_choice, tools);
  const plan = planTools({ tools: tools.map(functionOf), choice, parallel: request.parallel_tool_calls, text: formatOf(request) }, tokenizer.callForm);
  if (plan !== null && (request.num_beams ?? 1) > 1) {
    throw invalidRequest("'num_beams' is above 1, and calls of functions are held to their schemas one answer at a time: leave out one of the two", 'num_beams', 'invalid_value');
  }
  return plan;
}

/** Throws ApiError for results of calls that nobody made, and for arguments that are no JSON. */
function messagesOf(messages: readonly ChatCompletionMessage[]): ChatMessage[] {
  const calls = new Map<string, string>();
  return messages.map((message, i): ChatMessage => {
    switch (message.role) {
      case 'system': case 'developer': return { role: 'system', content: message.content };
      case 'user': return { role: 'user', content: message.content };
      case 'assistant': {
        const toolCalls = message.tool_calls?.map(({ id, function: { name, arguments: json } }, k): ToolCall => {
          calls.set(id, name);
          return { id, name, arguments: argumentsOf(json, `messages.${i}.tool_calls.${k}.function.arguments`) };
        });
        return { role: 'assistant', content: message.content ?? '', ...(toolCalls && { toolCalls }) };
      }
      case 'tool': {
        const { tool_call_id: toolCallId, content } = message;
        const name = calls.get(toolCallId);
        if (name === undefined) {
          throw invalidRequest(`'messages.${i}.tool_call_id' is '${toolCallId}', and no message before it calls a function with that id`, `messages.${i}.tool_call_id`, 'invalid_value');
        }
        return { role: 'tool', content, toolCallId, name };
      }
      default: return message satisfies never;
    }
  });
}

function optionsOf(request: ChatCompletionRequest, model: OpenModel, plan: ToolPlan | null): GenerateOptions {
  const { max_tokens: older, max_completion_tokens: newer } = request;
  if (typeof older === 'number' && typeof newer === 'number' && older !== newer) {
    throw invalidRequest(`'max_tokens' is ${older} and 'max_completion_tokens' is ${newer}: give one of them`, 'max_tokens', 'invalid_value');
  }
  if (typeof request.top_logprobs === 'number' && request.logprobs !== true) {
    throw invalidRequest("'top_logprobs' needs 'logprobs' to be true", 'top_logprobs', 'invalid_value');
  }
  if (request.stream_options && request.stream !== true) {
    throw invalidRequest("'stream_options' is about streams: pass 'stream': true with it", 'stream_options', 'invalid_value');
  }
  const most = newer ?? older;
  const constraint = plan?.constraint ?? formatOf(request);
  return {
    ...generateOptions(request, model),
    // What was not asked for may be cut by the context; what was asked for has to fit.
    ...(typeof most === 'number' && { maxNewTokens: most }),
    ...(request.logprobs === true && { logProbabilities: request.top_logprobs ?? 0 }),
    ...(constraint && { constraint }),
  };
}

interface ChunkContext {
  readonly head: { readonly id: string; readonly created: number; readonly model: string };
  readonly request: ChatCompletionRequest;
  readonly model: OpenModel;
  readonly copies: number;
}

type Choice = ChatCompletionChunk['choices'][number];

/** The role first, then text and calls as they become certain, the reason last; with include_usage one more chunk without choices. */
async function* chunks(events: AsyncIterable<ToldEvent>, { head, request, model, copies }: ChunkContext): AsyncGenerator<ChatCompletionChunk> {
  const withUsage = request.stream_options?.include_usage === true;
  const chunk = (index: number, delta: Choice['delta'], rest: { finish_reason?: Choice['finish_reason']; logprobs?: ChatLogprobs } = {}): ChatCompletionChunk => ({
    ...head, object: 'chat.completion.chunk', choices: [{ index, delta, ...(rest.logprobs && { logprobs: rest.logprobs }), finish_reason: rest.finish_reason ?? null }],
    ...(withUsage && { usage: null }),
  });
  const begun = new Set<number>();
  for await (const event of events) {
    if (event.type === 'done') {
      if (withUsage) yield { ...head, object: 'chat.completion.chunk', choices: [], usage: usageOf(event.usage, copies) };
      continue;
    }
    for (let copy = 0; copy < copies; copy++) {
      const index = copies > 1 ? copy : event.index;
      if (!begun.has(index)) yield chunk(index, { role: 'assistant', content: '', refusal: null });
      begun.add(index);
      const deltas = event.pieces.map(deltaOf);
      const logprobs = event.type === 'token' && event.logProbabilities !== undefined ? { logprobs: logprobsOf([event.token], [event.logProbabilities], model) } : {};
      if (deltas.length === 0 && logprobs.logprobs) deltas.push({ content: '' });
      for (const [i, delta] of deltas.entries()) yield chunk(index, delta, i === 0 ? logprobs : {});
      if (event.type === 'end') yield chunk(index, {}, { finish_reason: event.finishReason });
    }
  }
}

function deltaOf(piece: Piece): Choice['delta'] {
  switch (piece.type) {
    case 'text': return { content: piece.text };
    case 'call': return { tool_calls: [{ index: piece.call, id: newCallId(), type: 'function', function: { name: piece.name, arguments: '' } }] };
    case 'arguments': return { tool_calls: [{ index: piece.call, function: { arguments: piece.text } }] };
    default: return piece satisfies never;
  }
}

function logprobsOf(tokens: readonly number[], all: readonly LogProbabilities[], { tokenizer }: OpenModel): ChatLogprobs {
  const entry = ({ token, logProbability }: { token: number; logProbability: number }): TokenLogprob => ({
    token: tokenizer.decode([token]), logprob: Math.max(LEAST_LOGPROB, logProbability), bytes: [...tokenizer.tokenBytes(token)],
  });
  const content = all.map(({ logProbability, top }, i) => ({ ...entry({ token: tokens[i] ?? 0, logProbability }), top_logprobs: top.map(entry) }));
  return { content, refusal: null };
}
